"""`pgrad watch`: follow a training by its folder, from another terminal or another machine."""

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pgrad.cli.parser import Parser
from pgrad.config.settings import Config
from pgrad.errors import RunError
from pgrad.experiments.statistics import shown
from pgrad.runs.atomic import held, require_regular_file
from pgrad.runs.failure import FILE as FAILURES
from pgrad.runs.folder import SUMMARY, read_config
from pgrad.runs.progress import SeedProgress, mean_return, progress_in
from pgrad.runs.resume import existing

if TYPE_CHECKING:
    from rich.console import RenderableType

POLL_SECONDS = 1.0
SILENT_SECONDS = 120.0  # after which a training that nobody holds is given up; checkpoints come every minute
MOST_ROWS = 20  # seeds in the table
LONGEST_SUMMARY = 100_000_000  # bytes


class View(NamedTuple):
    """A run as its folder shows it."""

    run: Path
    config: Config
    seeds: list[SeedProgress]  # that have begun

    @property
    def total_steps(self) -> int:
        """Environment steps of all seeds."""
        return sum(seed.total_steps for seed in self.seeds)


def command(argv: list[str]) -> int:
    """Run `pgrad watch`."""
    parser = Parser(
        "watch",
        "RUN",
        "Follow a training by its folder while it trains, from another terminal or from another machine that sees\n"
        "the folder. It ends when the training ends; Ctrl-C leaves. What it shows is as new as the last checkpoint:\n"
        "`pgrad train --save-every SECONDS` says how often there is one.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder, of `pgrad train`")
    run: Path = parser.checked(argv).run
    config, _ = read_config(existing(run))
    if sys.stdout.isatty():
        from rich.live import Live

        with Live(transient=True, auto_refresh=False) as live:
            for view in views(run, config):
                live.update(table(view), refresh=True)
    else:
        for view in changes(views(run, config)):
            print(line(view), flush=True)
    print(ending(run))
    return 0


def views(run: Path, config: Config) -> Iterator[View]:
    """Yield what the folder shows, every second until the training ends; raise RunError where it died."""
    before: list[SeedProgress] | None = None
    news = time.monotonic()
    while True:
        ended, seeds = (run / SUMMARY).exists(), progress_in(run)
        if seeds != before:
            before, news = seeds, time.monotonic()
        yield View(run, config, seeds)
        if ended:
            return
        silent = time.monotonic() - news
        if silent > SILENT_SECONDS and not held(run):
            raise RunError(
                f"{run} has no end, nothing was written for {silent:.0f} s, and no process here trains in it: it seems "
                f"to have died. `pgrad train --resume {run}` goes on from its last checkpoint"
            )
        time.sleep(POLL_SECONDS)


def changes(every: Iterator[View]) -> Iterator[View]:
    """Leave out what is as before."""
    before = None
    for view in every:
        if view != before:
            before = view
            yield view


def line(view: View) -> str:
    """Describe a run in one line."""
    of, planned = len(view.config.seeds), view.config.total_steps
    parts = [f"{view.total_steps:,} steps"]
    if planned is not None:
        parts[0] += f" ({min(1.0, view.total_steps / (planned * of)):.0%})"
    if not math.isnan(mean := mean_return(view.seeds)):
        parts.append(f"return {shown(mean)}")
    if of > 1:
        parts.append(f"{len(view.seeds)} of {of} seeds begun")
    return " · ".join(parts)


def table(view: View) -> "RenderableType":
    """Show a run's seeds: the latest of them, where there are many."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = Table(box=None, pad_edge=False)
    for name in ("seed", "iteration", "steps", "return", "entropy"):
        columns.add_column(name, justify="right")
    for seed in view.seeds[-MOST_ROWS:]:
        numbers = ("" if math.isnan(value) else shown(value) for value in (seed.mean_return, seed.entropy))
        columns.add_row(str(seed.seed), f"{seed.iterations:,}", f"{seed.total_steps:,}", *numbers)
    title = f"{view.config.env} · {view.config.algorithm} · {line(view)}"
    left_out = len(view.seeds) - MOST_ROWS
    rest = [Text(f"and {left_out} seeds before these")] if left_out > 0 else []
    return Group(Text(title), columns, *rest, Text("Ctrl-C leaves; the training goes on", style="dim"))


def ending(run: Path) -> str:
    """Say how a training ended."""
    try:
        require_regular_file(run / SUMMARY, LONGEST_SUMMARY)
        summary: dict[str, Any] = json.loads((run / SUMMARY).read_text(encoding="utf-8"))
        how = "was interrupted" if summary["interrupted"] else "has ended"
        told = [f"{run} {how} after {summary['total_steps']:,} steps"]
        if (mean := summary.get("mean_return")) is not None and mean["value"] is not None:
            told.append(f"mean return {shown(mean['value'])} of its frozen policies")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{run / SUMMARY} is not as pgrad wrote it: {error}") from error
    if (run / FAILURES).exists():
        told.append(f"it failed: `pgrad explain-failure {run}` says why")
    return "; ".join(told)
