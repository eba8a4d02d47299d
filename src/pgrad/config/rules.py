"""What settings must not be together: when, and why."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pgrad.estimators.spec import BASELINES
from pgrad.policies.distributions import BETA, GSDE, STATE_INDEPENDENT

if TYPE_CHECKING:
    from pgrad.config.settings import Config


_WITHOUT_V = frozenset(BASELINES) - {"value"}
_FOR_EPOCHS = ("clip_epsilon", "target_kl", "value_clip_epsilon")
_IDLE_BASELINES = {
    "batch": ("constant", "mean"),
    "minibatch": ("constant", "mean"),
    "episode": ("constant", "mean", "leave-one-out", "optimal"),
}


def _one_step(c: "Config") -> bool:
    """Return whether an iteration takes a single gradient step."""
    return c.num_epochs == 1 and c.num_minibatches == 1


def _least_samples(c: "Config") -> int:
    """Return how many samples an iteration has for sure, with at least one in each of its episodes."""
    episodes = c.episodes_per_iteration
    return episodes if isinstance(episodes, int) else c.num_envs * (c.num_steps or 1)  # it is text where it is wrong


# What settings must not be together: when, and why.
RULES: tuple[tuple[Callable[["Config"], bool], str], ...] = (
    (
        lambda c: (c.num_steps is None) == (c.episodes_per_iteration is None),
        "exactly one of num_steps and episodes_per_iteration must be set",
    ),
    (
        lambda c: c.total_steps is None and c.num_iterations is None,
        "total_steps or num_iterations must be set, or training would never end",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.baseline in _WITHOUT_V,
        "baseline '{baseline}' cannot value a trajectory cut by num_steps: use baseline 'value', or whole episodes "
        "with episodes_per_iteration, as algorithm 'reinforce' does",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.estimator == "total-return",
        "estimator 'total-return' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.normalizer == "episode",
        "normalizer 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.standardize == "episode",
        "standardize 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.estimator == "total-return" and c.standardize == "episode",
        "standardize 'episode' turns estimator 'total-return', one number per episode, into zeros: use 'batch'",
    ),
    (
        lambda c: c.backend == "compiled" and c.vectorization != "auto",
        "vectorization '{vectorization}' is for Gymnasium environments: remove it, or backend 'compiled'",
    ),
    (
        lambda c: c.baseline in _IDLE_BASELINES.get(c.standardize, ()),
        "baseline '{baseline}' has no effect where standardize '{standardize}' subtracts the mean: use standardize "
        "'none', or baseline 'none'",
    ),
    (
        lambda c: c.constant_baseline != 0 and c.baseline != "constant",
        "constant_baseline is for baseline 'constant' only, not for '{baseline}': remove it",
    ),
    (
        lambda c: c.estimator == "gae" and c.baseline in _WITHOUT_V,
        "estimator 'gae' needs baseline 'value', not '{baseline}': use estimator 'reward-to-go', as algorithm "
        "'reinforce' does",
    ),
    *(
        (
            lambda c, name=name: _one_step(c) and getattr(c, name) is not None,
            f"{name} limits how far several gradient steps go, and an iteration has one: set num_epochs or "
            "num_minibatches, as algorithm 'ppo' does, or remove it",
        )
        for name in _FOR_EPOCHS
    ),
    (
        lambda c: c.step == "gradient" and c.learning_rate is None,
        "step 'gradient' needs a learning_rate",
    ),
    (
        lambda c: c.step == "gradient" and c.max_kl is not None,
        "max_kl is the length of natural steps: remove it, or set step 'natural' or 'trust-region'",
    ),
    (
        lambda c: c.step != "gradient" and c.learning_rate is not None,
        "step '{step}' has no learning_rate, since max_kl says how far it goes: set learning_rate 'none'",
    ),
    (lambda c: c.step != "gradient" and c.max_kl is None, "step '{step}' needs max_kl, how far it goes, such as 0.01"),
    (
        lambda c: c.step != "gradient" and not _one_step(c),
        "step '{step}' uses all of a batch once: set num_epochs and num_minibatches to 1",
    ),
    *(
        (
            lambda c, name=name, default=default: c.action_distribution == BETA and getattr(c, name) != default,
            f"{name} is for action_distribution 'gaussian': a Beta is within the bounds, and its spread depends on the "
            "state: remove it",
        )
        for name, default in (("squash", False), ("std", STATE_INDEPENDENT), ("initial_std", 1.0))
    ),
    (
        lambda c: c.noise_steps > 1 and c.std != GSDE,
        "noise_steps is for std 'gsde', whose noise can be held, not '{std}': remove it",
    ),
    (
        lambda c: c.value_hidden is not None and c.baseline in _WITHOUT_V,
        "value_hidden needs baseline 'value', not '{baseline}': remove it",
    ),
    (
        lambda c: c.num_value_steps > 1 and c.baseline in _WITHOUT_V,
        "num_value_steps needs baseline 'value', not '{baseline}': remove it",
    ),
    (
        lambda c: c.step == "trust-region" and c.entropy_coef > 0,
        "step 'trust-region' accepts what does not lower the surrogate, which has no entropy: set entropy_coef to 0",
    ),
    (
        lambda c: c.num_epochs > 1 and c.clip_epsilon is None and c.target_kl is None,
        "num_epochs {num_epochs} needs clip_epsilon or target_kl, or the policy moves away from the one that acted",
    ),
    (
        lambda c: c.num_minibatches > max(1, _least_samples(c)),
        "num_minibatches {num_minibatches} is more than an iteration has for sure: at most num_envs x num_steps, or "
        "episodes_per_iteration",
    ),
    (
        lambda c: c.clip_schedule == "linear" and c.clip_epsilon is None,
        "clip_schedule 'linear' needs a clip_epsilon to decay: set it, or remove the schedule",
    ),
    (
        lambda c: c.value_clip_epsilon is not None and c.baseline in _WITHOUT_V,
        "value_clip_epsilon needs baseline 'value', not '{baseline}': remove it",
    ),
    (
        lambda c: c.standardize == "minibatch" and _one_step(c),
        "standardize 'minibatch' needs several gradient steps an iteration: use 'batch', or set num_minibatches",
    ),
    (
        lambda c: c.standardize == "minibatch" and (c.normalizer == "episode" or c.discounting == "exact"),
        "standardize 'minibatch' takes all samples alike: use normalizer 'step' and discounting 'dropped'",
    ),
    (
        lambda c: c.baseline in ("leave-one-out", "optimal") and c.episodes_per_iteration == 1,
        "baseline '{baseline}' needs at least two episodes per iteration",
    ),
)
