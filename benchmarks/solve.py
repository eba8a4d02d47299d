"""The default on 100 seeds that no setting was chosen on: is every frozen policy worth 475, and after how many steps?

Seeds 0 to 99 (the settings were tuned on seeds 1000 to 1399). Besides the final policy, each seed's policy is frozen
every 5,000 steps of the same run and evaluated over 100 episodes in Gymnasium's own environment.
"""

import numpy as np

import pgrad
from pgrad.config.resolve import resolve
from pgrad.training.loops import new_loop

SEEDS, EVERY, THRESHOLD = 100, 5_000, 475.0


def first_worth(seed: int) -> tuple[float, float]:
    """Steps and seconds of training when a frozen policy was first worth the threshold; inf if never."""
    config = resolve("CartPole-v1", None, {"seeds": [seed]})
    trainer = new_loop(config, pgrad.make("CartPole-v1"), seed)
    next_look = EVERY
    while not trainer.finished:
        trainer.chunk = 8
        trainer.advance()
        if trainer.total_steps >= next_look or trainer.finished:
            next_look += EVERY
            if pgrad.evaluate(trainer.policy, episodes=100, seed=seed).returns.mean() >= THRESHOLD:
                return trainer.total_steps, trainer.seconds
    return np.inf, np.inf


def main() -> None:
    result = pgrad.train("CartPole-v1", seeds=SEEDS)
    print(result.summary())
    steps, seconds = np.array([first_worth(seed) for seed in range(SEEDS)]).T
    print("\n| first frozen policy worth 475 | median | worst of 100 |\n|---|---|---|")
    print(f"| environment steps | {np.median(steps):,.0f} | {steps.max():,.0f} |")
    print(f"| seconds of training, one seed on one core | {np.median(seconds):.3f} | {seconds.max():.3f} |")
