"""What a page is told is read in the background, while somebody looks, and is never waited for."""

import asyncio
import threading
import time
from decimal import Decimal

import pytest

from pixfleet.producer.connection import LedgerUnavailableError
from pixfleet.workers.dashboard import reader as module
from pixfleet.workers.dashboard.reader import Reader


class Ledger:
    """Counts who asks; answers what it is told to, or raises it."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.asked += 1
        self.gate.wait(20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ask(reader):
    return asyncio.run(reader.newest())


def eventually(question, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return answer


def test_the_first_question_gets_a_reading_and_money_keeps_its_digits():
    answer = ask(Reader("r", Ledger({"usd": Decimal("0.000000001"), "n": 1})))
    assert b'"data": {"usd": "0.000000001", "n": 1}' in answer.body
    assert answer.read_at_s == pytest.approx(time.time(), abs=20)


def test_a_slow_redis_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_S", 0.05)
    ledger = Ledger(1)
    reader = Reader("r", ledger, 0.01)
    ledger.gate.clear()
    began_s = time.monotonic()
    assert b'"data": null' in ask(reader).body
    assert ask(reader).read_at_s is None
    assert time.monotonic() - began_s < 5
    ledger.gate.set()
    eventually(lambda: b'"data": 1' in ask(reader).body)


def test_it_reads_only_while_somebody_looks(monkeypatch):
    monkeypatch.setattr(module, "WATCHED_S", 0.2)
    ledger = Ledger(1)
    reader = Reader("r", ledger, 0.01)
    assert ledger.asked == 0
    ask(reader)
    eventually(lambda: ledger.asked > 3)
    time.sleep(0.4)
    before = ledger.asked
    time.sleep(0.2)
    assert ledger.asked == before

    ledger.answer = 2
    assert b'"data": 2' in ask(reader).body, "who comes back is told what is so now"


def test_after_a_write_it_reads_at_once():
    ledger = Ledger(1)
    reader = Reader("r", ledger, 600)
    ask(reader)
    ledger.answer = 2
    reader.renew()
    eventually(lambda: b'"data": 2' in ask(reader).body)


def test_the_last_figures_stay_when_redis_is_away_and_the_trouble_is_told_with_its_beginning():
    ledger = Ledger({"jobs": 7})
    reader = Reader("r", ledger, 0.01)
    well = ask(reader)
    ledger.answer = LedgerUnavailableError("no answer from Redis at here")
    eventually(lambda: b"no answer from Redis at here" in ask(reader).body)
    blind = ask(reader)
    assert b'"data": {"jobs": 7}' in blind.body
    assert b'"failing_since_s": null' not in blind.body
    assert blind.etag != well.etag
    time.sleep(0.05)
    assert ask(reader).body == blind.body, "since when does not move"

    ledger.answer = {"jobs": 7}
    eventually(lambda: b'"problem": null' in ask(reader).body)
    assert ask(reader).etag == well.etag


@pytest.mark.parametrize("answer", [float("nan"), object(), KeyError("a bug")], ids=str)
def test_what_cannot_be_told_is_a_problem_and_not_the_end_of_reading(answer):
    ledger = Ledger(answer)
    reader = Reader("r", ledger, 0.01)
    assert b"the dashboard's log says why" in ask(reader).body
    ledger.answer = 1
    eventually(lambda: b'"data": 1' in ask(reader).body)
