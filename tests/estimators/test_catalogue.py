"""The catalogue's names, which others choose from, and its claims in words."""

from pgrad.diagnostics.microscope import REFERENCE
from pgrad.diagnostics.tables import MAIN
from pgrad.estimators.catalogue import CATALOGUE, DROPPED, GRADIENT, SHRUNK
from pgrad.reports.microscope import SHOWN

NAMES = [named.name for named in CATALOGUE]


def test_names_and_choices_are_all_different() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({named.spec for named in CATALOGUE}) == len(NAMES)


def test_whoever_chooses_by_name_chooses_what_there_is() -> None:
    assert {REFERENCE, *MAIN, *SHOWN} <= set(NAMES)
    assert next(named for named in CATALOGUE if named.name == REFERENCE).mean == GRADIENT


def test_every_estimator_states_its_bias() -> None:
    for named in CATALOGUE:
        assert named.mean in (GRADIENT, DROPPED, SHRUNK, None)
        assert named.bias
        assert (named.bias == "none") == (named.mean == GRADIENT and named.any_value), named.name
