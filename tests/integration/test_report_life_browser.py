"""The report of a real run in a real Chromium: what the files cost, and why these were chosen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.browser
SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("life")
    command = [Path(sys.executable).with_name("pixfleet"), "run", SAMPLES / "chelsea.png"]
    options = ["--out", folder / "out", "--recipe", "thumbnail", "--state", folder / "state"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return folder / "out"


def test_a_card_lists_every_candidate_of_the_manifest_and_sums_the_lifetime(browser, out):
    (variant,) = json.loads((out / "manifest.jsonl").read_text("utf-8"))["variants"]
    browser.get_log("browser")  # what other pages left
    browser.get((out / "report.html").as_uri())
    details = browser.find_element(By.CSS_SELECTOR, "details.lives")
    assert not details.find_element(By.TAG_NAME, "table").is_displayed()
    assert "over the lifetime" in details.text

    details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)

    rows = [
        " ".join(row.text.split()) for row in details.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]
    assert len(rows) == len(variant["candidates"]) > 1
    assert rows[0].startswith("thumb AVIF speed")
    assert "chosen: the least cost" in rows[0]
    reckoned = [row for row in rows if "not tried" in row]
    assert reckoned
    assert all("≈" in row for row in reckoned)
    assert browser.get_log("browser") == []
