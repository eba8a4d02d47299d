"""Everything an estimator can be recognised as: every form of every mistake, and the catalogue's estimators."""

from functools import cache
from typing import NamedTuple

from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.exact.trajectories import EstimatorFunction
from pgrad.verify.as_estimator import as_function
from pgrad.verify.zoo import ZOO, compositions

KNOWN_BIAS = "a known estimator, and biased"
# Estimators that the zoo contains already, or that equal another without a time limit.
LEFT_OUT = ("total return", "reward-to-go, γ^t dropped", "reward-to-go, whitened per episode", "GAE(λ=1)")


class KnownForm(NamedTuple):
    """An estimator with its names."""

    function: EstimatorFunction
    names: tuple[str, ...]  # the mistake, then further ones combined with it; or the estimator's name
    why: str
    right: bool  # True if its mean is ∇J
    mistake: bool

    @property
    def title(self) -> str:
        """The names joined."""
        return " and ".join(self.names)


@cache
def known_forms() -> list[KnownForm]:
    """Return all known forms, mistakes first."""
    mistakes = {mistake.name: mistake for mistake in ZOO}
    forms = [
        KnownForm(form, names, mistakes[names[0]].why, mistakes[names[0]].unbiased, True)
        for form, names in compositions()
    ]
    return forms + [
        KnownForm(
            as_function(named.spec),
            (named.name,),
            f"{KNOWN_BIAS}: {named.bias}",
            named.mean == GRADIENT,
            False,
        )
        for named in CATALOGUE
        if named.name not in LEFT_OUT
    ]
