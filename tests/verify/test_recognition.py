"""Recognition by weights alone: every form, and combinations of them, among all others."""

from functools import cache

import numpy as np
import pytest

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Trajectory
from pgrad.verify.parts import discounted, of_action_taken, ones
from pgrad.verify.probes import probes
from pgrad.verify.recognition import (
    FIXED,
    SCALED,
    Candidates,
    candidates,
    known_psis,
    recognise,
    right_psis,
)
from pgrad.verify.zoo import (
    DESCENT,
    DROPPED,
    OVER_STEPS,
    POWER_MISTAKES,
    PSI_MISTAKES,
    SCORE_MISTAKES,
    SHARE_MISTAKES,
    SUMMED,
    ZOO,
    Form,
)

NOT_BY_WEIGHTS = ("argmax instead of sampling", "truncation taken for termination")
FORMS = [
    (mistake.name, form)
    for mistake in ZOO
    for form in mistake.forms
    if form.scores is of_action_taken and mistake.name not in NOT_BY_WEIGHTS
]


@cache
def drawn(seed: int) -> tuple[list[list[Trajectory]], Candidates]:
    batches = probes(np.random.default_rng(seed))
    return batches, candidates(batches, known_psis())


def named(weights: Floats, seed: int) -> tuple[str, ...]:
    found = recognise(weights, drawn(seed)[1])
    assert found is not None
    return found.names


def weights_of(form: Form, seed: int) -> Floats:
    return np.concatenate([form.weights(batch) for batch in drawn(seed)[0]])


@pytest.mark.parametrize("seed", range(3))
def test_every_form_of_every_mistake_has_the_mistakes_name_alone(seed: int) -> None:
    for name, form in FORMS:
        assert named(weights_of(form, seed), seed) == (name,), name


@pytest.mark.parametrize("seed", range(3))
def test_what_is_right_has_no_name_and_float32_will_do(seed: int) -> None:
    batches, _ = drawn(seed)
    noise = np.random.default_rng(seed)
    for psi in right_psis():
        form = Form(psi.psi, psi.powers[0])
        if psi.spec is None or ("leave" not in psi.title and "optimal" not in psi.title):  # which need two trajectories
            weights = np.concatenate([form.weights(batch) for batch in batches])
            assert named(weights, seed) == (), psi.title
            assert named(weights * (1 + 1e-7 * noise.normal(size=weights.size)), seed) == (), psi.title


def test_combinations_of_mistakes_are_named_by_all_of_them_or_by_fewer() -> None:
    """Fewer if the combination happens to be another mistake, as γ once too often and γ^t dropped in one."""
    rng = np.random.default_rng(0)
    psis = [(name, way) for name, (_, ways) in PSI_MISTAKES.items() for way in ways]
    shares = [(name, way) for name, (_, ways) in SHARE_MISTAKES.items() for way in ways]
    exact = 0
    for _ in range(100):
        psi, way = psis[rng.integers(len(psis))]
        share, average = shares[rng.integers(len(shares))]
        drops = bool(rng.integers(2)) and way.powers == (discounted,)
        weights = weights_of(Form(way.psi, ones if drops else way.powers[0], average, factor=-1.0), 0)
        if not weights.any():
            continue
        found = named(weights, 0)
        expected = {psi, share, DESCENT, *((DROPPED,) if drops else ())}
        assert len(found) <= len(expected)
        exact += set(found) == expected
    assert exact >= 85


def test_a_factor_is_a_name_of_its_own() -> None:
    right = weights_of(Form(), 0)
    assert named(2 * right, 0) == (SCALED,)
    assert named(-2 * right, 0) == (SCALED, DESCENT)
    summed = weights_of(Form(share=SHARE_MISTAKES[SUMMED][1][0]), 0)
    assert named(summed / 3, 0) == (FIXED,)
    assert named(summed, 0) == (SUMMED,)
    over_steps = weights_of(Form(power=ones, share=SHARE_MISTAKES[OVER_STEPS][1][0]), 0)
    assert named(over_steps, 0) == (OVER_STEPS, DROPPED)


def test_what_is_no_form_is_not_recognised() -> None:
    rng = np.random.default_rng(0)
    right = weights_of(Form(), 0)
    assert recognise(rng.normal(size=right.size), drawn(0)[1]) is None
    assert recognise(np.zeros(right.size), drawn(0)[1]) is None
    spoilt = right.copy()
    spoilt[3] *= 1.001
    assert recognise(spoilt, drawn(0)[1]) is None


def test_the_names_of_all_parts_differ() -> None:
    names = [*PSI_MISTAKES, *POWER_MISTAKES, *SHARE_MISTAKES, *SCORE_MISTAKES, SCALED, FIXED, DESCENT]
    assert len(set(names)) == len(names)
