"""One job as JSON: where it stands, its way until now, and what it cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pixfleet.producer.timeline import timeline

from .fleet_document import usd

if TYPE_CHECKING:
    from pixfleet.config.results import Manifest
    from pixfleet.producer.ledger import Ledger
    from pixfleet.producer.timeline import Row


def job_document(ledger: Ledger, job_id: str) -> dict[str, Any]:
    """What the ledger knows of the job.

    Raises:
        UnknownJobError: no such job, or its record has expired.
        LedgerUnavailableError: Redis did not answer.
    """
    status, attempts = ledger.status(job_id), ledger.attempts(job_id)
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
        "ended_at_s": status.ended_at,
        "timeline": [_row(row) for row in timeline(status, attempts, manifest, time.time())],
        **(_ended(manifest) if manifest and status.ended_at else {}),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "detail": row.detail,
        "depth": row.depth,
        "worker": row.worker,
        "began_at_s": row.began,
        "took_s": row.lasted_s,
        "cpu_s": row.cpu_s,
        "bytes": row.bytes,
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
    }
