"""The Fleet page in a real Chromium, over a real worker: what it says, and what its buttons do."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config import keys
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.history import History
from tests.dashboard import DashboardProcess
from tests.hostile import photo

pytestmark = pytest.mark.browser

ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))
HOSTILE = "<img src=x onerror=document.title='owned'>"
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
WAIT_S = 40


@dataclass(frozen=True)
class Stage:
    broker: EmbeddedBroker
    worker: WorkerProcess
    dashboard: DashboardProcess
    producer: Producer

    @property
    def redis(self):
        return self.producer.ledger.redis


def worker_of(broker, state):
    return WorkerProcess(
        Producer(broker.url).ledger.redis,
        children=1,
        environment={"PIXFLEET_BROKER": broker.url, "PIXFLEET_STATE": str(state)},
        log=state / "worker.log",
    )


@pytest.fixture(scope="module")
def stage():
    state = Path(tempfile.mkdtemp(prefix="pf-page-"))
    try:
        with (
            EmbeddedBroker(state) as broker,
            worker_of(broker, state) as worker,
            DashboardProcess(broker.url) as dashboard,
        ):
            worker.wait_ready()
            yield Stage(broker, worker, dashboard, Producer(broker.url))
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def page(browser, stage):
    """The Fleet page, open; afterwards the console must be empty."""
    browser.get_log("browser")
    browser.set_window_size(1280, 900)
    browser.get(f"{stage.dashboard.url}/fleet")
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert browser.title == "Fleet · pixfleet"


@pytest.fixture
def failed(stage, tmp_path):
    """A job that failed, since its picture is none; its name is hostile to pages."""
    source = tmp_path / f"{HOSTILE}.jpg"
    source.write_bytes(b"not yet an image")
    handle = submit(stage, source, tmp_path)
    assert handle.result(WAIT_S).status == "failed"
    yield handle
    stage.redis.zrem(keys.ENDED + "failed", handle.id)


def submit(stage, source, folder):
    return stage.producer.submit(
        ImageJob(source=str(source), output=str(folder / "out"), recipe=ONE)
    )


def until(browser, question):
    return WebDriverWait(browser, WAIT_S, 0.1).until(lambda _: question())


def text_of(browser, selector):
    """Of what may be drawn anew at any moment."""
    return browser.execute_script(
        "return document.querySelector(arguments[0])?.innerText ?? ''", selector
    )


def item(handle):
    return f"#failed > [data-key='{handle.id}']"


def tile(key):
    return f"#tiles > [data-key='{key}']"


def press(browser, selector):
    button = until(browser, lambda: browser.find_element(By.CSS_SELECTOR, selector))
    button.click()
    return button


def in_focus(browser):
    return browser.switch_to.active_element.get_attribute("aria-label") or ""


def test_a_failed_job_is_retried_by_keyboard_and_the_page_tells_how_it_ended(
    page, stage, failed, tmp_path
):
    (failure,) = failed.result(1).failures
    until(page, lambda: failure.message in text_of(page, item(failed)))
    told = text_of(page, item(failed))
    assert failure.code in told
    assert failure.hint in told
    assert HOSTILE in told
    (tmp_path / f"{HOSTILE}.jpg").write_bytes(photo("JPEG", (200, 150)))

    wanted = f"Retry {tmp_path / HOSTILE}.jpg"
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        if in_focus(page) == wanted:
            break
    ActionChains(page).send_keys(Keys.ENTER).perform()

    until(page, lambda: "done now" in text_of(page, item(failed)))
    assert stage.producer.ledger.status(failed.id).state == "done"
    assert failed.result(WAIT_S).status == "done"
    assert "done now" in page.find_element(By.ID, "said").get_attribute("textContent")
    assert in_focus(page) == wanted
    assert not page.find_elements(By.CSS_SELECTOR, "main img")


def test_all_that_is_listed_is_retried_at_once_and_a_job_that_fails_again_comes_back(
    page, stage, failed
):
    until(page, lambda: text_of(page, item(failed)))
    before = stage.producer.ledger.status(failed.id).ended_at
    until(page, lambda: page.find_element(By.ID, "retry-all").is_displayed())
    press(page, "#retry-all")
    press(page, "dialog .btn-primary")
    until(page, lambda: (stage.producer.ledger.status(failed.id).ended_at or 0) > before)
    until(page, lambda: "failed again" in text_of(page, "#said") or retriable(page, failed))


def retriable(page, handle):
    button = page.find_element(By.CSS_SELECTOR, f"{item(handle)} button[aria-label^=Retry]")
    return button.get_attribute("aria-disabled") == "false"


def test_a_jobs_way_opens_in_place_and_escape_closes_it(page, stage, failed, tmp_path):
    picture = tmp_path / "good.jpg"
    picture.write_bytes(photo("JPEG", (200, 150)))
    manifest = submit(stage, picture, tmp_path).result(WAIT_S)
    answer = stage.dashboard.ask(f"/fleet/job?id={manifest.job_id}").json["job"]
    way = [(row["kind"], row["name"]) for row in answer["timeline"]]
    assert way[:2] == [("wait", "wait"), ("attempt", "done")]
    spans = [(span.stage, span.cpu_s) for span in manifest.receipt.spans]
    assert [(row["name"], row["cpu_s"]) for row in answer["timeline"][2:]] == spans
    assert answer["cost_usd"] == f"{manifest.receipt.cost_usd.normalize():f}"

    until(page, lambda: text_of(page, item(failed)))
    opener = press(page, f"{item(failed)} .fp-link")
    until(page, lambda: "Its way" in text_of(page, "dialog"))
    told = text_of(page, "dialog")
    assert failed.id in told
    assert failed.result(1).failures[0].message in told
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    until(page, lambda: not page.find_elements(By.TAG_NAME, "dialog"))
    assert page.switch_to.active_element == opener


def test_figures_are_those_of_the_ledger(page, stage, failed, tmp_path):
    picture = tmp_path / "good.jpg"
    picture.write_bytes(photo("JPEG", (200, 150)))
    for handle in [submit(stage, picture, tmp_path) for _ in range(3)]:
        assert handle.result(WAIT_S).status == "done"
    reading = FleetReader(stage.redis).read()
    until(page, lambda: f"{reading.totals['images']} in all" in text_of(page, tile("images")))
    code = failed.result(1).failures[0].code
    assert f"{code} {reading.failures[code]}" in text_of(page, "#codes")
    decoded = reading.took["stage:decode"].count
    row = text_of(page, "#stages > [data-key='stage:decode']").split("\t")
    assert row[1].strip() == str(decoded)
    assert text_of(page, tile("running")).split("\n")[1] == "0"
    assert "working" in text_of(page, f"#workers > [data-key='{stage.worker.name}']")
    said = until(page, lambda: newer(stage.dashboard, reading.at_s))
    assert said["totals"]["pixels"] == reading.totals["pixels"]
    # Machines that stand idle go on costing.
    after = FleetReader(stage.redis).read()
    assert reading.spent_usd <= Decimal(said["money"]["ever_usd"]) <= after.spent_usd


def newer(dashboard, at_s):
    data = dashboard.ask("/fleet/data").json["data"]
    return data if data["at_s"] > at_s else None


def test_a_page_full_of_failures_fits_a_phone(page, failed):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        until(page, lambda: text_of(page, item(failed)))
        until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#money canvas"))
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_worker_that_was_killed_is_seen_as_gone(page, stage, tmp_path):
    with worker_of(stage.broker, tmp_path) as second:
        second.wait_ready()
        row = f"#workers > [data-key='{second.name}']"
        until(page, lambda: "working" in text_of(page, row))
        os.kill(second.pid, signal.SIGKILL)
        # It is missed after half a minute: the last that was heard of it is put so far back.
        heard_s = stage.redis.zscore(keys.WORKERS, second.name)
        stage.redis.zadd(keys.WORKERS, {second.name: heard_s - keys.ALIVE_S - 1})
        until(page, lambda: "gone" in text_of(page, row))
        assert "last heard" in text_of(page, row)
        assert not page.find_element(By.CSS_SELECTOR, f"{row} button").is_displayed()
        first = page.find_element(By.CSS_SELECTOR, "#workers > tr")
        assert first.get_attribute("data-key") == second.name
        stage.redis.zrem(keys.WORKERS, second.name)


def test_a_retry_without_the_token_is_refused_and_an_expired_job_is_said(stage, failed):
    refused = stage.dashboard.order("/fleet/retry", {"job": failed.id}, X_Xsrftoken="")
    assert refused.status == 403
    assert stage.producer.ledger.status(failed.id).state == "failed"
    expired = stage.dashboard.order("/fleet/retry", {"job": "nobody"})
    assert (expired.status, expired.json["error"]["code"]) == (404, "expired")
    assert stage.dashboard.ask("/fleet/job?id=nobody").status == 404


def test_a_job_that_is_done_is_not_retried(stage, tmp_path):
    picture = tmp_path / "good.jpg"
    picture.write_bytes(photo("JPEG", (200, 150)))
    done = submit(stage, picture, tmp_path).result(WAIT_S)
    refused = stage.dashboard.order("/fleet/retry", {"job": done.job_id})
    assert (refused.status, refused.json["error"]["code"]) == (409, "done")


def test_history_is_drawn_and_outlives_the_dashboard(page, stage):
    reading, history = FleetReader(stage.redis).read(), History(stage.redis)
    for back_s in range(3600, 0, -600):
        history.record(replace(reading, at_s=reading.at_s - back_s, running=back_s))
    press(page, "#spans [value='1d']")
    press(page, "#queue .pf-chart-toggle")
    until(page, lambda: "3,000" in text_of(page, "#queue .pf-chart-table"))

    def known(dashboard):
        data = dashboard.ask("/fleet/history?span=1d").json["data"]
        return data and dict(zip(data["at_s"], data["running"], strict=True))

    before = known(stage.dashboard)
    with DashboardProcess(stage.broker.url) as another:
        after = until(page, lambda: known(another))
    kept = [at_s for at_s, running in before.items() if running >= 600]
    assert len(kept) >= 5
    assert {at_s: after.get(at_s) for at_s in kept} == {at_s: before[at_s] for at_s in kept}
    assert stage.dashboard.ask("/fleet/history?span=2y").status == 400
