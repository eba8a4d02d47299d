"""`check` finds what is planted, says where and what to do about it, and finds nothing in what is sound."""

import math
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from pgrad.cli import main as cli
from pgrad.env_check.check import CheckReport, check
from pgrad.env_check.interpreted import extreme_actions, random_action
from pgrad.envs import Box, Discrete, MultiDiscrete, normal, uniform
from pgrad.errors import EnvError

BASE = """
import math
import random
import numpy as np
from typing import NamedTuple
from pgrad.envs import Box, Discrete, MultiDiscrete, helper, normal, uniform

TABLE = {"a": 1.0}
LIST = [1.0, 2.0]
COUNT = 0
COUNTS = np.zeros(1)


def plain(x):
    return 1.0 * x


class Cart(NamedTuple):
    force: float = 1.0
    limit = 2.0
    observation_space = Box(-100.0, 100.0, 2)
    action_space = Discrete(2)
    max_episode_steps = 20

    def push(self, action):
        return self.force * action

    def reset(self, key):
        return uniform(key, 0), 0.0

    def step(self, state, action, key):
        x, v = state
        v = v + 0.1 * self.force * (2 * action - 1)
        x = x + v
        reward = -abs(x)
        terminated = x > 2.0
        return (x, v), reward, terminated
"""

MOVE, ACT, RETURN = "x = x + v", "0.1 * self.force * (2 * action - 1)", "return (x, v), reward, terminated"
START, END, STEP = "return uniform(key, 0), 0.0", "terminated = x > 2.0", "    def step("
AT = r"at step \d+ of seed \d \(random policy\), action [01] in state \(.*\)"


def checked(folder: Path, *changes: tuple[str, str]) -> CheckReport:
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "cart.py").write_text(text)
    return check(f"{folder / 'cart.py'}:Cart")


def test_nothing_is_found_in_a_sound_one(tmp_path: Path) -> None:
    report = checked(tmp_path)
    lines = str(report).splitlines()
    assert report.holds and lines[-1] == report.verdict == "fine: nothing found"
    assert lines[0].endswith("cart.py:Cart")
    assert lines[1].startswith("observes Box of 2 numbers in [-100, 100], accepts Discrete(n=2), at most 20")
    assert "played: 12 episodes" in lines[3]
    assert re.fullmatch(r"speed: [\d,]+ steps/s uncompiled, [\d,]+ compiled: [\d,]+ times \(one core, .*\)", lines[4])


# What cannot be played is found without compiling, in a moment.
UNPLAYABLE = [
    (("x > 2.0", "None"), r"terminated is None \(NoneType\) at step", "True or False"),
    (
        (MOVE, "x = x + 1 / (0.0 * v)"),
        rf"(?s)step raised {AT}.*line 34, in step\n.*ZeroDivisionError",
        "must work for every state",
    ),
    (
        (ACT, "action[0]"),
        rf"(?s)step raised {AT}.*'int' object is not subscriptable",
        "Discrete: an action is an integer",
    ),
    (
        ("Discrete(2)", "Box(-1.0, 1.0)"),
        r"(?s)step raised .*action \(-?[\d.]+,\).*TypeError",
        "Box: an action is a tuple of numbers",
    ),
    (("self.force *", "self.forse *"), "has no attribute 'forse'", "parameters are the annotated names"),
    ((START, "return [0.0, 0.0]"), r"reset's state is \[0.0, 0.0\] \(list\) after reset, seed 0", "a tuple of numbers"),
    ((START, "return 'ab', 0.0"), r"reset's state contains 'ab' \(str\)", "a flat tuple of numbers"),
    (
        (RETURN, RETURN + ", False, {}"),
        rf"step returned \(.*, False, \{{\}}\) {AT}",
        "must return state, reward, terminated",
    ),
    (("-abs(x)", "math.inf - math.inf"), rf"the reward is nan {AT}", "finite"),
    (("-abs(x)", "None"), rf"the reward is None {AT}", "must be a number"),
    (
        ("100.0, 2)", "100.0, 3)"),
        r"the state \(there is no observe\) has 2 numbers, .*, with 3",
        "make them agree",
    ),
    (
        (STEP, "    def mask(self, state): return (False, False)\n\n" + STEP),
        r"mask forbids every action in state \(.*\), after reset",
        "at least one",
    ),
    (
        (STEP, "    def mask(self, state): return (True,)\n\n" + STEP),
        r"mask returned \(True,\) in state",
        "a tuple of 2 booleans",
    ),
    (
        (STEP, "    def observe(self, state): return state[0]\n\n" + STEP),
        r"the observation is [\d.]+ \(float\)",
        "must be a tuple of numbers",
    ),
    (
        (STEP, "    def observe(self, state): return state[2], 0\n\n" + STEP),
        "(?s)observe raised after reset.*IndexError",
        "must work",
    ),
]


@pytest.mark.parametrize(("change", "problem", "way_out"), UNPLAYABLE)
def test_what_cannot_be_played_is_told(change: tuple[str, str], problem: str, way_out: str, tmp_path: Path) -> None:
    report = checked(tmp_path, change)
    require(report, problem, way_out)
    assert "not compiled: no step could be taken" in str(report)


def require(report: CheckReport, problem: str, way_out: str) -> None:
    """One problem is found, and it is this one."""
    (found,) = report.findings.problems
    assert re.search(problem, found.what), found.what
    assert way_out in found.way_out
    assert not report.holds and report.verdict.startswith("not fine: 1 problem")
    assert f"problem: {found.what.splitlines()[0]}" in str(report)


# What can be played but not compiled.
UNCOMPILABLE = [
    (
        (ACT, "self.push(action)"),
        r"\(line 33: `v = v \+ self.push\(action\)`\): it calls self.push",
        "make it a function above the class with `@helper`",
    ),
    (("x > 2.0", "x > self.limit"), r"line 36.*self.limit is not a parameter", "`limit: float = 2.0`"),
    (
        (MOVE, "x = plain(x) + v"),
        "plain is a plain Python function",
        "write `@helper` (of pgrad.envs) above `def plain`",
    ),
    ((MOVE, "x = x + v * TABLE['a']"), "the global TABLE is a dict", "a tuple of numbers or a NumPy array"),
    ((MOVE, "x = x + v * LIST[0]"), "the global LIST is a list", "a tuple of numbers or a NumPy array"),
    (
        (RETURN, "if v > 50:\n            return (x, v, 0.0), reward, terminated\n        " + RETURN),
        "its branches do not agree",
        "as many numbers",
    ),
    ((MOVE, "x = x + (0.0, v)[x > -200]"), "a float or a comparison is used as an index", "int(...)"),
    ((MOVE, "x, _ = tuple(s + v for s in state)"), "a generator expression", "write out the numbers"),
    ((MOVE, "try:\n            x = x + v\n        except ValueError:\n            pass"), "try, except", "check first"),
    ((MOVE, "x = np.clip(x + v, -50.0, 50.0)"), "a number is used as if it were an array", "min, max"),
]


@pytest.mark.parametrize(("change", "problem", "way_out"), UNCOMPILABLE)
def test_what_cannot_be_compiled_is_explained(
    change: tuple[str, str], problem: str, way_out: str, tmp_path: Path
) -> None:
    require(checked(tmp_path, change), f"step cannot be compiled.*{problem}", way_out)


# What only many steps or a comparison show.
WRONG = [
    (
        (MOVE, "x = x + v * random.random()"),
        r"step, line 34: `random.random` does not depend on the key",
        "uniform(key, 0)",
    ),
    ((MOVE, "x = x + v * np.random.rand()"), r"step, line 34: `np.random.rand` does not", "uniform(key, 0)"),
    (("x > 2.0", "1 if x > 2.0 else 0"), rf"terminated is 0 \(int\) {AT}", "True or False"),
    (
        ("Box(-100.0, 100.0, 2)", "Box((-100.0, -0.25), 100.0)"),
        r"number 1 of the observation is -0\.\d+, outside -0.25 … 100, at step",
        "widen",
    ),
    ((MOVE, "x = x + (v if x < 1.5 else math.nan)"), r"step's state is \(nan, [-\d.]+\) at step", "a division by zero"),
    (
        (MOVE, "x = x + v + 1e-3 * ((action + 3) ** 60 % 7)"),
        r"step returns \(.*\) uncompiled, \(.*\) compiled",
        "64 bits",
    ),
]


@pytest.mark.parametrize(("change", "problem", "way_out"), WRONG)
def test_what_only_many_steps_show(change: tuple[str, str], problem: str, way_out: str, tmp_path: Path) -> None:
    report = checked(tmp_path, change)
    require(report, problem, way_out)
    assert ("steps/s uncompiled" in str(report)) == ("nan" not in problem), "timed only where all could be played"


def test_a_state_that_changes_its_length(tmp_path: Path) -> None:
    report = checked(tmp_path, (RETURN, "return ((x, v) if x < 1.5 else (x, v, 0.0)), reward, terminated"))
    what = [problem.what for problem in report.findings.problems]
    assert "a state's length changes at step" in what[0] and "reset returned 2 numbers, step 3" in what[0]


def test_a_global_that_changes(tmp_path: Path) -> None:
    what = [
        p.what
        for p in checked(
            tmp_path, ("x, v = state", "global COUNT\n        COUNT += 1\n        x, v = state")
        ).findings.problems
    ]
    assert what[0].startswith("the global COUNT changed while episodes ran, from 0 to ")
    assert "step cannot be compiled (line 33: `COUNT += 1`): it changes a global" in what[1]


def test_a_step_that_remembers_the_last_one(tmp_path: Path) -> None:
    change = "COUNTS[0] += 0.001\n        x = x + v + COUNTS[0]"
    what = " | ".join(problem.what for problem in checked(tmp_path, (MOVE, change)).findings.problems)
    assert "for the same state, action and key, at step" in what
    assert "the global COUNTS changed while episodes ran, from [0.0] to [" in what


HINTS = [
    ((END, "terminated = False"), "no episode terminated: all ran to the time limit of 20 steps"),
    ((END, "terminated = True"), "every episode ended at its first step"),
    ((START, "return 0, 0"), r"reset does not use its key: every episode starts in (0, 0)"),
    (("(2 * action - 1)", "1.0"), "step ignored the action"),
]


@pytest.mark.parametrize(("change", "hint"), HINTS)
def test_what_may_be_meant_is_a_hint(change: tuple[str, str], hint: str, tmp_path: Path) -> None:
    report = checked(tmp_path, change)
    assert report.holds and report.verdict == "fine: 1 hint"
    assert hint in report.findings.hints[0].what
    assert f"hint: {report.findings.hints[0].what}" in str(report)


# --- other spaces


class Everything(NamedTuple):
    """Masked, observed, random."""

    observation_space = MultiDiscrete((4, 2))
    action_space = Discrete(3)
    max_episode_steps = 30

    def reset(self, key: int) -> tuple[int, int]:
        return int(uniform(key, 0, 0, 4)), 0

    def step(self, state: Any, action: int, key: int) -> Any:
        forbidden = (action == 1 and state[0] <= 1) or (action == 2 and state[0] >= 1)
        x = (int(state[0]) + action) % 4
        return (x, normal(key, 0)), math.nan if forbidden else 1.0, x == 3

    def observe(self, state: Any) -> Any:
        return state[0], 1 if state[1] > 0 else 0

    def mask(self, state: Any) -> Any:
        return True, state[0] > 1, state[0] < 1


class Arm(NamedTuple):
    """Two real actions."""

    observation_space = Box(-1.0, 1.0)
    action_space = Box((-0.5, 0.0), (0.5, 1.0))
    max_episode_steps = 10

    def reset(self, key: int) -> tuple[float]:
        return (uniform(key, 0, -0.5, 0.5),)

    def step(self, state: Any, action: Any, key: int) -> Any:
        x = min(max(state[0] + action[0] * action[1], -1.0), 1.0)
        return (x,), x, x > 0.9


class Panel(NamedTuple):
    """Two choices, one number to see."""

    observation_space = Discrete(6)
    action_space = MultiDiscrete((3, 2))
    max_episode_steps = 10

    def reset(self, key: int) -> tuple[int]:
        return (int(uniform(key, 0, 0, 6)),)

    def step(self, state: Any, action: Any, key: int) -> Any:
        return (action[0] + 3 * action[1],), 1.0, state[0] == 5


@pytest.mark.parametrize("kind", [Everything, Arm, Panel])
def test_every_kind_of_space_and_member(kind: Any) -> None:
    report = check(kind())
    assert not report.findings.problems, str(report)
    assert [hint.what for hint in report.findings.hints] == []
    assert "steps/s uncompiled" in report.speed


class Strict(gymnasium.Env[Any, Any]):
    """Of each of its numbers one is allowed at a time."""

    observation_space = gymnasium.spaces.Box(0, 10, (1,), np.float32)
    t = 0

    def __init__(self, action_space: Any) -> None:
        self.action_space = action_space

    def told(self) -> tuple[Any, dict[str, Any]]:
        parts = np.atleast_1d(getattr(self.action_space, "nvec", self.action_space.shape or 40))
        masks = [(np.arange(int(n)) == self.t).astype(np.int8) for n in parts]
        return np.full(1, self.t, np.float32), {"action_mask": tuple(masks) if len(masks) > 1 else masks[0]}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.told()

    def step(self, action: Any) -> Any:
        assert (np.asarray(action) == self.t).all(), "forbidden"
        self.t += 1
        obs, info = self.told()
        return obs, 1.0, self.t >= 9, False, info


@pytest.mark.parametrize("space", [gymnasium.spaces.Discrete(40), gymnasium.spaces.MultiDiscrete([40, 30])], ids=str)
def test_what_a_mask_forbids_is_never_tried(space: Any) -> None:
    gymnasium.register("Strict-v0", Strict, kwargs={"action_space": space})
    try:
        report = check("Strict-v0")
    finally:
        del gymnasium.registry["Strict-v0"]
    assert not report.findings.problems and not report.findings.hints, str(report)


def test_an_object_is_checked_too() -> None:
    report = check(gymnasium.make("CartPole-v1"))
    assert not report.findings.problems, str(report)
    assert report.name == "CartPole-v1"
    with pytest.raises(EnvError, match="not an environment: 3; pass the id"):
        check(3)


def test_bounds_that_are_not_centred_need_no_change() -> None:
    class Order(Leaky):
        action_space = gymnasium.spaces.Box(0.0, 10.0, (1,), np.float32)

        def step(self, action: Any) -> Any:
            return super().step(1)

    (hint,) = [hint for hint in check(Order).findings.hints if "symmetric" in hint.what]
    assert "begin at the middle of the bounds" in hint.way_out


def test_gymnasiums_own_check_goes_through_the_face() -> None:
    class Far(Arm):
        observation_space = Box(-math.inf, 1.0)

    report = check(Far())
    assert [h.what for h in report.findings.hints if "warns: A Box observation space minimum value is -inf" in h.what]
    assert "pgrad-check/Adapted-v0" not in gymnasium.registry


def test_the_actions_tried_are_the_corners_and_anything_between() -> None:
    assert extreme_actions(Discrete(3)) == [0, 1, 2] and extreme_actions(Discrete(100))[-1] == 99
    corners = extreme_actions(Box((-1.0, 0.0), (1.0, float("inf"))))
    assert set(corners) == {(-1.0, 0.0), (1.0, 1e3), (-1.0, 1e3), (1.0, 0.0)}
    assert len(extreme_actions(Box(-1.0, 1.0, 20))) <= 10
    drawn = np.array([random_action(MultiDiscrete((3, 2)), key) for key in range(200)])
    assert {tuple(row) for row in drawn.tolist()} == {(i, j) for i in range(3) for j in range(2)}
    low = np.array([random_action(Box(-2.0, 5.0), key) for key in range(500)])
    assert -2 <= low.min() < -1.8 and 4.8 < low.max() <= 5


# --- Gymnasium's


class Leaky(gymnasium.Env[Any, Any]):
    """Something is wrong with it, as `kind` says."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, kind: str = "") -> None:
        self.kind = kind

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return np.array([self.np_random.uniform(-1, 1)]), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        if self.kind == "raises" and self.t == 3:
            raise RuntimeError("broken")
        if self.kind == "exits" and self.t == 3:
            sys.exit(3)
        if self.kind == "whole":
            return np.array([0.0]), 1.0, int(self.t >= 5), False, {}
        if self.kind in ("mask", "long mask"):
            allowed = {"mask": self.t < 3, "long mask": True}[self.kind]
            size = 3 if self.kind == "long mask" and self.t == 2 else 2
            return np.array([0.0]), 1.0, self.t >= 5, False, {"action_mask": np.full(size, allowed)}
        if self.kind == "four":
            return np.array([0.0]), 1.0, False, {}
        rng = np.random.default_rng() if self.kind == "random" else self.np_random
        obs = np.array([{"nan": np.nan, "outside": 3.0}.get(self.kind, rng.uniform(-1, 1)) if self.t == 3 else 0.0])
        return obs, np.inf if self.kind == "reward" and self.t == 3 else 1.0, self.t >= 5, False, {}


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("raises", "it raised RuntimeError at step 3 of seed 0, action "),
        ("exits", "it raised SystemExit at step 3 of seed 0"),
        ("whole", "training would stop here: 'Leaky-v0': terminated is 0 (int), expected True or False"),
        ("mask", "training would stop here: 'Leaky-v0': info['action_mask'] allows none of the 2 choices"),
        ("long mask", "info['action_mask'] has 3 entries, expected 2: one for each choice at step 2 of seed 0"),
        ("four", "ValueError: not enough values to unpack"),
        ("random", "two copies returned "),
        ("nan", "the observation is array([nan]) at step 3 of seed 0, action "),
        ("outside", "the observation array([3.]) is outside its space at step 3 of seed 0"),
        ("reward", "the reward is inf at step 3 of seed 0"),
        ("", ""),
    ],
)
def test_environments_of_gymnasium(kind: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        gymnasium.registry,
        "Leaky-v0",
        gymnasium.envs.registration.EnvSpec("Leaky-v0", lambda: Leaky(kind), disable_env_checker=True),
    )
    report = check("Leaky-v0")
    what = [found.what for found in report.findings.problems]
    assert any(problem in text for text in what) if problem else not what, what
    assert report.holds == (not problem)


def test_what_raises_is_shown_with_its_lines_and_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = gymnasium.envs.registration.EnvSpec("Leaky-v0", lambda: Leaky("four"), disable_env_checker=True)
    monkeypatch.setitem(gymnasium.registry, "Leaky-v0", spec)
    told = str(check("Leaky-v0"))
    assert "step(action) returns (obs, reward, terminated, truncated, info)" in told
    assert "nan" not in told
    monkeypatch.setitem(
        gymnasium.registry,
        "Leaky-v0",
        gymnasium.envs.registration.EnvSpec("Leaky-v0", lambda: Leaky("random"), disable_env_checker=True),
    )
    assert "ended at its first step" not in str(check("Leaky-v0")), "it was not played further"


@pytest.mark.parametrize("method", ["reset", "step"])
def test_what_hangs_is_told(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(Leaky):
        def reset(self, **options: Any) -> Any:
            time.sleep(5.0 if method == "reset" else 0.0)
            return super().reset(**options)

        def step(self, action: Any) -> Any:
            time.sleep(5.0 if method == "step" else 0.0)
            return super().step(action)

    with pytest.raises(EnvError, match=r"has not returned after 1 s"):
        check(Hangs, step_timeout=1.0)
    (tmp_path / "cart.py").write_text(BASE.replace(START, f"__import__('time').sleep(5.0)\n        {START}"))
    with pytest.raises(EnvError, match=r"reset after reset, seed 0 has not returned after 1 s"):
        check(f"{tmp_path / 'cart.py'}:Cart", step_timeout=1.0)


def test_what_cannot_be_trained_on_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Commanded(Leaky):
        action_space = gymnasium.spaces.Dict({"push": gymnasium.spaces.Discrete(2)})

    spec = gymnasium.envs.registration.EnvSpec("Commanded-v0", lambda: Commanded(""), disable_env_checker=True)
    monkeypatch.setitem(gymnasium.registry, "Commanded-v0", spec)
    report = check("Commanded-v0")
    assert [found.what.partition(":")[0] for found in report.findings.problems] == ["pgrad cannot train on it"]
    assert "'Commanded-v0' has actions Dict (action['push']: Discrete)" in str(report)


def test_gymnasiums_kind_without_spaces_or_that_cannot_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(
        "import gymnasium\n"
        "class Spaceless(gymnasium.Env): pass\n"
        "class Once(gymnasium.Env):\n"
        "    observation_space = action_space = gymnasium.spaces.Discrete(2)\n"
        "    made = 0\n"
        "    def __init__(self):\n"
        "        Once.made += 1\n"
        "        if Once.made > 2: raise OSError('port taken')\n"
    )
    assert "'Spaceless' has no observation_space" in str(check(f"{path}:Spaceless"))
    with pytest.raises(EnvError, match="the factory Once raised OSError: port taken"):
        check(f"{path}:Once")


# --- the command


def test_the_command_and_its_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cart.py"
    path.write_text(BASE.replace(START, "return 3.0"))
    assert cli.run(["check-env", f"{path}:Cart"]) == 1
    out, err = capsys.readouterr()
    assert "problem: reset's state is 3.0 (float) after reset, seed 0" in out and not err
    assert out.splitlines()[-1] == "not fine: 1 problem"
    assert cli.run(["check-env", "CartPole-v1", "--seed", "4"]) == 0
    assert "its compiled port" in capsys.readouterr().out
    for words, message in (
        ([f"{path}:Card"], "cart.py:Card' is not defined: did you mean 'Cart'?"),
        (["CartPoll-v1"], "did you mean 'CartPole-v1'?"),
        ([f"{path}:Cart", "--seed", "x"], "--seed must be"),
        ([f"{path}:Cart", "--sead", "1"], "unknown flag '--sead'"),
        ([], "the following arguments are required: ENV"),
    ):
        assert cli.run(["check-env", *words]) == 2
        out, err = capsys.readouterr()
        assert not out and message in err and "Traceback" not in err
