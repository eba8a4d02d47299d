"""How fast seeds learn: the height of their training curves, and the steps until a return is reached."""

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pgrad.experiments.statistics import FEW, LEVEL, Estimate, Floats

NEVER = math.inf
HALF = 0.5 + 1e-12  # a product of shares is rounded


def area_under_curve(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean height of a training curve, the area under it divided by its width; NaN of fewer than two points.

        ∫ y dx / (x_last − x_first),  by trapezoids

    What learns sooner has the larger one, also where both end alike. It is in units of return.

    x, y  points [K] of a curve: environment steps or episodes, rising, and returns
    """
    at, height = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if at.size < 2:
        return math.nan
    return float(np.sum(np.diff(at) * (height[1:] + height[:-1]) / 2) / (at[-1] - at[0]))


def survival(times: npt.ArrayLike, censored: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return when events happened, and after each the Kaplan–Meier estimate of the share without one.

        S(t) = Π_{t_i ≤ t} (1 − d_i / n_i)        Var log S(t) ≈ Σ_{t_i ≤ t} d_i / (n_i (n_i − d_i))

    with d_i events at t_i, when n_i were still watched and had none. Who is censored counts among the n_i until then:
    to leave it out, or to take that moment for the event's, would make events seem earlier than they are.

    That is right where the end of watching tells nothing of the event. Where who is slow is watched for less time, all
    who are censored must count as watched for ever: their times are infinite.

    times     [S] of the event, or of the end of watching
    censored  [S] whether it is the end of watching
    returns   times [K], S [K] and Var log S [K], infinite where S is 0

    Kaplan and Meier (1958), "Nonparametric Estimation from Incomplete Observations"; Greenwood (1926).
    """
    when, ended = np.asarray(times, dtype=np.float64), np.asarray(censored, dtype=bool)
    moments, events = np.unique(when[~ended], return_counts=True)
    watched = (when >= moments[:, None]).sum(axis=1)
    left = watched - events
    with np.errstate(divide="ignore"):
        return moments, np.cumprod(left / watched), np.cumsum(events / (watched * left))


def median_time(times: npt.ArrayLike, censored: npt.ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the Kaplan–Meier median of the time to an event, with its interval; infinite where fewer have one.

        median = min {t : S(t) ≤ ½}
        interval: from the first t at which the interval of S has ½ in it to the first whose interval is below ½,
        log(−log S) ± z √(Var log S) / |log S|,  z the (1 + level) / 2 quantile of the normal distribution

    times, censored  [S], as in `survival`
    returns          an Estimate; below ten values its interval is NaN

    Brookmeyer and Crowley (1982), "A Confidence Interval for the Median Survival Time".
    """
    moments, share, variance = survival(times, censored)
    median = first(moments, share <= HALF)
    if np.size(times) < FEW:
        return Estimate(median, math.nan, math.nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = z * np.sqrt(variance) / np.abs(np.log(share))
        lower, upper = share ** np.exp(half), share ** np.exp(-half)
    gone = share == 0
    lower, upper = np.where(gone, 0.0, lower), np.where(gone, 0.0, upper)
    return Estimate(median, first(moments, lower <= HALF), first(moments, upper < HALF))


def first(moments: Floats, holds: npt.NDArray[np.bool_]) -> float:
    """Return the first moment at which something holds, NEVER where there is none."""
    return float(moments[np.argmax(holds)]) if holds.any() else NEVER
