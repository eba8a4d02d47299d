"""Signals before the command has begun anything."""

import signal
import subprocess
import sys

import pytest

import pgrad_command

HELD = """
import builtins, sys, time
import pgrad_command

importing = builtins.__import__
def slowly(name, *rest):
    if name == "pgrad.cli.main":  # as if the disk were slow
        print("importing", flush=True)
        time.sleep(60)
    return importing(name, *rest)

builtins.__import__ = slowly
sys.argv[1:] = ["train", "CartPole-v1"]
pgrad_command.main()
"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_while_python_imports_ends_it_in_one_line(number: str, code: int) -> None:
    words = [sys.executable, "-c", HELD]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "importing\n"
        process.send_signal(getattr(signal, number))
        _, err = process.communicate()
    assert process.returncode == code
    assert err.strip() == "pgrad: stopped before anything had begun"


def test_the_command_imports_nothing_before_it_heeds_signals() -> None:
    code = "import sys; before = set(sys.modules); import pgrad_command; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith(("numpy", "numba", "pgrad."))]
    assert pgrad_command.SIGNALS == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    """As in the background of a shell."""
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + HELD.replace("60", "0").replace(
        'sys.argv[1:] = ["train", "CartPole-v1"]', 'sys.argv[1:] = ["--version"]; signal.raise_signal(signal.SIGINT)'
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] != "importing"
