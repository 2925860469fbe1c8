"""The dashboard in a real Chromium: no complaint, nothing run that a name brought, phones."""

import time

import pytest
import redis
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.producer import ImageJob, Producer
from pixfleet.workers.spend.budgets import BudgetBook
from tests.dashboard import DashboardProcess

from .spending import CENT, ledger_of, spend

pytestmark = pytest.mark.browser

HOSTILE = "celery@<img src=x onerror=document.title='owned'>\"'&"
FORMS = [
    ('usd("1234.567")', "$1,234.57"),
    ('usd("0.012345")', "$0.0123"),
    ('usd("0.000012")', "$0.000012"),
    ('usd("0.0000001")', "<$0.000001"),
    ('usd("-3")', "−$3.00"),
    ("usd(null)", "–"),
    ('usd("0")', "$0"),
    ("count(12345)", "12,345"),
    ("count(12345678)", "12.3 M"),
    ("bytes(512)", "512 B"),
    ("bytes(999600)", "1.00 MB"),
    ("duration(0.0004)", "0.400 ms"),
    ("duration(0.34)", "340 ms"),
    ("duration(59.9)", "1 min 00 s"),
    ("duration(7500)", "2 h 05 min"),
    ("duration(273600)", "3 d 4 h"),
    ("ago(100, 112)", "12 s ago"),
    ("percent(0.1234)", "12.3 %"),
    ("percent(NaN)", "–"),
    ("momentUtc(86399)", "1970-01-01 23:59"),
]


@pytest.fixture(scope="module")
def dashboard(valkey_server):
    with DashboardProcess(valkey_server.url) as process:
        yield process


@pytest.fixture
def page(browser, dashboard, valkey):
    """Opens a path; afterwards the console must be empty."""
    with redis.Redis.from_url(valkey.redis_url) as client:
        client.zadd(keys.WORKERS, {HOSTILE: time.time() + 60})
    browser.get_log("browser")
    browser.set_window_size(1280, 900)

    def visit(path):
        browser.get(dashboard.url + path)
        return browser

    yield visit
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def shown(browser, text):
    def there(_):
        return text in browser.find_element(By.TAG_NAME, "main").text

    WebDriverWait(browser, 20).until(there)


def run_module(browser, code):
    """What the module code, whose ``import`` is of our files, gives to ``done``."""
    browser.set_script_timeout(20)
    script = (
        f"const done = arguments[0]; (async () => {{ {code} }})().catch((e) => done(String(e)));"
    )
    return browser.execute_async_script(script)


def test_a_hostile_name_is_text_and_nothing_is_complained_about(page):
    browser = page("/fleet")
    shown(browser, HOSTILE)
    WebDriverWait(browser, 20).until(
        lambda _: browser.find_element(By.ID, "pf-live").text.startswith("Live · ")
    )
    assert browser.title == "Fleet · pixfleet"
    assert not browser.find_elements(By.CSS_SELECTOR, "main img")


def test_a_worker_is_drained_by_hand_and_the_page_shows_it(page, valkey):
    browser = page("/fleet")
    shown(browser, HOSTILE)
    browser.find_element(By.XPATH, "//main//button[text()='Drain']").click()
    dialog = browser.find_element(By.TAG_NAME, "dialog")
    assert HOSTILE in dialog.text
    dialog.find_element(By.XPATH, ".//button[text()='Drain']").click()
    shown(browser, "draining")
    with redis.Redis.from_url(valkey.redis_url) as client:
        assert client.exists(keys.DRAIN + HOSTILE)


def test_a_fleet_in_which_nothing_happened_says_what_to_do_first(browser, dashboard, valkey):
    browser.get(f"{dashboard.url}/fleet")
    shown(browser, "celery -A pixfleet.workers.app worker")
    assert "pixfleet submit samples --out out" in browser.find_element(By.ID, "first-steps").text
    Producer(valkey.url).submit(ImageJob(source="/a.jpg", output="/out"))
    shown(browser, "1 job waits and no worker is alive.")
    assert not browser.find_element(By.ID, "first-steps").is_displayed()


def test_a_closed_budget_is_said_on_the_fleet_page_and_leads_to_the_budgets(page, valkey):
    with redis.Redis.from_url(valkey.redis_url) as client:
        ledger = ledger_of(client)
        BudgetBook(ledger).put([Budget(owner="tenant:shop", period="day", limit_usd=CENT)])
        spend(ledger, CENT, tenant="shop")
    browser = page("/fleet")
    shown(browser, "The budget of tenant:shop for the day is spent: it is closed")
    browser.find_element(By.LINK_TEXT, "See the budgets").click()
    shown(browser, "Budget")
    assert browser.current_url.endswith("/budget")


def test_flowers_own_pages_work_under_the_policy(page):
    for path in ("/workers", "/tasks", "/broker"):
        browser = page(path)
        assert browser.find_element(By.LINK_TEXT, "Fleet").is_displayed()


@pytest.mark.parametrize("path", ["/fleet", "/budget"])
def test_a_page_fits_a_phone(page, path):
    browser = page(path)
    # Chromium's window is no smaller than 500 px: the phone is a device that is pretended.
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        time.sleep(0.5)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_numbers_are_written_as_people_read_them(page):
    browser = page("/fleet")
    calls = ", ".join(f"format.{call}" for call, _ in FORMS)
    code = f"const format = await import('/pixfleet/static/format.js'); done([{calls}]);"
    assert run_module(browser, code) == [text for _, text in FORMS]


def test_a_chart_draws_tells_its_last_value_and_is_a_table_when_asked(page):
    browser = page("/fleet")
    code = """
      const { timeChart } = await import('/pixfleet/static/chart.js');
      const { usd } = await import('/pixfleet/static/format.js');
      const host = document.createElement('div');
      host.id = 'chart';
      document.querySelector('main').append(host);
      const series = [{ label: 'web', colour: 'blue' }, { label: '<b>x</b>', colour: 'green' }];
      const marks = [{ value: '5', label: 'budget', colour: 'red' }];
      const look = { format: usd, kind: 'area', stack: true, series, marks };
      const chart = timeChart(host, { title: 'Spend', ...look });
      chart.update([1000, 1005, 1010, 1100], [[1, 2, 3, 4], [1, null, 1, 1.5]], 5);
      chart.update([1000, 1005, 1010, 1105], [[1, 2, 3, 4], [1, null, 1, 1.5]], 5);
      document.documentElement.setAttribute('data-bs-theme', 'dark');
      await new Promise((resolve) => setTimeout(resolve, 100));
      done(null);
    """
    assert run_module(browser, code) is None
    chart = browser.find_element(By.ID, "chart")
    picture = chart.find_element(By.CSS_SELECTOR, "[role=img]")
    assert picture.get_attribute("aria-label") == "Spend. Last: web $4.00, <b>x</b> $1.50"
    drawn = browser.execute_script(
        "const c = document.querySelector('#chart canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(new Uint32Array(d.buffer)).size"
    )
    assert drawn > 3
    assert chart.find_element(By.CSS_SELECTOR, ".u-legend").text.count("<b>x</b>") == 1

    chart.find_element(By.TAG_NAME, "button").click()

    cells = [cell.text for cell in chart.find_elements(By.CSS_SELECTOR, ".pf-chart-table tbody td")]
    assert cells == ["$4.00", "$1.50", "$3.00", "$1.00", "$2.00", "–", "$1.00", "$1.00"]
    assert not picture.is_displayed()


def test_a_dashboard_that_is_gone_is_said_and_the_last_figures_stay(browser, valkey):
    with redis.Redis.from_url(valkey.redis_url) as client:
        client.zadd(keys.WORKERS, {HOSTILE: time.time() + 60})
    with DashboardProcess(valkey.url) as process:
        browser.get(f"{process.url}/fleet")
        shown(browser, HOSTILE)
    WebDriverWait(browser, 30).until(
        lambda _: browser.find_element(By.ID, "pf-live").text == "Offline"
    )
    banner = browser.find_element(By.ID, "pf-banner")
    assert banner.get_attribute("aria-live") == "polite"
    assert "does not answer; the figures are of " in banner.text
    assert HOSTILE in browser.find_element(By.TAG_NAME, "main").text
    browser.get_log("browser")  # which tells of requests that nobody answered
