"""One training iteration; a file for each algorithm with its formula and its preset, registered here.

From one rung of the ladder to the next a single term is added.
"""

from types import ModuleType
from typing import Any

from pgrad.algorithms import (
    actor_critic,
    natural,
    notebook,
    ppo,
    reinforce,
    reward_to_go,
    total_return,
    trpo,
    value_baseline,
)

LADDER: dict[str, ModuleType] = {
    "total-return": total_return,
    "reward-to-go": reward_to_go,
    "reinforce": reinforce,
    "value-baseline": value_baseline,
    "actor-critic": actor_critic,
    "ppo": ppo,
    "natural": natural,
    "trpo": trpo,
    "notebook": notebook,
}
ALGORITHMS: dict[str, dict[str, Any]] = {name: module.PRESET for name, module in LADDER.items()}
DEFAULT_ALGORITHM = "actor-critic"
