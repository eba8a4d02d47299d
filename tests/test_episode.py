"""One episode, step by step, and as a video."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

import pgrad


def test_an_episode_is_what_happened() -> None:
    """Stepping Gymnasium's own environment from the same start with the same actions leads to the same numbers."""
    policy = pgrad.MLPPolicy.initial("CartPole-v1", seed=3)
    episode = pgrad.collect_episode(policy, seed=5, discount=0.9)
    assert 8 < len(episode) < 200 and episode.terminated
    env: Any = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    env.unwrapped.state = episode.obs[0].astype(np.float64)
    for t, action in enumerate(episode.action):
        obs, reward, terminated, _, _ = env.step(int(action))
        after = episode.obs[t + 1] if t + 1 < len(episode) else episode.final_obs
        np.testing.assert_allclose(obs, after, atol=1e-5)
        assert (reward, terminated) == (episode.reward[t], t + 1 == len(episode))
    np.testing.assert_allclose(episode.log_prob, policy.log_prob(episode.obs, episode.action))
    np.testing.assert_array_equal(episode.returns, pgrad.rewards_to_go(episode.reward, 0.9))
    assert episode.total == episode.returns[0]
    assert repr(episode) == f"<Episode: {len(episode)} steps, total reward {len(episode)}, terminated>"


@pytest.mark.parametrize("greedy", [False, True])
def test_it_is_the_episode_that_evaluation_plays(greedy: bool) -> None:
    policy = pgrad.MLPPolicy.initial("CartPole-v1", seed=3)
    for seed in range(5):
        evaluated = pgrad.evaluate(policy, episodes=1, seed=seed, discount=0.5, greedy=greedy)
        episode = pgrad.collect_episode(policy, seed=seed, discount=0.5, greedy=greedy)
        assert evaluated.returns[0] == pytest.approx(episode.total)
        assert evaluated.lengths[0] == len(episode)


@pytest.mark.parametrize(
    ("env", "action", "obs"),
    [("Pendulum-v1", (200, 1), (200, 3)), ("RobotArm-v0", (160, 7), (160, 25)), ("Taxi-v4", (7,), (7, 500))],
)
def test_every_kind_of_action_and_time_limits(env: str, action: tuple[int, ...], obs: tuple[int, ...]) -> None:
    episode = pgrad.collect_episode(pgrad.MLPPolicy.initial(env, 8), max_episode_steps=action[0])
    assert (episode.action.shape, episode.obs.shape, episode.terminated) == (action, obs, False)
    assert np.isfinite(episode.log_prob).all()


def test_what_is_wrong_is_said_as_by_evaluate(tmp_path: Path) -> None:
    bare = pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2))
    with pytest.raises(pgrad.ConfigError, match="env must be given"):
        pgrad.collect_episode(bare)
    with pytest.raises(pgrad.ConfigError, match="discount must be in"):
        pgrad.collect_episode(bare, "CartPole-v1", discount=2)
    with pytest.raises(pgrad.RunError, match="neither a policy file nor a run folder"):
        pgrad.play(tmp_path)


class Square(gymnasium.Env[Any, Any]):
    """A picture whose colour is the time."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012, as Gymnasium has it

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.time = render_mode, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return np.zeros(1, np.float32), 1.0, self.time == 4, False, {}

    def render(self) -> Any:
        return np.full((6, 8, 3), 60 * self.time, np.uint8)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_a_video_has_a_picture_of_every_state(tmp_path: Path, suffix: str) -> None:
    policy, file = pgrad.MLPPolicy.initial(Square), tmp_path / "new" / f"episode.{suffix}"
    episode = pgrad.play(policy, Square, video=file)
    assert len(episode) == 4
    with Image.open(file) as video:
        assert video.n_frames == 5  # type: ignore[attr-defined]
        for t in range(5):
            video.seek(t)
            shown = np.asarray(video.convert("RGB"), np.float64)
            assert shown.shape == (6, 8, 3) and abs(shown.mean() - 60 * t) < 3
            assert video.info["duration"] == 100


def blind() -> Any:
    """Made without a render mode."""
    return Square()


@pytest.mark.parametrize("env", [blind, Square()])
def test_an_environment_that_draws_nothing_is_named(tmp_path: Path, env: Any) -> None:
    with pytest.raises(pgrad.EnvError, match=r"has render_mode None, not 'rgb_array' \(known: 'rgb_array'\): pass a"):
        pgrad.play(pgrad.MLPPolicy.initial(Square), env, video=tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_written(tmp_path: Path) -> None:
    policy = pgrad.MLPPolicy.initial(Square)
    with pytest.raises(pgrad.InputError, match=r"a video is a \.gif, \.webp or \.png, not '.*x\.mp4'"):
        pgrad.play(policy, Square, video=tmp_path / "x.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(pgrad.RunError, match="cannot write"):
        pgrad.play(policy, Square, video=tmp_path / "file" / "x.gif")


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = pgrad.MLPPolicy.initial("CartPole-v1")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(pgrad.EnvError, match="there is no display to open a window on: ask for a video"):
        pgrad.play(policy)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown, played = pgrad.play(policy, max_episode_steps=9), pgrad.collect_episode(policy, max_episode_steps=9)
    np.testing.assert_array_equal(shown.obs, played.obs)


def test_training_begins_with_the_initial_policy() -> None:
    still = {"preset": "none", "num_iterations": 1, "learning_rate": 1e-12, "evaluation_episodes": 0}
    for env, hidden, seed in (("CartPole-v1", (64,), 0), ("Pendulum-v1", (8, 8), 7)):
        trained = pgrad.train(env, hidden=hidden, seed=seed, **still).policies[0]  # type: ignore[arg-type]
        initial = pgrad.MLPPolicy.initial(env, hidden, seed=seed)
        np.testing.assert_allclose(initial.parameters, trained.parameters, atol=1e-9)
        assert (initial.sizes, initial.actions, initial.env) == (trained.sizes, trained.actions, env)
    with pytest.raises(pgrad.InputError, match=r"hidden layers need a number of units each, .* not \(64, 0\)"):
        pgrad.MLPPolicy.initial("CartPole-v1", (64, 0))
