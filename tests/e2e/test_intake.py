"""A fleet that takes jobs from strangers: signed messages, the web, webhooks, no secret shown."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from celery import Celery

from pixfleet.config.contract import TASK_ENCODE, TASK_FINALIZE, TASK_PREPARE
from pixfleet.config.signature import keys_of, seal
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec, verify_webhook
from pixfleet.workers.embedded import find_server
from pixfleet.workers.fleet.process import WorkerProcess
from tests.e2e.conftest import command
from tests.hostile import photo
from tests.web_server import make_certificates, serving

BROKER_PASSWORD = "broker-hunter2"
QUEUE_SECRET = "queue-hunter2-hunter2-hunter2"
WEBHOOK_SECRET = "webhook-hunter2-hunter2-hunter2"
SIGNATURE = "presigned-hunter2"
"""Of a source's URL."""
TOKEN = "receiver-hunter2"
"""Of a webhook's URL."""
ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))
WIDE = Recipe(
    name="wide",
    variants=tuple(
        VariantSpec(name=f"w{width}", width=width, formats=("jpeg",)) for width in (1700, 1600)
    ),
)


class Guarded:
    """The fleet, the web it reads from, and what it may touch."""

    def __init__(self, folder: Path, url: str, web, environment: dict[str, str]) -> None:
        self.inside = folder / "in"
        self.out = folder / "out"
        self.outside = folder / "secret"
        self.state = folder
        self.url = url
        self.web = web
        self.environment = environment
        self.producer = Producer(url)
        self.app = Celery(broker=url)

    @property
    def log(self) -> str:
        return (self.state / "worker.log").read_text()

    def job(self, path: str, **options) -> ImageJob:
        source = path if "://" in path or path.startswith("/") else self.web.url(f"/{path}")
        return ImageJob(**{"source": source, "output": str(self.out), "recipe": ONE, **options})

    def end(self, job: ImageJob, timeout_s: float = 60):
        return self.producer.submit(job).result(timeout_s)

    def send(self, task: str, message, *, id_: str | None = None, queue: str = "bulk") -> str:
        """As any Celery client would."""
        return self.app.send_task(
            task, args=message, queue=queue, task_id=id_, ignore_result=True
        ).id

    def ended(self, job_id: str, timeout_s: float = 30):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if manifest := self.producer.ledger.manifest(job_id):
                return manifest
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end: {self.log[-2000:]}")


@contextlib.contextmanager
def guarded_redis(folder: Path):
    """A Redis with a password, on a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "redis.conf").write_text(f"requirepass {BROKER_PASSWORD}\nport {port}\n")
    process = subprocess.Popen(
        [str(find_server()), str(folder / "redis.conf"), "--save", "", "--bind", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://:{BROKER_PASSWORD}@127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    if client.ping():
                        break
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def guarded():
    folder = Path(tempfile.mkdtemp(prefix="pf-guarded-"))
    for name in ("in", "out", "secret"):
        (folder / name).mkdir()
    ca, own = make_certificates(folder, "127.0.0.1")
    with (
        pytest.MonkeyPatch.context() as patch,
        guarded_redis(folder) as url,
        serving(own) as web,
    ):
        environment = {
            "SSL_CERT_FILE": str(ca),
            "AWS_SECRET_ACCESS_KEY": "aws-hunter2",
            "AWS_SESSION_TOKEN": "session-hunter2",
            "AWS_ACCESS_KEY_ID": "AKIAHUNTER2",
            "PIXFLEET_BROKER": url,
            "PIXFLEET_STATE": str(folder),
            "PIXFLEET_WORKER_RETRY_BACKOFF_S": "0.1",
            "PIXFLEET_WORKER_MAX_RETRIES": "1",
            "PIXFLEET_WORKER_SWEEP_INTERVAL_S": "0.2",
            "PIXFLEET_QUEUE_SECRET": QUEUE_SECRET,
            "PIXFLEET_SOURCES_ALLOW_PRIVATE": "127.0.0.0/8",
            "PIXFLEET_SOURCES_PORTS": str(web.port),
            "PIXFLEET_SOURCES_LOCAL": str(folder / "in"),
            "PIXFLEET_OUTPUTS_ALLOWED": str(folder / "out"),
            "PIXFLEET_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PIXFLEET_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
            "PIXFLEET_WEBHOOK_PORTS": str(web.port),
            "PIXFLEET_WEBHOOK_FIRST_S": "0.2",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        fleet = Guarded(folder, url, web, environment)
        web.routes["/a.jpg"] = lambda handler: handler.answer(200, photo("JPEG", (200, 150)))
        web.routes["/wide.jpg"] = lambda handler: handler.answer(200, photo("JPEG", (1800, 1200)))
        web.routes["/hook"] = lambda handler: handler.answer(204)
        worker = WorkerProcess(
            fleet.producer.ledger.redis,
            children=2,
            environment=environment,
            log=folder / "worker.log",
        )
        with worker:
            worker.wait_ready()
            yield fleet
    shutil.rmtree(folder, ignore_errors=True)


def test_submit_names_a_webhook_and_one_that_is_no_url_is_a_usage_error(guarded, pixfleet):
    hook = ("--webhook", guarded.web.url("/hook?by=submit"))
    arguments = ("submit", guarded.web.url("/a.jpg"), "--out", guarded.out / "submit")

    wrong = pixfleet(*arguments, "--webhook", "app.example.org", **guarded.environment)
    assert wrong.returncode == 2
    assert "https://" in wrong.stderr
    sent = pixfleet(*arguments, *hook, "--json", **guarded.environment)
    assert sent.returncode == 0, sent.stderr

    batch = json.loads(sent.stdout)["batch"]
    (_, headers, body) = hooks(guarded, 1, "/hook?by=submit")[0]
    assert verify_webhook(headers, body, WEBHOOK_SECRET)["data"]["batch"] == batch


def hooks(guarded, count: int, start: str, timeout_s: float = 30) -> list:
    """The deliveries so far, once there are so many."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = [request for request in guarded.web.requests if request[0].startswith(start)]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, guarded.log[-2000:]
        time.sleep(0.05)


def test_an_image_of_the_web_becomes_variants_under_its_own_name(guarded):
    manifest = guarded.end(guarded.job("a.jpg"))

    assert manifest.status == "done", manifest.failures
    assert (guarded.out / "a.jpg" / "manifest.json").is_file()
    assert all((guarded.out / variant.path).is_file() for variant in manifest.variants)


def test_a_signed_job_fans_out_with_signed_steps(guarded):
    manifest = guarded.end(guarded.job("wide.jpg", recipe=WIDE, queue="interactive"), 90)

    assert manifest.status == "done", manifest.failures
    assert manifest.plan.execution == "fanout"


def test_a_producer_without_the_secret_is_refused_and_told_so(guarded, monkeypatch):
    monkeypatch.delenv("PIXFLEET_QUEUE_SECRET")
    manifest = Producer(guarded.url).submit(guarded.job("a.jpg")).result(60)

    assert [failure.code for failure in manifest.failures] == ["message_not_signed"]
    assert "PIXFLEET_QUEUE_SECRET" in manifest.failures[0].hint


def test_a_refused_job_that_is_tried_again_is_refused_again(guarded, pixfleet):
    message = guarded.job("a.jpg").model_dump(mode="json", exclude_defaults=True)
    job_id = guarded.send(TASK_PREPARE, [message])
    assert guarded.ended(job_id).failures[0].code == "message_not_signed"

    done = pixfleet("retry", job_id, **guarded.environment)
    assert done.returncode == 0, done.stderr
    assert guarded.ended(job_id).failures[0].code == "message_not_signed"


def test_a_job_that_breaks_the_contract_is_refused_again_when_it_is_tried_again(guarded, pixfleet):
    (guarded.inside / "a.jpg").write_bytes(photo("JPEG"))
    broken = {"source": str(guarded.inside / "a.jpg"), "output": str(guarded.out), "recpie": "web"}
    id_ = "broken-1"
    guarded.send(TASK_PREPARE, [seal(keys_of(QUEUE_SECRET), TASK_PREPARE, id_, broken)], id_=id_)
    assert guarded.ended(id_).failures[0].code == "contract_invalid"

    assert pixfleet("retry", id_, **guarded.environment).returncode == 0
    assert guarded.ended(id_).failures[0].code == "contract_invalid"


def test_a_message_names_no_recipe_file_of_the_worker(guarded):
    (guarded.inside / "own.toml").write_text("[credentials]")
    id_ = "file-1"
    message = guarded.job("a.jpg").model_dump(mode="json")
    message |= {"recipe": str(guarded.inside / "own.toml")}
    guarded.send(TASK_PREPARE, [seal(keys_of(QUEUE_SECRET), TASK_PREPARE, id_, message)], id_=id_)
    (failure,) = guarded.ended(id_).failures
    assert failure.code == "recipe_unknown"
    assert "credentials" not in failure.message


def test_a_run_over_a_url_makes_its_variants_and_a_report(guarded, pixfleet, tmp_path):
    environment = {**guarded.environment, "PIXFLEET_OUTPUTS_ALLOWED": "allow"}
    del environment["PIXFLEET_BROKER"], environment["PIXFLEET_STATE"]
    url = guarded.web.url(f"/a.jpg?sig={SIGNATURE}")

    done = pixfleet("run", url, "--out", tmp_path / "out", "--recipe", "thumbnail", **environment)

    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out" / "a.jpg").iterdir())
    assert SIGNATURE not in (tmp_path / "out" / "report.html").read_text()
    assert SIGNATURE not in done.stdout + done.stderr


def test_forged_steps_write_nothing(guarded):
    job = guarded.job("a.jpg", recipe=WIDE, output=str(guarded.out / "forged"))
    common = {"job_id": "f", "fence": 1, "job": job.model_dump(mode="json")}
    forged = {**common, "sha256": "0" * 64, "variant": "w1700"}
    for task, arguments in (
        (TASK_ENCODE, [forged]),
        (TASK_FINALIZE, [[], {**common, "draft": {}}]),
    ):
        task_id = guarded.send(task, arguments, queue="encode")
        deadline = time.monotonic() + 20
        while f"{task}[{task_id}] raised unexpected: MessageNotSignedError" not in guarded.log:
            assert time.monotonic() < deadline, guarded.log[-3000:]
            time.sleep(0.05)
    assert not (guarded.out / "forged").exists()


def test_an_id_that_leads_elsewhere_ends_as_failed_and_touches_no_file(guarded):
    before = sorted(guarded.state.rglob("*x*"))
    for id_ in ("../../x", "/x", "a/../../x", "x" * 200):
        message = guarded.job("wide.jpg", recipe=WIDE, queue="interactive").model_dump(mode="json")
        sealed = seal(keys_of(QUEUE_SECRET), TASK_PREPARE, id_, message)
        guarded.send(TASK_PREPARE, [sealed], id_=id_)
        (failure,) = guarded.ended(id_).failures
        assert failure.code == "contract_invalid"
        assert "id" in failure.message
    assert sorted(guarded.state.rglob("*x*")) == before


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{outside}/a.jpg", "source_not_allowed"),
        ("{inside}/../secret/a.jpg", "source_not_allowed"),
        ("{inside}/link.jpg", "source_not_allowed"),
        ("file://{outside}/a.jpg", "source_not_allowed"),
        ("https://169.254.169.254/latest/meta-data/", "url_refused"),
        ("https://169.254.169.254:{port}/latest/meta-data/", "address_refused"),
        ("https://user:hunter2@127.0.0.1:{port}/a.jpg", "url_refused"),
        ("https://127.0.0.1:{port}/missing.jpg?sig=hunter2", "source_not_found"),
        ("http://127.0.0.1:{port}/a.jpg", "url_refused"),
    ],
)
def test_a_source_that_is_not_open_to_jobs_ends_with_the_reason(guarded, source, code):
    (guarded.outside / "a.jpg").write_bytes(photo("JPEG"))
    with contextlib.suppress(FileExistsError):
        (guarded.inside / "link.jpg").symlink_to(guarded.outside / "a.jpg")
    given = source.format(inside=guarded.inside, outside=guarded.outside, port=guarded.web.port)

    (failure,) = guarded.end(guarded.job(given)).failures

    assert failure.code == code
    assert "hunter2" not in failure.message


def test_an_output_that_is_not_open_to_jobs_is_not_written(guarded):
    (guarded.out / "way").symlink_to(guarded.outside)
    before = sorted(guarded.outside.rglob("*"))
    for output in (guarded.outside, guarded.out / ".." / "secret", guarded.out / "way"):
        manifest = guarded.end(guarded.job("a.jpg", output=str(output)))
        assert {failure.code for failure in manifest.failures} == {"output_not_allowed"}
    assert sorted(guarded.outside.rglob("*")) == before


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%00", "con.jpg", "a" * 300, "a...", "%2e%2e"])
def test_a_url_with_a_name_that_is_none_stays_below_the_output(guarded, name):
    guarded.web.routes[f"/{name}"] = lambda handler: handler.answer(200, photo("JPEG"))

    manifest = guarded.end(guarded.job(name))

    assert manifest.status == "done", manifest.failures
    for variant in manifest.variants:
        path = (guarded.out / variant.path).resolve()
        assert path.is_relative_to(guarded.out.resolve())
        assert path.is_file()


def test_no_secret_is_shown_anywhere(guarded, state):
    """Every secret holds ``hunter2``; wherever a user or an operator looks, it must not be."""
    web, producer = guarded.web, guarded.producer
    web.routes["/forbidden.jpg"] = lambda handler: handler.answer(403)
    web.routes["/away.jpg"] = lambda handler: handler.answer(503)
    web.routes["/text.jpg"] = lambda handler: handler.answer(200, b"no image")
    web.requests.clear()
    answers = iter([500])
    web.routes["/hook"] = lambda handler: handler.answer(next(answers, 204))
    batch = "secretive"
    for name in ("a.jpg", "forbidden.jpg", "away.jpg", "text.jpg"):
        source = web.url(f"/{name}?X-Amz-Signature={SIGNATURE}&v=1")
        options = {"batch": batch, "name": name, "webhook": web.url(f"/hook?token={TOKEN}")}
        producer.submit(guarded.job(source, **options))
    wide = web.url(f"/wide.jpg?X-Amz-Signature={SIGNATURE}")
    options = {"batch": batch, "recipe": WIDE, "queue": "interactive", "name": "wide.jpg"}
    producer.submit(guarded.job(wide, **options))
    producer.close_batch(batch, output=str(guarded.out), title="a title")
    foreign = seal(
        keys_of(QUEUE_SECRET),
        TASK_PREPARE,
        "foreign-1",
        guarded.job(web.url(f"/a.jpg?sig={SIGNATURE}")).model_dump(mode="json"),
    )
    guarded.send(TASK_PREPARE, [foreign], id_="foreign-1")
    assert guarded.ended("foreign-1").status == "done"
    unsigned = guarded.job(web.url(f"/a.jpg?sig={SIGNATURE}")).model_dump(mode="json")
    assert guarded.ended(guarded.send(TASK_PREPARE, [unsigned])).status == "failed"
    deadline = time.monotonic() + 90
    while not producer.batch(batch).summarized:
        assert time.monotonic() < deadline, guarded.log[-3000:]
        time.sleep(0.1)
    delivered = hooks(guarded, 5, "/hook?token=")  # four, and the one that failed at first

    shown = {
        "worker.log": guarded.log,
        "settings": guarded.app.control.inspect(timeout=5).conf().__repr__(),
    }
    assert "task_queues" in shown["settings"]
    for path in guarded.out.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".html"):
            shown[path.name] = path.read_text()
    for index, (_, headers, body) in enumerate(delivered):
        assert verify_webhook(headers, body, WEBHOOK_SECRET)
        shown[f"delivery {index}"] = body.decode() + repr(headers)
    some_job = json.loads(delivered[0][2])["data"]["job_id"]
    for arguments in (
        ("status", batch),
        ("jobs", "--json"),
        ("status", some_job, "--json"),
        ("job", some_job),
        ("webhooks", "--json"),
        ("webhooks", "--dead"),
    ):
        done = command(*arguments, state=state, **guarded.environment)
        assert done.returncode == 0, done.stderr
        shown[" ".join(arguments)] = done.stdout + done.stderr
    assert "manifest.jsonl" in shown
    assert "report.html" in shown
    shown |= in_redis(producer.ledger.redis)

    assert {where: text for where, text in shown.items() if "hunter2" in text} == {}
    assert not any(quote(SIGNATURE) in text for text in shown.values())


def in_redis(client) -> dict[str, str]:
    """All that Redis holds, unpacked; but not what a job that may be retried needs to run again."""
    found: dict[str, str] = {}
    for raw in client.scan_iter(count=1000):
        key, kind = raw.decode(), client.type(raw)
        if kind == b"hash":
            fields = client.hgetall(raw)
            if fields.get(b"state") in (b"failed", b"quarantined", b"cancelled"):
                fields.pop(b"message", None)
                fields.pop(b"webhook", None)
            values = [name + b"=" + value for name, value in fields.items()]
            packed = fields.get(b"manifest")
            values += [zlib.decompress(packed)] if packed else []
        elif kind == b"list":
            values = client.lrange(raw, 0, -1)
        elif kind == b"set":
            values = list(client.smembers(raw))
        elif kind == b"zset":
            values = client.zrange(raw, 0, -1)
        else:
            values = [client.get(raw)]
        bodies = []
        for value in values:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                bodies.append(base64.b64decode(json.loads(value)["body"]))
        found[f"redis {key}"] = b"\n".join([*values, *bodies]).decode("utf-8", "replace")
    return found
