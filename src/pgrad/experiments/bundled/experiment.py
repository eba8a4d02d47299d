"""An experiment: a TOML file with a question, what is known of it, a sweep, and which analysis answers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pgrad.errors import ConfigError, nearest
from pgrad.experiments.bundled.analyses import ANALYSES
from pgrad.experiments.over_seeds import trust
from pgrad.experiments.sweeps.report import report
from pgrad.experiments.sweeps.result import Sweep
from pgrad.experiments.sweeps.sweep import sweep
from pgrad.reports.page import Section
from pgrad.runs.atomic import read_asked_toml
from pgrad.runs.folder import RUNS

FOLDER = Path(__file__).parent
KEYS = ("question", "background", "analysis", "sweep")


class Experiment(NamedTuple):
    """A question, and how it is put to the machine.

    background  what theory says about it beforehand
    analysis    which function of analyses.py reads the answer from what the sweep has found
    sweep       the arguments of `pgrad.sweep`, as in the file of `pgrad sweep --grid`
    """

    name: str
    question: str
    background: str
    analysis: str
    sweep: Mapping[str, Any]


class Answered(NamedTuple):
    """What an experiment has found: the sweep, the answer, a sentence each, and the report's page."""

    found: Sweep
    answer: list[str]
    page: Path


def names() -> list[str]:
    """Return the names of the bundled experiments."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_experiment(name: str) -> Experiment:
    """Return an experiment by its name or its file; raise ConfigError where there is none, or it is wrong."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if path.parent == FOLDER and path.stem not in names():
        raise ConfigError([f"unknown experiment '{name}': {nearest(name, names())}"])
    document = read_asked_toml(path, f"experiment {name}")
    if document.keys() != set(KEYS) or not isinstance(document["sweep"], dict):
        raise ConfigError([f"experiment {name} must have {', '.join(KEYS[:-1])} and a table [sweep], and nothing else"])
    if document["analysis"] not in ANALYSES:
        raise ConfigError(
            [f"unknown analysis '{document['analysis']}': {nearest(str(document['analysis']), ANALYSES)}"]
        )
    return Experiment(path.stem, *(document[key] for key in KEYS))


def run(
    experiment: Experiment,
    *,
    out: Path | None = None,
    announce: Callable[[str], None] | None = None,
    progress: Callable[[str], None] | None = None,
    **arguments: Any,
) -> Answered:
    """Make the runs that are missing, read the answer from them, and write a page with the question on top.

    out        folder (default: runs/experiment-NAME), in which a second run goes on from the first
    arguments  of `pgrad.sweep`, in place of the experiment's own, such as fewer seeds
    """
    folder = out or RUNS / f"experiment-{experiment.name}"
    found = sweep(out=folder, announce=announce, progress=progress, **{**experiment.sweep, **arguments})
    doubt = trust(found.statistics[0].n)
    answer = [*ANALYSES[experiment.analysis](found), *([doubt] if doubt else [])]
    top = [
        Section("The question", [experiment.question, experiment.background]),
        Section("The answer, as read from these runs", answer),
    ]
    return Answered(found, answer, report([folder], top=top, title=f"{experiment.name}: {experiment.question}"))
