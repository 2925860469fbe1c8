"""Flower with our pages in front, one gate before all, and a memory that has bounds."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flower.app import Flower, rewrite_handler
from flower.views.monitor import Metrics
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler, StaticFileHandler, url

from pixfleet.producer.connection import connect

from . import budget, fleet
from .access import LARGEST_BODY_BYTES, Access
from .headers import SafeHeaders
from .templates import Templates

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

    from pixfleet.config.settings import Settings

STATIC: Final = Path(__file__).with_name("static")
_FORGET_EVERY_MS: Final = 300_000


class Dashboard(Flower):
    """The server of all pages."""

    def __init__(self, settings: Settings, access: Access, **flowers: Any) -> None:
        """``flowers`` is what Flower itself takes."""
        prefix: str = flowers["options"].url_prefix or ""
        # Flower's scripts read the token; a browser sends it with requests of our pages only.
        cookie = {"samesite": "Strict", "secure": "ssl_options" in flowers}
        super().__init__(
            template_loader=Templates(flowers["template_path"]),
            xsrf_cookie_kwargs=cookie,
            **flowers,
        )
        self.access = access
        client = connect(settings.ledger_url)
        pages = [
            url(r"/?", _Home),
            *fleet.handlers(client, settings),
            *budget.handlers(client, settings),
            url(r"/pixfleet/static/(.*)", _Static, {"path": STATIC}, name="pixfleet-static"),
            url(r"/metrics", _Metrics),
        ]
        self.add_handlers(
            r".*", [rewrite_handler(page, prefix) for page in pages] if prefix else pages
        )
        self.add_transform(SafeHeaders)
        self._forgetting = PeriodicCallback(self.forget_gone, _FORGET_EVERY_MS)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The page that was asked for, or the refusal; called before a body is read."""
        connection: Any = request.connection
        connection.set_max_body_size(LARGEST_BODY_BYTES)
        if reason := self.access.refusal(request):
            return self.get_handler_delegate(request, _Refused, {"reason": reason})
        return super().find_handler(request, **kwargs)

    def start(self) -> None:
        """Serve until told to go."""
        self._forgetting.start()
        super().start()

    def forget_gone(self) -> None:
        """Flower forgets metrics of workers only when it is scraped, and the workers never."""
        self.purge_offline_worker_metrics()
        state: Any = self.events.state
        oldest_s = time.time() - self.options.purge_offline_workers
        for name, worker in list(state.workers.items()):
            if max(worker.heartbeats, default=0) < oldest_s:
                del state.workers[name]
        for known in (state.counter, self.inspector.workers):
            for name in set(known) - set(state.workers):
                del known[name]


class _Home(RequestHandler):
    def get(self) -> None:
        self.redirect(self.reverse_url("fleet"))


class _Static(StaticFileHandler):
    """Scripts import each other by plain names: a browser asks each time if they changed."""

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 (inherited)
        self.set_header("Cache-Control", "no-cache")


class _Metrics(Metrics):
    """Flower's metrics, which name workers and tasks: not for everyone."""

    async def prepare(self) -> None:
        if not self.current_user:
            raise HTTPError(HTTPStatus.UNAUTHORIZED)


class _Refused(RequestHandler):
    def initialize(self, reason: str) -> None:
        self._reason = reason

    def check_xsrf_cookie(self) -> None:
        """It is refused whatever it brings."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self._reason}\n")
