"""Brokers with a password, behind TLS, in a cluster, behind Sentinels: what works, what is said."""

from __future__ import annotations

import json

import pytest
import redis

from pixfleet.producer import ImageJob, Producer
from pixfleet.producer.connection import connect
from pixfleet.workers.fleet.process import WorkerProcess, WorkerStartError
from tests.brokers import LoopbackBroker, free_port
from tests.hostile import photo
from tests.tls import TLSDoor

from .test_up import eventually, up  # noqa: F401 (a fixture)

PASSWORD = "hunter2-s3cret"


def worker_on(url: str, state) -> WorkerProcess:
    return WorkerProcess(
        connect(url),
        children=1,
        environment={"PIXFLEET_BROKER": url, "PIXFLEET_STATE": str(state)},
        log=state / "worker.log",
    )


def a_job(producer: Producer, state):
    picture = state / "picture.jpg"
    picture.write_bytes(photo("JPEG"))
    return producer.submit(
        ImageJob(source=str(picture), output=str(state / "out"), recipe="thumbnail")
    )


def everything_in(client: redis.Redis) -> str:
    """Every key of a Redis and its value, as text."""
    return "".join(f"{key} {client.dump(key)}\n" for key in client.scan_iter())


def test_a_password_opens_the_broker_and_is_never_repeated(state, up, pixfleet):  # noqa: F811
    with LoopbackBroker(state / "broker", password=PASSWORD) as broker:
        fleet = up(PIXFLEET_BROKER=broker.url)
        fleet.wait_ready()
        producer = Producer(broker.url)
        assert a_job(producer, state).result(60).status == "done"
        seen = [everything_in(producer.ledger.redis)]
        doctor = pixfleet("doctor", "--json", "--broker", broker.url)
        seen += [doctor.stdout, doctor.stderr]
        broker.stop()
        for command in (("doctor",), ("jobs",)):
            away = pixfleet(*command, PIXFLEET_BROKER=broker.url)
            assert str(broker.port) in away.stdout + away.stderr
            seen += [away.stdout, away.stderr]
        eventually(lambda: "Connection refused" in fleet.log)
        broker.start()
        wrong = pixfleet("jobs", "--broker", broker.url.replace(PASSWORD, f"{PASSWORD}-not"))
        assert wrong.returncode == 2
        assert "password" in wrong.stderr
        seen += [wrong.stdout, wrong.stderr]
        assert a_job(producer, state).result(60).status == "done"
        fleet.close()
    seen.append(fleet.log)
    seen += [file.read_text() for file in (state / "out").rglob("manifest.json")]
    seen += [file.read_text() for file in (state / "workers").iterdir()]

    assert len(seen) > 10
    for text in seen:
        assert "hunter2" not in text


def test_tls_is_spoken_and_the_certificate_is_checked(state):
    with LoopbackBroker(state / "broker") as broker, TLSDoor(state, broker.port) as door:
        url = f"rediss://127.0.0.1:{door.port}/0?ssl_ca_certs={door.certificate}"
        with worker_on(url, state) as worker:
            worker.wait_ready()
            assert a_job(Producer(url), state).result(60).status == "done"
        stranger = f"rediss://127.0.0.1:{door.port}/0"
        with pytest.raises(ConnectionError, match="certificate"):
            Producer(stranger).ledger.workers()
        (state / "worker.log").unlink()
        distrustful = WorkerProcess(
            connect(url),
            children=1,
            environment={"PIXFLEET_BROKER": stranger, "PIXFLEET_STATE": str(state)},
            log=state / "worker.log",
        )
        with distrustful:
            log = state / "worker.log"
            eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in log.read_text())


# By itself its bus would lie 10,000 ports above, beyond the last one for some free ports.
_CLUSTER = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))


def test_a_cluster_is_refused_by_name_by_producers_doctor_and_workers(state, pixfleet):
    with (
        LoopbackBroker(state / "broker", *_CLUSTER) as broker,
        redis.Redis.from_url(broker.url) as plain,
    ):
        plain.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: plain.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        submitted = pixfleet("jobs", "--broker", broker.url)
        doctor = pixfleet("doctor", "--json", "--broker", broker.url)
        worker = WorkerProcess(
            plain,
            children=1,
            environment={"PIXFLEET_BROKER": broker.url, "PIXFLEET_STATE": str(state)},
            log=state / "worker.log",
        )
        with worker, pytest.raises(WorkerStartError, match="does not support"):
            worker.wait_ready()

    assert submitted.returncode == 2
    assert "cluster" in submitted.stderr
    rows = {row["part"]: row for row in json.loads(doctor.stdout)}
    assert rows["broker"]["level"] == "bad"
    assert "cluster" in rows["broker"]["found"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://:hunter2@127.0.0.1:26379", "Sentinel is not supported"),
        ("amqp://user:hunter2@127.0.0.1//", "redis://host:6379/0"),
        ("127.0.0.1:6379", "redis://host:6379/0"),
    ],
    ids=["sentinel", "amqp", "no-scheme"],
)
def test_a_broker_that_is_not_supported_is_refused_and_not_repeated(pixfleet, url, said):
    done = pixfleet("submit", "x.jpg", "--out", "o", PIXFLEET_BROKER=url)

    assert done.returncode == 2
    assert said in done.stderr
    assert "PIXFLEET_BROKER" in done.stderr
    assert "hunter2" not in done.stderr
