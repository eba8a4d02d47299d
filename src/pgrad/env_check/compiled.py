"""Compare a compiled environment with the same code in plain Python, and time both."""

import math
import time
from typing import Any

import numba
import numpy as np
from numba.core.errors import NumbaError

from pgrad.env_check.compile_errors import UNITE, explain
from pgrad.env_check.interpreted import COMPARED, Visit, random_action, require_repeatable, sample, shown
from pgrad.env_check.report import Finding, Findings
from pgrad.envs.compiled_methods import compiled_mask, compiled_observe, compiled_reset, compiled_step, timed_steps
from pgrad.envs.dynamics import has_mask, reset
from pgrad.kernels.jit import face_for
from pgrad.kernels.random import RESET_KEY, fold_in
from pgrad.spaces import Box

TOLERANCE, SMALL = 1e-6, 1e-9  # relative, absolute: compiled code may fuse a multiplication and an addition
TIMED_SECONDS = 0.1


def compare(dynamics: Any, visits: list[Visit], findings: Findings, repeatable: bool = True) -> bool:
    """Compile each method and, if the environment is `repeatable`, compare it with plain Python.

    Returns True if all methods could be compiled.
    """
    methods = compiled(dynamics, visits[0].state, visits[0].action, visits[0].key, findings)
    if methods is None:
        return False
    if not repeatable:
        return True
    for seed in range(50):
        key_number = fold_in(seed, RESET_KEY)
        agree(
            findings,
            "reset",
            reset(dynamics, key_number),
            methods["reset"](dynamics, np.uint64(key_number)),
            f"seed {seed}",
        )
    for visit in sample(visits, COMPARED):
        try:
            got = methods["step"](dynamics, visit.state, as_in_training(visit.action), np.uint64(visit.key))
        except Exception as error:
            findings.add("step compiled raises", f"step compiled raised {error!r} {visit.where}", UNITE)
            return False
        agree(findings, "step", flat((visit.after, visit.reward, visit.terminated)), flat(got), visit.where)
        for name in ("observe", "mask"):
            if name in methods:
                plain = getattr(dynamics, name)(visit.state)
                agree(findings, name, plain, methods[name](dynamics, visit.state), f"in state {shown(visit.state)}")
    require_repeatable(dynamics, visits, findings, methods["reset"], methods["step"], " compiled")
    return True


def compiled(dynamics: Any, state: Any, action: Any, key: int, findings: Findings) -> dict[str, Any] | None:
    """Return the compiled methods by name; None, having noted the reasons, if one cannot be compiled."""
    action, bits = as_in_training(action), np.uint64(key)
    calls: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("reset", compiled_reset, (bits,)),
        ("step", compiled_step, (state, action, bits)),
        ("observe", compiled_observe, (state,)),
        ("mask", compiled_mask, (state,)),
    ]
    methods = {}
    for name, function, arguments in calls:
        if name in ("observe", "mask") and not hasattr(dynamics, name):
            continue
        compiled_method = face_for(function, dynamics)
        try:
            compiled_method(dynamics, *arguments)
            methods[name] = compiled_method
        except Exception as error:
            findings.add(f"{name} compiled", *explain(plainer(error, dynamics, name, arguments), dynamics, name))
    return methods if len(methods) == len([name for name, _, _ in calls if hasattr(dynamics, name)]) else None


def why_not_compiled(dynamics: Any, error: Exception) -> list[Finding]:
    """Return the reasons for a compilation error, method by method where possible."""
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
    """Return an action with the types that it has in training."""
    return action if isinstance(action, tuple) else np.int32(action)


def flat(parts: tuple[Any, float, bool]) -> tuple[float, ...]:
    """Return next state, reward and end as one tuple."""
    return (*parts[0], parts[1], parts[2])


def plainer(error: Exception, dynamics: Any, name: str, arguments: tuple[Any, ...]) -> Exception:
    """Return the error from compiling the method alone, which says less about how it was called."""
    try:
        numba.njit(getattr(type(dynamics), name)).compile(tuple(map(numba.typeof, (dynamics, *arguments))))
    except Exception as alone:
        return alone if isinstance(alone, NumbaError | NotImplementedError) else error
    return error


def close(expected: Any, got: Any) -> bool:
    """Return True if two numbers agree up to rounding."""
    return got is not None and math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=SMALL)


def agree(findings: Findings, name: str, expected: Any, got: Any, where: str) -> None:
    """Note a difference between plain Python and compiled code."""
    same = len(got) == len(expected) and all(map(close, expected, got))
    if not same:
        findings.add(
            f"{name} differs",
            f"{name} returns {shown(expected)} uncompiled, {shown(got)} compiled, {where}",
            "usually a global that changes, a random number that does not come from `key`, an integer beyond 64 bits, "
            "or a division by zero",
        )


def speeds(dynamics: Any) -> tuple[float, float]:
    """Return steps per second, uncompiled and compiled, of one episode at a time on one core."""
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
