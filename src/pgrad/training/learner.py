"""From a configuration to the arrays that compiled code learns with, and back to a policy."""

import math
from typing import Any

import numpy as np

from pgrad.algorithms.settings import BASELINES, ESTIMATORS, VALUE, Learner, Settings
from pgrad.config import Config
from pgrad.envs.registry import Env
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import OPTIMIZERS
from pgrad.policies.mlp import MLPPolicy, initial_parameters

ENDLESS = 2**62

INITIALIZATION_STREAM, ROLLOUT_STREAM = 0, 1  # the random streams of a run


def settings_of(config: Config) -> Settings:
    """The numbers that compiled code needs."""
    return Settings(
        estimator=ESTIMATORS[config.estimator],
        baseline=BASELINES[config.baseline],
        standardize=config.standardize,
        discount=config.discount,
        gae_lambda=config.gae_lambda,
        exact_discounting=config.discounting == "exact",
        per_episode=config.normalizer == "episode",
        inverse_temperature=1 / config.temperature,
        entropy_coef=config.entropy_coef,
        optimizer=OPTIMIZERS[config.optimizer],
        learning_rate=config.learning_rate,
        value_learning_rate=config.value_learning_rate,
        max_grad_norm=math.inf if config.max_grad_norm is None else config.max_grad_norm,
        linear_decay=config.learning_rate_schedule == "linear",
        num_iterations=config.num_iterations or ENDLESS,
        total_steps=config.total_steps or ENDLESS,
    )


def new_learner(config: Config, env: Env, seed: int) -> Learner:
    """Freshly initialised networks; without a value baseline the critic is a single number that nothing reads."""
    rng = np.random.default_rng([seed, INITIALIZATION_STREAM])
    sizes = (env.obs_size, *config.hidden, env.num_actions)
    critic_sizes = (env.obs_size, *config.hidden, 1) if BASELINES[config.baseline] == VALUE else (1, 1)
    policy = initial_parameters(sizes, config.initialization, 0.01, rng)
    critic = initial_parameters(critic_sizes, config.initialization, 1.0, rng)
    return Learner(
        policy=network(policy, sizes, config.activation),
        policy_moments=np.zeros((2, policy.size), np.float32),
        policy_before=policy.copy(),
        critic=network(critic, critic_sizes, config.activation),
        critic_moments=np.zeros((2, critic.size), np.float32),
        critic_before=critic.copy(),
        iteration=np.zeros(1, np.int64),
    )


def policy_of(config: Config, env: Env, learner: Learner, **metadata: Any) -> MLPPolicy:
    """A copy of the learner's policy as it is now."""
    return MLPPolicy(
        learner.policy.parameters.copy(),
        tuple(int(size) for size in learner.policy.sizes),
        config.activation,
        config.temperature,
        env.id,
        {"algorithm": config.algorithm, **{name: str(value) for name, value in metadata.items()}},
    )
