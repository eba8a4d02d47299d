"""Play whole episodes in plain Python and hold every value to what `dynamics` requires."""

import math
from collections.abc import Callable, Iterator
from itertools import islice, product
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from pgrad.env_check.compile_errors import AS_INDEX, globals_of, unseeded
from pgrad.env_check.report import Findings
from pgrad.envs.dynamics import Dynamics, has_mask, mask, observe, reset, step
from pgrad.kernels.random import ACTION_KEY, DYNAMICS_KEY, RESET_KEY, fold_in, uniform
from pgrad.spaces import Box, Discrete, Space
from pgrad.user_code import own_traceback
from pgrad.watchdog import Watchdog

RANDOM_EPISODES, EXTREME_EPISODES = 8, 2
MOST_EXTREMES = 8  # constant actions that are tried
MOST_STEPS = 20_000  # of all episodes of one policy together
COMPARED = 2_000  # steps that are repeated and compared
TOLERANCE = 1e-6  # relative, of bounds: they may have been through float32
UNBOUNDED = 1e3  # an extreme action where there is no bound

SPACE_OF_ACTIONS = {
    "Discrete": "action_space is Discrete: an action is an integer",
    "MultiDiscrete": "action_space is MultiDiscrete: an action is a tuple of integers",
    "Box": "action_space is a Box: an action is a tuple of numbers, even if there is only one",
}


class Visit(NamedTuple):
    """One step that was taken."""

    state: tuple[float, ...]
    action: Any
    key: int
    after: tuple[float, ...]
    reward: float
    terminated: bool
    where: str


class Played(NamedTuple):
    """The steps and episodes of a check."""

    visits: list[Visit]
    lengths: list[int]
    returns: list[float]
    ended: int  # episodes that reached a terminal state
    broken: int  # episodes that could not be played to their end


class Stop(Exception):
    """Raised where an episode cannot go on."""


# --- actions


def bounds(space: Box) -> Iterator[tuple[float, float]]:
    """Yield finite bounds of each component."""
    for low, high in zip(space.low, space.high, strict=True):
        yield max(low, -UNBOUNDED), min(high, UNBOUNDED)


def random_action(space: Space, key: int) -> Any:
    """Return a uniformly random action."""
    if isinstance(space, Box):
        return tuple(uniform(key, d, low, high) for d, (low, high) in enumerate(bounds(space)))
    numbers = tuple(fold_in(key, d) % count for d, count in enumerate(space.counts))
    return numbers[0] if isinstance(space, Discrete) else numbers


def extreme_actions(space: Space) -> list[Any]:
    """Return the corners of the space, or the first few of them."""
    parts = list(bounds(space)) if isinstance(space, Box) else [(0, count - 1) for count in space.counts]
    if isinstance(space, Discrete):
        return sorted({*range(min(space.n, MOST_EXTREMES - 1)), space.n - 1})
    both_ends = [tuple(low for low, _ in parts), tuple(high for _, high in parts)]
    return list(dict.fromkeys([*both_ends, *islice(product(*parts), MOST_EXTREMES)]))


def allowed_action(dynamics: Dynamics, allowed: tuple[bool, ...], action: Any) -> Any:
    """Return the action, or the next one that is allowed."""
    for shift in range(len(allowed)):
        if allowed[(action + shift) % len(allowed)]:
            return (action + shift) % len(allowed)
    return action


# --- episodes


def play(dynamics: Dynamics, findings: Findings, watchdog: Watchdog, seed: int = 0) -> Played:
    """Play whole episodes with random and with extreme actions, and check every value."""
    policies: list[tuple[str, Callable[[int], Any], int]] = [
        ("random", lambda key: random_action(dynamics.action_space, key), RANDOM_EPISODES)
    ]
    for action in extreme_actions(dynamics.action_space):
        policies.append((f"always {action}", lambda key, action=action: action, EXTREME_EPISODES))  # type: ignore[misc]
    played, ended, broken = Played([], [], [], 0, 0), 0, 0
    for name, policy, episodes in policies:
        steps = 0
        for episode in range(episodes):
            try:
                length, total, terminated = Episode(
                    dynamics, findings, watchdog, played.visits, name, policy, seed + episode
                ).run()
            except Stop:
                broken += 1
                continue
            played.lengths.append(length)
            played.returns.append(total)
            ended += terminated
            steps += length
            if steps >= MOST_STEPS:
                break
    return played._replace(ended=ended, broken=broken)


class Episode:
    """One episode in plain Python."""

    def __init__(
        self,
        dynamics: Dynamics,
        findings: Findings,
        watchdog: Watchdog,
        visits: list[Visit],
        policy_name: str,
        policy: Callable[[int], Any],
        seed: int,
    ) -> None:
        self.dynamics, self.findings, self.watchdog, self.visits = dynamics, findings, watchdog, visits
        self.policy_name, self.policy, self.seed = policy_name, policy, seed
        self.where = f"after reset, seed {seed}"
        self.size: int | None = None

    def run(self) -> tuple[int, float, bool]:
        """Play it and return its length, its return, and whether it terminated; raise Stop if it cannot go on."""
        key, total = fold_in(self.seed, 0), 0.0
        state = self.state("reset", self.call("reset", reset, fold_in(key, RESET_KEY)))
        for t in range(self.dynamics.max_episode_steps):
            allowed = self.look(state)
            action = self.policy(fold_in(fold_in(key, ACTION_KEY), t))
            if allowed:
                action = allowed_action(self.dynamics, allowed, action)
            step_key = fold_in(fold_in(key, DYNAMICS_KEY), t)
            self.where = (
                f"at step {t + 1} of seed {self.seed} ({self.policy_name} policy), action {shown(action)} "
                f"in state {shown(state)}"
            )
            after, reward, terminated = self.parts(self.call("step", step, state, action, step_key))
            total += reward
            if len(self.visits) < MOST_STEPS:
                self.visits.append(Visit(state, action, step_key, after, reward, terminated, self.where))
            state = after
            if terminated or t + 1 >= MOST_STEPS:
                break
        self.look(state, at_end=True)
        return t + 1, total, terminated

    def call(self, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method, and note what it raises."""
        try:
            with self.watchdog.call(f"{method} {self.where}"):
                return function(self.dynamics, *arguments)
        except Exception as error:
            way_out = f"{method} must work for every state and action that an episode can reach"
            if isinstance(error, TypeError) and "indices must be integers" in str(error):
                way_out = AS_INDEX
            elif method == "step" and isinstance(error, TypeError | IndexError):
                way_out = SPACE_OF_ACTIONS[type(self.dynamics.action_space).__name__]
            if isinstance(error, AttributeError) and "has no attribute" in str(error):
                way_out = "parameters are the annotated names at the top of the class"
            trace = own_traceback(error).replace("\n", "\n    ")
            self.fail(f"{method} raises", f"{method} raised {self.where}:\n    {trace}", way_out)

    def fail(self, kind: str, what: str, way_out: str) -> None:
        """Note a problem and end the episode."""
        self.findings.add(kind, what, way_out)
        raise Stop

    def state(self, method: str, value: Any) -> tuple[float, ...]:
        """Return a state as compiled code keeps it."""
        numbers = self.numbers(f"{method}'s state", value)
        if self.size is None:
            self.size = len(numbers)
        if len(numbers) != self.size:
            self.fail(
                "state's length",
                f"a state's length changes {self.where}: reset returned {self.size} numbers, {method} {len(numbers)}",
                "keep the same numbers at the same places in every state",
            )
        return numbers

    def numbers(self, kind: str, value: Any) -> tuple[float, ...]:
        """Return a tuple of finite numbers as floats."""
        if not isinstance(value, tuple):
            self.fail(
                f"{kind} is not a tuple",
                f"{kind} is {shown(value)} ({type(value).__name__}) {self.where}",
                "it must be a tuple of numbers, as in `return (x, v)`, or `return (x,)` for a single one",
            )
        for number in value:
            if not isinstance(number, Real | np.bool_):
                self.fail(
                    f"{kind} holds something else than numbers",
                    f"{kind} contains {shown(number)} ({type(number).__name__}) {self.where}",
                    "it must be a flat tuple of numbers",
                )
        if not all(map(math.isfinite, value)):
            self.fail(
                f"{kind} is not finite",
                f"{kind} is {shown(value)} {self.where}",
                "look for a division by zero, the root or logarithm of a negative number, or unbounded growth",
            )
        return tuple(map(float, value))

    def parts(self, value: Any) -> tuple[tuple[float, ...], float, bool]:
        """Return the parts of what step returned."""
        if not isinstance(value, tuple) or len(value) != 3:
            self.fail(
                "step's parts",
                f"step returned {shown(value)} {self.where}",
                "it must return state, reward, terminated; max_episode_steps takes care of the time limit",
            )
        state, reward, terminated = value
        after = self.state("step", state)
        if not isinstance(reward, Real) or isinstance(reward, bool):
            self.fail("reward's type", f"the reward is {shown(reward)} {self.where}", "it must be a number such as 1.0")
        if not math.isfinite(reward):
            self.fail("reward is not finite", f"the reward is {reward} {self.where}", "it must always be finite")
        if not isinstance(terminated, bool | np.bool_):
            note = self.findings.add if isinstance(terminated, Real) else self.fail
            note(
                "terminated's type",
                f"terminated is {shown(terminated)} ({type(terminated).__name__}) {self.where}",
                "it must be True or False, like the result of a comparison",
            )
        return after, float(reward), bool(terminated)

    def look(self, state: tuple[float, ...], at_end: bool = False) -> tuple[bool, ...]:
        """Check the observation of a state, and return its mask; () if there is none."""
        obs = self.numbers("the observation", self.call("observe", observe, state))
        self.contained(obs)
        if not has_mask(self.dynamics):
            return ()
        allowed: tuple[bool, ...] = self.call("mask", mask, state)
        count = self.dynamics.action_space.flat_size
        if not isinstance(allowed, tuple) or len(allowed) != count:
            self.fail(
                "mask's length",
                f"mask returned {shown(allowed)} in state {shown(state)}",
                f"it must be a tuple of {count} booleans, one for each action",
            )
        if not any(allowed) and not at_end:
            self.fail(
                "mask forbids all",
                f"mask forbids every action in state {shown(state)}, {self.where}",
                "allow at least one action in every state, or terminate the episode before",
            )
        return allowed

    def contained(self, obs: tuple[float, ...]) -> None:
        """Note an observation outside its space."""
        space = self.dynamics.observation_space
        count = len(space.low) if isinstance(space, Box) else len(space.counts)
        if len(obs) != count:
            source = "observe" if hasattr(self.dynamics, "observe") else "the state (there is no observe)"
            self.fail(
                "observation's length",
                f"{source} has {len(obs)} numbers, {shown(obs)}, but observation_space is {space}, with {count}",
                "make them agree",
            )
        ranges = (
            zip(space.low, space.high, strict=True) if isinstance(space, Box) else ((0, n - 1) for n in space.counts)
        )
        for d, (number, (low, high)) in enumerate(zip(obs, ranges, strict=True)):
            slack = TOLERANCE * max(abs(low) if math.isfinite(low) else 0, abs(high) if math.isfinite(high) else 0)
            whole = isinstance(space, Box) or number == int(number)
            if not (low - slack <= number <= high + slack and whole):
                self.findings.add(
                    f"observation {d}",
                    f"number {d} of the observation is {number:g}, outside {low:g} … {high:g}, {self.where}",
                    "widen observation_space (its bounds may be infinite), or keep the number inside",
                )


def shown(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, tuple) and all(isinstance(number, Real) for number in value):
        words = [str(number) if isinstance(number, bool) else f"{number:.6g}" for number in value]
        return f"({', '.join(words)}{',' * (len(words) == 1)})"
    return f"{value!r:.120}"


# --- all steps together


def check_steps_together(dynamics: Dynamics, played: Played, findings: Findings, repeatable: bool = True) -> None:
    """Note what only many steps show: unseeded randomness, episodes that never end, unused actions and keys."""
    if repeatable:
        require_repeatable(dynamics, played.visits, findings, reset, step, "")
    if played.lengths and set(played.lengths) == {1} and played.ended and dynamics.max_episode_steps > 1:
        findings.add(
            "one step", "every episode ended at its first step", "check the condition behind `terminated`", hint=True
        )
    if played.lengths and not played.ended and not played.broken:
        findings.add(
            "no end",
            f"no episode terminated: all ran to the time limit of {dynamics.max_episode_steps:,} steps",
            "fine if only the time limit ends it; otherwise check the condition behind `terminated`",
            hint=True,
        )
    starts = {reset(dynamics, fold_in(seed, RESET_KEY)) for seed in range(20)}
    if len(starts) == 1:
        findings.add(
            "same start",
            f"reset does not use its key: every episode starts in {shown(starts.pop())}",
            "fine if intended; otherwise draw the start with `uniform(key, 0, low, high)` or `normal(key, 0)`",
            hint=True,
        )
    actions = [*extreme_actions(dynamics.action_space), *(random_action(dynamics.action_space, k) for k in range(4))]
    tried = sample(played.visits, 200) if len(set(actions)) > 1 and not has_mask(dynamics) else []
    if tried and not any(depends_on_action(dynamics, visit, actions) for visit in tried):
        findings.add(
            "action ignored",
            "step ignored the action in every state that was tried",
            "use `action` in step; " + SPACE_OF_ACTIONS[type(dynamics.action_space).__name__],
            hint=True,
        )


def depends_on_action(dynamics: Dynamics, visit: Visit, actions: list[Any]) -> bool:
    """Return True if not all of the actions have the same result there."""
    try:
        return len({str(step(dynamics, visit.state, action, visit.key)) for action in actions}) > 1
    except Exception:
        return True  # noted when it was played


def sample(visits: list[Visit], count: int) -> list[Visit]:
    """Return at most `count` of them, evenly spread."""
    return visits[:: max(1, len(visits) // count)][:count]


def require_repeatable(
    dynamics: Any, visits: list[Visit], findings: Findings, reset_: Any, step_: Any, compiled: str
) -> None:
    """Note where the same key gives another result the second time."""
    way_out = "draw every random number from `key`, with `uniform(key, 0)`, `normal(key, 1)`, …, and change no globals"
    for seed in range(5):
        key = np.uint64(fold_in(seed, RESET_KEY)) if compiled else fold_in(seed, RESET_KEY)
        first, second = reset_(dynamics, key), reset_(dynamics, key)
        if first != second:
            what = f"reset{compiled} returned {shown(first)}, then {shown(second)}, for the same key"
            findings.add(f"reset{compiled} repeats", what, way_out)
    for visit in sample(visits, COMPARED):
        key = np.uint64(visit.key) if compiled else visit.key
        first, second = (step_(dynamics, visit.state, visit.action, key) for _ in range(2))
        if first != second:
            what = f"step{compiled} returned {first}, then {second}, for the same state, action and key, {visit.where}"
            findings.add(f"step{compiled} repeats", what, way_out)


def find_unseeded(dynamics: Dynamics, findings: Findings) -> None:
    """Note random numbers and clocks in the source code."""
    for name, line, code in unseeded(dynamics):
        findings.add(
            f"unseeded {name} {line}",
            f"{name}, line {line}: `{code}` does not depend on the key, so runs cannot be reproduced",
            "draw with `uniform(key, 0)` or `normal(key, 0)` of pgrad.envs, with another index for each number",
        )


def require_same_globals(before: dict[str, str], dynamics: Dynamics, findings: Findings) -> None:
    """Note globals that have changed."""
    after = globals_of(dynamics)
    for name in before:
        if before[name] != after.get(name):
            findings.add(
                f"global {name}",
                f"the global {name} changed while episodes ran, from {before[name]:.60} to {after.get(name):.60}",
                "compiled code keeps the value it had when it was compiled: put what changes into the state",
            )
