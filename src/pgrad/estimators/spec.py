"""Which estimate of the policy gradient: what multiplies the score, and the conventions, as numbers for compiled code.

∇J(θ) ≈ normaliser · Σ_b γ^t · (Ψ_b - baseline) · scale · ∇ log π(a_b | s_b)
"""

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

AS_IT_IS, BY_BATCH, BY_EPISODE = 0, 1, 2
STANDARDIZATIONS = {"none": AS_IT_IS, "batch": BY_BATCH, "episode": BY_EPISODE}


class EstimatorSpec(NamedTuple):
    """The choices of DESIGN §1; the default is REINFORCE as its theorem has it."""

    psi: int = REWARD_TO_GO
    baseline: int = NO_BASELINE
    constant: float = 0.0  # the constant baseline
    standardize: int = AS_IT_IS
    discount: float = 1.0
    gae_lambda: float = 1.0
    exact_discounting: bool = True  # keep the factor γ^t of ∇J_γ
    per_episode: bool = True  # average the sum over steps per episode, else per step
