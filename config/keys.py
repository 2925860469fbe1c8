"""The names of what pixfleet keeps in Redis: both sides of the queue read them."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "pixfleet:"
JOB: Final = f"{NAMESPACE}job:"
"""Hash per job: state, attempts, fence, lease, times, manifest. Expires after the result's TTL."""
BATCH: Final = f"{NAMESPACE}batch:"
"""Hash per batch: counts of submitted and ended jobs, totals of bytes and money."""
BATCH_JOBS: Final = f"{NAMESPACE}batch-jobs:"
"""List per batch: the ids of its jobs, in the order of submission."""
SPEND: Final = f"{NAMESPACE}spend:"
"""Hash per UTC day: integer nano-dollars by ``tenant|recipe``."""
TOTALS: Final = f"{NAMESPACE}totals"
"""Hash: jobs done and failed, bytes, pixels, since the ledger began."""
TRIALS: Final = f"{NAMESPACE}trials:"
"""Hash per job, while an encoder runs or after one was lost: what is open, deaths, overruns."""
RUNNING: Final = f"{NAMESPACE}running"
"""Sorted set: jobs in work by the end of their lease (UTC seconds)."""
WORKERS: Final = f"{NAMESPACE}workers"
"""Sorted set: workers by the time of their last sign of life (UTC seconds)."""
EFFORTS: Final = f"{NAMESPACE}efforts"
"""Hash: running means of what each encoder's efforts took and spared, by format and effort."""
MEMO: Final = f"{NAMESPACE}memo:"
