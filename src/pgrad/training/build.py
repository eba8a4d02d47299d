"""From a configuration to the arrays that compiled code learns with, and back to a policy."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pgrad.algorithms.checkpoints import new_checkpoints
from pgrad.algorithms.epochs import Epochs, Once
from pgrad.algorithms.learner import Checkpoints, Learner, Settings, new_optimizer_state
from pgrad.algorithms.natural_step import NaturalStep
from pgrad.algorithms.normalization import new_normalization
from pgrad.algorithms.signal_to_noise import new_signal
from pgrad.config.settings import Config
from pgrad.envs.make import Env
from pgrad.estimators.spec import BASELINES, ESTIMATORS, OPTIMAL, STANDARDIZATIONS, VALUE, EstimatorSpec
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import Included, Omitted
from pgrad.kernels.mlp import network, num_parameters
from pgrad.kernels.optimizers import OPTIMIZERS
from pgrad.kernels.random import fold_in
from pgrad.policies.distributions import BETA, STATE_DEPENDENT, num_outputs
from pgrad.policies.mlp import (
    INITIALIZATION_STREAM,
    MLPPolicy,
    MLPValue,
    head_of,
    initial_parameters,
    initial_policy,
    split,
)

ENDLESS = 2**62

# The random streams of a run, beside INITIALIZATION_STREAM; the last is of environments that begin anew in its middle.
ROLLOUT_STREAM, MINIBATCH_STREAM, RESUME_STREAM = 1, 2, 3


def estimator_of(config: Config) -> EstimatorSpec:
    """Return what multiplies the score, as numbers."""
    return EstimatorSpec(
        psi=ESTIMATORS[config.estimator],
        baseline=BASELINES[config.baseline],
        constant=config.constant_baseline,
        standardize=STANDARDIZATIONS[config.standardize],
        discount=config.discount,
        gae_lambda=config.gae_lambda,
        exact_discounting=config.discounting == "exact",
        per_episode=config.normalizer == "episode",
    )


def settings_of(config: Config) -> Settings:
    """Return the numbers that compiled code needs."""
    return Settings(
        estimator=estimator_of(config),
        entropy_coef=config.entropy_coef,
        optimizer=OPTIMIZERS[config.optimizer],
        learning_rate=config.learning_rate or 0.0,
        value_learning_rate=config.value_learning_rate,
        max_grad_norm=_or_infinity(config.max_grad_norm),
        linear_decay=config.learning_rate_schedule == "linear",
        num_iterations=config.num_iterations or ENDLESS,
        total_steps=config.total_steps or ENDLESS,
        epochs=epochs_of(config),
        step=step_of(config),
        num_value_steps=config.num_value_steps,
        scores=Included() if BASELINES[config.baseline] == OPTIMAL else Omitted(),
        statistics=Included() if config.normalize_obs or config.normalize_rewards else Omitted(),
    )


def epochs_of(config: Config) -> Once | Epochs:
    """Return how often a batch is used; Once where that is a single step, whatever else is set."""
    if config.num_epochs == 1 and config.num_minibatches == 1:
        return Once()
    return Epochs(
        num_epochs=config.num_epochs,
        num_minibatches=config.num_minibatches,
        target_kl=_or_infinity(config.target_kl),
        clip_epsilon=_or_infinity(config.clip_epsilon),
        clip_decay=config.clip_schedule == "linear",
        value_clip_epsilon=_or_infinity(config.value_clip_epsilon),
        standardize=config.standardize == "minibatch",
    )


def step_of(config: Config) -> Omitted | NaturalStep:
    """Return the policy's natural step, if it is to take one."""
    if config.max_kl is None:
        return Omitted()
    return NaturalStep(config.max_kl, config.damping, config.cg_iterations, config.step == "trust-region")


def _or_infinity(limit: float | None) -> float:
    return math.inf if limit is None else limit


def policy_sizes(config: Config, env: Env) -> tuple[int, ...]:
    """Return the units of the policy's layers, inputs and outputs included."""
    return (env.obs_size, *config.hidden, num_outputs(env.actions, std_of(config)))


def std_of(config: Config) -> str:
    """Return where the spread of continuous actions comes from."""
    return STATE_DEPENDENT if config.action_distribution == BETA else config.std


def value_sizes(config: Config, env: Env) -> tuple[int, ...]:
    """Return the units of the value network's layers, inputs and output included."""
    hidden = config.hidden if config.value_hidden is None else config.value_hidden
    return (env.obs_size, *hidden, 1)


def new_learner(config: Config, env: Env, seed: int, num_trajectories: int) -> Learner:
    """Initialise the networks; without a value baseline the critic is a single number that nothing reads."""
    rng = np.random.default_rng([seed, INITIALIZATION_STREAM])
    sizes, has_critic = policy_sizes(config, env), BASELINES[config.baseline] == VALUE
    critic_sizes = value_sizes(config, env) if has_critic else (1, 1)
    policy = initial_policy(sizes, config.initialization, env.actions, std_of(config), config.initial_std, rng)
    critic = initial_parameters(critic_sizes, config.initialization, 1.0, rng)
    normalization = new_normalization(
        env.obs_size if config.normalize_obs else 0, num_trajectories if config.normalize_rewards else 0
    )
    inputs = (normalization.shift, normalization.scale)
    return Learner(
        policy=Policy(
            network(policy, sizes, config.activation, *inputs),
            head_of(
                policy[num_parameters(sizes) :],
                env.actions,
                config.std,
                config.squash,
                config.temperature,
                config.action_distribution,
                config.noise_steps,
            ),
        ),
        critic=network(critic, critic_sizes, config.activation, *(inputs if has_critic else ())),
        policy_state=new_optimizer_state(policy),
        critic_state=new_optimizer_state(critic),
        normalization=normalization,
        iteration=np.zeros(1, np.int64),
        checkpoints=new_checkpoints(config.checkpoint_every or 0, policy.size, critic.size, normalization.shift.size),
        signal=new_signal(policy.size),
        key=np.uint64(fold_in(seed, MINIBATCH_STREAM)),
    )


def labels_of(config: Config, **metadata: Any) -> dict[str, str]:
    """Describe how a policy was trained, for its `metadata`; evaluation reads the time limit from there."""
    if config.max_episode_steps is not None:
        metadata["max_episode_steps"] = config.max_episode_steps
    return {"algorithm": config.algorithm, **{name: str(value) for name, value in metadata.items()}}


def policy_of(config: Config, env: Env, learner: Learner, **metadata: Any) -> MLPPolicy:
    """Copy the learner's policy."""
    net = learner.policy.network
    return MLPPolicy(
        net.parameters.copy(),
        tuple(int(size) for size in net.sizes),
        config.activation,
        config.temperature,
        env.id,
        labels_of(config, **metadata),
        env.actions,
        std_of(config),
        config.squash,
        config.action_distribution,
        config.noise_steps,
        shift=net.shift.copy(),
        scale=net.scale.copy(),
    )


def value_of(config: Config, learner: Learner) -> MLPValue | None:
    """Copy the learner's value network, rescaled to the environment's own rewards; None if it has none."""
    if BASELINES[config.baseline] != VALUE:
        return None
    net = learner.critic
    critic = MLPValue(
        net.parameters.copy(),
        tuple(int(size) for size in net.sizes),
        config.activation,
        shift=net.shift.copy(),
        scale=net.scale.copy(),
    )
    return in_rewards(critic, float(learner.normalization.reward_scale[0]))


def in_rewards(critic: MLPValue, reward_scale: float) -> MLPValue:
    """Return the value network with its last layer rescaled to unnormalised rewards."""
    parameters = critic.parameters.copy()
    for part in split(parameters, critic.sizes)[-1]:
        part /= np.float32(reward_scale)
    return replace(critic, parameters=parameters)


def checkpoints_of(learner: Learner) -> Checkpoints:
    """Copy the filled part of the learner's checkpoints."""
    room = learner.checkpoints
    count = int(room.kept[0])
    return Checkpoints(
        room.iteration[:count].copy(),
        room.policy[:count].copy(),
        room.critic[:count].copy(),
        room.shift[:count].copy(),
        room.scale[:count].copy(),
        room.reward_scale[:count].copy(),
        room.kept.copy(),
        room.every.copy(),
    )
