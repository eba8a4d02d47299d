"""Recognition of an estimator by the weights that it gives to each step of each trajectory of the probes.

The weights are compared with those of every combination of the parts in verify.zoo, of the catalogue's estimators, and
of advantages whose decay is read off the function. One factor common to all weights may differ.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.estimators.spec import TOTAL_RETURN, EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.verify import returns
from pgrad.verify.as_estimator import weights_of
from pgrad.verify.parts import Batch, OfBatch, OfTrajectory, discounted, each
from pgrad.verify.random_problems import MeanOn
from pgrad.verify.zoo import (
    AVERAGE,
    DESCENT,
    DROPPED,
    OVER_STEPS,
    OWN,
    POWER_MISTAKES,
    PSI_MISTAKES,
    SHARE_MISTAKES,
    STEP,
    SUMMED,
    TOO_FEW,
    TWICE,
    WHOLE,
    WHY,
)

SAME = 1e-5  # relative difference of equal weights: room for float32, and for 1e-8 added to a deviation
MULTIPLE = 1e-4  # relative difference of two multiples of the gradient: float32, and a projection on a short gradient
TOTAL = "total return"
SCALED, FIXED = "wrong length", "divided by a fixed number"
KNOWN_BIAS = "a known estimator, and biased"


class Psi(NamedTuple):
    """One choice of what multiplies the score."""

    title: str  # of the estimator with this Ψ and all else right
    mistake: str  # its name; empty if Ψ is right
    why: str
    psi: OfBatch
    powers: tuple[OfTrajectory, ...]  # powers of γ outside Ψ that are no further mistake
    spec: EstimatorSpec | None = None  # with γ^t and the mean over trajectories, if the catalogue has it


class Recognised(NamedTuple):
    """What a function was recognised as: a right estimator if it has no names."""

    names: tuple[str, ...]  # the mistakes, the main one first
    why: str
    title: str  # the estimator, apart from the factor


class Candidates(NamedTuple):
    """The weights that combinations of parts give to the B steps of some probes."""

    keys: list[tuple[Psi, str]]  # Ψ, and the mistake in the power of γ, empty if it is right
    multiplied: Floats  # [keys, B] Ψ · power
    shares: list[tuple[str, Floats]]  # the mistake in the average, and the shares [B]


@cache
def known_psis() -> tuple[Psi, ...]:
    """Return every Ψ that is known beforehand: right ones, the catalogue's, and mistakes."""
    right = (
        Psi("reward-to-go", "", "", each(returns.reward_to_go), STEP),
        Psi(TOTAL, "", "", each(returns.total_return), WHOLE),
        Psi("total return, value", "", "", each(returns.total_return_less_value), WHOLE),
    )
    wrong = [Psi(name, name, why, way.psi, way.powers) for name, (why, ways) in PSI_MISTAKES.items() for way in ways]
    catalogue = list(_of_catalogue())
    return (*right, *(psi for psi in catalogue if not psi.mistake), *wrong, *(psi for psi in catalogue if psi.mistake))


@cache
def right_psis() -> tuple[Psi, ...]:
    """Return those that are right."""
    return tuple(psi for psi in known_psis() if not psi.mistake)


def _of_catalogue() -> Iterator[Psi]:
    """Yield each Ψ of the catalogue, whatever the choice of γ^t and of the normaliser."""
    seen = {EstimatorSpec(), EstimatorSpec(psi=TOTAL_RETURN)}
    for named in CATALOGUE:
        spec = named.spec._replace(exact_discounting=True, per_episode=True)
        if spec not in seen:
            seen.add(spec)
            entry = next((other for other in CATALOGUE if other.spec == spec), named)
            title = entry.name.removesuffix(", γ^t dropped").removesuffix(", per step")
            mistake = "" if entry.mean == GRADIENT else title
            powers = WHOLE if spec.psi == TOTAL_RETURN else STEP
            yield Psi(title, mistake, f"{KNOWN_BIAS}: {entry.bias}", _psi_of(spec), powers, spec)


def _psi_of(spec: EstimatorSpec) -> OfBatch:
    def psi(batch: Batch) -> list[Floats]:
        weights = weights_of(spec._replace(discount=batch[0].discount), batch) * len(batch)
        if spec.psi != TOTAL_RETURN:
            weights = weights / np.concatenate([discounted(trajectory) for trajectory in batch])
        return np.split(weights, np.cumsum([len(trajectory) for trajectory in batch])[:-1])

    return psi


def candidates(probes: Sequence[Batch], psis: Sequence[Psi]) -> Candidates:
    """Return each Ψ with each power of γ that makes sense with it, and each share."""
    powers = {power: _flat(each(power), probes) for power in POWERS}
    keys, rows = [], []
    for psi in psis:
        column = _flat(psi.psi, probes)
        for power, mistake in POWERS.items():
            if power in psi.powers or (psi.powers == STEP and mistake) or (psi.powers == WHOLE and not mistake):
                outside = TWICE if psi.powers == WHOLE else mistake
                keys.append((psi, "" if power in psi.powers else outside))
                rows.append(column * powers[power])
    shares = [(name, _flat(way, probes)) for name, ways in SHARES.items() for way in ways]
    return Candidates(keys, np.array(rows), shares)


def recognise(weights: Floats, among: Candidates) -> Recognised | None:
    """Return the combination of fewest mistakes that gives these weights [B], up to a factor; or None."""
    square, found = weights @ weights, list[tuple[tuple[int, ...], Recognised]]()
    for share, shares in among.shares:
        expected = among.multiplied * shares
        squares = (expected * expected).sum(axis=1)
        factors = expected @ weights / np.where(squares > 0, squares, 1.0)
        alike = square - factors * factors * squares <= SAME**2 * square  # false for NaN, where N = 1 is too few
        for k in np.flatnonzero(alike & (factors != 0)):
            named = _named(*among.keys[k], share, float(factors[k]))
            found.append(((len(named.names), bool(share), bool(among.keys[k][1]), int(k)), named))
    return min(found)[1] if found else None


def _flat(part: OfBatch, probes: Sequence[Batch]) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where a baseline needs two trajectories
        return np.concatenate([np.concatenate(part(batch)) for batch in probes])


def _named(psi: Psi, power: str, share: str, factor: float) -> Recognised:
    """Return the names of a combination: mistakes in Ψ, the average, γ^t, the factor and the sign."""
    if psi.mistake and psi.spec is not None and factor > 0 and abs(factor - 1) <= SAME:
        spec = psi.spec._replace(exact_discounting=power != DROPPED, per_episode=share != OVER_STEPS)
        for named in CATALOGUE:
            if named.spec == spec and power in ("", DROPPED) and share in ("", OVER_STEPS):
                return Recognised((named.name,), f"{KNOWN_BIAS}: {named.bias}", named.name)
    size, names = abs(factor), [name for name in (psi.mistake, share, power) if name]
    whys = [WHY.get(name, psi.why) for name in names]
    if abs(size - 1) > 2 * SAME and share == SUMMED:
        names[names.index(SUMMED)] = FIXED
        fixed = f"it is divided by {1 / size:.6g}, whatever the number of trajectories: divide by that number"
        whys = [fixed if why == WHY[SUMMED] else why for why in whys]
    elif abs(size - 1) > 2 * SAME:
        names.append(SCALED)
        whys.append(f"it is always {size:.6g} times {psi.title}")
    if factor < 0:
        names.append(DESCENT)
        whys.append(WHY[DESCENT])
    return Recognised(tuple(names), whys[0] if whys else "", psi.title)


def names_by_means(means: list[MeanOn]) -> tuple[tuple[str, ...], str] | None:
    """Return the names and the reason if the mean is a multiple of ∇J, or of it without γ^t, in every problem."""
    for dropped in (False, True):
        multiples = []
        for problem, size, mean, _ in means:
            target = problem.solution.gradient_dropped if dropped else problem.solution.gradient
            multiple = float(mean @ target / (target @ target))
            if not problem.equal(mean / max(1.0, abs(multiple)), multiple * target / max(1.0, abs(multiple))):
                break
            multiples.append((size, multiple))
        else:
            return _names_of_multiples(np.array(multiples), (DROPPED,) if dropped else ())
    return None


def _names_of_multiples(multiples: Floats, also: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    """Return the names for means that are `multiple` of the gradient in batches of N: rows of (N, multiple)."""
    size, multiple = np.abs(multiples).T
    names: tuple[str, ...] = ()
    why = ""
    if np.ptp(multiple) <= MULTIPLE * multiple.max():
        if abs(multiple[0] - 1) > MULTIPLE:
            names, why = (SCALED,), f"its mean is always {multiple[0]:.4g} times as long"
    elif np.ptp(multiple / size) <= MULTIPLE:
        per = float(size[0] / multiple[0])
        names, why = (SUMMED,), WHY[SUMMED]
        if abs(per - 1) > MULTIPLE:
            names, why = (FIXED,), f"it is divided by {per:.4g}, whatever the number of trajectories"
    elif np.abs(multiple - (size - 1) / size).max() <= MULTIPLE:
        names, why = (OWN,), WHY[OWN]
    elif (size > 1).all() and np.abs(multiple - size / (size - 1)).max() <= MULTIPLE:
        names, why = (TOO_FEW,), WHY[TOO_FEW]
    else:
        return None
    signs = np.sign(multiples[:, 1])
    if abs(signs.sum()) < len(signs):
        return None
    names = (*names, *also, *((DESCENT,) if signs[0] < 0 else ()))
    return (names, why or WHY[names[0]]) if names else None


SHARES: dict[str, tuple[OfBatch, ...]] = {"": (AVERAGE,), **{name: ways for name, (_, ways) in SHARE_MISTAKES.items()}}
POWERS: dict[OfTrajectory, str] = {discounted: "", **{power: name for name, (_, power) in POWER_MISTAKES.items()}}
