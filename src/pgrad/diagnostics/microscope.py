"""The gradient microscope: signal and noise of every estimator at one policy, measured on the same trajectories.

The trajectories form 20 blocks. An estimator's large-batch reference is the average of its estimates from whole blocks;
a batch is always compared with the reference of the *other* blocks. 95 % intervals are those of the delete-one-block
jackknife (Efron and Stein 1981), with Student's t for 19 degrees of freedom.
"""

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.config.settings import check_arguments
from pgrad.diagnostics.statistics import BLOCKS, certain_cosine, cosine, error_curve, jackknife, signal_and_noise
from pgrad.diagnostics.trajectories import Block, collect, in_threads, require_memory, spec_of
from pgrad.envs.make import Env, make
from pgrad.errors import ConfigError, EnvError, collecting
from pgrad.estimators.catalogue import CATALOGUE, Named
from pgrad.estimators.resampling import group_statistics
from pgrad.estimators.spec import EstimatorSpec
from pgrad.experiments.statistics import UNKNOWN, Estimate
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue, require_fit

Floats = npt.NDArray[np.float64]

SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # trajectories a batch, up to half a block
ROUNDING = 1e-6  # float32 rounding, relative to the terms that an estimate sums
WIDEST = 1.0  # widest interval of a cosine that is reported
PILOT = 0x50494C4F  # stream of the trajectories that choose the constant baseline
REFERENCE = "reward-to-go, leave-one-out"  # unbiased for ∇J: directions are compared with it


@dataclass(frozen=True)
class View:
    """One estimator's signal and noise; tuples hold one Estimate for each of Microscope.sizes."""

    name: str
    signal: tuple[Estimate, ...]  # ‖mean‖
    noise: tuple[Estimate, ...]  # tr Cov of one batch's estimate
    snr: tuple[Estimate, ...]  # ‖mean‖ / √tr Cov
    error: tuple[Estimate, ...]  # √tr Cov / ‖mean‖, the relative error
    cosine: tuple[Estimate, ...]  # average cosine of one batch's estimate to the reference
    slope: Estimate  # of log error against log N, for N ≥ 10: -1/2 if the error falls as 1/√N
    needed: Estimate  # trajectories for a relative error of 10 %
    direction: Estimate  # cosine of the reference to that of ∇J; NaN if the noise hides it

    @property
    def hidden(self) -> bool:
        """True if the noise hides the signal: `needed` is infinite, or known only to a factor of 100 or worse."""
        return not (np.isfinite(self.needed.value) and self.needed.high <= 100 * self.needed.low)


@dataclass(frozen=True)
class Microscope:
    """All estimators' signal and noise at one policy."""

    env: str
    iteration: int | None  # of training, at which the policy was saved; None if not given
    trajectories: int  # in all blocks
    steps: int  # in all blocks
    mean_return: Estimate  # undiscounted, in reward units
    sizes: tuple[int, ...]  # trajectories a batch
    views: tuple[View, ...]
    seconds: float

    def view(self, name: str) -> View:
        """Return the view of the estimator with this name in the catalogue."""
        return next(view for view in self.views if view.name == name)


class Measured(NamedTuple):
    """The moments of one estimator from K blocks at M batch sizes."""

    mean: Floats  # [M, K, P] average estimate of a block's batches
    square: Floats  # [M, K] average ‖estimate‖²
    cosine: Floats  # [M, K] average cosine to the other blocks' reference
    whole: Floats  # [K, P] the estimate from a whole block
    rounding: float  # ‖estimate‖² up to which an estimate may be float32 rounding


def gradient_microscope(
    policy: MLPPolicy,
    critic: MLPValue,
    env: str | Env | None = None,
    discount: float = 0.99,
    trajectories: int = 10_000,
    seed: int = 0,
    iteration: int | None = None,
) -> Microscope:
    """Measure signal and noise of every estimator of estimators.catalogue at one policy, on the same trajectories.

    signal = ‖E[ĝ]‖,  noise = tr Cov(ĝ),  SNR = signal / √noise,  relative error = √noise / signal, of batches of N

    policy        the policy, π
    critic        V(s) in reward units, for estimators that use it
    env           an id or Env; by default what the policy was trained on
    discount      γ of the estimators and of ∇J
    trajectories  in all 20 blocks together, whole episodes; at least 200
    seed          of the trajectories
    iteration     of training that the policy comes from, for reports

    Returns a Microscope with a View for each estimator. E[ĝ] is the estimator's own mean, which `direction` compares
    with ∇J; ‖E[ĝ]‖² comes from products of different blocks, so that noise does not inflate it. Biased estimators are
    measured like the others. Raises ConfigError for wrong arguments and EnvError if policy or critic do not fit.
    """
    began = time.perf_counter()
    environment = _checked(policy, critic, env, discount, trajectories, seed)
    size, seed = int(trajectories) // BLOCKS, int(seed)
    pilot = collect(
        environment, policy, critic, [EstimatorSpec(discount=discount)], 1, max(2, size // 5), fold_in(seed, PILOT)
    )[0]
    to_go = pilot.of(EstimatorSpec(discount=discount)).psi
    constant = float(np.average(to_go.mean, weights=to_go.length))
    specs = [spec_of(named, discount, constant) for named in CATALOGUE]
    blocks = collect(environment, policy, critic, specs, BLOCKS, size, seed)
    sizes = tuple(n for n in SIZES if n <= size // 2) or (2,)
    measured = in_threads(lambda k: _measured(blocks, specs[k], sizes), range(len(specs)))
    names = [named.name for named in CATALOGUE]
    reference = measured[names.index(REFERENCE)].whole
    views = [_view(named, of_one, reference, sizes) for named, of_one in zip(CATALOGUE, measured, strict=True)]
    returns = np.array([block.returns.mean() for block in blocks])
    return Microscope(
        env=environment.id,
        iteration=iteration,
        trajectories=size * BLOCKS,
        steps=sum(block.steps for block in blocks),
        mean_return=jackknife(np.mean, returns)[0],
        sizes=sizes,
        views=_with_known_directions(views),
        seconds=time.perf_counter() - began,
    )


def _checked(
    policy: MLPPolicy, critic: MLPValue, env: str | Env | None, discount: float, trajectories: int, seed: int
) -> Env:
    """Return the environment; raise ConfigError or EnvError if an argument does not fit."""
    problems: list[str] = []
    target = policy.env if env is None else env
    if target is None:
        problems.append("env must be given: the policy does not say what it was trained on")
    with collecting(problems):
        check_arguments(trajectories=trajectories, discount=discount, seed=seed)
    if problems or target is None:
        raise ConfigError(problems)
    environment = make(target)
    require_fit(policy, environment)
    if critic.sizes[0] != environment.obs_size:
        raise EnvError(
            f"'{environment.id}' has {environment.obs_size} observations; the value network was made for "
            f"{critic.sizes[0]}"
        )
    require_memory(policy, [named.spec for named in CATALOGUE], trajectories)
    return environment


def _measured(blocks: list[Block], spec: EstimatorSpec, sizes: tuple[int, ...]) -> Measured:
    whole = np.stack([block.estimate(spec) for block in blocks])
    shape = (len(sizes), len(blocks))
    mean, square, cosines = np.empty((*shape, whole.shape[1])), np.empty(shape), np.empty(shape)
    for k, block in enumerate(blocks):
        others = (whole.sum(axis=0) - whole[k]).astype(np.float32)
        for m, size in enumerate(sizes):
            mean[m, k], square[m, k], cosines[m, k] = group_statistics(spec, block.of(spec), size, others)
    rounding = ROUNDING**2 * float(np.mean([block.power(spec) for block in blocks]))
    return Measured(mean, square, cosines, whole, rounding)


def _with_known_directions(views: list[View]) -> tuple[View, ...]:
    """Return the views, without directions where the noise hides the estimator's signal or ∇J."""
    lost = next(view.hidden for view in views if view.name == REFERENCE)
    return tuple(replace(view, direction=UNKNOWN) if lost or view.hidden else view for view in views)


def _view(named: Named, measured: Measured, reference: Floats, sizes: tuple[int, ...]) -> View:
    def of_one_size(gram: Floats, square: Floats) -> Floats:
        return signal_and_noise(gram, square, measured.rounding)

    grams = np.stack([mean @ mean.T for mean in measured.mean], axis=-1)
    squares, of_sizes = measured.square.T, np.array(sizes, dtype=np.float64)
    columns = [
        jackknife(of_one_size, grams[..., m], squares[:, m], gram=True, positive=True) for m in range(len(sizes))
    ]
    signal, noise, snr, error = (tuple(column) for column in zip(*columns, strict=True))
    slope, needed = jackknife(
        lambda g, s: error_curve(g, s, of_sizes, measured.rounding), grams, squares, gram=True, positive=(False, True)
    )
    own = measured.whole
    crossed = np.stack([own @ reference.T, own @ own.T, reference @ reference.T], axis=-1)
    return View(
        named.name,
        signal,
        noise,
        snr,
        error,
        cosine=tuple(jackknife(lambda cosines: cosines.mean(axis=0), measured.cosine.T)),
        slope=slope,
        needed=needed,
        direction=certain_cosine(jackknife(cosine, crossed, gram=True)[0], WIDEST),
    )
