"""Is it an environment, does it do the same compiled, can its runs be repeated? `check` says what is wrong and why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.env_check.compile_errors import explain, globals_of
from pgrad.env_check.compiled import compare, speeds
from pgrad.env_check.interpreted import look_at_all, look_for_unseeded, play, require_same_globals
from pgrad.env_check.report import Findings
from pgrad.envs.dynamics import Dynamics
from pgrad.envs.make import COMPILED, OURS
from pgrad.envs.reference import is_reference, load
from pgrad.errors import EnvError
from pgrad.vector.originals import make_gymnasium
from pgrad.watchdog import Watchdog, watched

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class CheckReport:
    """What a check found. `print` it."""

    name: str
    description: str
    findings: Findings
    played: str
    speed: str

    @property
    def holds(self) -> bool:
        """Whether no problem was found; hints are none."""
        return not self.findings.problems

    def __str__(self) -> str:
        told = [str(finding) for finding in (*self.findings.problems, *self.findings.hints)]
        return "\n\n".join(
            filter(
                None, [f"{self.name}\n{self.description}", *told, f"{self.played}\n{self.speed}".strip(), self.verdict]
            )
        )

    @property
    def verdict(self) -> str:
        """The last line."""
        problems, hints = len(self.findings.problems), len(self.findings.hints)
        counted = [
            f"{number} {word}{'s' * (number != 1)}"
            for number, word in ((problems, "problem"), (hints, "hint"))
            if number
        ]
        return f"{'fine' if self.holds else 'not fine'}: {', '.join(counted) or 'nothing found'}"


def check(environment: Any, seed: int = 0, step_timeout: float | None = 60.0) -> CheckReport:
    """Play, compile and compare an environment.

    environment: a reference like `my_env.py:MyEnv`, a Gymnasium id, dynamics, or whatever else `pgrad.make` takes.
    Raises EnvError where there is none, and where a step, uncompiled, takes more than `step_timeout` seconds.
    """
    if isinstance(environment, tuple):
        return check_dynamics(environment, type(environment).__name__, seed, step_timeout)
    if not isinstance(environment, str):
        return check_gymnasium(environment, None, seed, step_timeout)
    if environment in OURS:
        return check_dynamics(COMPILED[environment]().dynamics, environment, seed, step_timeout)
    if not is_reference(environment):
        require_original(environment)
        return check_gymnasium(lambda: make_gymnasium(environment), environment, seed, step_timeout)
    made = load(environment)
    if isinstance(made, tuple):
        return check_dynamics(made, environment, seed, step_timeout)
    return check_gymnasium(made, environment, seed, step_timeout)


def require_original(env_id: str) -> None:
    """Raise EnvError where Gymnasium cannot make an environment of that id."""
    from pgrad.vector.envpool import describe_envpool

    try:
        make_gymnasium(env_id).close()
    except EnvError as error:
        if describe_envpool(env_id) is None:
            raise
        raise EnvError(
            f"'{env_id}' is there through EnvPool alone, which has no single environment to look at from outside"
        ) from error


def check_dynamics(dynamics: Any, name: str, seed: int, step_timeout: float | None) -> CheckReport:
    """Uncompiled, compiled, and through its Gymnasium face; each only if what came before left something to look at."""
    findings = Findings()
    before = globals_of(dynamics)
    look_for_unseeded(dynamics, findings)
    repeatable = not findings.problems
    watchdog = Watchdog()
    played = watched(lambda: play(dynamics, findings, watchdog, seed), watchdog, step_timeout)
    if played.visits:
        look_at_all(dynamics, played, findings, repeatable)
        require_same_globals(before, dynamics, findings)
    speed = "" if played.visits else "not compiled: no step could be taken"
    sound = bool(played.visits) and compare(dynamics, played.visits, findings, repeatable)
    if sound and not played.broken:  # compiled code does not look whether an index is inside
        speed = timed(dynamics, findings)
    if not findings.problems:
        check_face(dynamics, findings)
    description = (
        f"observes {dynamics.observation_space}, accepts {dynamics.action_space}, "
        f"at most {dynamics.max_episode_steps:,} steps"
    )
    told = summary(played.lengths, played.returns, "random and extreme")
    return CheckReport(name, description, findings, told, speed)


def timed(dynamics: Dynamics, findings: Findings) -> str:
    """How fast it is; a loop that cannot be compiled though each method can is a problem."""
    try:
        uncompiled, compiled = speeds(dynamics)
    except Exception as error:
        findings.add("loop", *explain(error, dynamics, "the loop around step"))
        return ""
    return (
        f"speed: {rounded(uncompiled)} steps/s uncompiled, {rounded(compiled)} compiled: "
        f"{compiled / uncompiled:,.0f} times (one core, one episode at a time)"
    )


def check_face(dynamics: Dynamics, findings: Findings) -> None:
    """Gymnasium's check_env through the face."""
    import gymnasium

    from pgrad.env_check.gymnasium_env import run_check_env
    from pgrad.envs.gymnasium_adapter import register

    env_id = register(dynamics, "pgrad-check/Face-v0")
    try:
        run_check_env(lambda: gymnasium.make(env_id), findings)
    finally:
        del gymnasium.registry[env_id]


def check_gymnasium(environment: Any, name: str | None, seed: int, step_timeout: float | None) -> CheckReport:
    """What can be found out from outside; `environment` is what envs.gymnasium.making.describe takes."""
    from pgrad.env_check.gymnasium_env import play as play_gymnasium
    from pgrad.env_check.gymnasium_env import run_check_env, train_on
    from pgrad.vector.make import describe

    findings = Findings()
    try:
        described = describe(environment)
    except EnvError as error:
        way_out = "docs/environments.md says which spaces can be trained on"
        findings.add("spaces", f"pgrad cannot train on it: {error}", way_out)
        return CheckReport(name or type(environment).__name__, "not played", findings, "", "")
    make, name = described.make, name or described.name
    watchdog = Watchdog()

    def look() -> tuple[list[int], list[float], float | None]:
        with watchdog.call("Gymnasium's check_env"):
            run_check_env(make, findings)
        played = play_gymnasium(make, findings, watchdog, seed)
        if not findings.problems:
            train_on(described, findings, watchdog, seed)
        return played

    lengths, returns, rate = watched(look, watchdog, step_timeout)
    env: gymnasium.Env[Any, Any] = make()
    limit = env.spec.max_episode_steps if env.spec else None
    description = f"observes {env.observation_space}, accepts {env.action_space}, " + (
        f"at most {limit:,} steps" if limit else "no time limit"
    )
    env.close()
    speed = "" if rate is None else f"speed: {rounded(rate)} steps/s through Gymnasium"
    if name in COMPILED and speed:
        speed += "; pgrad trains on its compiled twin instead"
    return CheckReport(name, description, findings, summary(lengths, returns, "random"), speed)


def summary(lengths: list[int], returns: list[float], actions: str) -> str:
    """What the episodes were like."""
    if not lengths:
        return ""
    return (
        f"played: {len(lengths)} episodes with {actions} actions, {min(lengths):,} to {max(lengths):,} steps, "
        f"mean return {np.mean(returns):.4g}"
    )


def rounded(rate: float) -> str:
    """A rate to two digits."""
    return f"{float(f'{rate:.2g}'):,.0f}"
