"""The report of `pgrad verify`: all claims, identities and mistakes, with one verdict."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pgrad.errors import EstimatorError
from pgrad.verify.bookkeeping import bookkeeping_checks
from pgrad.verify.cases import Case, cases
from pgrad.verify.check import MAX_Z, Check
from pgrad.verify.claims import (
    BATCHES,
    TRAJECTORIES,
    ClaimRow,
    bias_checks,
    fixed_step_checks,
    limit_checks,
    rows_of,
)
from pgrad.verify.draws import draw_checks
from pgrad.verify.heads import distribution_checks, head_checks
from pgrad.verify.held_noise import held_noise_checks
from pgrad.verify.identities import identity_checks
from pgrad.verify.independence import independence_checks
from pgrad.verify.iterations import iteration_checks
from pgrad.verify.rungs import rung_checks
from pgrad.verify.zoo_report import ZooRow, zoo_rows

Progress = Callable[[str], None]

TRAINS: tuple[tuple[str, Callable[[int], Iterator[Check]]], ...] = (
    ("every head's ∇ log π and entropy in compiled code (largest relative deviation from float64)", head_checks),
    ("random numbers and actions have their distributions (standard errors)", draw_checks),
    ("what is drawn is independent (standard errors), and never drawn twice", independence_checks),
    ("gSDE: noise that rollouts hold, and the bias of holding it (relative; standard errors)", held_noise_checks),
    ("rollouts record what happens: dice thrown one by one in Python (wrong entries)", bookkeeping_checks),
    ("what PPO, the natural gradient and TRPO add, in compiled code (largest relative deviation)", rung_checks),
    ("training iterations replayed in NumPy (largest deviation, as part of a step)", iteration_checks),
)


class Group(NamedTuple):
    """Checks of one kind."""

    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Report:
    """Everything that was checked, and the outcome."""

    rows: tuple[ClaimRow, ...]
    groups: tuple[Group, ...]
    zoo: tuple[ZooRow, ...]
    failures: tuple[str, ...]  # messages about what could not be computed
    seconds: float

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of all groups."""
        return tuple(check for group in self.groups for check in group.checks)

    @property
    def holds(self) -> bool:
        """True if everything holds."""
        items: tuple[ClaimRow | Check | ZooRow, ...] = (*self.rows, *self.checks, *self.zoo)
        return not self.failures and all(item.holds for item in items)

    def __str__(self) -> str:
        lines = []
        for case, rows in itertools.groupby(self.rows, key=lambda row: row.case):
            lines += ["", case, _HEADER, *map(_row_line, rows)]
        for group in self.groups:
            lines += ["", group.title, *map(_check_line, group.checks)]
        lines += ["", "the zoo of wrong estimators, each on a problem where it shows", _ZOO_HEADER]
        lines += [_zoo_line(row) for row in self.zoo]
        lines += ["", self.summary]
        return "\n".join(lines[1:])

    @property
    def summary(self) -> str:
        """The verdict in one line, with failures by name."""
        wrong = [f"{row.case}: {row.estimator}: {row.verdict}" for row in self.rows if not row.holds]
        wrong += [f"{check.name}: {check.measured:.3g}" for check in self.checks if not check.holds]
        wrong += [f"{row.name}: {_zoo_verdict(row)}" for row in self.zoo if not row.holds]
        wrong += self.failures
        counted = f"{len(self.rows)} expectations, {len(self.checks)} checks and {len(self.zoo)} mistakes to recognise"
        counted += f" in {self.seconds:.0f} s"
        if self.holds:
            return f"{counted}: all hold"
        return "\n".join([f"{counted}: {len(wrong)} FAILED", *(f"  {line}" for line in wrong)])


def run(seed: int = 0, samples: bool = True, progress: Progress | None = None) -> Report:
    """Check every estimator of estimators.catalogue against its claim on every case, and the compiled code that trains.

    E[ĝ] = Σ over all batches of their probability times their estimate, compared with ∇J by linear algebra: claims of
    zero bias must hold to a relative error of 1e-10, stated biases must show. Of the code that trains compiled policies
    (not of what steps Gymnasium's environments, nor of PyTorch modules): the mean of its estimates is E[ĝ], its heads
    have the gradients and distributions that they claim, its random numbers are independent, its rollouts record what
    happens, and its iterations are what NumPy makes of the same batches.

    seed      of the policies' parameters and of the samples
    samples   also check the code that trains; False takes seconds instead of a minute and compiles nothing but
              the estimators' weights
    progress  called with the name of each case or group of checks as it begins

    A comparison of samples fails at 5.5 standard errors. A right pgrad does so by chance in one comparison of 26
    million, and there are some thousands: on less than one seed in a thousand.

    Returns a Report: print it for all rows, `holds` is the verdict. What cannot be computed is a failure in the report,
    not an exception.
    """
    began = time.perf_counter()
    tell = progress or (lambda _: None)
    chosen, rows, failures = cases(seed), list[ClaimRow](), list[str]()
    for case in chosen:
        tell(case.name)
        try:
            rows += rows_of(case, seed, samples)
        except EstimatorError as error:
            failures.append(f"{case.name}: {error}")
    tell("identities")
    groups = [Group(_IDENTITIES, (*identity_checks(chosen), *bias_checks(rows), *distribution_checks(seed)))]
    if samples:
        groups += _training_groups(chosen, seed, tell, failures)
    tell("the zoo of wrong estimators")
    zoo = list[ZooRow]()
    try:
        zoo += zoo_rows(seed)
    except EstimatorError as error:
        failures.append(f"the zoo: {error}")
    return Report(tuple(rows), tuple(groups), tuple(zoo), tuple(failures), time.perf_counter() - began)


def _training_groups(chosen: list[Case], seed: int, tell: Progress, failures: list[str]) -> Iterator[Group]:
    """Yield the checks of the code that trains; what raises an exception is a failure."""
    networks = [case for case in chosen if case.policy_name == "network"]
    large = itertools.chain(limit_checks(networks, seed), fixed_step_checks(chosen, seed))
    for title, checks in ((_LARGE, large), *((title, checks(seed)) for title, checks in TRAINS)):
        tell(title)
        made = list[Check]()
        try:
            made.extend(checks)
        except Exception as error:  # of any kind: in code that is right there is none
            failures.append(f"{title}: {type(error).__name__}: {error}")
        yield Group(title, tuple(made))


_LARGE = "large batches, and batches of a fixed number of steps (standard errors)"
_IDENTITIES = "identities (largest deviation over all problems), biases that must show, policies as Python sees them"
_HEADER = f"  {'estimator':<62}{'V':<7}{'‖exact‖':>9}{'‖mean‖':>9}{'bias':>9}{'std':>9}{'z':>6}  verdict"


def _row_line(row: ClaimRow) -> str:
    z = "" if row.z is None else f"{row.z:.2g}"
    norms = f"{np.linalg.norm(row.exact):>9.4f}{np.linalg.norm(row.expectation):>9.4f}"
    spread = f"{row.bias:>9.1e}{row.standard_deviation:>9.4f}{z:>6}"
    return f"  {row.estimator:<62}{row.value:<7}{norms}{spread}  {row.verdict}"


def _check_line(check: Check) -> str:
    if check.skipped:
        return f"  {check.name:<100}  skipped: {check.skipped}"
    sign, verdict = "≥" if check.at_least else "≤", "holds" if check.holds else "FAILS"
    return f"  {check.name:<100}{check.measured:>10.2g} {sign} {check.bound:<7.2g} {verdict}"


_ZOO_HEADER = f"  {'mistake':<62}{'‖∇J‖':>9}{'‖mean‖':>9}{'bias':>9}{'angle':>9}  diagnosis"


def _zoo_line(row: ZooRow) -> str:
    norms = f"{np.linalg.norm(row.exact):>9.4f}{np.linalg.norm(row.expectation):>9.4f}"
    return f"  {row.name:<62}{norms}{row.bias:>9.1e}{row.angle:>8.1f}°  {_zoo_verdict(row)}"


def _zoo_verdict(row: ZooRow) -> str:
    if row.diagnosis != row.name:
        return f"WRONG: named '{row.diagnosis}'"
    return "recognised" if row.holds else "WRONG: its bias is not as stated"


LEGEND = f"""\
Batches of {TRAJECTORIES} trajectories.
V        the value function used: exact, or off by random numbers
exact    norm of the gradient, or of the mean that the estimator is claimed to have, by linear algebra
mean     norm of the estimator's expectation, by enumeration of every batch
bias     ‖mean - exact‖ / ‖exact‖
std      √tr Cov of one batch's estimate
z        distance of the average of {BATCHES:,} batches, drawn by the compiled code that trains, from that mean, in
         standard errors; the largest over parameters; {MAX_Z:g} come by chance once in 26 million comparisons
verdict  for a biased estimator: its bias shows here, or happens to vanish here"""
