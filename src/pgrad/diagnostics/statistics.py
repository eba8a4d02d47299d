"""Statistics over K blocks of trajectories, with jackknife intervals that leave out one block at a time.

gram [K, K] holds the inner products of the blocks' mean estimates, square [K] the blocks' mean squared lengths. The
signal is estimated from products of different blocks only, so that noise does not inflate it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.experiments.statistics import UNKNOWN, Estimate

Floats = npt.NDArray[np.float64]

BLOCKS = 20
STUDENT_T = 2.093  # 97.5 % quantile, 19 degrees of freedom: for 20 blocks
SETTLED = 10  # trajectories from which a batch's own baseline is reliable
TARGET_ERROR = 0.1  # relative, for `needed`


def cross_block_mean(gram: Floats) -> Floats:
    """Return the average inner product of different blocks, unbiased for ‖mean‖²; [K, K, ...] to [...]."""
    count = gram.shape[0]
    return np.asarray((gram.sum(axis=(0, 1)) - np.einsum("kk...->...", gram)) / (count * (count - 1)))


def signal_and_noise(gram: Floats, square: Floats, rounding: float = 0.0) -> Floats:
    """Return ‖mean‖, tr Cov, ‖mean‖ / √tr Cov and its inverse, the relative error; [4].

    A ‖mean‖² or tr Cov of at most `rounding` counts as zero; ratios are infinite without noise or signal.
    """
    power = float(cross_block_mean(gram))
    power = power if power > rounding else 0.0
    spread = float(square.mean()) - power
    spread = spread if spread > rounding else 0.0
    ratio = np.sqrt(power / spread) if spread > 0 else np.inf if power > 0 else 0.0
    return np.array([np.sqrt(power), spread, ratio, 1 / ratio if ratio > 0 else np.inf])


def _settled_errors(grams: Floats, squares: Floats, sizes: Floats, rounding: float = 0.0) -> tuple[Floats, Floats]:
    """Return the relative errors of settled batch sizes, and these; grams [K, K, M], squares [K, M], sizes [M]."""
    chosen = sizes >= SETTLED if (sizes >= SETTLED).sum() > 1 else sizes > 0
    pairs = [(grams[:, :, m], squares[:, m]) for m in np.flatnonzero(chosen)]
    return np.array([signal_and_noise(*pair, rounding)[3] for pair in pairs]), sizes[chosen]


def error_curve(grams: Floats, squares: Floats, sizes: Floats, rounding: float = 0.0) -> Floats:
    """Return the slope of log error against log N, and the batch size N for a relative error of 10 %; [2].

    The slope is a least-squares fit weighted by the number of batches: -1/2 if the error falls as 1/√N. N · error(N)²
    is then constant, and its weighted average divided by 0.1² is the batch size needed.
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
    """Return the cosine between two estimators' means, from the inner products of their blocks [K, K, 3].

    The last axis holds products of one with the other, within the first, within the second. Noise may take the cosine
    slightly beyond ±1; it is NaN without a signal.
    """
    cross, own, others = cross_block_mean(crossed)
    return float(cross / np.sqrt(own * others)) if own > 0 and others > 0 else np.nan


def certain_cosine(estimate: Estimate, widest: float) -> Estimate:
    """Clip a cosine to [-1, 1]; return NaN if its interval is missing or wider than `widest`."""
    if not estimate.high - estimate.low <= widest:
        return UNKNOWN
    return Estimate(*(min(1.0, max(-1.0, end)) for end in estimate))


def jackknife(
    statistic: Callable[..., Any], *of_blocks: Floats, gram: bool = False, positive: bool | Sequence[bool] = False
) -> list[Estimate]:
    """Return each number of statistic(*of_blocks) with its 95 % delete-one-block jackknife interval.

    of_blocks  arrays with a leading axis of blocks
    gram       the first array has two leading axes of blocks
    positive   compute the interval on the logarithm, for each number or for all

    Intervals are NaN if the statistic is not finite with some block left out. Efron and Stein (1981).
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
