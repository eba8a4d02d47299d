"""The teaching notebook's recipe on 100 seeds: how many climb to the top, and how many stay there?"""

from pathlib import Path

import numpy as np

import pgrad
from pgrad.experiments.statistics import counted, running_mean
from pgrad.reports.figures import GREY, save_figure

SEEDS, SHOWN, WINDOW, THRESHOLD = 100, 8, 50, 475.0
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "notebook.png"


def main() -> None:
    result = pgrad.train("CartPole-v1", algorithm="notebook", preset="none", seeds=SEEDS)
    curves = [running_mean(seed.history.episodes.episode_return, WINDOW) for seed in result.seeds]
    full = np.array([curve[WINDOW - 1 :] for curve in curves])  # means of 50 whole episodes
    best, last = full.max(axis=1), full[:, -1]
    print(result.summary())
    print(
        f"\nreached a {WINDOW}-episode mean of {THRESHOLD:g} at any time: {counted((best >= THRESHOLD).sum(), SEEDS)}"
    )
    print(f"at {THRESHOLD:g} at the end: {counted((last >= THRESHOLD).sum(), SEEDS)}")
    print(f"best {WINDOW}-episode mean: median {np.median(best):.0f}, best seed {best.max():.0f}")
    print(f"last {WINDOW}-episode mean: median {np.median(last):.0f}; fallen below half of its best: ", end="")
    print(counted((last < best / 2).sum(), SEEDS))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure = result.plot()
    for curve in curves[:SHOWN]:
        figure.axes[0].plot(range(1, len(curve) + 1), curve, color=GREY, linewidth=0.8)
    save_figure(figure, PICTURE)
    print(f"picture: {PICTURE.relative_to(Path.cwd())}")
