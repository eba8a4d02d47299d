"""What compiled code needs to know of a configuration, and what it owns while learning."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.epochs import Epochs, Once
from pgrad.algorithms.natural_step import NaturalStep
from pgrad.algorithms.normalization import Normalization
from pgrad.algorithms.signal_to_noise import Signal
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import Included, Omitted
from pgrad.kernels.mlp import MLP


class Settings(NamedTuple):
    """What to multiply the score by, and how to step, as numbers."""

    estimator: EstimatorSpec
    entropy_coef: float
    optimizer: int
    learning_rate: float
    value_learning_rate: float
    max_grad_norm: float  # inf for no clipping
    linear_decay: bool  # of the learning rates, to zero at the end
    num_iterations: int  # end of the run, whichever comes first
    total_steps: int
    epochs: Once | Epochs = Once()  # how often a batch is used
    step: Omitted | NaturalStep = Omitted()  # of the policy, in place of the optimiser's
    num_value_steps: int = 1  # of V, for each of the policy's
    scores: Included | Omitted = Included()  # of trajectories one by one, for the optimal baseline
    statistics: Included | Omitted = Included()  # of observations and rewards, to normalise them


class OptimizerState(NamedTuple):
    """What stepping along gradients remembers of one network; updated in place."""

    moments: npt.NDArray[np.float32]  # [2, P] Adam's
    before: npt.NDArray[np.float32]  # [P] the parameters before the last step: they gave a finite gradient
    steps: npt.NDArray[np.int64]  # [1] taken so far


class Checkpoints(NamedTuple):
    """Room for parameters along the way; see algorithms.checkpoints."""

    iteration: npt.NDArray[np.int64]  # [K] iterations done when they were kept
    policy: npt.NDArray[np.float32]  # [K, P]
    critic: npt.NDArray[np.float32]  # [K, P']
    shift: npt.NDArray[np.float32]  # [K, O] of the observations; O = 0 where they are not normalised
    scale: npt.NDArray[np.float32]  # [K, O]
    reward_scale: npt.NDArray[np.float64]  # [K]
    kept: npt.NDArray[np.int64]  # [1] how many of the K are filled
    every: npt.NDArray[np.int64]  # [1] iterations between two of them; 0 keeps none


class Learner(NamedTuple):
    """Networks and what their training remembers; the arrays are updated in place."""

    policy: Policy
    critic: MLP  # without a value baseline a single number that nothing reads
    policy_state: OptimizerState
    critic_state: OptimizerState
    normalization: Normalization
    iteration: npt.NDArray[np.int64]  # [1] iterations done
    checkpoints: Checkpoints
    signal: Signal
    key: np.uint64 = np.uint64(0)  # of the shuffling into minibatches


def new_optimizer_state(parameters: npt.NDArray[np.float32]) -> OptimizerState:
    """Return the state before the first step of a network with these parameters [P]."""
    return OptimizerState(np.zeros((2, parameters.size), np.float32), parameters.copy(), np.zeros(1, np.int64))
