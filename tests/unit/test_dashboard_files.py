"""What the dashboard takes from others is what it says it is."""

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "workers" / "dashboard" / "static" / "vendor"
ROWS = re.findall(
    r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "README.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("name", "digest"), ROWS)
def test_a_vendored_file_has_the_sum_that_is_written(name, digest):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_every_vendored_file_is_listed_with_its_licence():
    listed = {name for name, _ in ROWS} | {"README.md", "uPlot.LICENSE"}
    assert {file.name for file in VENDOR.iterdir()} == listed
    assert ROWS
