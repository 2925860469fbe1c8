"""The dashboard as a process: what its pages hold, who may see them, and who may write."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from html.parser import HTMLParser

import pytest
import redis
from tornado.web import create_signed_value

from pixfleet.config import keys
from pixfleet.workers.embedded import EmbeddedBroker
from tests.brokers import LoopbackBroker
from tests.dashboard import DashboardProcess

WORKER = "celery@somewhere"
PREFIX = "/ops/pix"
LOGIN = "Basic " + base64.b64encode(b"operator:secret").decode()
LINK = {
    "Sec_Fetch_Site": "cross-site",
    "Sec_Fetch_Mode": "navigate",
    "Sec_Fetch_Dest": "document",
}


class Page(HTMLParser):
    """Links of the navigation with their attributes, and whatever a strict policy forbids."""

    def __init__(self, text):
        super().__init__()
        self.links = []
        self.inline = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "a" and "nav-link" in attributes.get("class", "").split():
            self.links.append((attributes["href"], attributes.get("aria-current")))
        if (tag == "script" and "src" not in attributes) or tag == "style":
            self.inline.append(tag)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]


def eventually(question, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="module")
def open_(valkey_server):
    """One's own dashboard: no password, and Flower's API opened, as some do."""
    with DashboardProcess(
        valkey_server.url,
        FLOWER_UNAUTHENTICATED_API="true",
        PIXFLEET_MONITOR_DASHBOARD_HOSTS="fleet.example.org",
    ) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def guarded(valkey_server):
    """With a password, below a prefix, and for looking only."""
    with DashboardProcess(
        valkey_server.url,
        *(f"--url_prefix={PREFIX.strip('/')}", "--read_only"),
        FLOWER_BASIC_AUTH="operator:secret",
    ) as dashboard:
        yield dashboard


@pytest.fixture
def worker(valkey):
    """A sign of life, as a worker gives it."""
    with redis.Redis.from_url(valkey.redis_url) as client:
        client.zadd(keys.WORKERS, {WORKER: time.time() + 60})
        yield client


def workers_of(reply):
    return [one["name"] for one in reply.json["data"]["workers"]]


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/fleet", "/fleet"),
        ("/budget", "/budget"),
        ("/workers", "/workers"),
        ("/tasks", "/tasks"),
        ("/broker", "/broker"),
        ("/nowhere", None),
    ],
)
def test_every_page_leads_to_every_other_and_marks_where_one_is(open_, path, current):
    links = Page(open_.ask(path).text).links[:5]
    assert [href for href, _ in links] == ["/fleet", "/budget", "/workers", "/tasks", "/broker"]
    assert [href for href, mark in links if mark == "page"] == [current] * (current is not None)


def test_the_first_page_is_the_fleets(open_):
    reply = open_.ask("/")
    assert (reply.status, reply.headers["location"]) == (302, "/fleet")


def test_a_worker_is_shown_and_is_told_to_go(open_, worker):
    eventually(lambda: workers_of(open_.ask("/fleet/data")) == [WORKER])

    reply = open_.order("/fleet/drain", {"worker": WORKER})

    assert (reply.status, reply.json) == (200, {"done": [WORKER]})
    assert worker.exists(keys.DRAIN + WORKER)
    unknown = open_.order("/fleet/drain", {"worker": "nobody"})
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "unknown")
    assert WORKER in unknown.json["error"]["message"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"X_Xsrftoken": ""}, 403, "stale"),
        ({"X_Xsrftoken": "2|aaaaaaaa|bbbb|1"}, 403, "stale"),
        ({"Cookie": ""}, 403, "stale"),
        ({"Sec_Fetch_Site": "cross-site"}, 403, None),
        ({"Sec_Fetch_Site": "same-site"}, 403, None),
        ({"Sec_Fetch_Site": "", "Origin": "http://127.0.0.1:1"}, 403, None),
        ({"Sec_Fetch_Site": "", "Origin": "null"}, 403, None),
        ({"Host": "rebound.example.com"}, 403, None),
        ({"Content_Type": "text/plain"}, 415, "form"),
    ],
    ids=lambda value: (
        "-".join(value.values()) or next(iter(value)) if isinstance(value, dict) else ""
    ),
)
def test_a_write_that_no_page_of_ours_sent_is_refused(open_, worker, changed, status, code):
    reply = open_.order("/fleet/drain", {"worker": WORKER}, **changed)
    assert reply.status == status
    assert code is None or reply.json["error"]["code"] == code
    assert not worker.exists(keys.DRAIN + WORKER)


def test_a_page_whose_token_is_gone_gets_a_new_one_with_the_refusal(open_, worker):
    refused = open_.order("/fleet/drain", {"worker": WORKER}, Cookie="", X_Xsrftoken="")
    cookie = refused.headers["set-cookie"].split(";")[0]
    again = open_.order(
        "/fleet/drain", {"worker": WORKER}, Cookie=cookie, X_Xsrftoken=cookie.partition("=")[2]
    )
    assert again.status == 200
    assert worker.exists(keys.DRAIN + WORKER)


def test_a_write_has_to_be_a_small_json_object_and_a_post(open_):
    assert open_.order("/fleet/drain", {"worker": "x" * 20_000}).status == 413
    assert open_.order("/fleet/drain", [1]).status == 400
    assert open_.ask("/fleet/drain").status == 405


@pytest.mark.parametrize(
    "path", ["/fleet", "/fleet/data", "/workers", "/api/tasks", "/metrics", "/static/js/flower.js"]
)
def test_without_a_password_only_known_names_are_answered(open_, path):
    port = open_.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "fleet.example.org"):
        assert open_.ask(path, Host=host).status == 200, host
    for host in (
        "rebound.example.com",
        "127.0.0.1.example.com",
        "fleet.example.org.evil",
        "10.0.0.1",
    ):
        assert open_.ask(path, Host=host).status == 403, host


def test_other_sites_neither_read_nor_write_through_a_visitors_browser(open_):
    def sent(site, **more):
        return {"Sec_Fetch_Site": site, **more}

    shutdown = f"/api/worker/shutdown/{WORKER}"
    foreign = {"Origin": "https://evil.example"}
    assert open_.ask("/api/tasks", **sent("cross-site", Sec_Fetch_Mode="cors")).status == 403
    assert open_.ask("/fleet/data", **sent("same-site", Sec_Fetch_Mode="no-cors")).status == 403
    assert open_.ask(shutdown, "POST", **sent("cross-site", **foreign)).status == 403
    assert open_.ask(shutdown, "POST", **foreign).status == 403
    assert open_.ask(shutdown, "OPTIONS", **foreign).status == 403
    assert open_.ask("/fleet", **LINK).status == 200
    assert open_.ask("/fleet", "POST", **LINK).status == 403


def test_our_pages_have_nothing_inline_and_a_policy_that_forbids_it(open_):
    for path in ("/fleet", "/budget"):
        reply = open_.ask(path)
        assert not Page(reply.text).inline
        policy = reply.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy


@pytest.mark.parametrize("path", ["/fleet", "/fleet/data", "/workers", "/pixfleet/static/live.js"])
def test_no_answer_may_be_framed_or_guessed_at(open_, path):
    headers = open_.ask(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    assert "samesite=strict" in headers.get("set-cookie", "samesite=strict").lower()


@pytest.mark.parametrize(
    "path",
    ["/fleet", "/fleet/data", "/budget", "/budget/data", "/fleet/drain", "/metrics", "/workers"],
)
def test_with_a_password_nothing_is_shown_without_it(guarded, path):
    assert guarded.ask(PREFIX + path).status == 401
    assert guarded.ask(PREFIX + path, Authorization="Basic b3BlcmF0b3I6d3Jvbmc=").status == 401
    assert guarded.ask(PREFIX + path, Authorization=LOGIN).status in {200, 405}
    assert guarded.ask(path, Authorization=LOGIN).status == 404, "beside the prefix"


def test_json_that_needs_a_password_says_so_in_json(guarded):
    reply = guarded.ask(f"{PREFIX}/fleet/data")
    assert reply.json["error"]["code"] == "signed_out"
    refused = guarded.ask(f"{PREFIX}/fleet/drain", "POST", "{}")
    assert (refused.status, refused.json["error"]["code"]) == (401, "signed_out")


def test_with_a_login_pages_lead_there_and_data_says_signed_out(valkey):
    login = {"FLOWER_OAUTH2_KEY": "k", "FLOWER_OAUTH2_SECRET": "s", "FLOWER_COOKIE_SECRET": "c"}
    with DashboardProcess(
        valkey.url,
        "--auth=.*@example.org",
        "--auth_provider=flower.views.auth.GoogleAuth2LoginHandler",
        FLOWER_OAUTH2_REDIRECT_URI="http://127.0.0.1/login",
        **login,
    ) as dashboard:

        def cookie(user):
            return f"user={create_signed_value('c', 'user', user).decode()}"

        page = dashboard.ask("/fleet")
        assert (page.status, page.headers["location"]) == (302, "/login?next=%2Ffleet")
        for stranger in ("", cookie("eve@elsewhere.org"), "user=me@example.org"):
            for path in ("/fleet/data", "/budget/data", "/metrics"):
                assert dashboard.ask(path, Cookie=stranger).status == 401, path
        known = cookie("me@example.org")
        for path in ("/fleet", "/fleet/data", "/metrics", "/workers"):
            assert dashboard.ask(path, Cookie=known).status == 200, path


def test_all_that_a_page_names_is_below_the_prefix(guarded):
    text = guarded.ask(f"{PREFIX}/fleet", Authorization=LOGIN).text
    named = re.findall(r'(?:src|href)="(/[^"]*)"', text)
    assert all(path.startswith(f"{PREFIX}/") for path in named), named
    for path in named:
        assert guarded.ask(path.split("?")[0], Authorization=LOGIN).status in {200, 302}, path
    home = guarded.ask(PREFIX, Authorization=LOGIN)
    assert home.headers["location"] == f"{PREFIX}/fleet"


def test_a_dashboard_for_looking_only_does_not_write(guarded, worker):
    cookie = guarded.ask(f"{PREFIX}/fleet", Authorization=LOGIN).headers["set-cookie"].split(";")[0]
    reply = guarded.ask(
        *(f"{PREFIX}/fleet/drain", "POST", f'{{"worker": "{WORKER}"}}'),
        Authorization=LOGIN,
        Cookie=cookie,
        X_Xsrftoken=cookie.partition("=")[2],
        Content_Type="application/json",
    )
    assert (reply.status, reply.json["error"]["code"]) == (403, "read_only")
    assert not worker.exists(keys.DRAIN + WORKER)


def test_flowers_own_api_stays_closed_without_a_password(valkey):
    with DashboardProcess(valkey.url) as dashboard:
        for path in (f"/api/worker/shutdown/{WORKER}", "/api/task/revoke/1", "/api/task/apply/x"):
            assert dashboard.ask(path, "POST", Sec_Fetch_Site="same-origin").status == 401, path
        assert dashboard.ask("/api/tasks").status == 401


def test_it_finds_the_broker_that_runs_on_this_machine(state):
    with EmbeddedBroker(state) as broker:
        with redis.Redis.from_url(broker.redis_url) as client:
            client.zadd(keys.WORKERS, {WORKER: time.time() + 60})
        with DashboardProcess("", PIXFLEET_STATE=str(state)) as dashboard:
            assert workers_of(dashboard.ask("/fleet/data")) == [WORKER]


def test_what_a_page_has_already_is_not_sent_again(tmp_path):
    with LoopbackBroker(tmp_path) as broker, DashboardProcess(broker.url) as dashboard:
        first = dashboard.ask("/budget/data")
        assert first.json["problem"] is None
        again = dashboard.ask("/budget/data", If_None_Match=first.headers["etag"])
        assert (again.status, again.text) == (304, "")
        assert float(again.headers["x-read-at-s"]) >= first.json["read_at_s"]

        broker.stop()
        eventually(lambda: dashboard.ask("/budget/data").json["problem"])
        began_s = time.monotonic()
        blind = dashboard.ask("/budget/data").json
        assert time.monotonic() - began_s < 2
        assert f"127.0.0.1:{broker.port}" in blind["problem"]
        assert blind["data"] == first.json["data"]
        assert blind["failing_since_s"] >= first.json["read_at_s"]

        broker.start()
        eventually(lambda: dashboard.ask("/budget/data").json["problem"] is None)


@pytest.mark.parametrize("address", ["0.0.0.0", ""], ids=["all of IPv4", "all"])
def test_it_does_not_start_beyond_loopback_without_a_password(valkey, address):
    dashboard = DashboardProcess(valkey.url, f"--address={address}")
    done = subprocess.run(
        dashboard.command,
        env=dashboard.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "FLOWER_BASIC_AUTH=user:password" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(open_):
    done = subprocess.run(
        [*open_.command, f"--port={open_.port}"],
        env=open_.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"127.0.0.1:{open_.port} (Address already in use)" in done.stderr
