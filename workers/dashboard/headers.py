"""What a browser may do with our answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tornado.web import OutputTransform

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders

_CSP: Final = (
    "default-src 'none'; script-src {code}; style-src {code}; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
STRICT: Final = _CSP.format(code="'self'")
"""Of our own pages."""
FLOWERS: Final = _CSP.format(code="'self' 'unsafe-inline'")
"""Of Flower's: its Workers page has a script inside, its tables styles."""
ALWAYS: Final = {
    "Content-Security-Policy": FLOWERS,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SafeHeaders(OutputTransform):
    """Puts these headers on every answer, refusals and static files included."""

    def transform_first_chunk(
        self,
        status_code: int,
        headers: HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: FBT001 (inherited)
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add those that the handler has not set itself."""
        for name, value in ALWAYS.items():
            headers.setdefault(name, value)
        del headers["Server"]
        return super().transform_first_chunk(status_code, headers, chunk, finishing)
