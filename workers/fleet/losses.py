"""What a worker's main process knows and nobody else: which child died over which job."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from pixfleet.producer.ledger import LedgerUnavailableError, connect

from .trials import bury


class StepRequest(Request):
    """A step in a child; the child's end is written down before the message goes back."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """As Celery's, also called when the child is gone."""
        error = exc_info.exception
        if isinstance(getattr(error, "exc", error), WorkerLostError):
            self._bury()
        return super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: FBT001 (Celery's signature)
        """As Celery's; past the hard limit the child is being killed."""
        if not soft:
            self._bury()
        return super().on_timeout(soft, timeout)

    def _bury(self) -> None:
        message = next(iter(self.args), None)
        job_id = message.get("job_id", self.id) if isinstance(message, dict) else self.id
        # Without a ledger nothing is lost but a reason.
        with contextlib.suppress(LedgerUnavailableError):
            client = connect(self.task.app.conf["pixfleet_ledger"])
            bury(client, job_id, f"{socket.gethostname()}:{self.worker_pid}")
            client.close()
