"""Does an environment do the same when it is compiled? And how fast is it then?"""

import math
import time
from typing import Any

import numba
import numpy as np
from numba.core.errors import NumbaError

from pgrad.env_check.compile_errors import UNITE, explain
from pgrad.env_check.interpreted import COMPARED, RESET_KEY, Visit, random_action, require_repeatable, sample, shown
from pgrad.env_check.report import Finding, Findings
from pgrad.envs.dynamics import has_mask, mask, mask_into, observe, reset, step
from pgrad.kernels.jit import compiled_as, face_for, strict
from pgrad.kernels.lanes import read_lane, write_lane
from pgrad.kernels.random import fold_in
from pgrad.spaces import Box

TOLERANCE, SMALL = 1e-6, 1e-9  # relative and absolute; compiled code may fuse a multiplication and an addition
TIMED_SECONDS = 0.1


@strict
def compiled_reset(env: Any, key: Any) -> Any:
    """`reset` by itself."""
    return reset(env, key)


@strict
def compiled_step(env: Any, state: Any, action: Any, key: Any) -> Any:
    """`step` by itself."""
    return step(env, state, action, key)


@strict
def compiled_observe(env: Any, state: Any) -> Any:
    """`observe` by itself."""
    return observe(env, state)


@strict
def compiled_mask(env: Any, state: Any) -> Any:
    """`mask` by itself."""
    return mask(env, state)


def action_at(actions: Any, index: int, like: Any) -> Any:
    """The action in a column of `actions`: as many numbers as `like` has, or one whole number."""
    return read_lane(actions, index, like) if isinstance(like, tuple) else int(actions[0, index])


@compiled_as(action_at)
def _action_at_compiled(actions: Any, index: Any, like: Any) -> Any:
    if isinstance(like, numba.types.BaseTuple):
        return lambda actions, index, like: read_lane(actions, index, like)
    return lambda actions, index, like: actions[0, index]


@strict
def timed_steps(
    env: Any, like: Any, like_action: Any, actions: Any, state: Any, allowed: Any, limit: int, count: int
) -> float:
    """Take `count` steps, with the given actions in turn; returns the sum of rewards.

    state [S, 1] and allowed [A, 1] are room for the state and for what is allowed in it; no room: everything is.
    """
    total, t = 0.0, limit
    for n in range(count):
        if t >= limit:
            write_lane(state, 0, reset(env, fold_in(0, n)))
            t = 0
        chosen = n % actions.shape[1]
        if allowed.shape[0] > 0:
            mask_into(env, read_lane(state, 0, like), allowed, 0)
            for _ in range(actions.shape[1]):
                if allowed[int(actions[0, chosen]), 0]:
                    break
                chosen = (chosen + 1) % actions.shape[1]
        after, reward, terminated = step(
            env, read_lane(state, 0, like), action_at(actions, chosen, like_action), fold_in(1, n)
        )
        write_lane(state, 0, after)
        total += reward
        t = limit if terminated else t + 1
    return total


def compare(dynamics: Any, visits: list[Visit], findings: Findings, repeatable: bool = True) -> bool:
    """Compile each method and, if runs can be `repeatable` at all, hold it to the uncompiled one.

    Returns whether all could be compiled.
    """
    faces = compiled(dynamics, visits[0].state, visits[0].action, visits[0].key, findings)
    if faces is None:
        return False
    if not repeatable:
        return True
    for seed in range(50):
        key_number = fold_in(seed, RESET_KEY)
        agree(
            findings,
            "reset",
            reset(dynamics, key_number),
            faces["reset"](dynamics, np.uint64(key_number)),
            f"seed {seed}",
        )
    for visit in sample(visits, COMPARED):
        try:
            got = faces["step"](dynamics, visit.state, as_in_training(visit.action), np.uint64(visit.key))
        except Exception as error:
            findings.add("step compiled raises", f"step compiled raised {error!r} {visit.where}", UNITE)
            return False
        agree(findings, "step", flat((visit.after, visit.reward, visit.terminated)), flat(got), visit.where)
        for name in ("observe", "mask"):
            if name in faces:
                plain = getattr(dynamics, name)(visit.state)
                agree(findings, name, plain, faces[name](dynamics, visit.state), f"in state {shown(visit.state)}")
    require_repeatable(dynamics, visits, findings, faces["reset"], faces["step"], " compiled")
    return True


def compiled(dynamics: Any, state: Any, action: Any, key: int, findings: Findings) -> dict[str, Any] | None:
    """The methods as compiled code calls them, by name; None, and the reasons, where one cannot be compiled."""
    action, bits = as_in_training(action), np.uint64(key)
    calls: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("reset", compiled_reset, (bits,)),
        ("step", compiled_step, (state, action, bits)),
        ("observe", compiled_observe, (state,)),
        ("mask", compiled_mask, (state,)),
    ]
    faces = {}
    for name, function, arguments in calls:
        if name in ("observe", "mask") and not hasattr(dynamics, name):
            continue
        face = face_for(function, dynamics)
        try:
            face(dynamics, *arguments)
            faces[name] = face
        except Exception as error:
            findings.add(f"{name} compiled", *explain(plainer(error, dynamics, name, arguments), dynamics, name))
    return faces if len(faces) == len([name for name, _, _ in calls if hasattr(dynamics, name)]) else None


def why_not_compiled(dynamics: Any, error: Exception) -> list[Finding]:
    """The reasons why compiling ended with that error, method by method if they can be told apart."""
    findings = Findings()
    try:
        state = tuple(map(float, reset(dynamics, 0)))
        compiled(dynamics, state, random_action(dynamics.action_space, 0), 0, findings)
    except Exception as raised:
        findings.add("raised", f"reset raised {type(raised).__name__}: {raised}", "`pgrad check-env` shows where")
    if not findings.problems:
        findings.add("loop", *explain(error, dynamics, "the loop around step"))
    return findings.problems


def as_in_training(action: Any) -> Any:
    """An action with the types that training gives it."""
    return action if isinstance(action, tuple) else np.int32(action)


def flat(parts: tuple[Any, float, bool]) -> tuple[float, ...]:
    """Next state, reward and end as one tuple."""
    return (*parts[0], parts[1], parts[2])


def plainer(error: Exception, dynamics: Any, name: str, arguments: tuple[Any, ...]) -> Exception:
    """The error that compiling the method alone gives, which says less about how it was called."""
    try:
        numba.njit(getattr(type(dynamics), name)).compile(tuple(map(numba.typeof, (dynamics, *arguments))))
    except Exception as alone:
        return alone if isinstance(alone, NumbaError | NotImplementedError) else error
    return error


def close(expected: Any, got: Any) -> bool:
    """Whether two numbers are the same but for rounding."""
    return got is not None and math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=SMALL)


def agree(findings: Findings, name: str, expected: Any, got: Any, where: str) -> None:
    """Note a difference between uncompiled and compiled."""
    same = len(got) == len(expected) and all(map(close, expected, got))
    if not same:
        findings.add(
            f"{name} differs",
            f"{name} gives {shown(expected)} uncompiled, {shown(got)} compiled, {where}",
            "most often: a global that changes, or a random number from elsewhere than `key`; whole numbers beyond 64 "
            "bits; a division by zero",
        )


def speeds(dynamics: Any) -> tuple[float, float]:
    """Steps a second, uncompiled and compiled, of one episode at a time on one core."""
    space = dynamics.action_space
    chosen = [random_action(space, fold_in(0, k)) for k in range(1024)]
    like_action = chosen[0]
    numbers = np.array([action if isinstance(action, tuple) else (action,) for action in chosen]).T
    actions = np.ascontiguousarray(numbers, np.float64 if isinstance(space, Box) else np.int32)
    like = tuple(map(float, reset(dynamics, 0)))
    state = np.zeros((len(like), 1))
    allowed = np.zeros((space.flat_size if has_mask(dynamics) else 0, 1), np.bool_)
    arguments = (dynamics, like, like_action, actions, state, allowed, dynamics.max_episode_steps)
    rates = []
    for function in (timed_steps.__wrapped__, face_for(timed_steps, dynamics)):  # type: ignore[attr-defined]
        function(*arguments, 1)
        count, seconds = 500, 0.0
        while seconds < TIMED_SECONDS:
            count *= 2
            began = time.perf_counter()
            function(*arguments, count)
            seconds = time.perf_counter() - began
        rates.append(count / seconds)
    return rates[0], rates[1]
