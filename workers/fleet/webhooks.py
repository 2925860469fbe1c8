"""The outbox of webhooks: written in the step that ends a job, emptied by whoever delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pixfleet.config.contract import TASK_NOTIFY

if TYPE_CHECKING:
    from pixfleet.config.results import JobState
    from pixfleet.producer.ledger import Ledger

_AGAIN_S: Final = 300
"""A call whose message was lost, or whose worker died, is made again after this."""
_DEAD_KEPT_S: Final = 7 * 86_400
_DEAD_KEPT: Final = 10_000

Outcome = Literal["delivered", "later", "dead"]


@dataclass(frozen=True, slots=True)
class Call:
    """One webhook that is to be called now."""

    job_id: str
    url: str
    fence: str
    """number of the claim that ended the job: a job that is retried ends, and tells, again"""
    tries: int
    """calls that failed before"""
    state: JobState
    batch: str
    ended_at: float
    """UTC seconds"""

    @property
    def event_id(self) -> str:
        """The same for every try to tell of this end."""
        return f"{self.job_id}.{self.fence}"


class Outbox:
    """Webhooks that wait, as workers see them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._scripts = ledger.scripts
        self._due, self._take, self._settle = (
            self._scripts.load("pixfleet.workers.fleet", name)
            for name in ("due_webhooks", "take_webhook", "settle_webhook")
        )

    def send_due(self, most: int) -> int:
        """Queue a message for each webhook that is to be called now; how many.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        answer: list[bytes] = self._scripts.ask(self._due, most, _AGAIN_S)
        due = [value.decode() for value in answer]
        arguments = [{"job_id": job_id} for job_id in due[::2]]
        headers = [{"traceparent": parent} if parent else {} for parent in due[1::2]]
        self._ledger.post(TASK_NOTIFY, arguments, headers)
        return len(arguments)

    def take(self, job_id: str, within_s: float) -> Call | None:
        """The call to be made; None: it is over, or another worker began it within the time.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        answer: list[Any] = self._scripts.ask(self._take, job_id, within_s)
        if not answer:
            return None
        url, fence, tries, state, batch, ended_at = answer
        return Call(
            job_id,
            url.decode(),
            fence.decode(),
            tries,
            state.decode(),
            batch.decode(),
            float(ended_at),
        )

    def settle(self, call: Call, outcome: Outcome, why: str = "", after_s: float = 0) -> None:
        """Write down what became of the call.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        self._scripts.ask(
            self._settle,
            *(call.job_id, call.fence, outcome, why, after_s, _DEAD_KEPT_S, _DEAD_KEPT),
        )
