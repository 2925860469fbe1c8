"""Whatever the README shows is done here, block after block, as its reader would.

The fence says what happens to a block:

- ``bash``: run by bash, stopping at the first command that fails, in a folder with ``samples``.
  ``make …`` becomes ``make -n …`` in the project (its targets exist; what they do is tested
  elsewhere). ``pixfleet up`` goes to the background, is awaited, and serves the blocks below it;
  after the last block Ctrl-C must end it with exit code 0. ``s3://bucket/prefix`` is a real
  bucket, of moto, with the samples below ``prefix``.
- ``console``: the same for the lines after ``$ ``; the others are output.
- ``python``: run as a script, on a running fleet as ``PIXFLEET_BROKER``.
- ``toml``: a recipe; ``pixfleet recipes show`` must read it.
- ``json``, ``text``, ``mermaid``: only shown. Any other fence, or none, is a fault.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from PIL import Image

from tests.brokers import free_port

from .test_up import eventually, fetch

TOP = Path(__file__).parents[2]
SHOWN = {"json", "text", "mermaid"}
FENCE = re.compile(r"^```(?P<kind>[\w-]*)[^\n]*\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
UP = "pixfleet up"


@dataclass(frozen=True)
class Block:
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"line-{self.line}-{self.kind}"


def blocks_of(text: str) -> list[Block]:
    return [
        Block(text.count("\n", 0, found.start()) + 1, found["kind"], found["text"])
        for found in FENCE.finditer(text)
    ]


class Reader:
    """Somebody with a shell in a folder of their own, who follows the README."""

    def __init__(self, folder: Path, samples: Path) -> None:
        self.folder = folder
        (folder / "work" / "samples").mkdir(parents=True)
        for path in samples.iterdir():
            if path.suffix in {".png", ".jpg"}:
                with Image.open(path) as image:  # small, so that a run takes seconds
                    image.thumbnail((360, 360))
                    image.save(folder / "work" / "samples" / path.name)
        self.monitor_port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PIXFLEET_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIXFLEET_STATE": str(folder / "state"),
            "PIXFLEET_MONITOR_PORT": str(self.monitor_port),
            "PIXFLEET_MONITOR_FLOWER_PORT": str(free_port()),
            "PIXFLEET_MONITOR_INTERVAL_S": "0.2",
        }
        self.up: subprocess.Popen[bytes] | None = None

    def follow(self, block: Block, *, broker: str = "", bucket: str = "") -> None:
        if block.kind in {"bash", "console"}:
            self._shell(block, bucket)
        elif block.kind == "python":
            self._run([sys.executable, "-W", "error", "-c", block.text], PIXFLEET_BROKER=broker)
        elif block.kind == "toml":
            recipe = self.folder / "work" / "recipe.toml"
            recipe.write_text(block.text)
            self._run(["pixfleet", "recipes", "show", "recipe.toml"])
        else:
            assert block.kind in SHOWN, f"line {block.line}: what is to be done with this block?"

    def close(self) -> int:
        """Ctrl-C to what still runs; its exit code."""
        if self.up is None:
            return 0
        self.up.send_signal(signal.SIGINT)
        return self.up.wait(30)

    def _shell(self, block: Block, bucket: str) -> None:
        lines = block.text.splitlines()
        if block.kind == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        assert lines, f"line {block.line}: no command"
        if any(line.partition("#")[0].strip() == UP for line in lines):
            assert len(lines) == 1, f"line {block.line}: {UP} needs a block of its own"
            self._start_up()
            return
        script = "\n".join(re.sub(r"^make\b", f"make -n -C '{TOP}'", line) for line in lines)
        self._run(["bash", "-euo", "pipefail", "-c", script.replace("s3://bucket", bucket)])

    def _start_up(self) -> None:
        log = (self.folder / "up.log").open("wb")
        self.up = subprocess.Popen(
            UP.split(),
            cwd=self.folder / "work",
            env=self.environment,
            executable=str(Path(sys.executable).with_name("pixfleet")),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        metrics = f"http://127.0.0.1:{self.monitor_port}/metrics"
        eventually(lambda: "pixfleet_workers 1.0" in fetch(metrics)[1])

    def _run(self, words: list[str], **environment: str) -> None:
        given = {name: value for name, value in environment.items() if value}
        program = shutil.which(words[0], path=self.environment["PATH"]) or words[0]
        done = subprocess.run(
            [program, *words[1:]],
            cwd=self.folder / "work",
            env={**self.environment, **given},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, f"exit code {done.returncode}\n{words[-1]}\n{said}"


@pytest.fixture(scope="module")
def reader(samples):
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    person = Reader(folder, samples)
    yield person
    code = person.close()
    log = (folder / "up.log").read_text() if person.up else ""
    shutil.rmtree(folder)
    assert code == 0, log


@pytest.mark.parametrize("block", blocks_of((TOP / "README.md").read_text()), ids=str)
def test_a_block_of_the_readme_does_what_it_shows(block, reader, fleet, request, monkeypatch):
    bucket = request.getfixturevalue("s3") if "s3://bucket" in block.text else ""
    if bucket:
        for name, value in os.environ.items():
            if name.startswith("AWS_"):
                monkeypatch.setitem(reader.environment, name, value)
        client = boto3.client("s3")
        for path in (reader.folder / "work" / "samples").iterdir():
            client.upload_file(str(path), bucket.removeprefix("s3://"), f"prefix/{path.name}")

    reader.follow(block, broker=fleet.url, bucket=bucket)


def test_the_readme_has_blocks_of_every_kind_that_matters():
    kinds = {block.kind for block in blocks_of((TOP / "README.md").read_text())}
    assert {"bash", "python", "toml"} <= kinds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```bash\npixfleet recipes show nope\ntrue\n```", id="a-command-that-fails"),
        pytest.param("```bash\nfalse | cat\n```", id="a-failure-in-a-pipe"),
        pytest.param("```console\n$ pixfleet rnu samples\nok\n```", id="an-unknown-command"),
        pytest.param("```console\nno command\n```", id="a-console-without-a-command"),
        pytest.param("```bash\nmake nonsense\n```", id="a-target-that-does-not-exist"),
        pytest.param("```python\nfrom pixfleet.producer import Nobody\n```", id="a-wrong-import"),
        pytest.param('```toml\nname = "x"\nwidht = 3\n```', id="a-faulty-recipe"),
        pytest.param("```\nsomething\n```", id="a-fence-that-says-nothing"),
    ],
)
def test_a_readme_that_shows_what_does_not_work_would_fail(text, reader):
    (block,) = blocks_of(f"# A title\n\n{text}\n")

    with pytest.raises(AssertionError):
        reader.follow(block)
