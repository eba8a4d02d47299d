"""The server of the lesson's page, and the command that opens it."""

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from pgrad.cli.lesson import on_loopback
from pgrad.cli.main import run
from pgrad.errors import InputError
from pgrad.lesson.serve import new_server


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>the page", "utf-8")
    (tmp_path / "engine.wasm").write_bytes(b"\0asm")
    (tmp_path / "main.js").write_text("1", "utf-8")
    return tmp_path


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with new_server("127.0.0.1", 0, site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "path, kind", [("/", "text/html"), ("/engine.wasm", "application/wasm"), ("/main.js", "text/javascript")]
)
def test_files_are_served_as_what_they_are(address: str, path: str, kind: str) -> None:
    with urllib.request.urlopen(address + path) as answer:
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers["Cache-Control"] == "no-cache"


def test_nothing_beside_the_site_is_served(address: str, site: Path) -> None:
    (site.parent / "secret.txt").write_text("no", "utf-8")
    with pytest.raises(HTTPError, match="404"):
        urllib.request.urlopen(address + "/../secret.txt")


def test_a_port_in_use_is_named(site: Path) -> None:
    with (
        new_server("127.0.0.1", 0, site) as server,
        pytest.raises(InputError, match=rf"port {server.server_port} is in use: give another one by --port"),
    ):
        new_server("127.0.0.1", server.server_port, site)


def test_an_address_of_another_machine_is_named(site: Path) -> None:
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        new_server("192.0.2.1", 0, site)


def test_a_page_that_is_not_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no lesson: `make lesson` builds it"):
        new_server("127.0.0.1", 0, tmp_path)


def test_loopback_is_known() -> None:
    assert all(map(on_loopback, ("127.0.0.1", "::1", "localhost", "127.1.2.3")))
    assert not any(map(on_loopback, ("0.0.0.0", "10.0.0.1", "example.org")))


def test_a_wrong_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson", "--port", "70000"]) == 2
    assert "--port must be in 0 … 65535, not 70000" in capsys.readouterr().err


def test_the_command_prints_the_address_warns_and_ends_at_ctrl_c() -> None:
    command = [sys.executable, "-m", "pgrad", "lesson", "--port", "0", "--host", "0.0.0.0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(2)
        assert process.wait(timeout=20) == 0
    assert lines[0].startswith("the lesson is at http://0.0.0.0:") and "Ctrl-C" in lines[0]
    assert "everybody who reaches this machine" in lines[1]
