"""The algorithms by name: each is one choice of the same configuration's fields (see config.Config).

- notebook: the teaching notebook to the letter. Its return climbs, then collapses; docs/results.md has the figures.
- reinforce: several whole episodes an iteration, a leave-one-out baseline, standardised. Williams (1992).
- actor-critic: a fixed number of steps an iteration, a value network, GAE. Mnih et al. (2016), Schulman et al. (2016).
"""

from typing import Any

DEFAULT_ALGORITHM = "actor-critic"

ALGORITHMS: dict[str, dict[str, Any]] = {
    "notebook": {
        "hidden": (128,),
        "activation": "relu",
        "initialization": "uniform",
        "estimator": "reward-to-go",
        "baseline": "none",
        "standardize": "none",
        "discounting": "dropped",
        "normalizer": "episode",
        "num_envs": 1,
        "episodes_per_iteration": 1,
        "num_steps": None,
        "learning_rate": 0.01,
        "max_grad_norm": None,
        "learning_rate_schedule": "constant",
        "num_iterations": 300,
        "total_steps": None,
    },
    "reinforce": {
        "estimator": "reward-to-go",
        "baseline": "leave-one-out",
        "standardize": "batch",
        "num_envs": 8,
        "episodes_per_iteration": 8,
        "num_steps": None,
        "learning_rate": 0.01,
        "total_steps": 500_000,
    },
    "actor-critic": {},
}
