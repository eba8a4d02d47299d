"""Odd input, made by hypothesis: command lines, configuration files, file headers, arguments of Python functions.

Whatever it is, the command ends in time, without a traceback, with exit code 2 and a message, or does what was asked
(which is replaced here); a Python function returns, or raises one of pgrad's own exceptions.
"""

import contextlib
import importlib
import io
import itertools
import json
import os
import re
import shutil
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import pgrad
from pgrad.cli import main as cli
from pgrad.config.settings import FIELDS
from pgrad.errors import InputError, PgradError
from pgrad.exact import (
    Tabular,
    bandit,
    chain,
    enumerate_trajectories,
    garnet,
    gridworld,
    layered,
    optimal_values,
    solve,
)
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.runs.mlp_file import HEADER, POLICY, load_policy, sealed
from pgrad.runs.state_file import NEWEST, PREVIOUS, State, load_state, save_state

SECONDS = 20  # for one input
CODES = (0, 1, 2)  # what a command may exit with: whether a training diverged is no fault


@dataclass
class Findings:
    """What came of many inputs."""

    tried: int = 0
    problems: dict[str, str] = field(default_factory=dict)  # the place of each defect, and an input that shows it

    @property
    def held(self) -> int:
        """Inputs that ended as they should."""
        return self.tried - len(self.problems)


class TooLong(BaseException):
    """An input that takes longer than anybody waits."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise TooLong after SECONDS."""

    def ring(number: int, frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzzed(check: Callable[[Any], None], inputs: st.SearchStrategy[Any], count: int, number: int) -> Findings:
    """Give so many inputs to `check`; whatever it raises is a finding, one for each place where it was raised."""
    found = Findings()

    def one(value: Any) -> None:
        found.tried += 1
        try:
            with limited():
                check(value)
        except (Exception, TooLong) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            found.problems.setdefault(
                f"{type(error).__name__} at {last.filename}:{last.lineno}: {error}", repr(value)[:500]
            )

    quick = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(quick(given(inputs)(one)))()
    return found


# --- command lines

ODD_TEXT = (
    "|0|-1|1|3|1.5|1e3|1e400|-1e400|1e-400|nan|inf|-inf|none|None|true|false|0x10|1_000|1,2|1,,2|0-3|3-0|0-99999999999|"
    "64,64|auto|all|٣|é|γ|a b|~|.|..|../x|/|/dev/null|/dev/zero|/proc/self/mem|run|run/config.toml|run/seed-0|"
    "run/seed-0/policy.safetensors|CartPole-v1|Acrobot-v1|cartpole|x.py|x.py:Env|a:b|best|last|ppo|adam|tanh|sync|"
    "--|--help|-h|-x|--=|-1e3|\udcff|{}|[]|%s|%(prog)s|\x1b[2J"
)
LONG = ["9" * 400, "-" + "9" * 400, "1" * 5000, "x" * 5000, "\n", "\t"]
ODD_WORDS = st.sampled_from([*ODD_TEXT.split("|"), *LONG])
WORDS = ODD_WORDS | st.text(st.characters(exclude_characters="\0"), max_size=6)
FLAG = re.compile(r'"(--[a-z-]+)"')
REPLACED = {  # what a command calls once its arguments are checked
    "train": ["train"],
    "sweep": ["sweep"],
    "tune": ["tune"],
    "evaluate": ["evaluate"],
    "play": ["play"],
    "diagnose": ["diagnose"],
    "verify": ["run"],
    "check_env": ["check"],
    "lesson": ["new_server"],
    "exercise": ["check_file", "grades", "watch"],
    "watch": ["views"],
}


def flags_of(command: str) -> list[str]:
    """Return the flags of a command, by its source; of training commands also one for each setting."""
    module = importlib.import_module(f"pgrad.cli.{cli.COMMANDS[command]}")
    own = FLAG.findall(Path(str(module.__file__)).read_text(encoding="utf-8"))
    settings_too = [f"--{name.replace('_', '-')}" for name in FIELDS] if command in ("train", "sweep") else []
    return [*own, *settings_too, "--quiet", "--seed", "--unknown"]


def command_lines() -> st.SearchStrategy[list[str]]:
    """Return a strategy for the words after `pgrad`."""

    def of(command: str) -> st.SearchStrategy[list[str]]:
        flag = st.sampled_from(flags_of(command))
        part = st.one_of(
            st.tuples(flag, WORDS).map(list),
            st.tuples(flag, WORDS).map(lambda pair: ["=".join(pair)]),
            WORDS.map(lambda word: [word]),
            flag.map(lambda word: [word]),
        )
        start = st.sampled_from([["CartPole-v1"], ["run"], []])
        return st.tuples(start, st.lists(part, max_size=5)).map(
            lambda found: [command, *found[0], *itertools.chain(*found[1])]
        )

    return st.one_of(*map(of, cli.COMMANDS), st.lists(WORDS, max_size=4))


def not_now(*_: Any, **__: Any) -> Any:
    """Stand for what would take long."""
    raise InputError("not now")


@contextlib.contextmanager
def only_checked(folder: Path) -> Iterator[None]:
    """Let commands check their arguments, in a folder, without what they would do then."""
    before = Path.cwd()
    os.chdir(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, before)
        for module, names in REPLACED.items():
            found = importlib.import_module(f"pgrad.cli.{module}")
            for name in names:
                stack.enter_context(patch.object(found, name, not_now))
        stack.enter_context(patch("pgrad.cli.train.compile_beside", lambda: None))
        yield


def check_command(words: list[str]) -> None:
    """Run a command; raise where it does not end as one should."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.run(words)
        except SystemExit as end:  # of --help
            code = int(end.code or 0)
    assert code in CODES, f"exit code {code}"
    told = any(line.startswith("pgrad: ") for line in err.getvalue().splitlines())
    assert code == 0 or told, f"exit code {code} without a message"


def fuzz_command_lines(folder: Path, count: int, number: int = 1) -> Findings:
    """Run commands with odd words."""
    with only_checked(folder):
        return fuzzed(check_command, command_lines(), count, number)


# --- files

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**62, max_value=2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["none", "CartPole-v1", "ppo", "auto", "x.py:Env", "1e3", "0-3", "9" * 400]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def as_toml(value: Any) -> str:
    """Write a value as TOML has it, or as it does not."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def toml_files() -> st.SearchStrategy[bytes]:
    """Return a strategy for configuration files: settings with odd values, text that is no TOML, and bytes."""
    names = st.sampled_from([*FIELDS, "policy", "unknown", '"a b"', "a.b"])
    lines = st.lists(st.tuples(names, VALUES).map(lambda pair: f"{pair[0]} = {as_toml(pair[1])}"), max_size=6)
    whole = lines.map(lambda found: "\n".join(['env = "CartPole-v1"', *found]).encode(errors="surrogatepass"))
    return st.one_of(
        whole, whole, st.text(max_size=60).map(lambda text: text.encode(errors="replace")), st.binary(max_size=60)
    )


def fuzz_toml(folder: Path, count: int, number: int = 2) -> Findings:
    """Give odd configuration files to `pgrad train --config` and as a run's own."""
    (folder / "odd").mkdir(exist_ok=True)

    def check(content: bytes) -> None:
        (folder / "odd" / "config.toml").write_bytes(content)
        check_command(["train", "--config", "odd/config.toml", "--quiet"])
        check_command(["explain-failure", "odd"])
        check_command(["train", "--resume", "odd"])

    with only_checked(folder):
        return fuzzed(check, toml_files(), count, number)


def headers() -> st.SearchStrategy[bytes]:
    """Return a strategy for safetensors files with odd headers, some of them with a right checksum."""
    length = st.one_of(st.integers(0, 200), st.integers(0, 2**64 - 1), st.sampled_from([2**63, 2**63 - 1, 2**32]))
    raw = st.tuples(length, st.binary(max_size=80)).map(lambda pair: struct.pack("<Q", pair[0]) + pair[1])
    json_of = st.dictionaries(st.text(max_size=8) | st.just("__metadata__"), VALUES, max_size=3).map(
        lambda value: json.dumps(value).encode()
    )
    told = json_of.map(lambda text: struct.pack("<Q", len(text)) + text)
    return st.one_of(raw, told, descriptions())


def descriptions() -> st.SearchStrategy[bytes]:
    """Return a strategy for files whose arrays and checksum are right, and whose description is odd in one place."""
    tensors = {
        "layers.0.weight": np.zeros((3, 4), np.float32),
        "layers.0.bias": np.zeros(3, np.float32),
        "layers.1.weight": np.zeros((2, 3), np.float32),
        "layers.1.bias": np.zeros(2, np.float32),
    }
    usual: dict[str, Any] = {
        "format": POLICY,
        "kind": "softmax",
        "sizes": [4, 3, 2],
        "activation": next(iter(ACTIVATIONS)),
        "actions": {"space": "Discrete", "n": 2},
        "std": "state-independent",
        "squash": False,
        "action_distribution": "gaussian",
        "noise_steps": 1,
        "temperature": 1.0,
        "env": "CartPole-v1",
        "training": {"algorithm": "actor-critic"},
    }

    def written(change: tuple[str, Any]) -> bytes:
        description = sealed(tensors, {**usual, change[0]: change[1]})
        return save(tensors, metadata={HEADER: json.dumps(description)})

    return st.tuples(st.sampled_from([*usual, "other"]), VALUES).map(written)


def fuzz_headers(folder: Path, count: int, number: int = 3) -> Findings:
    """Load policies with odd headers."""

    def check(content: bytes) -> None:
        path = folder / "odd.safetensors"
        path.write_bytes(content)
        with contextlib.suppress(PgradError):
            load_policy(path)

    return fuzzed(check, headers(), count, number)


def fuzz_checkpoints(folder: Path, count: int, number: int = 5) -> Findings:
    """Go on from checkpoints whose checksum is right, and that are odd in one place or lack an array."""
    run = folder / "odd-run"
    shutil.copytree(folder / "whole", run, dirs_exist_ok=True)
    path = run / "seed-0" / NEWEST
    state = load_state(path)

    def check(odd: tuple[str, Any, str]) -> None:
        name, value, lost = odd
        arrays = {key: array for key, array in state.arrays.items() if key != lost}
        for kept in (path, path.with_name(PREVIOUS)):
            kept.unlink(missing_ok=True)
        save_state(State(arrays, {**state.about, name: value}), run / "seed-0")
        with contextlib.suppress(PgradError):
            pgrad.resume(run, evaluation_episodes=0)

    lost = st.sampled_from(["", "", "", *state.arrays])
    marks = st.fixed_dictionaries({"metrics": VALUES | st.lists(LEAVES, min_size=3, max_size=3)})
    return fuzzed(check, st.tuples(st.sampled_from([*state.about, "other"]), VALUES | marks, lost), count, number)


# --- arguments of Python functions

ODD = st.one_of(
    LEAVES,
    st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324, 1 + 2j, Fraction(1, 3), b"x", b"", Path("x"), ...]),
    st.sampled_from(
        [[], [[]], [None], [[1], [2, 3]], {}, set(), range(3), (1, 2), object, len, object(), lambda: None]
    ),
    st.sampled_from(
        [
            np.array([]),
            np.array(np.nan),
            np.array(["a"]),
            np.array([1 + 2j]),
            np.array([None, 1]),
            np.ma.masked_array([1.0, 2.0], [True, False]),
            np.float32(1),
            np.int8(3),
            np.bool_(True),
            np.zeros((0, 3)),
            np.zeros((2, 2, 2, 2)),
            np.array([1e308, -1e308]),
            np.array([np.inf, 1.0]),
            np.datetime64("2026-01-01"),
        ]
    ),
    st.lists(st.floats(), max_size=4),
    st.lists(st.integers(-3, 3), max_size=4),
)
LARGEST = 1000  # of integers that ask for as many things: what is right and takes long is no defect


def small(value: Any) -> bool:
    """Whether a value asks for no more than a test can wait for."""
    return not (isinstance(value, int | float) and LARGEST < value < 2**62)


def calls(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Return the public functions, with arguments that are right."""
    policy = pgrad.MLPPolicy(np.zeros(23, np.float32), (4, 3, 2), env="CartPole-v1")
    mdp, tables = chain(3), Tabular(3, 2)
    softmax_policy = tables(np.zeros(6))
    train = partial(pgrad.train, preset="none")  # others compile
    short = {"num_iterations": 1, "total_steps": None, "evaluation_episodes": 0, "num_envs": 4}
    return {
        "rewards_to_go": (pgrad.rewards_to_go, {"rewards": [1.0, 0.0, 2.0], "discount": 0.9}),
        "discounted_return": (pgrad.discounted_return, {"rewards": [1.0, 0.0, 2.0], "discount": 0.9}),
        "softmax": (pgrad.softmax, {"preferences": [1.0, 2.0]}),
        "make": (pgrad.make, {"env": "CartPole-v1", "backend": "auto", "max_episode_steps": None}),
        "load": (pgrad.load, {"run": folder / "run", "seed": None, "best": False, "at": None}),
        "load_value": (pgrad.load_value, {"run": folder / "run", "seed": None}),
        "save": (pgrad.save, {"result": None, "run": folder / "run"}),
        "resume": (pgrad.resume, {"run": folder / "run", "env": None, "total_steps": None, "threads": 1}),
        "Config": (pgrad.Config, {name: spec.default for name, spec in FIELDS.items()}),
        "MLPPolicy": (
            pgrad.MLPPolicy,
            {"parameters": policy.parameters, "sizes": (4, 3, 2), "activation": "tanh", "temperature": 1.0},
        ),
        "MLPPolicy.probabilities": (policy.probabilities, {"obs": np.zeros(4)}),
        "evaluate": (
            pgrad.evaluate,
            {
                "policy": policy,
                "env": "CartPole-v1",
                "episodes": 1,
                "discount": 0.9,
                "seed": 0,
                "greedy": False,
                "max_episode_steps": 3,
            },
        ),
        "collect_episode": (
            pgrad.collect_episode,
            {
                "policy": policy,
                "env": "CartPole-v1",
                "seed": 0,
                "discount": 0.9,
                "greedy": False,
                "max_episode_steps": 3,
            },
        ),
        "train": (train, {"env": "CartPole-v1", **short, "num_steps": 8, "learning_rate": 0.01, "hidden": 4}),
        "exact.bandit": (bandit, {"rewards": [1.0, 2.0]}),
        "exact.chain": (chain, {"length": 3, "slip": 0.1, "discount": 0.9}),
        "exact.gridworld": (gridworld, {"rows": 2, "columns": 2, "slip": 0.0, "discount": 0.9, "step_reward": -1.0}),
        "exact.garnet": (garnet, {"num_states": 4, "num_actions": 2, "branching": 2, "seed": 0, "discount": 0.9}),
        "exact.layered": (layered, {"num_actions": 2, "depth": 2, "seed": 0, "discount": 0.9}),
        "exact.solve": (solve, {"mdp": mdp, "policy": softmax_policy}),
        "exact.optimal_values": (optimal_values, {"mdp": mdp}),
        "exact.enumerate_trajectories": (enumerate_trajectories, {"mdp": mdp, "policy": softmax_policy}),
        "exact.Tabular": (tables, {"theta": np.zeros(6)}),
    }


def fuzz_functions(folder: Path, count: int, number: int = 4) -> Findings:
    """Call public functions with one odd argument."""
    table = calls(folder)
    choice = st.sampled_from([(name, argument) for name, (_, usual) in table.items() for argument in usual])

    def check(call: tuple[tuple[str, str], Any]) -> None:
        (name, argument), value = call
        function, usual = table[name]
        with contextlib.suppress(PgradError), contextlib.redirect_stderr(io.StringIO()):
            function(**{**usual, argument: value})

    before = Path.cwd()
    os.chdir(folder)
    try:
        return fuzzed(check, st.tuples(choice, ODD.filter(small)), count, number)
    finally:
        os.chdir(before)
