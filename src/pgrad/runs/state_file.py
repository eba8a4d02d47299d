"""A checkpoint: all that one seed's training takes to go on, as a safetensors file.

The newest is resume.safetensors, and the one before it is kept: whenever a process dies, one of the two is whole. Each
says how much of metrics.csv and episodes.csv belongs to it (runs.journal); what a crash left after that is cut off.
"""

from pathlib import Path
from typing import Any, NamedTuple

from pgrad.arrays import Arrays
from pgrad.runs.mlp_file import reading, write

STATE = "pgrad-state-1"
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
        return State(arrays, dict(description["about"]))
