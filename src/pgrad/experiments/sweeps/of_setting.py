"""A setting of a sweep with its runs, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.config.settings import Config
from pgrad.config.values import seeds_in_words
from pgrad.experiments.learning_speed import NEVER, area_under_curve, median_time
from pgrad.experiments.over_seeds import FAILED
from pgrad.experiments.statistics import Estimate
from pgrad.experiments.sweeps.grid import Setting
from pgrad.experiments.sweeps.runs import Run


@dataclass(frozen=True)
class OfSetting:
    """A setting with its runs, one for each of its seeds, in their order."""

    setting: Setting
    runs: tuple[Run, ...]

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Each seed's mean return, [S]; -inf of those that failed."""
        return np.array([run.value for run in self.runs])

    @property
    def trained(self) -> list[Run]:
        """The runs that did not fail."""
        return [run for run in self.runs if run.failure is None]

    @property
    def label(self) -> str:
        """The setting in words, with its failures."""
        failed = len(self.runs) - len(self.trained)
        return f"{self.setting}{f' ({failed} of {len(self.runs)} failed)' if failed else ''}"

    @property
    def heights(self) -> npt.NDArray[np.float64]:
        """Each seed's mean return while it trained, the area under its training curve, [S]; -inf of failed ones."""
        areas = np.array([area_under_curve(run.curve["steps"], run.curve["returns"]) for run in self.runs])
        return np.where([run.failure is None for run in self.runs], areas, FAILED)

    @property
    def steps_to_solve(self) -> Estimate:
        """The median of the environment steps until training episodes average the threshold: median_time.

        A seed whose training ends before, or fails, is watched for ever in vain. To watch it for its own steps alone
        would be wrong where a training has so many episodes: the worse a seed, the fewer steps it takes.
        """
        solved = np.array([(run.failure is None and run.steps_to_solve) or NEVER for run in self.runs])
        return median_time(solved, np.isinf(solved))

    def to_json(self) -> dict[str, Any]:
        """Return which runs are of which configuration."""
        config, keys = vars(self.setting.config), [run.key for run in self.runs]
        return {"differing": list(self.setting.values), "config": config, "runs": keys}


def of_json(document: Mapping[str, Any], runs: Mapping[str, Run]) -> OfSetting:
    """Return what `OfSetting.to_json` gave."""
    config = Config(**document["config"])
    setting = Setting({name: getattr(config, name) for name in document["differing"]}, config)
    return OfSetting(setting, tuple(runs[key] for key in document["runs"]))


def seeds_of(one: OfSetting) -> str:
    """Return a setting's seeds as 0 to 29, or one after another."""
    return seeds_in_words([run.seed for run in one.runs])
