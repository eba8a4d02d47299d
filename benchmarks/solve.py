"""CartPole-v1 on 100 seeds that no setting was chosen on: is every frozen policy worth 475, and after how many steps?

Seeds 100 to 199, the actor-critic without a preset and CartPole-v1's own. Besides the final policy, each seed's policy
is frozen about every 1,000 steps of the same run and evaluated over 100 episodes in Gymnasium's own environment.
"""

import numpy as np

import pgrad
from pgrad.training.loops import new_loop
from pgrad.training.prepare import prepare

SEEDS, EVERY, THRESHOLD = range(100, 200), 1_000, 475.0


def first_worth(preset: str, seed: int) -> tuple[float, float]:
    """Steps and seconds of training when a frozen policy was first worth the threshold; inf if never."""
    config, env, _ = prepare("CartPole-v1", {"preset": preset})
    assert config.num_steps is not None
    trainer = new_loop(config, env, seed)
    next_look = EVERY
    while not trainer.finished:
        trainer.iterations = max(1, EVERY // (config.num_envs * config.num_steps))
        trainer.advance()
        if trainer.total_steps >= next_look or trainer.finished:
            next_look += EVERY
            if pgrad.evaluate(trainer.trained.policy, episodes=100, seed=seed).returns.mean() >= THRESHOLD:
                return trainer.total_steps, trainer.seconds
    return np.inf, np.inf


def main() -> None:
    for preset in ("none", "CartPole-v1"):
        print(pgrad.train("CartPole-v1", preset=preset, seeds=SEEDS).summary())
        steps, seconds = np.array([first_worth(preset, seed) for seed in SEEDS]).T
        print(f"\n| preset {preset}: first frozen policy worth 475 | median | worst of 100 |\n|---|---|---|")
        print(f"| environment steps | {np.median(steps):,.0f} | {steps.max():,.0f} |")
        print(f"| seconds of training, one seed on one core | {np.median(seconds):.3f} | {seconds.max():.3f} |\n")
