"""failure.json: what ended a training before its time, in plain JSON; `explained` puts it into sentences.

`KINDS` is the table: what was first not finite, or not as it should be, and what usually helps.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pgrad.errors import RunError
from pgrad.experiments.statistics import shown
from pgrad.runs.atomic import remove, require_regular_file, write_atomically

FILE = "failure.json"
LONGEST = 10_000_000  # bytes
MOST_LINES = 40  # of a message: what an environment raises may be long


class Kind(NamedTuple):
    """What went wrong, and what usually helps."""

    words: str
    help: str


_LOOK = "look at what step() returns there; `pgrad check-env` plays the environment and says what is wrong with it"
KINDS = {
    "reward": Kind("a reward is not finite", _LOOK),
    "observation": Kind("an observation is not finite", _LOOK),
    "advantage": Kind(
        "the advantages are not finite",
        "what V predicts has grown beyond all bounds: a smaller value_learning_rate, normalize_rewards, max_grad_norm",
    ),
    "gradient": Kind(
        "the policy gradient is not finite",
        "a smaller learning_rate, max_grad_norm; normalize_obs and normalize_rewards where their sizes are far from 1",
    ),
    "parameters": Kind("a step would have made the policy's parameters infinite", "a smaller learning_rate"),
    "value": Kind(
        "the value network's gradient or parameters are not finite",
        "a smaller value_learning_rate, normalize_rewards, max_grad_norm",
    ),
    "outputs": Kind("what the policy puts out is not finite", "a smaller learning_rate, and the hint above"),
    "environment": Kind(
        "the environment failed",
        "`pgrad check-env` plays it and says what is wrong with it; where Gymnasium's environments fail now and then, "
        "--restart-failed-envs goes on with fresh ones, and --vectorization async outlives one that crashes",
    ),
}


@dataclass(frozen=True)
class Failure:
    """What ended the training of a seed."""

    kind: str  # of KINDS
    message: str  # as it was told when it happened
    seed: int
    iteration: int  # in which it happened
    where: dict[str, int | str] = field(default_factory=dict)  # the first bad number: environment, step, its value
    ranges: dict[str, list[float]] = field(default_factory=dict)  # smallest and largest finite number of the batch
    before: dict[str, list[float | None]] = field(default_factory=dict)  # the last of metrics.csv, by columns

    def __str__(self) -> str:
        return self.message


def save_failures(failures: Sequence[Failure], folder: Path) -> None:
    """Write a run's failures, or remove what was written of earlier ones; raise RunError where that cannot be done."""
    if failures:
        text = json.dumps([dataclasses.asdict(failure) for failure in failures], indent=2, allow_nan=False)
        write_atomically(folder / FILE, text + "\n")
    else:
        remove(folder / FILE)


def load_failures(folder: Path) -> list[Failure]:
    """Read a run's failures, none where it had none; raise RunError for what is no such file."""
    path = folder / FILE
    try:
        require_regular_file(path, LONGEST)
        return [failure_of(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is not as pgrad wrote it: {error}") from error


def failure_of(entry: Any) -> Failure:
    """Return the failure that a file holds; raise ValueError or TypeError where it is none."""
    failure = Failure(**entry)
    explained(failure)  # whoever can be put into words is whole
    return failure


def explained(failure: Failure) -> str:
    """Return a few sentences: what was first wrong, where, what led to it, what usually helps."""
    if failure.kind not in KINDS:
        raise ValueError(f"'{failure.kind}' is no kind of failure")
    kind = KINDS[failure.kind]
    lines = [f"seed {int(failure.seed)} stopped in iteration {int(failure.iteration):,}: {kind.words}."]
    if failure.kind in ("environment", "outputs"):
        lines += str(failure.message).splitlines()[:MOST_LINES]
    if failure.where:
        value, *place = (f"{name} {what}" for name, what in failure.where.items())
        lines.append(f"The first: {value}, of {', '.join(place)}.")
    if failure.ranges:
        sizes = (f"{name}s from {shown(low)} to {shown(high)}" for name, (low, high) in failure.ranges.items())
        lines.append(f"That batch had {', '.join(sizes)}.")
    for name, values in failure.before.items():
        told = ", ".join("none" if value is None else shown(value) for value in values)
        lines.append(f"{name} of the iterations before: {told}.")
    lines.append(f"What usually helps: {kind.help}.")
    text = "\n".join(lines)
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)  # a stranger's file steers no terminal
