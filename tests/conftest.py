"""Real services for tests: a Valkey on a unix socket, moto's S3 on loopback, the built wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
import redis

from pixfleet.workers.embedded import EmbeddedBroker

TOP = Path(__file__).parents[1]
SOURCES = ("config", "producer", "workers", "pyproject.toml", "README.md", "LICENSE")
CHROMIUM_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--force-prefers-reduced-motion",  # what a click scrolls to stands still when it is clicked
)


@pytest.fixture(scope="session")
def valkey_server():
    """One broker for the whole run; its folder has a short name because sockets need one."""
    state = Path(tempfile.mkdtemp(prefix="pixfleet-test-"))
    try:
        with EmbeddedBroker(state) as broker:
            yield broker
    finally:
        shutil.rmtree(state)


@pytest.fixture
def valkey(valkey_server):
    """A running broker with nothing in it: ``.url`` for Celery, ``.redis_url`` for redis-py."""
    with redis.Redis.from_url(valkey_server.redis_url) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def _moto():
    from moto.server import (  # noqa: PLC0415 (a second, which most tests need not wait)
        ThreadedMotoServer,
    )

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(_moto, monkeypatch):
    """The environment of an AWS account that lives on loopback; the value is its endpoint."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return _moto


@pytest.fixture
def s3(aws):  # noqa: ARG001 (its environment is what counts)
    """URL of a fresh bucket, ``s3://pixfleet-…``."""
    import boto3  # noqa: PLC0415 (as above)

    bucket = f"pixfleet-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The built wheel. From a copy, so that neither stale build folders nor the tests meet."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = TOP / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def light_env(wheel, tmp_path_factory):
    """Python of a fresh virtual environment that holds the wheel without extras."""
    folder = tmp_path_factory.mktemp("light")
    python = folder / "bin" / "python"
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=TOP)
    pinned = TOP / "requirements" / "runtime.txt"
    uv = Path(sys.executable).with_name("uv")
    _run(
        *(uv, "pip", "install", "--python", python, "--constraints", pinned, wheel),
        cwd=folder,
    )
    yield python
    shutil.rmtree(folder)


@pytest.fixture
def sqs(aws, monkeypatch):  # noqa: ARG001 (as above)
    """The environment of a fleet on SQS; the value is the prefix of its queues, not made yet."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    monkeypatch.setenv("PIXFLEET_BROKER", "sqs://")
    monkeypatch.setenv("PIXFLEET_SQS_PREFIX", prefix)
    return prefix


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A real Chromium, for the tests of pages."""
    from selenium import webdriver  # noqa: PLC0415 (as above)

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()
