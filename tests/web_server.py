"""A hostile web on loopback: HTTPS with a certificate of a CA made here, and what servers do."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import ipaddress
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def make_certificates(folder: Path, *names: str) -> tuple[Path, Path]:
    """A CA's certificate, and a server's certificate with its key, for names and addresses."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pixfleet test CA")])

    def certificate(subject: x509.Name, public, *extensions) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=ca_name,
            subject_name=subject,
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(days=1),
            not_valid_after=now + dt.timedelta(days=2),
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(ca_key, hashes.SHA256())

    authority = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = certificate(
        ca_name,
        ca_key.public_key(),
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage, True),
        (authority, False),
    )
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    own = certificate(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]),
        key.public_key(),
        (x509.SubjectAlternativeName(alternatives), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), False),
    )
    ca_file, own_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    own_file.write_bytes(
        own.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ca_file, own_file


class Server(ThreadingHTTPServer):
    """Answers by ``routes``: path → a function of the request's handler; remembers requests."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: Path | None) -> None:
        self.routes: dict[str, Callable[[Handler], None]] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def finish_request(self, request, client_address) -> None:
        if not self._context:
            super().finish_request(request, client_address)
            return
        request.settimeout(10)
        with self._context.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request, client_address) -> None:
        """Clients that leave early are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.rfile = io.BytesIO(body)  # for a route that reads it again
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        self.close_connection = True
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            self.answer(404)
        else:
            route(self)

    do_POST = do_GET  # noqa: N815 (as the base class names it)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, parts: Iterator[bytes], pause_s: float) -> None:
        """Send slowly until the client leaves, 20 s at most."""
        end = time.monotonic() + 20
        with contextlib.suppress(OSError):
            for part in parts:
                if time.monotonic() > end:
                    return
                self.wfile.write(part)
                self.wfile.flush()
                time.sleep(pause_s)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    server = Server(certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def resolving(*answers: str) -> Callable[..., list[tuple]]:
    """A ``socket.getaddrinfo`` whose n-th call gives the n-th answer, the last one for ever.

    An answer may be several addresses, separated by spaces. Addresses resolve to themselves.
    """
    left = list(answers)

    def getaddrinfo(host, port, *_, **__):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return [_place(host, port)]
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [_place(address, port) for address in answer.split()]

    return getaddrinfo


def _place(address: str, port: int) -> tuple:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
