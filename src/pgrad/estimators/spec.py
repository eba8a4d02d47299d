"""The choices that define an estimate of the policy gradient, as integers for compiled code."""

from typing import NamedTuple

TOTAL_RETURN, REWARD_TO_GO, GAE = 0, 1, 2
ESTIMATORS = {"total-return": TOTAL_RETURN, "reward-to-go": REWARD_TO_GO, "gae": GAE}

NO_BASELINE, CONSTANT, MEAN, LEAVE_ONE_OUT, OPTIMAL, VALUE = range(6)
BASELINES = {
    "none": NO_BASELINE,
    "constant": CONSTANT,
    "mean": MEAN,
    "leave-one-out": LEAVE_ONE_OUT,
    "optimal": OPTIMAL,
    "value": VALUE,
}

NOT_STANDARDIZED, BY_BATCH, BY_EPISODE, BY_MINIBATCH = range(4)  # the last by algorithms.epochs
STANDARDIZATIONS = {"none": NOT_STANDARDIZED, "batch": BY_BATCH, "minibatch": BY_MINIBATCH, "episode": BY_EPISODE}


class EstimatorSpec(NamedTuple):
    """The choices that define an estimate of ∇J(θ), where J(θ) = E[Σ_t γ^t r_t].

        ∇J(θ) ≈ normaliser · Σ_b scale_n · γ^t · (Ψ_b - baseline_n) · ∇ log π_θ(a_b | s_b)

    Sample b is step t of trajectory n. `psi` is Ψ; `standardize` gives the scale, 1 by default. The defaults make
    REINFORCE with reward-to-go, which is unbiased (Williams 1992; Sutton and Barto 2018, section 13.3). The formula,
    bias and source of each choice are in returns.py, baselines.py and advantages.py; catalogue.py lists what is proved.
    """

    psi: int = REWARD_TO_GO
    baseline: int = NO_BASELINE
    constant: float = 0.0  # the constant baseline, in units of reward
    standardize: int = NOT_STANDARDIZED
    discount: float = 1.0
    gae_lambda: float = 1.0
    exact_discounting: bool = True  # keep the factor γ^t of ∇J, else drop it
    per_episode: bool = True  # divide the sum over samples by the number of trajectories, else by that of samples
