"""The handlers that our pages are made of: HTML, data, and writes."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from flower.views import BaseHandler
from tornado.web import HTTPError, authenticated

from pixfleet.producer.connection import LedgerUnavailableError

from .headers import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .reader import Reader

_LARGEST_ORDER_BYTES: Final = 16_384
_CODES: Final = {401: "signed_out", 404: "unknown", 405: "method", 413: "too_large"}


class RefusedError(HTTPError):
    """A write that is not done; ``code`` is for the page, the message for its reader."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(status)
        self.code = code
        self.message = message


class _Handler(BaseHandler):
    @property
    def flowers(self) -> Any:
        """Flower's options."""
        application: Any = self.application
        return application.options


class PageHandler(_Handler):
    """A page of HTML: its template is given ``tab``, its entry in the navigation, and more."""

    def initialize(self, template: str, tab: str) -> None:
        """Called with what the route says."""
        self._template = template
        self._tab = tab

    @authenticated
    def get(self) -> None:
        """The page; what is in it comes from its data."""
        self.set_header("Content-Security-Policy", STRICT)
        self.set_header("Cache-Control", "no-store")
        self.render(self._template, tab=self._tab, writable=not self.flowers.read_only)


class JsonHandler(_Handler):
    """Answers in JSON, errors too: ``{"error": {"code": …, "message": …}}``."""

    def set_default_headers(self) -> None:
        """JSON that nobody keeps."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", STRICT)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        """Nobody who is not signed in gets further."""
        if not self.current_user:
            raise HTTPError(HTTPStatus.UNAUTHORIZED)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what a page can act on."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, RefusedError):
            code, message = error.code, error.message
        else:
            code = _CODES.get(status_code, "failed")
            message = getattr(error, "log_message", None) or self._reason
        if status_code == HTTPStatus.UNAUTHORIZED and self.flowers.basic_auth:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish(json.dumps({"error": {"code": code, "message": message}}))

    async def tell(self, reader: Reader) -> None:
        """What was read last; nothing but its time where the page has it already."""
        answer = await reader.newest()
        self.set_header("ETag", answer.etag)
        if answer.read_at_s is not None:
            self.set_header("X-Read-At-S", str(answer.read_at_s))
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        else:
            self.finish(answer.body)


class DataHandler(JsonHandler):
    """What a page shows, now."""

    def initialize(self, reader: Reader) -> None:
        """Called with what the route says."""
        self._reader = reader

    async def get(self) -> None:
        """The newest that was read."""
        # The page's writes need the token's cookie; asking for it sets it.
        _ = self.xsrf_token
        await self.tell(self._reader)


class HistoryHandler(JsonHandler):
    """What a page shows of the past, by ``span``: 1h, 1d, …."""

    def initialize(self, readers: Mapping[str, Reader]) -> None:
        """Called with what the route says."""
        self._readers = readers

    async def get(self) -> None:
        """The newest that was read of this span."""
        reader = self._readers.get(self.get_query_argument("span", ""))
        if reader is None:
            raise HTTPError(400, f"span: {', '.join(self._readers)}")
        await self.tell(reader)


class WriteHandler(JsonHandler):
    """Does what a page of ours asks for, and nobody else's."""

    def initialize(self, act: Callable[[dict[str, Any]], object], reader: Reader) -> None:
        """``act`` may block, and raise RefusedError; ``reader`` is of the page that shows it."""
        self._act = act
        self._reader = reader

    def check_xsrf_cookie(self) -> None:
        """Always, unlike Flower's, and the token has to be in the header."""
        if not self.current_user:
            raise HTTPError(HTTPStatus.UNAUTHORIZED)
        # A page whose cookie is gone gets a new one with the refusal.
        token = self.xsrf_token
        try:
            super(BaseHandler, self).check_xsrf_cookie()
            from_page = "X-Xsrftoken" in self.request.headers
        except HTTPError:
            from_page = False
        if not (token and from_page):
            raise RefusedError("stale", "this page was open for too long: reload it", 403)

    async def post(self) -> None:
        """Do it; the answer is what the act returned."""
        if self.flowers.read_only:
            raise RefusedError("read_only", "this dashboard only looks (--read_only)", 403)
        loop = asyncio.get_running_loop()
        try:
            done = await loop.run_in_executor(None, self._act, self._order())
        except LedgerUnavailableError as error:
            raise RefusedError("away", str(error), 503) from None
        self._reader.renew()
        self.finish(json.dumps({"done": done}))

    def _order(self) -> dict[str, Any]:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != "application/json":
            raise RefusedError("form", "the order has to be application/json", 415)
        if len(self.request.body) > _LARGEST_ORDER_BYTES:
            raise RefusedError("too_large", f"at most {_LARGEST_ORDER_BYTES} bytes", 413)
        try:
            order = json.loads(self.request.body)
        except ValueError:
            order = None
        if not isinstance(order, dict):
            raise RefusedError("form", "the order has to be a JSON object", 400)
        return order
