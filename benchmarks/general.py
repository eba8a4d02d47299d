"""The search behind the general preset: the same trials on several environments, and the one that does well on all.

A trial's score is the share of the other trials that it beats, averaged over environments, since returns of different
environments have no unit in common. Each environment's search is in a folder of its own and goes on where it was
interrupted. runs/general/preset.toml is for src/pgrad/presets/general.toml, once other seeds have confirmed it.
"""

import datetime
import os
from pathlib import Path

import numpy as np

import pgrad
from pgrad.experiments.tuning.search import seeds_in_words
from pgrad.experiments.tuning.tune import Tuning
from pgrad.presets.preset import GENERAL, Preset, Source, differing, written

ENVS = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCarContinuous-v0")
TRIALS, SEEDS = int(os.environ.get("GENERAL_TRIALS", "24")), int(os.environ.get("GENERAL_SEEDS", "3"))
SPACE = {"normalize_obs": True, "normalize_rewards": True, "num_envs": "8|16", "num_steps": "128|256|512"}
FOLDER = Path("runs") / "general"


def beaten(found: Tuning) -> np.ndarray:
    """The share of trials that each one beats, [trials]; half of those that it equals."""
    score = np.array([one.score for one in sorted(found.standings, key=lambda one: one.trial)])
    worse = (score[:, None] > score).sum(axis=1) + ((score[:, None] == score).sum(axis=1) - 1) / 2
    return np.where(np.isfinite(score), worse / max(1, score.size - 1), -1.0)


def main() -> None:
    searches = {
        env_id: pgrad.tune(
            env_id,
            preset=GENERAL,
            space=SPACE,
            trials=TRIALS,
            seeds=SEEDS,
            halve="none",
            out=FOLDER / env_id,
            announce=print,
        )
        for env_id in ENVS
    }
    shares = np.array([beaten(found) for found in searches.values()])
    order = sorted(range(TRIALS), key=lambda trial: (-shares[:, trial].mean(), trial))
    print(f"| trial | beats | {' | '.join(ENVS)} |\n|---|---|{'---|' * len(ENVS)}")
    for trial in [*order[:8], *({0} - {*order[:8]})]:
        scores = [next(one.score for one in found.standings if one.trial == trial) for found in searches.values()]
        means = " | ".join(f"{score:.4g}" for score in scores)
        print(f"| {trial}{' (the present one)' * (trial == 0)} | {100 * shares[:, trial].mean():.0f} % | {means} |")
    widest = searches["Pendulum-v1"].search  # which draws what is for continuous actions too
    source = Source(
        search=f"random search on {', '.join(ENVS)}",
        seeds=seeds_in_words(widest.seeds),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        pgrad=pgrad.__version__,
        trials=TRIALS,
    )
    preset = Preset(GENERAL, GENERAL, None, differing(vars(widest.config(order[0]))), source)
    (FOLDER / "preset.toml").write_text(written(preset), encoding="utf-8")
    print(f"\n{written(preset)}")
