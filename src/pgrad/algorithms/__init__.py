"""One training iteration; a file for each algorithm with its formula and its preset, registered here."""

from typing import Any

from pgrad.algorithms import actor_critic, natural, notebook, ppo, reinforce, trpo

ALGORITHMS: dict[str, dict[str, Any]] = {
    "notebook": notebook.PRESET,
    "reinforce": reinforce.PRESET,
    "actor-critic": actor_critic.PRESET,
    "natural": natural.PRESET,
    "trpo": trpo.PRESET,
    "ppo": ppo.PRESET,
}
DEFAULT_ALGORITHM = "actor-critic"
