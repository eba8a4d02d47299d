"""Serve the lesson's page on this machine: files, and nothing else."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pgrad.errors import InputError
from pgrad.lesson.sources import SITE

TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".woff2": "font/woff2"}


class Handler(SimpleHTTPRequestHandler):
    """A file of the site for each address, always fresh."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012, as the base class has it

    def end_headers(self) -> None:
        """Let no browser keep the page of an earlier version."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


def new_server(host: str, port: int, site: Path = SITE) -> ThreadingHTTPServer:
    """Return a server of the page, which listens already; port 0 takes any that is free.

    Raises InputError where the page is not built, or the address cannot be had.
    """
    if not (site / "index.html").exists():
        raise InputError(
            "this installation has no lesson: `make lesson` builds it in pgrad's repository, and `make wheel` packs it"
        )
    try:
        return ThreadingHTTPServer((host, port), partial(Handler, directory=str(site)))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use: give another one by --port, or 0 for any that is free") from None
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
