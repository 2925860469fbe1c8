"""What a batch leaves in its output: manifest.jsonl, a line an image, and report.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import from_nano
from pixfleet.config.results import BatchSummary

from .report import render_report
from .storage.places import open_output

if TYPE_CHECKING:
    from pixfleet.producer.ledger import BatchStatus

    from .runtime import Runtime

MANIFEST: Final = "manifest.jsonl"
REPORT: Final = "report.html"


def write_summary(runtime: Runtime, batch: str) -> None:
    """Write both files, whole.

    Raises:
        OutputError: the output cannot be written.
        StoreUnavailableError: the store did not answer.
    """
    fields = runtime.ledger.batch_fields(batch)
    output = open_output(fields["output"], runtime.settings.outputs.allowed)
    lines = (f"{m.model_dump_json()}\n".encode() for m in runtime.ledger.manifests(batch))
    output.put(MANIFEST, b"".join(lines))
    status = runtime.ledger.batch(batch)
    page = render_report(
        runtime.ledger.manifests(batch),
        totals(status),
        title=fields.get("title") or batch,
        wall_s=status.wall_s,
    )
    output.put(REPORT, page)


def totals(status: BatchStatus) -> BatchSummary:
    """The ledger's sums of a batch."""
    return BatchSummary(
        batch=status.id,
        images=status.submitted,
        done=status.done,
        failed=status.failed,
        variants=status.variants,
        bytes_in=status.bytes_in,
        bytes_out=status.bytes_out,
        memo_hits=status.memo_hits,
        cpu_s=status.cpu_ms / 1000,
        cost_usd=from_nano(status.cost_nano_usd),
        saved_usd=from_nano(status.saved_nano_usd),
        manifest=MANIFEST,
        report=REPORT,
    )
