"""Read the CSV files of a run as columns."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pgrad.errors import RunError

Floats = npt.NDArray[np.float64]


def read_columns(path: Path) -> dict[str, Floats]:
    """Return a file's columns of numbers by name, NaN where a field is empty; no columns where there is no file.

    Of a file that is being written a last line without its end is left out. Raises RunError for what is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    names, *rows = csv.reader(text[: text.rfind("\n") + 1].splitlines()) if "\n" in text else [[]]
    try:
        columns = zip(*([float(field or "nan") for field in row] for row in rows), strict=True)
        numbers = list(columns) or [()] * len(names)
        return {name: np.array(column) for name, column in zip(names, numbers, strict=True)}
    except ValueError as error:
        raise RunError(f"{path} is no table of numbers: {error}") from error
