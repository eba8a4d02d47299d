"""The estimators by name, each with the claim about its mean over all batches that `pgrad verify` proves."""

from typing import NamedTuple

from pgrad.estimators.spec import (
    BY_BATCH,
    BY_EPISODE,
    CONSTANT,
    GAE,
    LEAVE_ONE_OUT,
    MEAN,
    OPTIMAL,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)

GRADIENT, DROPPED, SHRUNK = "∇J", "∇ without γ^t", "(1 - 1/N) ∇J"


class Named(NamedTuple):
    """An estimator with its claim, for N trajectories a batch; discount and V come from the problem at hand."""

    name: str
    spec: EstimatorSpec
    mean: str | None  # GRADIENT, DROPPED or SHRUNK; None where the mean is none of them
    limit: str | None  # the direction of the mean as N → ∞: GRADIENT or DROPPED, None for neither
    bias: str  # in words
    any_value: bool = True  # true if the claim holds for every V, false if for the true V alone

    @property
    def needs_value(self) -> bool:
        """True if V(s) is part of the estimate."""
        return self.spec.baseline == VALUE


UNBIASED = "none"
DROPS = "leaves out γ^t: not the gradient of any objective (Nota and Thomas 2020) unless γ = 1"
OWN_SAMPLES = "O(1/N): the baseline depends on the samples it is subtracted from"
RATIO = "O(1/N) in direction, as numerator and random denominator are correlated; shorter by the mean episode length"
GAE_BIAS = "by the error of V, through λ; none with the true V"

CATALOGUE = (
    Named("total return", EstimatorSpec(psi=TOTAL_RETURN), GRADIENT, GRADIENT, UNBIASED),
    Named("total return, mean", EstimatorSpec(TOTAL_RETURN, MEAN), SHRUNK, GRADIENT, "shrunk by exactly (N - 1)/N"),
    Named("total return, leave-one-out", EstimatorSpec(TOTAL_RETURN, LEAVE_ONE_OUT), GRADIENT, GRADIENT, UNBIASED),
    Named("total return, optimal constant", EstimatorSpec(TOTAL_RETURN, OPTIMAL), GRADIENT, GRADIENT, UNBIASED),
    Named("reward-to-go", EstimatorSpec(), GRADIENT, GRADIENT, UNBIASED),
    Named("reward-to-go, γ^t dropped", EstimatorSpec(exact_discounting=False), DROPPED, DROPPED, DROPS),
    Named("reward-to-go, per step", EstimatorSpec(per_episode=False), None, GRADIENT, RATIO),
    Named("reward-to-go, constant", EstimatorSpec(baseline=CONSTANT, constant=0.7), GRADIENT, GRADIENT, UNBIASED),
    Named("reward-to-go, mean", EstimatorSpec(baseline=MEAN), None, GRADIENT, OWN_SAMPLES),
    Named("reward-to-go, leave-one-out", EstimatorSpec(baseline=LEAVE_ONE_OUT), GRADIENT, GRADIENT, UNBIASED),
    Named("reward-to-go, optimal constant", EstimatorSpec(baseline=OPTIMAL), GRADIENT, GRADIENT, UNBIASED),
    Named("reward-to-go, value", EstimatorSpec(baseline=VALUE), GRADIENT, GRADIENT, UNBIASED),
    Named("GAE(λ=1)", EstimatorSpec(GAE, VALUE, gae_lambda=1.0), GRADIENT, GRADIENT, UNBIASED),
    Named("GAE(λ=0.95)", EstimatorSpec(GAE, VALUE, gae_lambda=0.95), GRADIENT, GRADIENT, GAE_BIAS, any_value=False),
    Named("GAE(λ=0)", EstimatorSpec(GAE, VALUE, gae_lambda=0.0), GRADIENT, GRADIENT, GAE_BIAS, any_value=False),
    Named(
        "GAE(λ=0.95), γ^t dropped",
        EstimatorSpec(GAE, VALUE, gae_lambda=0.95, exact_discounting=False),
        DROPPED,
        DROPPED,
        f"{GAE_BIAS}; {DROPS}",
        any_value=False,
    ),
    Named(
        "reward-to-go, whitened",
        EstimatorSpec(standardize=BY_BATCH),
        None,
        GRADIENT,
        "a random rescaling; O(1/N) in direction",
    ),
    Named(
        "reward-to-go, whitened per episode",
        EstimatorSpec(standardize=BY_EPISODE),
        None,
        None,
        "however many trajectories: what tells a good episode from a bad one is taken away",
    ),
    Named(
        "actor-critic: GAE(λ=0.95), whitened, per step, γ^t dropped",
        EstimatorSpec(GAE, VALUE, standardize=BY_BATCH, gae_lambda=0.95, exact_discounting=False, per_episode=False),
        None,
        DROPPED,
        f"{RATIO}; rescaled; {DROPS}",
        any_value=False,
    ),
)
