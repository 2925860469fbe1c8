"""The Budget page in a real Chromium, held against what the commands print."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal

import pytest
import redis
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.digest import SpendDigest
from tests.dashboard import DashboardProcess
from tests.integration.spending import CENT, ledger_of, spend, submit

pytestmark = pytest.mark.browser

ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))
HOSTILE = "<img src=x onerror=document.title='owned'>\"'&"
LINES = ("jobs", "rework", "retry", "overhead", "idle", "machines", "requests", "total")


@pytest.fixture(scope="module")
def dashboard(valkey_server):
    with DashboardProcess(valkey_server.url) as process:
        yield process


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


@pytest.fixture
def ledger(valkey):
    return Producer(valkey.url).ledger


@pytest.fixture
def jobs(client):
    return ledger_of(client)


@pytest.fixture
def said(valkey, pixfleet):
    """What a command prints as JSON."""

    def ask(*words: str):
        done = pixfleet(*words, "--broker", valkey.url, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture
def page(browser, dashboard, valkey):  # noqa: ARG001 (the ledger is empty first)
    """Opens the page; in the end nothing must have been complained about in the console."""
    browser.get("about:blank")  # a page of another test may ask on
    browser.get_log("browser")
    browser.set_window_size(1280, 900)

    def visit():
        browser.get(f"{dashboard.url}/budget")
        return Page(browser)

    yield visit
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    browser.get("about:blank")


class Page:
    """What is seen of it."""

    def __init__(self, browser):
        self.browser = browser

    def text(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def rows(self, table):
        """The cells of each row of a table."""
        script = (
            "return [...document.querySelectorAll(`#${arguments[0]} tr`)]"
            ".map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
        )
        return self.browser.execute_script(script, table)

    def until(self, question):
        return WebDriverWait(self.browser, 30).until(lambda _: question())

    def written(self, *usd: str):
        """Amounts as the page writes them."""
        script = (
            "const [amounts, done] = arguments;"
            "import('/pixfleet/static/format.js').then(({usd}) => done(amounts.map(usd)))"
        )
        return self.browser.execute_async_script(script, usd)


def work(valkey, samples, tmp_path):
    """A real worker makes two pictures, and is gone: the bill stays as it is then."""
    producer = Producer(valkey.url)
    environment = {"PIXFLEET_BROKER": valkey.url, "PIXFLEET_STATE": str(tmp_path)}
    worker = WorkerProcess(
        producer.ledger.redis, children=1, environment=environment, log=tmp_path / "worker.log"
    )
    with worker:
        worker.wait_ready()
        for tenant, name in (("shop", "kodim23.png"), ("press", "chelsea.png")):
            with Image.open(samples / name) as image:
                image.resize((240, 160)).save(tmp_path / name)
            job = ImageJob(
                source=str(tmp_path / name),
                output=str(tmp_path / "out"),
                recipe=ONE,
                tenant=tenant,
            )
            assert producer.submit(job).result(60).status == "done"


def test_after_real_work_the_page_says_what_spend_and_budget_say(
    page, said, valkey, samples, tmp_path
):
    BudgetBook(Producer(valkey.url).ledger).put(
        [
            Budget(owner="fleet", period="day", limit_usd=Decimal(25)),
            Budget(owner="tenant:shop", limit_usd=Decimal("0.000000001")),
        ]
    )
    work(valkey, samples, tmp_path)
    bills = {group: said("spend", "--by", group) for group in ("tenant", "recipe", "stage")}
    budgets = said("budget", "list")
    month = bills["stage"]["bill_usd"]

    shown = page()
    (total,) = shown.written(month["total"])
    shown.until(lambda: shown.text("#month .bp-total") == total)

    figures = shown.written(*(month[line] for line in LINES))
    assert [cells[1] for cells in shown.rows("bill")] == figures
    for group, bill in bills.items():
        names = [share["name"] for share in bill["shares"]]
        assert names
        spent = shown.written(*(share["usd"] for share in bill["shares"]))
        rows = [cells[:2] for cells in shown.rows(f"by-{group}")]
        assert rows[: len(names)] == [list(pair) for pair in zip(names, spent, strict=True)]
    assert [one["rung"] for one in budgets] == ["normal", "closed"]
    for cells, one in zip(shown.rows("budgets"), budgets, strict=True):
        spent, limit = shown.written(one["spent_usd"], one["limit_usd"])
        assert cells[:2] == [one["owner"], one["period"]]
        assert cells[3:5] == [spent, limit]
        assert cells[5].split("\n")[0] == one["rung"]
        assert cells[6] == str(one["held"])
    shown.until(lambda: "Each bar is one hour" in shown.text("#history-note"))


def test_a_crossing_is_seen_live_keeps_the_focus_and_is_lifted_by_the_command_shown(
    page, said, ledger, jobs
):
    BudgetBook(ledger).put([Budget(owner="fleet", limit_usd=10 * CENT, idle=False)])
    spend(jobs, 7 * CENT)
    waiting = submit(jobs, 3)
    shown = page()
    shown.until(lambda: shown.text("#month .bp-rung") == "normal")
    assert not shown.text("#orders")
    shown.browser.execute_script("window.sameVisit = true")

    spend(jobs, 4 * CENT)

    shown.until(lambda: shown.text("#month .bp-rung") == "closed")
    banner = shown.text("#orders")
    assert "The fleet is closed this month." in banner
    assert "new jobs are refused" in banner
    read_out = "return document.getElementById('orders-said').textContent"
    assert shown.browser.execute_script(read_out) == "The fleet is closed this month."
    shown.browser.execute_script("document.querySelector('#orders .pf-copy').focus()")
    assert {jobs.claim(job_id).outcome for job_id in waiting} == {"held"}
    shown.until(lambda: "3 jobs are held" in shown.text("#orders"))
    focused = "return document.activeElement.matches('#orders .pf-copy')"
    assert shown.browser.execute_script(focused)
    assert "normal → closed" in shown.text("#log")
    command = shown.text("#orders code")
    said(*shlex.split(command)[1:])
    shown.until(lambda: not shown.text("#orders"))
    assert shown.text("#month .bp-rung") == "normal"
    assert "closed → normal" in shown.text("#log")
    assert shown.browser.execute_script("return window.sameVisit")


def test_hostile_names_are_text_and_a_phone_needs_no_sideways_scrolling(page, client, ledger, jobs):
    hour = SpendDigest(ledger).now()
    spend(jobs, CENT, tenant="a-tenant-with-a-name-that-is-as-long-as-the-contract-lets-it-be")
    fields = {f"{HOSTILE}|{HOSTILE}|{HOSTILE}": 50_000_000, f"{HOSTILE}|web|encode": 70_000_000}
    for field, amount in fields.items():
        client.hincrby(f"{keys.SPENT}{hour:%Y-%m-%dT%H}", field, amount)
    long = "tenant:a-tenant-with-a-name-that-is-as-long-as-the-contract-lets-it-be"
    BudgetBook(ledger).put([Budget(owner=long, limit_usd=CENT), Budget(owner="fleet", limit_usd=5)])
    shown = page()
    try:
        phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        shown.until(lambda: [cells[0] for cells in shown.rows("by-tenant")][:1] == [HOSTILE])
        assert [cells[0] for cells in shown.rows("by-recipe")] == ["web", HOSTILE]
        assert HOSTILE in [cells[0] for cells in shown.rows("by-stage")]
        shown.browser.execute_script("document.querySelector('#groups [value=tenant]').click()")
        shown.until(lambda: HOSTILE in shown.text("#history"))

        assert shown.browser.title == "Budget · pixfleet"
        widths = "const page = document.documentElement; return [page.scrollWidth, innerWidth]"
        assert shown.browser.execute_script(widths) == [390, 390]
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_where_nothing_was_spent_the_page_says_what_to_do_next(page):
    shown = page()

    shown.until(lambda: "pixfleet submit samples --out out" in shown.text("#nothing"))
    assert "pixfleet budget set fleet --limit 25 --period month" in shown.text("#no-budgets")
    assert "pixfleet budget set fleet --limit 25 --period day" in shown.text("#today")
    assert shown.text("#month .bp-total") == "$0"


@pytest.mark.parametrize("query", ["", "span=1d", "span=2d&by=stage", "span=1d&by=<img>"])
def test_a_history_that_there_is_not_is_refused_with_those_that_there_are(dashboard, query):
    reply = dashboard.ask(f"/budget/history?{query.replace('<', '%3C').replace('>', '%3E')}")

    assert reply.status == 400
    assert "1mo tenant" in reply.json["error"]["message"]
