"""One episode of a policy, step by step: to compute with, and to watch."""

import functools
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import EnvError, InputError, RunError
from pgrad.estimators.episodes import discounted_return, rewards_to_go
from pgrad.evaluation import Endless, actor_for, lanes_of, ready
from pgrad.watchdog import Watchdog, watched

if TYPE_CHECKING:
    from pgrad.evaluation import Policy

Floats = npt.NDArray[np.float64]

VIDEOS = (".gif", ".webp", ".png")  # that Pillow writes with several frames
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # one of which says where windows open
SHORTEST_FRAME = 20  # ms: browsers show shorter ones more slowly


@dataclass(frozen=True, eq=False, repr=False)
class Episode:
    """An episode of T steps, from its first observation to its end.

    obs         [T, O] what was observed before each action, as the policy sees it
    action      [T] or [T, D] what the environment got
    reward      [T] for it
    log_prob    [T] log π(a_t | s_t), of continuous actions the log density
    discount    γ of `returns`
    terminated  True if the environment ended the episode, False if its time limit did
    final_obs   [O] what was observed at the end
    """

    obs: npt.NDArray[np.float32]
    action: npt.NDArray[Any]
    reward: Floats
    log_prob: Floats
    discount: float
    terminated: bool
    final_obs: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.reward)

    def __repr__(self) -> str:
        end = "terminated" if self.terminated else "cut by the time limit"
        return f"<Episode: {len(self)} steps, total reward {self.reward.sum():g}, {end}>"

    @property
    def returns(self) -> Floats:
        """The reward-to-go G_t = Σ_{k ≥ t} γ^{k-t} r_k of every step, [T]."""
        return rewards_to_go(self.reward, self.discount)

    @property
    def total(self) -> float:
        """The return G_0 = Σ_t γ^t r_t of the episode."""
        return discounted_return(self.reward, self.discount)


def collect_episode(
    policy: "Policy | str | os.PathLike[str]",
    env: AnyEnv | None = None,
    seed: int = 0,
    discount: float = 0.99,
    greedy: bool = False,
    max_episode_steps: int | None = None,
    step_timeout: float | None = 60.0,
    trust: bool = False,
) -> Episode:
    """Play one episode with a policy in Gymnasium's own environment, and return it step by step.

    Arguments are those of `pgrad.evaluate`, which plays the same episode with this seed and `episodes=1`.
    `discount` is that of `Episode.returns`, the rewards-to-go that REINFORCE multiplies each ∇ log π with.

    Raises what `pgrad.evaluate` raises.

    >>> from pgrad import MLPPolicy, collect_episode
    >>> episode = collect_episode(MLPPolicy.initial("CartPole-v1"), seed=1)
    >>> episode.obs.shape == (len(episode), 4) and episode.returns[-1] == 1.0
    True
    """
    frozen, original, asked = ready(
        policy,
        env,
        seed=seed,
        discount=discount,
        greedy=greedy,
        max_episode_steps=max_episode_steps,
        step_timeout=step_timeout,
        trust=trust,
    )
    return _watched(frozen, original, asked)


def play(
    policy: "Policy | str | os.PathLike[str]",
    env: AnyEnv | None = None,
    seed: int = 0,
    greedy: bool = False,
    video: "str | os.PathLike[str] | None" = None,
    max_episode_steps: int | None = None,
    step_timeout: float | None = 60.0,
    trust: bool = False,
) -> Episode:
    """Show one episode of a policy, in a window or as a video, and return it.

    video  where to write it, a .gif, .webp or .png (animated) with the environment's own frame rate; None for a window

    Other arguments are those of `pgrad.evaluate`; the same seed shows the same episode as `pgrad.collect_episode`.
    Raises what `pgrad.evaluate` raises, EnvError where the environment draws no pictures, InputError for another kind
    of file, and RunError where it cannot be written.
    """
    path = None if video is None else Path(video)
    if path is not None and path.suffix.lower() not in VIDEOS:
        raise InputError(f"a video is a {', '.join(VIDEOS[:-1])} or {VIDEOS[-1]}, not '{path}'")
    frozen, original, asked = ready(
        policy,
        env,
        seed=seed,
        discount=1.0,
        greedy=greedy,
        max_episode_steps=max_episode_steps,
        step_timeout=step_timeout,
        trust=trust,
    )
    from pgrad.vector.make import shown

    assert original.description is not None, "every original has one"
    if path is None and sys.platform == "linux" and not any(map(os.environ.get, DISPLAYS)):
        raise EnvError("there is no display to open a window on: ask for a video, such as episode.gif")
    episodes = list[list[Any]]()
    description, rate = shown(original.description, "human" if path is None else "rgb_array", episodes)
    episode = _watched(frozen, replace(original, description=description), asked)
    if path is not None:
        pictures = next(pictures for pictures in episodes if len(pictures) == len(episode) + 1)
        _write(path, pictures, max(SHORTEST_FRAME, round(1000 / rate)))
    return episode


def _watched(policy: "Policy", original: Env, asked: dict[str, Any]) -> Episode:
    """Play an episode, and notice where the environment hangs."""
    watchdog = Watchdog()
    return watched(functools.partial(_collected, policy, original, asked, watchdog), watchdog, asked["step_timeout"])


def _collected(policy: "Policy", original: Env, asked: dict[str, Any], watchdog: Watchdog) -> Episode:
    """Play one episode, and keep all of it."""
    actor, rows, masks = actor_for(policy, original, asked["greedy"]), list[Any](), list[Any]()
    with lanes_of(original, 1, asked, watchdog) as (lanes, longest):
        lanes.restart()
        while True:
            obs, mask = lanes.envs.obs[0].copy(), lanes.envs.mask
            action = actor.env_actions(lanes.act(actor))
            stepped = lanes.step(action)
            rows.append((obs, np.copy(action[0]), stepped.reward[0]))
            masks.append(None if mask is None else mask[0].copy())
            if stepped.terminated[0] or stepped.truncated[0]:
                break
            if len(rows) >= longest:
                raise Endless
        seen, taken, reward = (np.array(column) for column in zip(*rows, strict=True))
        terminated, final_obs = bool(stepped.terminated[0]), stepped.after[0].copy()
    allowed = None if masks[0] is None else np.array(masks)
    log_prob = policy.log_prob(seen, taken, allowed)
    return Episode(seen, taken, reward, log_prob, asked["discount"], terminated, final_obs)


def _write(path: Path, pictures: list[Any], milliseconds: int) -> None:
    """Write pictures, uint8 [H, W, 3] each, as a video that begins again at its end."""
    from PIL import Image

    if not all(isinstance(picture, np.ndarray) and picture.ndim == 3 for picture in pictures):
        raise EnvError("render() returned no pictures, which are arrays [H, W, 3]")
    first, *others = (Image.fromarray(np.asarray(picture, np.uint8)) for picture in pictures)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error}") from error
