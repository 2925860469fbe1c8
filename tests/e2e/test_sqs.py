"""The same fleet with its queue on SQS and a small Redis for ledger and results."""

from __future__ import annotations

import pytest

from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.workers.fleet.process import WorkerProcess
from tests.hostile import photo


@pytest.mark.timeout(180)
def test_jobs_sent_through_sqs_end_fused_and_fanned_out(
    aws,  # noqa: ARG001 (its environment is what counts)
    valkey,
    tmp_path,
    state,
):
    broker = "sqs://"
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(photo("JPEG", (1800, 1200)))
    variants = tuple(
        VariantSpec(name=f"w{width}", width=width, formats=("jpeg",)) for width in (1700, 1600, 90)
    )
    producer = Producer(broker, ledger=valkey.redis_url)
    environment = {
        "PIXFLEET_BROKER": broker,
        "PIXFLEET_LEDGER": valkey.redis_url,
        "PIXFLEET_STATE": str(state),
    }
    worker = WorkerProcess(
        producer.ledger.redis, children=2, environment=environment, log=state / "worker.log"
    )
    with worker:
        worker.wait_ready()
        handles = [
            producer.submit(
                ImageJob(
                    source=str(picture),
                    output=str(tmp_path / queue),
                    recipe=Recipe(name="r", variants=variants, quality=quality),
                    queue=queue,
                )
            )
            for queue, quality in (("bulk", 40), ("interactive", 45))
        ]
        manifests = [handle.result(120) for handle in handles]

    assert [manifest.status for manifest in manifests] == ["done", "done"], manifests
    assert [manifest.plan.execution for manifest in manifests] == ["fused", "fanout"]
    for queue, manifest in zip(("bulk", "interactive"), manifests, strict=True):
        assert [variant.width for variant in manifest.variants] == [1700, 1600, 90]
        assert all((tmp_path / queue / variant.path).is_file() for variant in manifest.variants)
