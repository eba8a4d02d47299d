"""The picture of a verdict: the learner's numbers beside the wanted ones, as cells whose colour is their size."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgrad.exercises.picture import Picture
from pgrad.reports.figures import new_panels

COLOURS = "RdBu"  # minus is red, plus is blue


def draw(picture: Picture) -> Figure:
    """Draw both tables side by side, in one scale of colours; a cell without a number stays blank."""
    columns = max(len(row) for row in (*picture.yours, *picture.wanted))
    width, height = 2.2 + 1.6 * columns, 1.0 + 0.5 * len(picture.rows)
    figure, panels = new_panels(width, height, 1, 2, sharey=True)
    largest = max((abs(x) for row in picture.wanted for x in row if x is not None), default=1.0) or 1.0
    for axes, title, rows in zip(panels, ("yours", "wanted"), (picture.yours, picture.wanted), strict=True):
        _cells(axes, rows, columns, largest)
        axes.set_title(title, loc="left")
    panels[0].set_yticks(range(len(picture.rows)), picture.rows)
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize="medium")
    return figure


def _cells(axes: Axes, rows: tuple[tuple[float | None, ...], ...], columns: int, largest: float) -> None:
    table = np.full((len(rows), columns), np.nan)
    for i, row in enumerate(rows):
        for k, x in enumerate(row):
            if x is not None:
                table[i, k] = x
                axes.text(
                    k,
                    i,
                    f"{x:+.3g}" if x else "0",
                    ha="center",
                    va="center",
                    color="white" if abs(x) > 0.6 * largest else "black",
                )
    axes.imshow(table, cmap=COLOURS, vmin=-largest, vmax=largest, aspect="auto")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
