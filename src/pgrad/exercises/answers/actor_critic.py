"""Exercise: one step of an actor-critic, whose policy and V share a layer: δ ∇log π for the one, δ ∇V for the other."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case, Property, same
from pgrad.exercises.exercise import HARD, Exercise, Mistake
from pgrad.policies.softmax import log_softmax

NAME = "actor_critic_step"
FEATURES, ACTIONS = 2, 3


class Parts(NamedTuple):
    """What a step is made of, for N transitions."""

    states: Floats  # [N, F], which is ∇V(s) by the critic's weights
    next_states: Floats  # [N, F], 0 where terminated
    log_probs: Floats  # [N], of the actions taken
    scores: Floats  # [N, A], ∇log π by the preferences
    value: Floats  # [N]
    next_value: Floats  # [N], V(s'), whatever ended
    goes_on: Floats  # [N], 0 where terminated, else 1
    rewards: Floats  # [N]
    discount: float

    @property
    def target(self) -> Floats:
        """r + γ V(s'), [N]."""
        return self.rewards + self.discount * self.goes_on * self.next_value

    @property
    def td_error(self) -> Floats:
        """The temporal-difference error δ, [N]."""
        return self.target - self.value


def parts(
    weights: Floats,
    states: Floats,
    actions: Floats,
    rewards: Floats,
    next_states: Floats,
    terminated: Floats,
    discount: float,
) -> Parts:
    """Return the parts of a step from the exercise's arguments."""
    outputs, goes_on = states @ weights, 1.0 - np.asarray(terminated, np.float64)
    log_pi = np.array([log_softmax(row) for row in outputs[:, :-1]])
    taken = np.arange(len(actions)), np.asarray(actions)
    scores = np.eye(log_pi.shape[1])[taken[1]] - np.exp(log_pi)
    next_value = (next_states @ weights)[:, -1]
    after = goes_on[:, None] * next_states
    return Parts(states, after, log_pi[taken], scores, outputs[:, -1], next_value, goes_on, rewards, discount)


Half = Callable[[Parts], Floats]  # the change of the policy's weights, [F, A], or of the critic's, [F], for rate 1


def step(actor: Half, critic: Half) -> Callable[..., Floats]:
    """Return the function that moves the policy's weights and the critic's."""

    def moved(weights: Floats, *arguments: Floats) -> Floats:
        found = parts(weights, *arguments[:-1])  # type: ignore[arg-type]
        return weights + arguments[-1] * np.column_stack([actor(found), critic(found)])

    return moved


def along(multiplier: Callable[[Parts], Floats]) -> Half:
    """Return the mean of a multiplier [N] times ∇log π."""
    return lambda p: p.states.T @ (multiplier(p)[:, None] * p.scores) / len(p.states)


def toward(error: Callable[[Parts], Floats]) -> Half:
    """Return the mean of an error [N] times ∇V(s)."""
    return lambda p: p.states.T @ error(p) / len(p.states)


def through_target(p: Parts) -> Floats:
    """Return the mean of -½∇δ² if V(s') is differentiated as well."""
    return (p.states - p.discount * p.next_states).T @ p.td_error / len(p.states)


def through_advantage(critic: Half, target: bool = True) -> Half:
    """Return a critic's change, and what the gradient of log π · δ adds to it, through V(s') too or V(s) alone."""
    return lambda p: critic(p) + (target * p.discount * p.next_states - p.states).T @ p.log_probs / len(p.states)


def pairs(p: Parts) -> Floats:
    """Return r_j + γ V(s'_i) - V(s_i) of all pairs, [N, N]: what a row of rewards and columns of values make."""
    return p.rewards + p.discount * p.goes_on * p.next_value[:, None] - p.value[:, None]


def crossed(p: Parts) -> Floats:
    """Return target_j - V(s_i) of all pairs, [N, N]."""
    return p.target - p.value[:, None]


def with_new_critic(weights: Floats, *arguments: Floats) -> Floats:
    """Move the critic first, then the policy along the δ that it leaves."""
    critic = RIGHT(weights, *arguments)[:, -1]
    return np.column_stack([RIGHT(np.column_stack([weights[:, :-1], critic]), *arguments)[:, :-1], critic])


ACTOR, CRITIC = along(lambda p: p.td_error), toward(lambda p: p.td_error)
RIGHT = step(ACTOR, CRITIC)
STILL = along(lambda p: np.zeros(len(p.states))), toward(lambda p: np.zeros(len(p.states)))

MISTAKES = (
    Mistake(
        "V(s') is not held fixed",
        "the target r + γ V(s') is what V(s) is to become: detach it, and differentiate V(s) alone",
        (step(ACTOR, through_target),),
    ),
    Mistake(
        "the advantage moves the critic",
        "δ multiplies ∇log π as a number: detach it, else the critic learns what makes log π · δ large",
        (
            step(ACTOR, through_advantage(CRITIC)),
            step(ACTOR, through_advantage(CRITIC, target=False)),
            step(ACTOR, through_advantage(through_target)),
        ),
    ),
    Mistake(
        "every state is paired with every other",
        "a column [N, 1] and a row [N] make a table [N, N]: give values and rewards the same shape",
        (
            step(along(lambda p: pairs(p).mean(axis=0)), toward(lambda p: pairs(p).mean(axis=1))),
            step(along(lambda p: crossed(p).mean(axis=0)), toward(lambda p: crossed(p).mean(axis=1))),
            step(along(lambda p: crossed(p).mean(axis=1)), toward(lambda p: crossed(p).mean(axis=1))),
            step(along(lambda p: pairs(p).mean(axis=0)), CRITIC),
            step(along(lambda p: crossed(p).mean(axis=0)), CRITIC),
        ),
    ),
    Mistake(
        "V is added after a terminal state",
        "where an episode has terminated nothing follows: the target is the reward alone",
        (
            step(
                along(lambda p: p.rewards + p.discount * p.next_value - p.value),
                toward(lambda p: p.rewards + p.discount * p.next_value - p.value),
            ),
        ),
    ),
    Mistake(
        "V(s') is not discounted",
        "what comes a step later counts γ times: r + γ V(s')",
        (
            step(
                along(lambda p: p._replace(discount=1.0).td_error), toward(lambda p: p._replace(discount=1.0).td_error)
            ),
        ),
    ),
    Mistake(
        "no baseline",
        "the policy's multiplier is r + γ V(s') alone: subtract V(s), as for the critic",
        (step(along(lambda p: p.target), CRITIC),),
    ),
    Mistake(
        "the reward in place of δ",
        "what follows the step is left out: the reward, and γ V(s') for all that comes later",
        (
            step(along(lambda p: p.rewards), CRITIC),
            step(along(lambda p: p.rewards - p.value), toward(lambda p: p.rewards - p.value)),
        ),
    ),
    Mistake(
        "descent in place of ascent",
        "actions that went better than expected become less likely: add the gradient of log π · δ",
        (step(lambda p: -ACTOR(p), CRITIC),),
    ),
    Mistake(
        "the critic moves away from its target",
        "V(s) is to come closer to the target: add δ ∇V(s)",
        (step(ACTOR, lambda p: -CRITIC(p)),),
    ),
    Mistake(
        "both signs are reversed",
        "δ ∇log π and δ ∇V(s) are added, not subtracted; or δ is V(s) less the target",
        (step(lambda p: -ACTOR(p), lambda p: -CRITIC(p)),),
    ),
    Mistake(
        "the sum in place of the mean",
        "the step grows with the number of transitions: divide by it",
        (
            step(lambda p: len(p.states) * ACTOR(p), lambda p: len(p.states) * CRITIC(p)),
            step(lambda p: len(p.states) * ACTOR(p), CRITIC),
        ),
    ),
    Mistake(
        "the square without its half",
        "½ δ² has the gradient -δ ∇V, δ² has twice that: take the half, or a mean of squares less",
        (step(ACTOR, lambda p: 2 * CRITIC(p)), step(ACTOR, lambda p: 2 * through_target(p))),
    ),
    Mistake("the critic stays", "V learns nothing: add learning_rate δ ∇V(s) to its column", (step(ACTOR, STILL[1]),)),
    Mistake(
        "the policy stays", "add learning_rate δ ∇log π to the columns of the preferences", (step(STILL[0], CRITIC),)
    ),
    Mistake(
        "δ of the new critic",
        "both halves take the δ of the weights as they were: compute it once, before any is moved",
        (with_new_critic,),
    ),
    Mistake(
        "only the action taken is pushed",
        "what one action gains the others lose: ∇log π is onehot - π",
        (step(lambda p: ACTOR(p._replace(scores=np.where(p.scores > 0, 1.0, 0.0))), CRITIC),),
    ),
    Mistake(
        "only the change is returned",
        "this is what is to be added: return the new weights",
        (lambda weights, *arguments: RIGHT(weights, *arguments) - weights,),
    ),
)


def cases(rng: np.random.Generator) -> list[Case]:
    """Return one transition of either end, then several."""
    return [
        case(rng, ends) for ends in ((False,), (True,), (False, False), (False, True, False), (True,) + 4 * (False,))
    ]


def case(rng: np.random.Generator, ends: tuple[bool, ...]) -> Case:
    """Return as many random transitions."""
    size = len(ends)
    weights = rng.integers(-10, 11, (FEATURES, ACTIONS + 1)) / 10
    states, next_states = rng.integers(3, 15, (2, size, FEATURES)) * rng.choice([-0.1, 0.1], (2, size, FEATURES))
    actions, rewards = rng.integers(ACTIONS, size=size), rng.integers(10, 30, size) / 10
    return Case((weights, np.round(states, 1), actions, rewards, np.round(next_states, 1), np.array(ends), 0.8, 0.5))


PROPERTIES = (
    Property("the policy's columns are right", lambda w, *given: same(w[:, :-1], RIGHT(*given)[:, :-1])),
    Property("the critic's column is right", lambda w, *given: same(w[:, -1], RIGHT(*given)[:, -1])),
)


EXERCISE = Exercise(
    name=NAME,
    title="The actor-critic: two gradients, one δ",
    difficulty=HARD,
    minutes=12,
    praise="δ is a number for both halves, the target is held fixed, and each transition keeps to itself",
    starter='''
def actor_critic_step(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    """Take one step of an actor-critic on N transitions; return the new weights.

    One layer has both outputs: states @ weights, [N, A + 1], holds the preferences of A actions and, last, V(s).
    delta = rewards + discount * V(next_states) - V(states), where nothing follows a terminated transition.
    Add learning_rate times the mean of delta * grad log pi(a | s), and of delta * grad V(s), the target held fixed.
    """
    return ...
''',
    hints=(
        "Which of the numbers does each half differentiate? Everything else is a constant for it.",
        "policy: mean of δ · ∇log ___;   critic: mean of δ · ∇___(s), with δ = r + γ ___ - V(s)",
        "(log_pi * delta.detach() - (target.detach() - value) ** 2 / ...).mean()",
    ),
    solutions={
        "loops": """
import math


def actor_critic_step(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    def outputs(state):
        return [sum(x * row[k] for x, row in zip(state, weights)) for k in range(len(weights[0]))]

    new = [list(row) for row in weights]
    for n, state in enumerate(states):
        *preferences, value = outputs(state)
        next_value = 0.0 if terminated[n] else outputs(next_states[n])[-1]
        delta = rewards[n] + discount * next_value - value
        total = sum(math.exp(h) for h in preferences)
        scores = [(k == actions[n]) - math.exp(h) / total for k, h in enumerate(preferences)]
        for i, x in enumerate(state):
            for k, slope in enumerate([*scores, 1.0]):
                new[i][k] += learning_rate * delta * slope * x / len(states)
    return new
""",
        "NumPy": """
import numpy as np


def actor_critic_step(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    outputs = states @ weights
    exponentials = np.exp(outputs[:, :-1])
    scores = np.eye(outputs.shape[1] - 1)[actions] - exponentials / exponentials.sum(axis=1, keepdims=True)
    target = rewards + discount * np.where(terminated, 0.0, (next_states @ weights)[:, -1])
    delta = target - outputs[:, -1]
    slopes = np.column_stack([scores, np.ones(len(states))])  # of log pi by the preferences, and of V by itself
    return weights + learning_rate * states.T @ (delta[:, None] * slopes) / len(states)
""",
        "PyTorch": """
import torch


def actor_critic_step(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    weights = torch.tensor(weights, requires_grad=True)
    states, next_states, rewards = map(torch.as_tensor, (states, next_states, rewards))
    outputs, value = states @ weights, (states @ weights)[:, -1]
    log_pi = torch.log_softmax(outputs[:, :-1], dim=1)[torch.arange(len(states)), torch.as_tensor(actions)]
    next_value = torch.where(torch.as_tensor(terminated), 0.0, (next_states @ weights)[:, -1])
    delta = (rewards + discount * next_value).detach() - value
    (log_pi * delta.detach() - delta**2 / 2).mean().backward()
    return (weights + learning_rate * weights.grad).detach()
""",
    },
    judge=ByValue(
        NAME,
        RIGHT,
        cases,
        MISTAKES,
        "weights after the step; the last column is the critic's",
        PROPERTIES,
        labels=lambda weights, *given: [f"feature {k}" for k in range(len(weights))],
    ),
)
