"""Checkpoints on disk: every bit as it was, or refused."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from pgrad.errors import RunError
from pgrad.runs import atomic
from pgrad.runs.state_file import NEWEST, PREVIOUS, State, load_state, save_state


def new_state(number: float = 1.0) -> State:
    arrays = {
        "weights": np.full((2, 3), number, np.float32),
        "keys": np.array([2**64 - 1], np.uint64),
        "step": np.array(3.0, np.float32),
        "nothing": np.empty((0, 4)),
        "flags": np.array([True, False]),
    }
    counts = {"seed": 3, "iterations": 7, "episodes": 5, "total_steps": 900}
    rest = {"seconds": 0.1 + 0.2, "failure": None, "stopped": False, "learner": {}, "settings": {"hidden": [64]}}
    return State(arrays, counts | rest)


def assert_same(state: State, expected: State) -> None:
    assert state.about == expected.about
    assert state.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        found = state.arrays[name]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), name


def test_a_state_comes_back_bit_for_bit_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for number in (1.0, 2.0, 3.0):
        save_state(new_state(number), tmp_path)
    assert_same(load_state(tmp_path / NEWEST), new_state(3.0))
    assert_same(load_state(tmp_path / PREVIOUS), new_state(2.0))
    assert {file.name for file in tmp_path.iterdir()} == {NEWEST, PREVIOUS}


def test_every_flipped_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """What may pass is padding between the header and the numbers, if it stays white space."""
    save_state(new_state(), tmp_path)
    path = tmp_path / NEWEST
    whole, passed = path.read_bytes(), 0
    for at in range(len(whole)):
        for flip in (1, 128, 255):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            try:
                state = load_state(path)
            except RunError as error:
                assert str(path) in str(error)
            else:
                assert_same(state, new_state())
                passed += 1
    assert passed <= 16


@pytest.mark.parametrize(
    "odd",
    [{"total_steps": "9"}, {"iterations": -1}, {"episodes": True}, {"seed": 2**70}, {"seconds": {}}, {"learner": 3}]
    + [{"failure": wrong} for wrong in (1, "no", {}, {"kind": "gradient"})],
)
def test_what_no_training_says_of_its_state_is_refused(tmp_path: Path, odd: dict[str, object]) -> None:
    """The checksum is right: a stranger may have written it."""
    state = new_state()
    save_state(state._replace(about=state.about | odd), tmp_path)
    with pytest.raises(RunError, match=r"cannot read the checkpoint .*resume\.safetensors"):
        load_state(tmp_path / NEWEST)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    save_state(new_state(), tmp_path)
    path = tmp_path / NEWEST
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(RunError, match=r"resume\.safetensors"):
            load_state(path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgrad.runs.state_file.STATE", "pgrad-state-999")
    save_state(new_state(), tmp_path)
    monkeypatch.undo()
    with pytest.raises(RunError, match="not a checkpoint that pgrad wrote: its format is 'pgrad-state-999'"):
        load_state(tmp_path / NEWEST)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("moment", range(4))
def test_whenever_writing_ends_one_of_the_two_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, moment: int
) -> None:
    """A process that dies before a call to the system, as seen from the disk; cleaning up is not done for it."""

    class Death(BaseException):
        pass

    calls = 0

    def deadly(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > moment:
            raise Death
        return original(*arguments)

    for number in (1.0, 2.0):
        save_state(new_state(number), tmp_path)
    owner = os if call == "fsync" else Path
    original = getattr(owner, call)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    monkeypatch.setattr(owner, call, deadly)
    with contextlib.suppress(Death):
        save_state(new_state(3.0), tmp_path)
    monkeypatch.undo()
    newest = tmp_path / NEWEST
    found = load_state(newest if newest.exists() else tmp_path / PREVIOUS)
    assert any(np.array_equal(found.arrays["weights"], new_state(number).arrays["weights"]) for number in (2.0, 3.0))
    atomic.remove_leftovers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} <= {NEWEST, PREVIOUS}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        atomic.alone_in(tmp_path),
        pytest.raises(RunError, match="another process trains in"),
        atomic.alone_in(tmp_path),
    ):
        pass
    with atomic.alone_in(tmp_path):
        pass
