"""The same rows, whatever the way of resetting and wherever the environments are stepped.

`pgrad.env_check.autoreset.check_autoreset` does the same for a vector environment of your own.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from pgrad.env_check.autoreset import EPISODES, NAMES, Probe, Row, check_autoreset, check_rows, expected_rows
from pgrad.vector.make import describe
from pgrad.vector.sync import Group
from pgrad.vector.vector_env import VectorEnv, env_seed
from pgrad.vector.workers import Workers

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]
SEEDS = [5, 123456, 7, 2**31 - 1, 1]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("vector", [SyncVectorEnv, partial(AsyncVectorEnv, context="spawn")], ids=["sync", "async"])
def test_gymnasiums_vector_environments_in_every_mode(mode: AutoresetMode, vector: Callable[..., Any]) -> None:
    check_autoreset(lambda make, n: vector([make] * n, autoreset_mode=mode), num_envs=3)


@pytest.mark.parametrize("reuse", [False, True])
def test_in_process(reuse: bool) -> None:
    """An environment that returns the same array every time changes nothing."""
    check_rows(Group(describe(lambda: Probe(reuse)), SEEDS), SEEDS)


@pytest.mark.parametrize("processes", [1, 2])
def test_in_worker_processes(processes: int) -> None:
    """Also where the environments cannot be shared out evenly (5 on 2)."""
    workers = Workers(describe(Probe), SEEDS, processes, timeout=60.0)
    try:
        check_rows(workers, SEEDS)
    finally:
        workers.close()


def test_the_rows_have_every_kind_of_end() -> None:
    assert {(length == 1, *ends) for length, *ends in EPISODES} == {
        (False, True, False),
        (True, False, True),
        (False, False, True),
        (True, True, False),
        (False, True, True),
    }
    assert expected_rows(0, 0, [4, 0, 0, 1])[2:] == [
        Row((0, 0, 2), 0, 30, True, False, (0, 0, 3), (True, True, False, True, True)),
        Row((0, 1, 0), 1, 1011, False, True, (0, 1, 1), (True, True, True, False, True)),
    ]


class Wrong(SyncVectorEnv):
    """Its mode is not the one that it says."""

    def __init__(self, make: Any, n: int, mode: AutoresetMode, said: AutoresetMode) -> None:
        super().__init__([make] * n, autoreset_mode=mode)
        self.metadata["autoreset_mode"] = said


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP),
        (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP),
        (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED),
    ],
)
def test_a_vector_environment_that_resets_otherwise_is_noticed(mode: AutoresetMode, said: AutoresetMode) -> None:
    with pytest.raises(Exception, match=r"expected Row|final_obs"):
        check_autoreset(lambda make, n: Wrong(make, n, mode, said))


def test_a_final_observation_lost_to_a_reused_array_is_noticed() -> None:
    """Gymnasium's SyncVectorEnv hands on what the environment has overwritten by then."""
    with pytest.raises(AssertionError, match="expected Row"):
        check_autoreset(
            lambda make, n: SyncVectorEnv([partial(make, True)] * n, autoreset_mode=AutoresetMode.SAME_STEP)
        )


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_the_vector_environment_counts_episodes_and_steps_and_lets_termination_win(vectorization: str) -> None:
    num_envs = 4
    envs = VectorEnv(describe(Probe), num_envs, seed=3, vectorization=vectorization)
    try:
        assert envs.seeds == [env_seed(3, n) for n in range(num_envs)]
        np.testing.assert_array_equal(envs.obs[:, 0], [seed % NAMES for seed in envs.seeds])
        ends = set()
        for t in range(30):
            before = envs.obs
            step = envs.step(np.zeros(num_envs, np.int32))
            assert before is not envs.obs
            assert not (step.terminated & step.truncated).any()
            ends |= set(zip(step.terminated.tolist(), step.truncated.tolist(), strict=True))
            np.testing.assert_array_equal(envs.obs[:, 1:], np.stack([envs.episode, envs.time], axis=1))
            np.testing.assert_array_equal(step.after[:, 1:], before[:, 1:] + [0, 1])
            assert envs.total_steps == num_envs * (t + 1)
            assert not envs.resetting.any()
        assert ends == {(False, False), (True, False), (False, True)}
        episode = envs.obs[:, 1].copy()
        envs.restart()
        np.testing.assert_array_equal(envs.obs[:, 1], episode + 1)
        np.testing.assert_array_equal(envs.obs[:, 2], 0)
        np.testing.assert_array_equal(envs.time, 0)
    finally:
        envs.close()


def test_the_lines_of_the_documentation_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    codes = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(next(code for code in codes if "check_autoreset" in code), {})
