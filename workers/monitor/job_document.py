"""One job as JSON: where it stands, what became of each attempt, what its stages took."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .fleet_document import usd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pixfleet.config.results import Manifest, StageUse
    from pixfleet.producer.ledger import Ledger


def job_document(ledger: Ledger, job_id: str) -> dict[str, Any]:
    """What the ledger knows of the job.

    Raises:
        UnknownJobError: no such job, or its record has expired.
        LedgerUnavailableError: Redis did not answer.
    """
    status = ledger.status(job_id)
    manifest = ledger.manifest(job_id)
    return {
        "id": status.id,
        "state": status.state,
        "source": status.source,
        "recipe": status.recipe,
        "tenant": status.tenant,
        "queue": status.queue,
        "batch": status.batch,
        "worker": status.worker,
        "why": status.why,
        "held_by": status.held_by,
        "submitted_at_s": status.submitted_at,
        "began_at_s": status.began_at,
        "ended_at_s": status.ended_at,
        "attempts": [
            {
                "worker": attempt.owner,
                "began_at_s": attempt.began,
                "took_s": max(0.0, attempt.ended - attempt.began),
                "how": attempt.how,
                "why": attempt.why,
            }
            for attempt in ledger.attempts(job_id)
        ],
        **(_ended(manifest) if manifest and status.ended_at else {}),
    }


def _ended(manifest: Manifest) -> dict[str, Any]:
    receipt = manifest.receipt
    return {
        "megapixels": manifest.width * manifest.height / 1e6
        if manifest.width and manifest.height
        else None,
        "variants": len(manifest.variants),
        "bytes_in": receipt.bytes_in,
        "bytes_out": receipt.bytes_out,
        "cost_usd": usd(receipt.cost_usd),
        "failures": [failure.model_dump() for failure in manifest.failures],
        "stages": list(_stages(receipt.stages)),
    }


def _stages(uses: Iterable[StageUse]) -> Iterable[dict[str, Any]]:
    """One for each stage, in the order in which they first came: a stage may run many times."""
    by_name: defaultdict[str, list[StageUse]] = defaultdict(list)
    for use in uses:
        by_name[use.stage].append(use)
    for name, same in by_name.items():
        yield {
            "stage": name,
            "times": len(same),
            "wall_s": sum(use.wall_s for use in same),
            "cpu_s": sum(use.cpu_s for use in same),
            "cost_usd": usd(sum((use.cost_usd for use in same), Decimal(0))),
        }
