"""What an estimator can be recognised as: every form of every mistake, and the package's own estimators."""

from functools import cache
from typing import NamedTuple

from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.exact.trajectories import EstimatorFunction
from pgrad.verify.as_estimator import as_function
from pgrad.verify.zoo import ZOO, compositions

# Of the catalogue, what the zoo has already, and what equals another entry where no time limit cuts.
KNOWN_BIAS = "a known estimator, and biased"
LEFT_OUT = ("total return", "reward-to-go, γ^t dropped", "reward-to-go, whitened per episode", "GAE(λ=1)")


class Known(NamedTuple):
    """A function with its names."""

    function: EstimatorFunction
    names: tuple[str, ...]  # the mistake, and others on top of it; or the estimator's name
    why: str
    right: bool  # whether its mean is ∇J
    mistake: bool

    @property
    def title(self) -> str:
        """The names in a line."""
        return " and ".join(self.names)


@cache
def known_forms() -> list[Known]:
    """All of them, mistakes first."""
    mistakes = {mistake.name: mistake for mistake in ZOO}
    forms = [
        Known(form, names, mistakes[names[0]].why, mistakes[names[0]].unbiased, True) for form, names in compositions()
    ]
    return forms + [
        Known(
            as_function(named.spec),
            (named.name,),
            f"{KNOWN_BIAS}: {named.bias}",
            named.mean == GRADIENT,
            False,
        )
        for named in CATALOGUE
        if named.name not in LEFT_OUT
    ]
