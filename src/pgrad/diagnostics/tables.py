"""The microscope's results as text: tables for people, CSV for programs."""

import math
import re

import numpy as np

from pgrad.diagnostics.along_run import RunDiagnosis
from pgrad.diagnostics.microscope import Microscope, View
from pgrad.diagnostics.statistics import SETTLED
from pgrad.experiments.statistics import Estimate

MAIN = ("total return", "reward-to-go", "reward-to-go, leave-one-out", "reward-to-go, value", "GAE(λ=0.95)", "GAE(λ=0)")
WIDTH = 60

LEGEND = """\
signal      ‖E[ĝ]‖, the length of the estimate's mean
noise       tr Cov(ĝ) of the estimate from one batch
SNR         signal / √noise, of one batch
cosine      average cosine of one batch's estimate to the large-batch reference
along ∇J    cosine of the estimator's reference to that of ∇J (reward-to-go with leave-one-out, unbiased)
for 10 %    trajectories a batch for a relative error of 10 % of that signal, whether or not it is along ∇J
slope       of log error against log N: -0.5 if the error falls as 1/√N
-           hidden by the noise: no signal, or one known only to a factor of 100 or worse
time limit  truncated trajectories bootstrap with V if the estimator has one; otherwise the return ends at the limit
[ , ]       nominal 95 %, jackknife over 20 blocks of trajectories: too narrow where a few trajectories decide"""


def slug(at: str) -> str:
    """Return --at as part of a file name: every-10, 0-40-120, or the ends of a long list."""
    words = re.split("[^0-9a-z]+", at)
    return "-".join(words if len(words) <= 6 else [words[0], "to", words[-1]])


def shown_size(microscope: Microscope) -> int:
    """Return the index of the batch size that tables show."""
    return int(np.argmin([abs(size - SETTLED) for size in microscope.sizes]))


def table(microscope: Microscope) -> str:
    """Return the table for one policy, a row for each estimator."""
    m = shown_size(microscope)
    lines = [
        heading(microscope),
        f"  {f'batches of {microscope.sizes[m]} trajectories':<{WIDTH}}{'signal':>9}{'noise':>10}{'SNR':>8}"
        f"{'cosine':>8}{'along ∇J':>10}  {'for 10 %':<26}slope",
    ]
    return "\n".join([*lines, *(_row(view, m) for view in microscope.views)])


def heading(microscope: Microscope) -> str:
    """Return a line on environment, policy and trajectories."""
    when = f" after iteration {microscope.iteration}" if microscope.iteration is not None else ""
    return (
        f"{microscope.env}{when}: {microscope.trajectories:,} trajectories, {microscope.steps:,} steps, mean return "
        f"{microscope.mean_return} ({microscope.seconds:.1f} s)"
    )


def _row(view: View, m: int) -> str:
    slope = "-" if view.hidden else _interval(view.slope)
    direction = "-" if math.isnan(view.direction.value) else f"{view.direction.value:.3f}"
    return (
        f"  {view.name:<{WIDTH}}{view.signal[m].value:>9.3g}{view.noise[m].value:>10.3g}{view.snr[m].value:>8.2f}"
        f"{view.cosine[m].value:>8.2f}{direction:>10}  {_count(view):<26}{slope}"
    )


def _count(view: View) -> str:
    if view.hidden:
        return "-"
    return f"{view.needed.value:,.0f} [{view.needed.low:,.0f}, {view.needed.high:,.0f}]"


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "-"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def table_along(diagnosis: RunDiagnosis) -> str:
    """Return trajectories for an error of 10 % along training, a column for each main estimator."""
    columns = [f"{name:>28}" for name in MAIN]
    lines = ["trajectories for a relative error of 10 %", f"{'iteration':>9}{'return':>9}" + "".join(columns)]
    for microscope in diagnosis.microscopes:
        needed = [f"{_count(microscope.view(name)):>28}" for name in MAIN]
        lines.append(f"{microscope.iteration:>9}{microscope.mean_return.value:>9.1f}" + "".join(needed))
    return "\n".join(lines)


def csv(diagnosis: RunDiagnosis) -> str:
    """Return a line for each policy, estimator and batch size; each quantity with the ends of its interval."""
    single = ("slope", "needed", "direction")
    curves = ("signal", "noise", "snr", "error", "cosine")
    names = [f"{name}{end}" for name in (*curves, *single) for end in ("", "_low", "_high")]
    lines = [",".join(["iteration", "mean_return", "estimator", "batch", *names])]
    for microscope in diagnosis.microscopes:
        for view in microscope.views:
            for m, size in enumerate(microscope.sizes):
                estimates = [getattr(view, name)[m] for name in curves] + [getattr(view, name) for name in single]
                numbers = ["" if math.isnan(x) else f"{x:.6g}" for estimate in estimates for x in estimate]
                first = [str(microscope.iteration), f"{microscope.mean_return.value:.6g}", f'"{view.name}"', str(size)]
                lines.append(",".join(first + numbers))
    return "\n".join(lines) + "\n"
