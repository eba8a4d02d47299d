"""Evaluation's functions are compiled by another process, once, and nothing in the working folder has a say in it."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgrad.training import warm_up


def test_what_is_compiled_already_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "act", SimpleNamespace(in_cache=True))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert warm_up.compile_beside() is None


def test_the_process_compiles_and_imports_nothing_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warm_up, "act", SimpleNamespace(in_cache=False))
    process = warm_up.compile_beside()
    assert process is not None and process.wait() == 0
