"""Files that hang, crash, shout or are no Python: each is stopped, and gets a sentence."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pgrad.errors import ConfigError, InputError
from pgrad.exercises import EXERCISES
from pgrad.exercises.contain import check_file
from pgrad.exercises.verdict import NOT_BEGUN, Verdict

TO_GO = "rewards_to_go"
RIGHT = EXERCISES[TO_GO].solutions["loops"]


def answer(body: str) -> str:
    return f"def rewards_to_go(rewards, discount):\n    {body}\n"


def verdict_on(folder: Path, text: str | bytes, seconds: float = 10.0) -> Verdict:
    file = folder / "answer.py"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return check_file(TO_GO, file, seed=0, seconds=seconds)


def test_a_right_answer_passes(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, RIGHT)
    assert verdict.right and verdict.seed == 0


def test_a_wrong_answer_is_named(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, answer("return [sum(rewards)] * len(rewards)"))
    assert not verdict.right and verdict.call and verdict.picture is not None


BAD = {
    "while": (answer("while True: pass"), "it does not end", "0.5 s"),
    "while at import": ("while True:\n    pass\n", "it does not end", "loop"),
    "sleeps": (f"import time\n{answer('time.sleep(60)')}", "it does not end", "loop"),
    "stubborn": (
        answer(
            "while True:\n        try:\n            raise ValueError\n        except BaseException:\n            pass"
        ),
        "it does not end",
        "loop",
    ),
    "recursion": (answer("return rewards_to_go(rewards, discount)"), "endless recursion", "line 2"),
    "exit": (answer("exit()"), "it ends the program", "line 2"),
    "exit at import": ("import sys\nsys.exit(3)\n", "it ends the program", "line 2"),
    "os._exit": (f"import os\n{answer('os._exit(0)')}", "the process died", "exit code 0"),
    "crash": (f"import ctypes\n{answer('ctypes.string_at(0)')}", "the process died", "SIGSEGV"),
    "memory": (answer("return [0.0] * 10**10"), "too much memory", "line 2"),
    "memory of NumPy": (f"import numpy\n{answer('return numpy.zeros(10**10)')}", "too much memory", "line 3"),
    "syntax": ("def rewards_to_go(rewards, discount)\n    return rewards\n", "not valid Python", "line 1"),
    "indentation": ("def rewards_to_go(rewards, discount):\nreturn rewards\n", "not valid Python", "line 2"),
    "null": (b"x = 1\0", "not valid Python", "null"),
    "another encoding": ("name = 'Lösung'\n".encode("latin-1") + RIGHT.encode(), "not valid Python", "utf-8"),
    "import": (f"import no_such_module_here\n{RIGHT}", "a missing import", "'no_such_module_here'"),
    "assertion": (f"{RIGHT}\nassert rewards_to_go([1.0], 0.5) == 2\n", "it raises an error", "AssertionError, line"),
    "input": (answer("return float(input())"), "it asks for input", "arguments"),
    "no function": ("def reward_to_go(rewards):\n    return rewards\n", "no such function", "'reward_to_go'"),
    "empty": ("", NOT_BEGUN, "empty"),
    "comments": ("# nothing yet\n", NOT_BEGUN, "empty"),
    "question marks": (answer("return ???"), NOT_BEGUN, "line 2"),
    "dots": (answer("return ..."), NOT_BEGUN, "`...`"),
    "starter": (EXERCISES[TO_GO].starter, NOT_BEGUN, "`...`"),
    "large file": (
        answer("open('big', 'wb').write(b'x' * 10**8)\n    return rewards"),
        "it raises an error",
        "OSError, line 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_goes_wrong_is_named_in_a_sentence(tmp_path: Path, case: str) -> None:
    text, mistake, told = BAD[case]
    began = time.monotonic()
    verdict = verdict_on(tmp_path, text, 0.5 if mistake == "it does not end" else 10.0)
    assert (verdict.right, verdict.mistake) == (False, mistake), verdict
    assert told in verdict.where and "\n" not in verdict.where
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("text", [RIGHT, *(BAD[case][0] for case in ("recursion", "large file", "memory"))])
def test_what_the_callers_process_holds_is_not_counted(tmp_path: Path, text: str) -> None:
    """A checker in a notebook is forked from a process that may hold gigabytes."""
    alone = verdict_on(tmp_path, text)
    held = np.empty(3 * 2**30, np.uint8)
    assert verdict_on(tmp_path, text) == alone
    assert held.size


def test_a_megabyte_of_prints_comes_once_and_short(tmp_path: Path) -> None:
    verdict = verdict_on(
        tmp_path, RIGHT.replace("    result", "    print('x' * 10**6)\n    print('again')\n    result", 1)
    )
    assert verdict.right
    assert 0 < len(verdict.printed) <= 2_000


def test_prints_of_the_first_call_are_shown(tmp_path: Path) -> None:
    verdict = verdict_on(
        tmp_path, "print('hello')\n" + RIGHT.replace("    result", "    print(rewards)\n    result", 1)
    )
    assert verdict.printed == "hello\n[1.0, 2.0, 4.0]\n"
    assert "printed   hello" in str(verdict)


def test_the_learners_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("GAMMA = 0.5\n")
    verdict_on(tmp_path, f"import helper\n{answer('open(chr(120), chr(119)).close(); return 1')}")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["answer.py", "helper.py"]


def test_what_it_has_started_is_killed(tmp_path: Path) -> None:
    """A process that the answer forked and forgot."""
    pid_file = tmp_path / "pid"
    forks = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(600)\n"
    forks += f"open({str(pid_file)!r}, 'w').write(str(pid))\n"
    assert verdict_on(tmp_path, forks + RIGHT).right
    pid = int(pid_file.read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":  # killed, and not yet collected by its new parent
            return
        time.sleep(0.05)
    os.kill(pid, 9)
    pytest.fail("it still runs")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text(RIGHT)
    with pytest.raises(ConfigError, match=r"answr\.py.*did you mean '.*answer\.py'"):
        check_file(TO_GO, tmp_path / "answr.py", 0)
    with pytest.raises(ConfigError, match="directory"):
        check_file(TO_GO, tmp_path, 0)
    with pytest.raises(InputError, match="there is no exercise"):
        check_file("nonsense", tmp_path / "answer.py", 0)
