"""The server of the lesson's page, and the command that opens it."""

import json
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from pgrad.cli.main import run
from pgrad.errors import InputError
from pgrad.exercises import EXERCISES
from pgrad.lesson.pack import pack
from pgrad.lesson.serve import Server, new_server, on_loopback


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<head><p>the page", "utf-8")
    (folder / "engine.wasm").write_bytes(b"\0asm")
    (folder / "main.js").write_text("1", "utf-8")
    return folder


@pytest.fixture
def server(site: Path) -> Iterator[Server]:
    with new_server("127.0.0.1", 0, site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


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


def ask(server: Server, code: str, exercise: str = "rewards_to_go", **headers: str) -> Any:
    address, data = f"http://127.0.0.1:{server.server_port}", json.dumps({"exercise": exercise, "code": code}).encode()
    sent = {"Origin": address, "X-Checker": server.token, **headers}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/check", data, sent)) as answer:
        return json.loads(answer.read())


def test_an_answer_from_the_page_is_checked(server: Server) -> None:
    verdict = ask(server, "def rewards_to_go(rewards, discount):\n    return rewards")
    assert verdict["right"] is False and verdict["mistake"] == "immediate reward only"
    assert ask(server, "rewards_to_go = 1 / 0")["mistake"] == "it raises an error"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Origin", "http://example.org"),
        ("Origin", "null"),
        ("Host", "example.org"),
        ("X-Checker", "guessed"),
        ("X-Checker", ""),
    ],
)
def test_nobody_but_the_page_is_answered(server: Server, header: str, value: str) -> None:
    headers = {"Host": value, "Origin": f"http://{value}"} if header == "Host" else {header: value}
    with pytest.raises(HTTPError, match="403"):
        ask(server, "pass", **headers)


def test_nothing_that_is_served_holds_the_token(server: Server, address: str) -> None:
    assert server.address == f"{address}/?checker={server.token}" and len(server.token) > 20
    with urllib.request.urlopen(server.address) as answer:
        assert server.token not in answer.read().decode() + str(answer.headers)


def test_a_request_that_is_none_is_refused(server: Server) -> None:
    with pytest.raises(HTTPError, match="400"):
        ask(server, "pass", exercise="../secret")
    with pytest.raises(HTTPError, match="403"):
        ask(server, "#" * 70_000)


def test_beyond_loopback_no_answers_are_checked(site: Path) -> None:
    with new_server("0.0.0.0", 0, site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert server.token == "" and "checker" not in server.address
        with pytest.raises(HTTPError, match="403"):
            ask(server, "pass")
        server.shutdown()


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


@pytest.mark.parametrize("solutions", [False, True])
def test_a_zip_holds_the_site_and_solutions_if_wished(site: Path, tmp_path: Path, solutions: bool) -> None:
    pack(tmp_path / "lesson.zip", solutions, site)
    with zipfile.ZipFile(tmp_path / "lesson.zip") as zipped:
        assert {"index.html", "engine.wasm", "main.js", "exercises.json"} <= {*zipped.namelist()}
        exercises = json.loads(zipped.read("exercises.json"))
    assert [one["name"] for one in exercises] == [*EXERCISES]
    assert all(("solutions" in one) == solutions and one["starter"] for one in exercises)


def test_a_zip_that_cannot_be_written_is_named(site: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write '/nowhere/lesson\.zip'"):
        pack(Path("/nowhere/lesson.zip"), False, site)


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
