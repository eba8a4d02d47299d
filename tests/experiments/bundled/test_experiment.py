"""Bundled experiments: each can be run, and their answers say what is in the data and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad.cli import main as cli
from pgrad.config.resolve import resolve
from pgrad.errors import ConfigError
from pgrad.experiments.bundled.analyses import ANALYSES
from pgrad.experiments.bundled.experiment import FOLDER, names, read_experiment, run
from pgrad.experiments.sweeps.grid import Grid, Setting, grid
from pgrad.experiments.sweeps.of_setting import OfSetting
from pgrad.experiments.sweeps.result import Sweep
from pgrad.experiments.sweeps.runs import Run

MINE = """question = "Which?"
background = "None."
analysis = "along-range"
[sweep]
env = "CartPole-v1"
algorithm = "reinforce"
num_iterations = 2
hidden = 8
episodes = 3
learning_rate = [0.001, 0.01]
seeds = 3
"""


def of_setting(returns: Sequence[float], curve: Sequence[float] = (20, 300, 300), **values: Any) -> OfSetting:
    points: Any = {"episodes": [1, 50, 100], "steps": [20, 1000, 9000], "returns": list(curve)}
    runs = [Run(str(k), k, float(value), None, 9000, points, 0.1) for k, value in enumerate(returns)]
    return OfSetting(Setting(values, resolve("CartPole-v1", "reinforce")), tuple(runs))


def swept(*settings: OfSetting) -> Sweep:
    return Sweep("CartPole-v1", 475.0, settings, 100, Path("nowhere"))


HIGH, LOW, SAME = np.arange(480.0, 500), np.arange(100.0, 120), np.arange(479.0, 499)


@pytest.mark.parametrize("name", names())
def test_every_bundled_experiment_can_be_run(name: str) -> None:
    """Its settings fit together; LunarLander's need an extra, and are checked on CartPole."""
    experiment = read_experiment(name)
    given = {k: v for k, v in experiment.sweep.items() if k not in ("env", "seeds", "cases")}
    settings, _ = grid("CartPole-v1", Grid(given, experiment.sweep.get("cases", ({},))), (0, 1))
    assert len({str(one) for one in settings}) == len(settings) > 2
    assert experiment.question.endswith("?")
    if experiment.analysis == "along-range":
        assert len(settings[0].values) == 1


def test_one_of_your_own_is_answered_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE)
    argv = ["experiment", str(file), "--out", str(tmp_path / "out"), "--processes", "1", "--quiet"]
    assert cli.run(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("Which?\n\nNone.\n\nlearning_rate 0.0")
    assert "is the best, and reaches" in out and "with 3 seeds no interval can be trusted" in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        page.index("The question") < page.index("The answer, as read from these runs") < page.index("What each setting")
    )
    answered = run(read_experiment(str(file)), out=tmp_path / "out")
    assert [one.config.learning_rate for one in (s.setting for s in answered.found.settings)] == [0.001, 0.01]
    assert "\n".join(answered.answer) in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["colapse"], "unknown experiment 'colapse': did you mean 'collapse'?"),
        ([], "no experiment: name one of collapse, learning-rates"),
        (["collapse", "--sead", "3"], "unknown flag '--sead': did you mean '--seeds'?"),
        (["none.toml"], "cannot read experiment none.toml"),
    ],
)
def test_mistakes_are_named(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["experiment", *argv]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("along-range", "along-rnge"), "unknown analysis 'along-rnge': did you mean 'along-range'"),
        (("background", "backgrnd"), "must have question, background, analysis and a table"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE.replace(*change))
    with pytest.raises(ConfigError, match=message):
        read_experiment(str(file))


def test_the_list_has_every_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["experiment", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(names()) == len(list(FOLDER.glob("*.toml"))) == 7


def test_settings_are_better_worse_or_not_told_apart() -> None:
    found = swept(of_setting(HIGH, hidden=(8,)), of_setting(LOW, hidden=(16,)), of_setting(SAME, hidden=(32,)))
    _, low, same = ANALYSES["against-first"](found)
    assert "hidden 16 reaches 109.5 [" in low and "Against hidden 8 that is worse" in low
    assert "Against hidden 8 that is a difference that these seeds do not show" in same
    _, _, same = ANALYSES["against-previous"](found)
    assert "Against hidden 16 that is better" in same


def test_a_range_has_a_best_its_equals_and_what_is_worse() -> None:
    found = swept(*(of_setting(r, learning_rate=x) for r, x in ((LOW, 0.1), (HIGH, 0.01), (SAME, 0.001))))
    best, equal, worse = ANALYSES["along-range"](found)
    assert best.startswith("learning_rate 0.01 is the best, and reaches 489.5")
    assert equal == "Not to be told from it by these seeds: 0.001."
    assert worse.startswith("Worse than it: 109.5 [") and worse.endswith("] at 0.1.")


def test_an_analysis_that_does_not_fit_says_so() -> None:
    cases = swept(of_setting(HIGH), of_setting(LOW, hidden=(8,)))
    for name in ("along-range", "by-factor"):
        with pytest.raises(ConfigError, match=f"analysis {name} needs"):
            ANALYSES[name](cases)


def test_a_factor_is_judged_where_all_else_is_the_same() -> None:
    found = swept(
        of_setting(LOW, baseline="none", hidden=(8,)),
        of_setting(HIGH, baseline="mean", hidden=(8,)),
        of_setting(LOW, baseline="none", hidden=(16,)),
        of_setting(LOW, baseline="mean", hidden=(16,)),
    )
    _, baseline, hidden = ANALYSES["by-factor"](found)
    assert baseline.startswith("baseline mean against none, all else the same: better in 1 of 2 pairs, worse in 0")
    assert baseline.endswith("0.75 on average, which depends most on hidden: 1.00 with 8, 0.50 with 16.")
    assert hidden.startswith("hidden 16 against 8, all else the same: better in 0 of 2 pairs, worse in 1")


def test_rises_and_falls_are_counted() -> None:
    found = swept(of_setting(LOW, (20, 400, 100), hidden=(8,)), of_setting(LOW, (20, 100, 100), hidden=(16,)))
    short, what, both, none = ANALYSES["rise-and-fall"](found)
    assert short.startswith("In short: as it is, 20 of 20 that rise fall again, and 0 of 20 seeds solve. Beyond chance")
    assert "reached 237.5" in what
    assert "20 of 20 [83.2 %, 100 %] seeds rise, the median seed to 400.0" in both
    assert "20 of 20 [83.2 %, 100 %] of those that rose fall again." in both
    assert "0 of 20 [0 %, 16.8 %] seeds rise, the median seed to 100.0" in none and "fall again" not in none


def test_speed_is_the_height_of_the_training_curve() -> None:
    found = swept(of_setting(HIGH, (0, 0, 100), hidden=(8,)), of_setting(HIGH, (0, 100, 100), hidden=(16,)))
    fastest, slow, _ = ANALYSES["speed"](found)
    assert fastest == "hidden 16 learns fastest by the mean return while it trains."
    assert slow.startswith(f"hidden 8: {50 * 8000 / 8980:.1f} [")
