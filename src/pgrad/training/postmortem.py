"""What a seed's training leaves behind when it stops before its time: the first number that was not finite."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.iteration import (
    BAD_ADVANTAGES,
    BAD_GRADIENT,
    BAD_OBS,
    BAD_PARAMETERS,
    BAD_REWARD,
    BAD_VALUES,
    METRICS,
)
from pgrad.rollouts.batch import Batch
from pgrad.runs.failure import Failure

KIND_OF = {
    BAD_REWARD: "reward",
    BAD_OBS: "observation",
    BAD_ADVANTAGES: "advantage",
    BAD_GRADIENT: "gradient",
    BAD_PARAMETERS: "parameters",
    BAD_VALUES: "value",
}
TOLD = ("gradient_norm", "value_loss", "learning_rate", "mean_episode_return")  # columns of metrics.csv
ITERATIONS = 3  # of them that are told


def postmortem(
    fault: int, message: str, seed: int, batch: Batch, samples: int, metrics: npt.NDArray[np.float64], episodes: bool
) -> Failure:
    """Return what is known of a fault.

    batch     the iteration's, of whose arrays the first so many `samples` are filled
    metrics   [iterations, len(METRICS)] of the iterations before
    episodes  whether trajectories are whole episodes, and not all that an environment did
    """
    reward, obs = batch.reward[:samples], batch.obs[:, :samples]
    where: dict[str, int | str] = {}
    if fault == BAD_REWARD:
        b = first_bad(reward)
        where = {"reward": str(reward[b]), **place_of(batch, b, episodes)}
    elif fault == BAD_OBS:
        b, number = divmod(first_bad(obs.T), len(obs))
        where = {"observation": str(obs[number, b]), "number": number, **place_of(batch, b, episodes)}
    ranges = {name: range_of(array) for name, array in (("reward", reward), ("observation", obs))}
    before = {name: column_of(metrics, name) for name in TOLD}
    return Failure(
        KIND_OF[fault],
        message,
        seed,
        len(metrics) + 1,
        where,
        {name: ends for name, ends in ranges.items() if ends},
        {name: values for name, values in before.items() if any(value is not None for value in values)},
    )


def first_bad(values: npt.NDArray[Any]) -> int:
    """Return the index of the first number that is not finite; where only their sum is not, of the largest."""
    bad = ~np.isfinite(values)
    return int(bad.argmax() if bad.any() else np.abs(values).argmax())


def place_of(batch: Batch, b: int, episodes: bool) -> dict[str, int | str]:
    """Return where sample b comes from; steps count from 1."""
    return {
        "episode of the batch" if episodes else "environment": int(batch.trajectory[b]),
        "step": int(batch.time[b]) + 1,
    }


def range_of(values: npt.NDArray[Any]) -> list[float]:
    """Return the smallest and the largest finite number; nothing where none is."""
    finite = values[np.isfinite(values)]
    return [float(finite.min()), float(finite.max())] if finite.size else []


def column_of(metrics: npt.NDArray[np.float64], name: str) -> list[float | None]:
    """Return the last numbers of a column of metrics.csv; None where one is not defined."""
    last = metrics[-ITERATIONS:, METRICS.index(name)].tolist()
    return [value if np.isfinite(value) else None for value in last]
