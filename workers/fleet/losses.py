"""What a worker's main process knows and nobody else: which child died over which job."""

from __future__ import annotations

import contextlib
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from pixfleet.config.signature import NotSignedError, unseal
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.sqs import post_of

from .jobs import Abandonment
from .owner import owner_name
from .trials import bury


class StepRequest(Request):
    """A step in a child; the child's end is written down before the message goes back."""

    _goes_on = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Events, and so Flower, would show them, and a source's URL may hold a token.
        self._argsrepr = self._kwargsrepr = ""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """As Celery's, also called when the child is gone."""
        error = exc_info.exception
        if isinstance(getattr(error, "exc", error), WorkerLostError):
            self._bury("its process died")
        return super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: FBT001 (Celery's signature)
        """As Celery's; past the hard limit the child is being killed."""
        if not soft:
            self._bury(f"it was ended after {timeout:g} s, the hard time limit")
        return super().on_timeout(soft, timeout)

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 (Celery's signature)
        """As Celery's, unless the ledger has queued the job again: then this message is done."""
        if requeue and self._goes_on:
            self.acknowledge()
        else:
            super().reject(requeue)

    def _job_id(self) -> str:
        """Steps have their message last; that of the first step has the job's own id."""
        message: Any = next(reversed(self.args), None)
        if isinstance(message, dict):
            with contextlib.suppress(NotSignedError):  # no JSON
                return str(unseal((), "", "", message).get("job_id", self.id))
        return self.id

    def _bury(self, why: str) -> None:
        job_id = self._job_id()
        owner = owner_name(self.worker_pid)
        settings = self.task.app.conf["pixfleet_settings"]
        # Without a ledger the message goes back, and the lease has to run out.
        with contextlib.suppress(LedgerUnavailableError):
            client = connect(settings.ledger_url)
            bury(client, job_id, owner)
            word = Abandonment(client, settings.queue, post_of(settings))
            self._goes_on = word.tell(job_id, owner, "lost", why) >= 0
            client.close()
