"""What compiled code needs to know of a configuration, and what it owns while learning."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.mlp import MLP

TOTAL_RETURN, REWARD_TO_GO, GAE = 0, 1, 2
ESTIMATORS = {"total-return": TOTAL_RETURN, "reward-to-go": REWARD_TO_GO, "gae": GAE}

NO_BASELINE, MEAN, LEAVE_ONE_OUT, VALUE = 0, 1, 2, 3
BASELINES = {"none": NO_BASELINE, "mean": MEAN, "leave-one-out": LEAVE_ONE_OUT, "value": VALUE}


class Settings(NamedTuple):
    """The choices of DESIGN §1, as numbers."""

    estimator: int
    baseline: int
    standardize: bool
    discount: float
    gae_lambda: float
    exact_discounting: bool  # keep the factor γ^t of ∇J_γ
    per_episode: bool  # average the sum over steps per episode, else per step
    inverse_temperature: float
    entropy_coef: float
    optimizer: int
    learning_rate: float
    value_learning_rate: float
    max_grad_norm: float  # inf for no clipping
    linear_decay: bool  # of the learning rates, to zero at the end
    num_iterations: int  # end of the run, whichever comes first
    total_steps: int


class Learner(NamedTuple):
    """Networks and optimiser state; the arrays are updated in place. Without a critic, its arrays are empty."""

    policy: MLP
    policy_moments: npt.NDArray[np.float32]  # [2, P]
    policy_before: npt.NDArray[np.float32]  # [P] the parameters before the last step: they gave a finite gradient
    critic: MLP
    critic_moments: npt.NDArray[np.float32]  # [2, P']
    critic_before: npt.NDArray[np.float32]  # [P']
    iteration: npt.NDArray[np.int64]  # [1] iterations done
