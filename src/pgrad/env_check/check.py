"""`check` says whether an environment is sound, the same when compiled, and reproducible; and if not, why not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.env_check.compile_errors import explain, globals_of
from pgrad.env_check.compiled import compare, speeds
from pgrad.env_check.interpreted import check_steps_together, find_unseeded, play, require_same_globals
from pgrad.env_check.report import Findings
from pgrad.envs.dynamics import Dynamics
from pgrad.envs.make import COMPILED, Original, find
from pgrad.errors import EnvError
from pgrad.watchdog import Watchdog, watched

if TYPE_CHECKING:
    import gymnasium

    from pgrad.vector.spec import Description


@dataclass(frozen=True)
class CheckReport:
    """What a check found; `print` it."""

    name: str
    description: str
    findings: Findings
    played: str
    speed: str

    @property
    def holds(self) -> bool:
        """True if there are no problems; hints do not count."""
        return not self.findings.problems

    def __str__(self) -> str:
        found = [str(finding) for finding in (*self.findings.problems, *self.findings.hints)]
        parts = [f"{self.name}\n{self.description}", *found, f"{self.played}\n{self.speed}".strip(), self.verdict]
        return "\n\n".join(filter(None, parts))

    @property
    def verdict(self) -> str:
        """The last line."""
        problems, hints = len(self.findings.problems), len(self.findings.hints)
        counts = [
            f"{number} {word}{'s' * (number != 1)}"
            for number, word in ((problems, "problem"), (hints, "hint"))
            if number
        ]
        return f"{'fine' if self.holds else 'not fine'}: {', '.join(counts) or 'nothing found'}"


def check(environment: Any, seed: int = 0, step_timeout: float | None = 60.0) -> CheckReport:
    """Play, compile and compare an environment.

    environment   whatever `pgrad.make` takes. Of one that Gymnasium has too, Gymnasium's own is checked
    seed          of starts and actions
    step_timeout  seconds that one uncompiled step may take; None: any

    Raises EnvError if there is no such environment, or if a step takes too long.
    """
    found = find(environment)
    if isinstance(found, Original):
        name = found.name or (found.source if isinstance(found.source, str) else "")
        return check_gymnasium(describe_original(found), name, seed, step_timeout)
    if found.description is not None:
        return check_gymnasium(found.description, found.id, seed, step_timeout)
    if found.has_original:
        return check_gymnasium(describe_original(Original(found.id)), found.id, seed, step_timeout)
    return check_dynamics(found.dynamics, found.id, seed, step_timeout)


def describe_original(original: Original) -> "Description | EnvError":
    """Describe an environment of Gymnasium's, or return why pgrad cannot train on it; raise if it cannot be made."""
    from pgrad.vector.make import describe, make_gymnasium

    try:
        described = describe(original.source)
    except EnvError as error:
        if isinstance(original.source, str):
            make_gymnasium(original.source).close()
        return error
    if not described.original:
        raise EnvError(
            f"'{described.name}' is only available through EnvPool, which has no single environment to check"
        )
    return described


def check_dynamics(dynamics: Any, name: str, seed: int, step_timeout: float | None) -> CheckReport:
    """Check dynamics uncompiled, compiled, and through Gymnasium, each if the one before left something to check."""
    findings = Findings()
    before = globals_of(dynamics)
    find_unseeded(dynamics, findings)
    repeatable = not findings.problems
    watchdog = Watchdog()
    played = watched(lambda: play(dynamics, findings, watchdog, seed), watchdog, step_timeout)
    if played.visits:
        check_steps_together(dynamics, played, findings, repeatable)
        require_same_globals(before, dynamics, findings)
    speed = "" if played.visits else "not compiled: no step could be taken"
    sound = bool(played.visits) and compare(dynamics, played.visits, findings, repeatable)
    if sound and not played.broken:  # compiled code does not check that an index is in range
        speed = measure_speed(dynamics, findings)
    if not findings.problems:
        check_adapter(dynamics, findings)
    description = (
        f"observes {dynamics.observation_space}, accepts {dynamics.action_space}, "
        f"at most {dynamics.max_episode_steps:,} steps"
    )
    summary = summarise(played.lengths, played.returns, "random and extreme")
    return CheckReport(name, description, findings, summary, speed)


def measure_speed(dynamics: Dynamics, findings: Findings) -> str:
    """Return how fast it is; note it if the loop cannot be compiled though each method can."""
    try:
        uncompiled, compiled = speeds(dynamics)
    except Exception as error:
        findings.add("loop", *explain(error, dynamics, "the loop around step"))
        return ""
    return (
        f"speed: {two_digits(uncompiled)} steps/s uncompiled, {two_digits(compiled)} compiled: "
        f"{compiled / uncompiled:,.0f} times (one core, one episode at a time)"
    )


def check_adapter(dynamics: Dynamics, findings: Findings) -> None:
    """Run Gymnasium's check_env on the dynamics behind their Gymnasium adapter."""
    import gymnasium

    from pgrad.env_check.gymnasium_env import run_check_env
    from pgrad.envs.gymnasium_adapter import register

    env_id = register(dynamics, "pgrad-check/Adapted-v0")
    try:
        run_check_env(lambda: gymnasium.make(env_id), findings)
    finally:
        del gymnasium.registry[env_id]


def check_gymnasium(
    described: "Description | EnvError", name: str, seed: int, step_timeout: float | None
) -> CheckReport:
    """Check what can be found out about a Gymnasium environment from outside."""
    from pgrad.env_check.gymnasium_env import play as play_gymnasium
    from pgrad.env_check.gymnasium_env import run_check_env, train_on

    findings = Findings()
    if isinstance(described, EnvError):
        way_out = "use Box, Discrete, MultiDiscrete or MultiBinary; observations may be a Dict or Tuple of these"
        findings.add("spaces", f"pgrad cannot train on it: {described}", way_out)
        return CheckReport(name or "environment", "not played", findings, "", "")
    watchdog = Watchdog()

    def look() -> tuple[list[int], list[float], float | None]:
        with watchdog.call("Gymnasium's check_env"):
            run_check_env(described.make, findings)
        played = play_gymnasium(described.make, findings, watchdog, seed)
        if not findings.problems:
            train_on(described, findings, watchdog, seed)
        return played

    lengths, returns, rate = watched(look, watchdog, step_timeout)
    env: gymnasium.Env[Any, Any] = described.make()
    limit = env.spec.max_episode_steps if env.spec else None
    description = f"observes {env.observation_space}, accepts {env.action_space}, " + (
        f"at most {limit:,} steps" if limit else "no time limit"
    )
    env.close()
    speed = "" if rate is None else f"speed: {two_digits(rate)} steps/s through Gymnasium"
    if described.name in COMPILED and speed:
        speed += "; pgrad trains on its compiled port instead"
    return CheckReport(name or described.name, description, findings, summarise(lengths, returns, "random"), speed)


def summarise(lengths: list[int], returns: list[float], actions: str) -> str:
    """Return a line about the episodes that were played."""
    if not lengths:
        return ""
    return (
        f"played: {len(lengths)} episodes with {actions} actions, {min(lengths):,} to {max(lengths):,} steps, "
        f"mean return {np.mean(returns):.4g}"
    )


def two_digits(rate: float) -> str:
    """Return a rate rounded to two digits."""
    return f"{float(f'{rate:.2g}'):,.0f}"
