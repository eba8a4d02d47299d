"""A checkpoint: all that one seed's training takes to go on, as a safetensors file.

The newest is resume.safetensors, and the one before it is kept: whenever a process dies, one of the two is whole. Each
says how much of metrics.csv and episodes.csv belongs to it (runs.journal); what a crash left after that is cut off.
"""

from pathlib import Path
from typing import Any, NamedTuple

from pgrad.arrays import Arrays
from pgrad.runs.failure import failure_of
from pgrad.runs.mlp_file import reading, write

STATE = "pgrad-state-1"
COUNTS = ("seed", "iterations", "episodes", "total_steps")
NEWEST, PREVIOUS = "resume.safetensors", "resume-previous.safetensors"


class State(NamedTuple):
    """What one seed's training takes to go on after a whole iteration."""

    arrays: Arrays  # networks, moments, statistics, episodes in progress: copies
    about: dict[str, Any]  # how far it is; in a file also the settings and the marks of the journals


def save_state(state: State, folder: Path) -> None:
    """Write a seed's checkpoint and keep the one before; raise RunError where that cannot be done."""
    write(folder / NEWEST, STATE, state.arrays, {"about": state.about}, previous=folder / PREVIOUS)


def load_state(path: Path) -> State:
    """Read a checkpoint that save_state wrote; raise RunError for anything else, and where a single bit has changed."""
    with reading(path, STATE, "checkpoint") as (arrays, description):
        return State(arrays, about_of(description["about"]))


def about_of(about: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of its state; raise ValueError, TypeError or KeyError where it is not of that kind."""
    for name in COUNTS:
        if type(about[name]) is not int or not 0 <= about[name] < 2**62:
            raise ValueError(f"its {name} are {about[name]!r:.40}, which is no number of them")
    if about["failure"] is not None:
        failure_of(about["failure"])
    checked = {"seconds": float(about["seconds"]), "learner": dict(about["learner"]), "stopped": bool(about["stopped"])}
    return {**about, **checked}
