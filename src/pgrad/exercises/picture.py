"""Two tables of numbers, the learner's and the wanted one; drawing.py draws them."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """Two tables of numbers, the learner's and the wanted one, whose rows may have different lengths.

    A number is None where the function gave none that is finite.
    """

    title: str
    rows: tuple[str, ...]  # a label for each row
    yours: tuple[tuple[float | None, ...], ...]
    wanted: tuple[tuple[float | None, ...], ...]

    def __str__(self) -> str:
        width = max([len("yours"), *(9 * len(row) for row in self.yours)])
        label = max(map(len, self.rows))
        lines = [self.title, f"  {'':{label}}  {'yours':<{width}}  wanted"]
        for name, yours, wanted in zip(self.rows, self.yours, self.wanted, strict=True):
            lines.append(f"  {name:<{label}}  {cells(yours):<{width}}  {cells(wanted)}")
        return "\n".join(line.rstrip() for line in lines)


def cells(row: tuple[float | None, ...]) -> str:
    """Return a row of numbers in columns of nine characters; · is nothing."""
    return "".join(f"{'·' if x is None else f'{x:+.3f}' if abs(x) >= 5e-4 else '0':<9}" for x in row)


def finite(row: Any) -> tuple[float | None, ...]:
    """Return numbers for a Picture."""
    return tuple(float(x) if math.isfinite(x) else None for x in row)
