"""Serve the lesson's page on this machine: files, and to those who sit at it a check of their answers.

Checking runs the code that is sent. So it is offered on loopback only, and only to the page itself: a request must name
this machine as its host and the page as its origin, and bring the token that `pgrad lesson` has put into the address.
No other site that a browser shows can do all three, nor can another user of this machine.
"""

import errno
import ipaddress
import json
import secrets
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgrad.errors import InputError
from pgrad.lesson.answers import checked, warm_up
from pgrad.lesson.sources import SITE, require_site

TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".woff2": "font/woff2"}
LONGEST = 2**16  # bytes of an answer


class Handler(SimpleHTTPRequestHandler):
    """A file of the site for each address, always fresh; `POST /check` checks an answer."""

    server: "Server"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012, as the base class has it

    def do_POST(self) -> None:
        """Send the verdict on an answer as JSON."""
        size = int(self.headers.get("Content-Length", 0))
        if self.path != "/check" or not self.is_from_the_page() or size > LONGEST:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        try:
            asked = json.loads(self.rfile.read(size))
            verdict = checked(str(asked["exercise"]), str(asked["code"]))
        except (ValueError, KeyError, TypeError, InputError):
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            self.send_json(verdict.to_json())

    def is_from_the_page(self) -> bool:
        """Return whether a request comes from the page that this server has sent."""
        host, token = self.headers.get("Host", ""), self.headers.get("X-Checker", "")
        named = on_loopback(urlsplit(f"//{host}").hostname or "")
        ours = self.headers.get("Origin") == f"http://{host}"
        known = bool(self.server.token) and secrets.compare_digest(token.encode(), self.server.token.encode())
        return named and ours and known

    def send_json(self, text: str) -> None:
        """Send a text that is JSON."""
        content = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        """Let no browser keep the page of an earlier version."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


class Server(ThreadingHTTPServer):
    """A server of the page."""

    def __init__(self, host: str, port: int, site: Path) -> None:
        self.token = secrets.token_urlsafe(16) if on_loopback(host) else ""  # empty: answers are not checked
        self.host = host
        super().__init__((host, port), partial(Handler, directory=str(site)))

    @property
    def address(self) -> str:
        """The address to open, with the token."""
        query = f"?checker={self.token}" if self.token else ""
        return f"http://{self.host}:{self.server_port}/{query}"


def new_server(host: str, port: int, site: Path = SITE) -> Server:
    """Return a server of the page, which listens already; port 0 takes any that is free.

    Raises InputError where the page is not built, or the address cannot be had.
    """
    require_site(site)
    try:
        server = Server(host, port, site)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use: give another one by --port, or 0 for any that is free") from None
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    if server.token:
        warm_up()
    return server


def on_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
