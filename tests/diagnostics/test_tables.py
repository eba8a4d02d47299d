"""Tables and CSV say what was measured: read back, they are the numbers they were made of."""

import csv as csv_module
import io
import itertools
import math

import numpy as np
import pytest

from pgrad.diagnostics.along_run import RunDiagnosis
from pgrad.diagnostics.microscope import Microscope, View
from pgrad.diagnostics.tables import LEGEND, MAIN, csv, heading, shown_size, slug, table, table_along
from pgrad.estimators.catalogue import CATALOGUE
from pgrad.experiments.statistics import Estimate

NAMES = [named.name for named in CATALOGUE]
SIZES = (2, 5, 10, 20)
NOTHING = Estimate(math.nan, math.nan, math.nan)
ENDLESS = Estimate(math.inf, math.nan, math.nan)
CURVES, SINGLE = ("signal", "noise", "snr", "error", "cosine"), ("slope", "needed", "direction")


def new_view(name: str, rng: np.random.Generator, sizes: tuple[int, ...] = SIZES) -> View:
    def some(scale: float) -> Estimate:
        low, value, high = np.sort(scale * rng.uniform(0.1, 1.0, 3)).tolist()
        return Estimate(value, low, high)

    curves = [tuple(some(10.0**k) for _ in sizes) for k in (1, 4, 0, 0, 0)]
    return View(name, *curves, slope=some(-1.0), needed=some(1e5), direction=some(1.0))


def new_microscope(
    iteration: int | None, seed: int = 0, sizes: tuple[int, ...] = SIZES, **changed: Estimate
) -> Microscope:
    rng = np.random.default_rng(seed)
    views = [new_view(name, rng, sizes) for name in NAMES]
    views[1] = View(**{**vars(views[1]), "slope": NOTHING, "needed": ENDLESS, "direction": NOTHING})
    views[2] = View(
        **{**vars(views[2]), "error": (ENDLESS,) * len(sizes), "needed": Estimate(12345.6, math.nan, math.nan)}
    )
    mean_return = Estimate(float(rng.uniform(10, 90)), 9.0, 91.0)
    return Microscope("CartPole-v1", iteration, 1000, 123_456, mean_return, sizes, tuple(views), 1.25)


ALONG = RunDiagnosis("runs/mine", 3, tuple(new_microscope(40 * k, k) for k in range(4)), "the run's value network")


def fields(text: str, name: str) -> list[str]:
    """The words of the row of an estimator, after its name."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"  {name}  ")]
    return row[len(name) + 2 :].replace("[", "").replace("]", "").replace(",", " ").split()


def test_a_row_for_each_estimator_with_what_was_measured() -> None:
    microscope = new_microscope(80)
    text = table(microscope)
    for view in microscope.views[3:]:
        row = fields(text, view.name)
        numbers = [float(word) for word in row[:5]]
        assert numbers[0] == pytest.approx(view.signal[2].value, rel=0.006)
        assert numbers[1] == pytest.approx(view.noise[2].value, rel=0.006)
        assert numbers[2:4] == pytest.approx([view.snr[2].value, view.cosine[2].value], abs=0.006)
        assert numbers[4] == pytest.approx(view.direction.value, abs=6e-4)
        assert [float(word) for word in row[-3:]] == pytest.approx(view.slope, abs=0.006)
        for end in view.needed:
            assert f"{end:,.0f}" in text
    assert len(text.splitlines()) == 2 + len(NAMES)
    assert "batches of 10 trajectories" in text.splitlines()[1]


def test_what_is_not_known_is_a_dash() -> None:
    text = table(new_microscope(80))
    assert fields(text, NAMES[1])[4:] == ["-", "-", "-"]
    assert fields(text, NAMES[2])[5] == "-", "a number without an interval is not known either"
    assert fields(text, NAMES[3])[5] != "-"
    assert "nan" not in text
    assert "inf" not in text
    for word in ("-  ", "noise", "SNR", "along ∇J", "for 10 %", "slope"):
        assert word in LEGEND


def test_columns_stand_under_their_heads() -> None:
    lines = table(new_microscope(None)).splitlines()
    for head in ("signal", "noise", "SNR", "cosine", "along ∇J"):
        end = lines[1].index(head) + len(head)
        assert all(line[end - 1] != " " and line[end] == " " for line in lines[2:]), head


def test_the_heading_says_what_was_looked_at() -> None:
    microscope = new_microscope(80)
    said = f"1,000 trajectories, 123,456 steps, mean return {microscope.mean_return} (1.2 s)"
    assert heading(microscope) == f"CartPole-v1 after iteration 80: {said}"
    assert heading(new_microscope(None)).startswith("CartPole-v1: 1,000")


@pytest.mark.parametrize(("sizes", "shown"), [((2, 5, 10, 20), 10), ((2, 5), 5), ((2,), 2), ((5, 10), 10)])
def test_the_table_shows_batches_of_ten_or_what_is_nearest(sizes: tuple[int, ...], shown: int) -> None:
    microscope = new_microscope(0, 0, sizes)
    assert sizes[shown_size(microscope)] == shown
    assert f"batches of {shown} trajectories" in table(microscope)


def test_a_row_for_each_moment_and_a_column_for_each_main_estimator() -> None:
    _, head, *rows = table_along(ALONG).splitlines()
    assert len(rows) == 4
    assert all(name in head for name in MAIN)
    for row, microscope in zip(rows, ALONG.microscopes, strict=True):
        iteration, mean = row.split()[:2]
        assert int(iteration) == microscope.iteration
        assert float(mean) == pytest.approx(microscope.mean_return.value, abs=0.06)
        place = 0
        for name in MAIN:  # in this order
            needed = microscope.view(name).needed
            place = row.index(f"{needed.value:,.0f} [{needed.low:,.0f}, {needed.high:,.0f}]", place)
    endless = {**vars(ALONG.microscopes[0])}
    views = [View(**{**vars(view), "needed": ENDLESS}) for view in endless.pop("views")]
    one = RunDiagnosis("", 0, (Microscope(**endless, views=tuple(views)),), "")
    assert table_along(one).splitlines()[2].split()[2:] == ["-"] * len(MAIN)


def test_the_csv_read_back_is_all_there_is() -> None:
    rows = list(csv_module.DictReader(io.StringIO(csv(ALONG))))
    everything = list(itertools.product(ALONG.microscopes, range(len(NAMES)), range(len(SIZES))))
    assert len(rows) == len(everything) == 4 * len(CATALOGUE) * len(SIZES)
    for row, (microscope, n, m) in zip(rows, everything, strict=True):
        view = microscope.views[n]
        assert (row["estimator"], int(row["batch"]), int(row["iteration"])) == (
            view.name,
            SIZES[m],
            microscope.iteration,
        )
        assert float(row["mean_return"]) == pytest.approx(microscope.mean_return.value, rel=1e-5)
        for name in (*CURVES, *SINGLE):
            estimate = getattr(view, name)[m] if name in CURVES else getattr(view, name)
            for end, number in zip(("", "_low", "_high"), estimate, strict=True):
                text = row[f"{name}{end}"]
                assert text == "" if math.isnan(number) else float(text) == pytest.approx(number, rel=1e-5)
    assert None not in rows[0], "as many fields as names"
    assert len(rows[0]) == 4 + 3 * len((*CURVES, *SINGLE))


@pytest.mark.parametrize(
    ("at", "name"),
    [
        ("last", "last"),
        ("80", "80"),
        ("every:10", "every-10"),
        ("0,40,120", "0-40-120"),
        (",".join(map(str, range(0, 790, 10))), "0-to-780"),
    ],
)
def test_what_was_asked_for_makes_a_files_name(at: str, name: str) -> None:
    assert slug(at) == name
