"""`pgrad info`: what somebody else needs to know to reproduce a figure."""

import importlib.metadata
import platform
import subprocess
from typing import Any

import pytest

import pgrad
from pgrad.cli import info as system


def rows() -> dict[str, str]:
    """The description, by name."""
    lines = (line.partition("  ") for line in system.describe_system().splitlines())
    return {name: value.strip() for name, _, value in lines}


def test_versions_are_those_installed() -> None:
    told = rows()
    assert told["pgrad"] == pgrad.__version__
    assert platform.python_version() in told["python"]
    for package in ("numpy", "numba", "llvmlite", "gymnasium", "matplotlib", "safetensors"):
        assert told[package] == importlib.metadata.version(package)


def test_the_machine_is_described() -> None:
    told = rows()
    assert told["processor"].endswith("cores")
    assert told["memory"].endswith("GiB")
    assert float(told["memory"].split()[0]) > 0.1
    assert {"GPU", "cache", "extra torch"} <= set(told)


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.version("no-such-package-at-all") is None
    monkeypatch.setitem(system.EXTRAS, "nonsense", "no-such-package-at-all")
    assert rows()["extra nonsense"] == "not installed"


def test_every_extra_of_the_package_that_users_choose_is_told() -> None:
    extras = importlib.metadata.metadata("pgrad").get_all("Provides-Extra") or []
    assert set(extras) - {"test", "notebooks"} == set(system.EXTRAS)


def test_each_gpu_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[0] == "nvidia-smi"
        return subprocess.CompletedProcess(command, 0, "Model A, 8192 MiB, 1.2\nModel B, 16384 MiB, 1.2\n")

    monkeypatch.setattr(subprocess, "run", answer)
    assert system.gpu() == "Model A, 8192 MiB, 1.2; Model B, 16384 MiB, 1.2"


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), PermissionError(), subprocess.CalledProcessError(9, "x"), subprocess.TimeoutExpired("x", 1)],
    ids=lambda error: type(error).__name__,
)
def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert system.gpu() == "none found"


def test_a_cache_that_cannot_be_kept_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "CACHE_FOLDER", None)
    assert "every process compiles again" in rows()["cache"]
