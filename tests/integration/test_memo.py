from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest
import redis

from pixfleet.workers.errors import RetryableError
from pixfleet.workers.memo.memo import Memo, MemoLinks, MemoValue
from pixfleet.workers.storage.blobs import BlobStore

DAY_S = 86_400


@pytest.fixture
def make(valkey, tmp_path):
    """Memos on one Redis and one folder of blobs."""
    clients = []

    def memo(max_bytes=10_000_000, max_age_s=DAY_S, lock_s=5.0, url=None):
        clients.append(redis.Redis.from_url(valkey.redis_url))
        return Memo(
            clients[-1],
            BlobStore(url or str(tmp_path / "store")),
            max_bytes=max_bytes,
            max_age_s=max_age_s,
            lock_s=lock_s,
        )

    yield memo
    for client in clients:
        client.close()


def value(*blobs: bytes, cost="0.001", cpu_s=0.5, **meta) -> MemoValue:
    return MemoValue(meta=meta, blobs=blobs, cost_usd=Decimal(cost), cpu_s=cpu_s)


def blob_files(tmp_path):
    return {path.name: path for path in (tmp_path / "store" / "blobs").rglob("*") if path.is_file()}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- keys -------------------------------------------------------------------------------------


def test_the_same_question_has_the_same_key_however_its_parts_are_ordered():
    assert Memo.key("job", {"a": 1, "b": [2]}) == Memo.key("job", {"b": [2], "a": 1})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("variant", "sha", {"q": 75}), id="kind"),
        pytest.param(("job", "sha2", {"q": 75}), id="content"),
        pytest.param(("job", "sha", {"q": 75.5}), id="parameter"),
        pytest.param(("job", "sha", {"q": "75"}), id="type"),
        pytest.param(("job", "sha", {"q": 75}, None), id="one-part-more"),
        pytest.param(("job", ["sha", {"q": 75}]), id="nesting"),
    ],
)
def test_another_question_has_another_key(other):
    assert Memo.key(*other) != Memo.key("job", "sha", {"q": 75})


def test_what_has_no_canonical_form_is_refused_as_part_of_a_key():
    with pytest.raises(TypeError):
        Memo.key("job", {"a set"})
    with pytest.raises(ValueError, match="JSON"):
        Memo.key("job", float("nan"))


# --- putting and getting ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_what_was_put_is_got_whole(make, request, kind):
    memo = make(url=request.getfixturevalue("s3") + "/memo" if kind == "s3" else None)
    assert memo.get("k") is None
    assert memo.put("k", value(b"one", b"", b"one", cost="0.000000123", cpu_s=1.25, n=[1, "ü"]))
    entry = memo.get("k")
    assert entry.blobs == (b"one", b"", b"one")
    assert entry.meta == {"n": [1, "ü"]}
    assert (entry.cost_usd, entry.cpu_s) == (Decimal("0.000000123"), 1.25)


def test_an_entry_without_blobs_is_kept_too(make):
    make().put("k", value(phash="ff"))
    assert make().get("k").meta == {"phash": "ff"}


def test_a_hit_counts_what_it_spared_and_a_miss_counts_nothing(make):
    memo = make()
    memo.get("k")
    memo.put("k", value(b"x", cost="0.000000001", cpu_s=0.25))
    for _ in range(3):
        memo.get("k")
    stats = memo.stats()
    assert (stats.hits, stats.misses, stats.entries) == (3, 1, 1)
    assert (stats.saved_usd, stats.saved_cpu_s) == (Decimal("0.000000003"), 0.75)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: path.write_bytes(b"pixelz"), id="flipped"),
        pytest.param(lambda path: path.write_bytes(b"pix"), id="truncated"),
        pytest.param(lambda path: path.write_bytes(b""), id="emptied"),
    ],
)
def test_a_blob_that_is_not_what_it_was_is_a_miss_and_is_made_again(make, tmp_path, harm):
    memo = make()
    memo.put("k", value(b"pixels", b"other"))
    harm(blob_files(tmp_path)[sha(b"pixels")])
    assert memo.get("k") is None
    assert memo.stats().misses == 1
    entry, hit = memo.once("k", lambda: value(b"pixels", b"other"))
    assert not hit
    assert entry.blobs == (b"pixels", b"other")
    assert memo.get("k").blobs == (b"pixels", b"other")
    assert memo.stats().entries == 1


def test_a_redis_that_is_away_is_worth_a_retry(tmp_path):
    client = redis.Redis(unix_socket_path=str(tmp_path / "nothing.sock"), retry=None)
    memo = Memo(client, BlobStore(str(tmp_path)), max_bytes=1, max_age_s=1, lock_s=1)
    for use in (
        lambda: memo.get("k"),
        lambda: memo.put("k", value()),
        lambda: memo.once("k", value),
        memo.evict,
        memo.stats,
    ):
        with pytest.raises(RetryableError) as caught:
            use()
        assert caught.value.code == "memo_unavailable"


def test_a_store_that_takes_no_blobs_does_not_cost_the_result(make, tmp_path):
    (tmp_path / "store").write_bytes(b"a file where the folder should be")
    memo = make()
    made, hit = memo.once("k", lambda: value(b"pixels"))
    assert (list(made.blobs), hit) == ([b"pixels"], False)
    assert memo.get("k") is None
    assert memo.stats().entries == 0


def test_a_job_can_be_remembered_by_links_to_the_blobs_of_its_variants(make):
    memo = make()
    memo.put("variant", value(b"pixels"))
    links = MemoLinks(meta={}, sha256s=[sha(b"pixels")], cost_usd=Decimal(1), cpu_s=2)
    assert memo.put("job", links)
    assert memo.get("job").blobs == (b"pixels",)
    assert memo.stats().bytes == len(b"pixels") + 2 * len("{}")


def test_links_to_blobs_that_nobody_knows_are_not_remembered(make):
    memo = make()
    links = MemoLinks(meta={}, sha256s=[sha(b"gone")], cost_usd=Decimal(1), cpu_s=2)
    assert not memo.put("job", links)
    assert memo.get("job") is None


# --- one computation --------------------------------------------------------------------------


def compute_in_child(url, folder, start, answers, log):
    with redis.Redis.from_url(url) as client:
        memo = Memo(client, BlobStore(folder), max_bytes=10**9, max_age_s=DAY_S, lock_s=1.0)

        def compute():
            log.put(os.getpid())
            time.sleep(0.3)
            return MemoValue({"by": os.getpid()}, [b"pixels"], Decimal("0.000000007"), 0.3)

        start.wait()
        entry, hit = memo.once("k", compute)
        answers.put((entry.meta["by"], bytes(entry.blobs[0]), hit))


def test_processes_that_want_the_same_at_once_compute_it_once(make, valkey, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    start, answers, log = spawn.Barrier(4), spawn.Queue(), spawn.Queue()
    arguments = (valkey.redis_url, str(tmp_path / "store"), start, answers, log)
    children = [spawn.Process(target=compute_in_child, args=arguments) for _ in range(4)]
    for child in children:
        child.start()
    got = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    computed_by = log.get(timeout=5)
    assert log.empty()
    assert {by for by, _, _ in got} == {computed_by}
    assert sorted(hit for _, _, hit in got) == [False, True, True, True]
    assert {blob for _, blob, _ in got} == {b"pixels"}
    assert make().stats().saved_usd == Decimal("0.000000021")


OWNER = """
import sys, time
from decimal import Decimal
import redis
from pixfleet.workers.memo.memo import Memo
from pixfleet.workers.storage.blobs import BlobStore
memo = Memo(redis.Redis.from_url(sys.argv[1]), BlobStore(sys.argv[2]),
            max_bytes=10**9, max_age_s=1000, lock_s=0.6)
def compute():
    print("computing", flush=True)
    time.sleep(60)
memo.once("k", compute)
"""


def test_the_lock_of_a_killed_owner_expires_and_another_computes(make, valkey, tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, valkey.redis_url, str(tmp_path / "store")],
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout.readline() == b"computing\n"
        # While it lives its lock is renewed: nobody else gets in, three lock times long.
        waiter = threading.Thread(target=lambda: answers.append(make().once("k", value)))
        answers: list[tuple[object, bool]] = []
        waiter.start()
        waiter.join(timeout=1.8)
        assert answers == []
        owner.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        waiter.join(timeout=10)
    assert [hit for _, hit in answers] == [False]
    assert time.monotonic() - killed_at < 3


def test_a_computation_that_fails_lets_the_next_one_try_at_once(make):
    started, may_fail = threading.Event(), threading.Event()
    raised: list[Exception] = []

    def fail():
        started.set()
        may_fail.wait()
        raise ZeroDivisionError

    def first():
        try:
            make(lock_s=30).once("k", fail)
        except ZeroDivisionError as error:
            raised.append(error)

    owner = threading.Thread(target=first)
    owner.start()
    started.wait()
    answers: list[tuple[object, bool]] = []
    waiter = threading.Thread(target=lambda: answers.append(make(lock_s=30).once("k", value)))
    waiter.start()
    time.sleep(0.05)
    assert answers == []
    may_fail.set()
    waiter.join(timeout=5)  # a sixth of the lock's time
    owner.join()
    assert len(raised) == 1
    assert [hit for _, hit in answers] == [False]


# --- eviction ---------------------------------------------------------------------------------


def test_what_is_kept_never_exceeds_the_bound(make, tmp_path):
    memo = make(max_bytes=10_000)
    for number in range(30):
        memo.put(f"k{number}", value(bytes([number]) * 1000))
        assert memo.stats().bytes <= 10_000
    files = blob_files(tmp_path)
    assert sum(path.stat().st_size for path in files.values()) <= 10_000
    assert len(files) == memo.stats().entries == 9
    assert memo.get("k29") is not None
    assert memo.get("k0") is None


def test_the_least_recently_used_goes_first(make):
    memo = make(max_bytes=3500)
    for name in ("a", "b", "c"):
        memo.put(name, value(name.encode() * 1000))
    memo.get("a")
    memo.put("d", value(b"d" * 1000))
    assert [memo.get(name) is not None for name in "abcd"] == [True, False, True, True]


def test_what_was_not_used_for_too_long_goes_whatever_its_size(make, tmp_path):
    memo = make(max_age_s=1)
    memo.put("old", value(b"old"))
    memo.put("used", value(b"used"))
    time.sleep(0.7)
    memo.get("used")
    time.sleep(0.5)
    evicted = memo.evict()
    assert (evicted.entries, evicted.bytes) == (1, len(b"old") + len("{}"))
    assert memo.get("old") is None
    assert memo.get("used") is not None
    assert set(blob_files(tmp_path)) == {sha(b"used")}


def test_a_blob_stays_as_long_as_any_entry_uses_it(make, tmp_path):
    memo = make()
    memo.put("a", value(b"shared", b"only a"))
    memo.put("b", value(b"shared", b"shared"))
    memo.put("a", value(b"another"))
    memo.evict()
    assert set(blob_files(tmp_path)) == {sha(b"shared"), sha(b"another")}
    memo.put("b", value(b"another"))
    memo.evict()
    assert set(blob_files(tmp_path)) == {sha(b"another")}
    assert memo.stats().bytes == len(b"another") + 2 * len("{}")


def test_putting_the_same_again_changes_no_sum(make):
    memo = make()
    for _ in range(3):
        memo.put("k", value(b"pixels", b"more", n=1))
    memo.evict()
    assert memo.stats().bytes == len(b"pixels") + len(b"more") + len(json.dumps({"n": 1})) - 1
    assert memo.get("k").blobs == (b"pixels", b"more")


def test_two_evictions_at_once_keep_the_bound_and_the_sums(make, tmp_path):
    roomy = make()
    for number in range(60):
        roomy.put(f"k{number}", value(number.to_bytes(2, "big") * 500))
    evicted = []
    threads = [
        threading.Thread(target=lambda: evicted.append(make(max_bytes=20_500).evict()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = roomy.stats()
    # Each may have begun its last one when another's brought it below the bound.
    assert 18 <= stats.entries <= 20
    assert stats.bytes == stats.entries * 1002
    assert sum(one.entries for one in evicted) == 60 - stats.entries
    assert len(blob_files(tmp_path)) == stats.entries
    left = [number for number in range(60) if roomy.get(f"k{number}") is not None]
    assert left == list(range(60 - stats.entries, 60))


def test_blobs_of_a_process_that_died_before_its_entry_are_found_later(make, tmp_path, valkey):
    memo = make()
    memo.put("k", value(b"kept"))
    with redis.Redis.from_url(valkey.redis_url) as client:
        orphan = BlobStore(str(tmp_path / "store")).put_blob(b"orphan")
        client.zadd("pixfleet:memo:doomed", {orphan: time.time() + 600})
        memo.evict()
        assert orphan in blob_files(tmp_path)
        client.zadd("pixfleet:memo:doomed", {orphan: time.time() - 1})
    memo.evict()
    assert set(blob_files(tmp_path)) == {sha(b"kept")}


# --- money ------------------------------------------------------------------------------------


def hit_often(url, folder, start):
    with redis.Redis.from_url(url) as client:
        memo = Memo(client, BlobStore(folder), max_bytes=10**9, max_age_s=DAY_S, lock_s=5)
        start.wait()
        for _ in range(100):
            assert memo.get("k") is not None


def test_savings_of_eight_processes_add_up_to_the_last_nano_dollar(make, valkey, tmp_path):
    memo = make()
    memo.put("k", value(b"x", cost="0.123456789", cpu_s=0.000001))
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(8)
    arguments = (valkey.redis_url, str(tmp_path / "store"), start)
    children = [spawn.Process(target=hit_often, args=arguments) for _ in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 8
    stats = memo.stats()
    assert stats.hits == 800
    assert stats.saved_usd == Decimal("0.123456789") * 800
    assert stats.saved_cpu_s == pytest.approx(0.0008)
