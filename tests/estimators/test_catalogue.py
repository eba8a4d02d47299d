"""The catalogue's names, which others choose from, and its claims in words."""

from pgrad.diagnostics.microscope import REFERENCE
from pgrad.diagnostics.tables import MAIN
from pgrad.estimators.catalogue import CATALOGUE, DROPPED, GRADIENT, SHRUNK
from pgrad.estimators.spec import (
    BASELINES,
    BY_BATCH,
    BY_EPISODE,
    GAE,
    NOT_STANDARDIZED,
    REWARD_TO_GO,
    TOTAL_RETURN,
    VALUE,
)
from pgrad.reports.microscope import SHOWN

NAMES = [named.name for named in CATALOGUE]


def test_names_and_choices_are_all_different() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({named.spec for named in CATALOGUE}) == len(NAMES)


def test_whoever_chooses_by_name_chooses_what_there_is() -> None:
    assert {REFERENCE, *MAIN, *SHOWN} <= set(NAMES)
    assert next(named for named in CATALOGUE if named.name == REFERENCE).mean == GRADIENT


def test_every_estimator_is_what_its_name_says() -> None:
    psi = {"total return": TOTAL_RETURN, "reward-to-go": REWARD_TO_GO}
    baselines = {"optimal constant": "optimal", "mean": "mean", "leave-one-out": "leave-one-out"}
    baselines |= {"constant": "constant", "value": "value"}
    for name, spec, *_ in CATALOGUE:
        first, *others = name.removeprefix("actor-critic: ").split(", ")
        assert spec.psi == psi.get(first, GAE)
        if spec.psi == GAE:
            assert spec.baseline == VALUE and first == f"GAE(λ={spec.gae_lambda:g})"
        else:
            [baseline] = [baselines[other] for other in others if other in baselines] or ["none"]
            assert spec.baseline == BASELINES[baseline] and spec.gae_lambda == 1
        assert spec.exact_discounting == ("γ^t dropped" not in others)
        assert spec.per_episode == ("per step" not in others)
        whitened = {"whitened": BY_BATCH, "whitened per episode": BY_EPISODE}
        [standardize] = [whitened[other] for other in others if other in whitened] or [NOT_STANDARDIZED]
        assert spec.standardize == standardize
        assert (spec.constant != 0) == (name == "reward-to-go, constant")


def test_every_estimator_states_its_bias() -> None:
    for named in CATALOGUE:
        assert named.mean in (GRADIENT, DROPPED, SHRUNK, None)
        assert named.bias
        assert (named.bias == "none") == (named.mean == GRADIENT and named.any_value), named.name
