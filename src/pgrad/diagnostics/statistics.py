"""Statistics of blocks, and their intervals by leaving out one block at a time.

gram [K, K] holds the inner products of the blocks' mean estimates, square [K] the blocks' mean squared lengths. Only
products of different blocks make a signal, so that noise does not pass for one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.experiments.statistics import UNKNOWN, Estimate

Floats = npt.NDArray[np.float64]

BLOCKS = 20
STUDENT_T = 2.093  # 97.5 % quantile, 19 degrees of freedom: for 20 blocks
SETTLED = 10  # trajectories from which on a batch's own baseline is a fair one
TARGET_ERROR = 0.1


def between(gram: Floats) -> Floats:
    """The average inner product of different blocks: without bias for ‖mean‖²; [K, K, ...] to [...]."""
    count = gram.shape[0]
    return np.asarray((gram.sum(axis=(0, 1)) - np.einsum("kk...->...", gram)) / (count * (count - 1)))


def signal_and_noise(gram: Floats, square: Floats, rounding: float = 0.0) -> Floats:
    """‖mean‖, tr Cov, ‖mean‖ / √tr Cov and its inverse, the relative error; [4]. Infinite without noise or signal.

    A ‖mean‖² or tr Cov of no more than `rounding` is that of float32, and counts as zero.
    """
    power = float(between(gram))
    power = power if power > rounding else 0.0
    spread = float(square.mean()) - power
    spread = spread if spread > rounding else 0.0
    ratio = np.sqrt(power / spread) if spread > 0 else np.inf if power > 0 else 0.0
    return np.array([np.sqrt(power), spread, ratio, 1 / ratio if ratio > 0 else np.inf])


def _settled_errors(grams: Floats, squares: Floats, sizes: Floats, rounding: float = 0.0) -> tuple[Floats, Floats]:
    """The relative errors of settled batch sizes, and these; grams [K, K, M], squares [K, M], sizes [M]."""
    chosen = sizes >= SETTLED if (sizes >= SETTLED).sum() > 1 else sizes > 0
    pairs = [(grams[:, :, m], squares[:, m]) for m in np.flatnonzero(chosen)]
    return np.array([signal_and_noise(*pair, rounding)[3] for pair in pairs]), sizes[chosen]


def error_curve(grams: Floats, squares: Floats, sizes: Floats, rounding: float = 0.0) -> Floats:
    """Of the relative error over batch sizes N: its slope on logarithmic axes, and N for an error of 10 %; [2].

    The slope is fitted by least squares weighted with the number of batches: -1/2 where the error falls as 1/√N. Then
    N · error(N)² is a constant, whose average over 0.1² is the N asked for.
    """
    errors, settled = _settled_errors(grams, squares, sizes, rounding)
    weight = 1 / settled
    needed = np.average(settled * errors**2, weights=weight) / TARGET_ERROR**2
    if settled.size < 2 or not (np.isfinite(errors) & (errors > 0)).all():
        return np.array([np.nan, needed])
    x, y = np.log(settled), np.log(errors)
    dx, dy = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    return np.array([(weight * dx) @ dy / ((weight * dx) @ dx), needed])


def cosine(crossed: Floats) -> float:
    """Of two estimators' means, from the inner products of their blocks: with each other, own, others'; [K, K, 3].

    By noise it may come out a little beyond ±1.
    """
    cross, own, others = between(crossed)
    return float(cross / np.sqrt(own * others)) if own > 0 and others > 0 else np.nan


def known(estimate: Estimate, widest: float) -> Estimate:
    """A cosine brought back into [-1, 1]; NaN where its interval is missing or wider than `widest`."""
    if not estimate.high - estimate.low <= widest:
        return UNKNOWN
    return Estimate(*(min(1.0, max(-1.0, end)) for end in estimate))


def jackknife(
    statistic: Callable[..., Any], *of_blocks: Floats, gram: bool = False, positive: bool | Sequence[bool] = False
) -> list[Estimate]:
    """Each number of statistic(*of_blocks) with its 95 % interval; NaN where it is not finite with some block left out.

    Arrays have a leading axis of blocks; with `gram` the first of them has two. The interval of what is `positive` is
    made from its logarithm. Efron and Stein (1981).
    """
    count = of_blocks[0].shape[0]
    values, left_out = np.atleast_1d(statistic(*of_blocks)), []
    for k in range(count):
        rest = [np.delete(x, k, axis=0) for x in of_blocks]
        if gram:
            rest[0] = np.delete(rest[0], k, axis=1)
        left_out.append(np.atleast_1d(statistic(*rest)))
    signs = np.broadcast_to(positive, values.shape)
    return [_interval(*each) for each in zip(values.tolist(), np.transpose(left_out), signs, strict=True)]


def _interval(value: float, left_out: Floats, positive: bool) -> Estimate:
    finite = np.isfinite(left_out).all() and np.isfinite(value)
    if not finite or (positive and min(value, left_out.min()) <= 0):
        return Estimate(value, np.nan, np.nan)
    numbers, count = np.log(left_out) if positive else left_out, left_out.size
    half = float(STUDENT_T * np.sqrt((count - 1) / count * np.sum((numbers - numbers.mean()) ** 2)))
    if positive:
        return Estimate(value, value * float(np.exp(-half)), value * float(np.exp(half)))
    return Estimate(value, value - half, value + half)
