"""Environments that fail and are begun anew: `restart_failed_envs`."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.vector.test_vector_env import BAD, WRONG, Counter, Returning, stepping

import pgrad
from pgrad.errors import ConfigError, EnvError
from pgrad.vector.make import describe
from pgrad.vector.step import env_seed
from pgrad.vector.vector_env import Step, VectorEnv


def stepped(envs: VectorEnv, steps: int) -> list[Step]:
    return [envs.step(np.zeros(3, np.int32)) for _ in range(steps)]


class Raising(Counter):
    """Raises in its third step of its second episode."""

    def step(self, action: Any) -> Any:
        returned = super().step(action)
        assert not self.now
        return returned


class RaisingInReset(Counter):
    """Raises when its third episode begins."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        returned = super().reset(seed=seed)
        assert not (self.bad and self.episodes == 3)
        return returned


def test_the_step_that_failed_is_cut_in_the_state_before_it_and_others_go_on() -> None:
    with stepping(Raising, restarts=1) as envs:
        rows = stepped(envs, 9)
        failed = rows[6]
        assert failed.truncated.tolist() == [False, False, True] and not failed.terminated.any()
        assert failed.reward.tolist() == [1, 1, 0]
        np.testing.assert_array_equal(failed.after, [[3, 2], [3, 2], [2, 2]])
        np.testing.assert_array_equal(rows[7].after, [[4, 2], [4, 2], [1, 1]])
        assert envs.restarted == 1 and envs.total_steps == 27
        assert envs.episode.tolist() == [2, 2, 2]


@pytest.mark.parametrize("change", [change for change, _ in WRONG[:12]])
def test_whatever_is_wrong_with_a_step_is_a_failure(change: Any) -> None:
    with stepping(lambda: Returning(change), restarts=1) as envs:
        rows = stepped(envs, 12)
        assert envs.restarted == 1 and rows[6].truncated[BAD]
        assert all(np.isfinite(row.after).all() and np.isfinite(row.reward).all() for row in rows)


def test_one_too_many_is_an_error_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    class Always(Counter):
        def step(self, action: Any) -> Any:
            raise RuntimeError("broken")

    names_it = pytest.raises(EnvError, match=r"broken \(environment 2, seed \d+, episode 0, step 0")
    with names_it, stepping(Always, restarts=2) as envs:
        stepped(envs, 1)
    assert [f"begun anew, {k} of 2 times" in caplog.messages[k - 1] for k in (1, 2)] == [True, True]


def test_a_reset_that_fails_is_tried_on_a_fresh_environment_with_a_seed_of_its_own() -> None:
    seeds: list[int | None] = []

    class Recording(RaisingInReset):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            seeds.append(seed)
            return super().reset(seed=seed)

    with stepping(Recording, restarts=1) as envs:
        rows = stepped(envs, 9)
        assert rows[7].terminated.all(), "the episode before had ended as it should"
        np.testing.assert_array_equal(rows[8].after, [[1, 3], [1, 3], [1, 1]])
        given = [seed for seed in seeds if seed is not None]
        assert given == [*envs.seeds, env_seed(envs.seeds[BAD], 1)]


def test_workers_begin_single_environments_and_whole_processes_anew() -> None:
    class Ill(Counter):
        """Environment 2 raises, and in the fresh one's second episode its process dies; then all are fresh."""

        def step(self, action: Any) -> Any:
            returned = super().step(action)
            if self.now:
                raise RuntimeError("ill")
            if self.fresh and self.episodes == 2:
                os.kill(os.getpid(), signal.SIGSEGV)
            return returned

        fresh = False

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.fresh = self.fresh or seed == env_seed(env_seed(11, BAD), 1)
            return super().reset(seed=seed)

    with stepping(Ill, "async", restarts=2) as envs:
        rows = stepped(envs, 14)
        assert rows[6].truncated.tolist() == [False, False, True], "only the one that raised"
        assert rows[11].truncated.all() and not rows[11].reward.any(), "the process took all with it"
        np.testing.assert_array_equal(rows[11].after, [[3, 3], [3, 3], [0, 2]])
        np.testing.assert_array_equal(rows[12].after, [[1, 1]] * 3)
        assert envs.restarted == 2


@pytest.mark.parametrize("vectorization", ["envpool", "entry-point"])
def test_what_cannot_restart_says_so(vectorization: str) -> None:
    with pytest.raises(EnvError, match=f"'{vectorization}' cannot restart failed environments: 'sync' and 'async' can"):
        VectorEnv(describe("CartPole-v1"), 2, 1, vectorization, restarts=1)


def test_compiled_environments_have_nothing_to_restart() -> None:
    with pytest.raises(ConfigError, match="restart_failed_envs is for Gymnasium's environments"):
        pgrad.train("CartPole-v1", restart_failed_envs=1)


class Moody(Counter):
    """Fails once in a hundred steps; in discrete numbers, so that training compiles nothing new."""

    def step(self, action: Any) -> Any:
        if self.np_random.random() < 0.01:
            raise RuntimeError("moody")
        return super().step(action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self._np_random = np.random.default_rng(seed)
        return super().reset(seed=seed)


def test_a_training_counts_them_in_its_summary_and_goes_on_counting(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"preset": "none", "evaluation_episodes": 0, "vectorization": "sync"}
    result = pgrad.train(Moody, total_steps=1_000, restart_failed_envs=99, **settings)
    count = result.seeds[0].restarted_envs
    assert 2 < count < 30 and result.to_dict()["seeds"][0]["restarted_envs"] == count
    assert f"environments that failed and were begun anew: {count}" in result.summary()
    pgrad.save(result, tmp_path / "run")
    more = pgrad.resume(tmp_path / "run", Moody, total_steps=2_000, evaluation_episodes=0)
    assert count < more.seeds[0].restarted_envs < 60
    with pytest.raises(EnvError, match="moody"):
        pgrad.train(Moody, total_steps=1_000, restart_failed_envs=2, **settings)
    again = pgrad.train(Moody, total_steps=1_000, restart_failed_envs=99, **settings)
    assert again.policies[0].parameters.tobytes() == result.policies[0].parameters.tobytes(), "the same bits"
