"""``python -m pixfleet.workers.lean NAME CHILDREN``: the worker of ``pixfleet run``.

The same worker as ``celery -A pixfleet.workers.app worker`` starts, without Celery's command line:
that imports every plugin it finds, Flower and a REPL among them, and doubles the time to import it.
"""

from __future__ import annotations

import sys

from celery.apps.worker import Worker

from .app import app


def main(name: str, children: int) -> int:
    """Work until a signal; the answer is the exit code."""
    worker = Worker(
        app=app,
        hostname=name,
        pool_cls="prefork",
        concurrency=children,
        loglevel="INFO",
        quiet=True,
        # Both ask other workers over the broker and wait for answers: a run has none.
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
