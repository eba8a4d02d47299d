"""The doctor: trainings that are sick in a known way, each beside its cure."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad.envs.finite_mdp import finite
from pgrad.exact.problems import short_corridor
from pgrad.training.doctor import DISEASES, Patient, examine


def train(env: Any = "CartPole-v1", **settings: Any) -> Any:
    asked = {"evaluation_episodes": 20, "seed": 0, "preset": "none", **settings}
    return pgrad.train(env, **asked)


def stretched(factor: float) -> Any:
    """CartPole whose positions are in other units."""

    def make() -> gymnasium.Env[Any, Any]:
        scale, inner = np.array([factor, 1, 1, 1], np.float32), gymnasium.make("CartPole-v1")
        space = gymnasium.spaces.Box(-np.inf, np.inf, (4,))
        return gymnasium.wrappers.TransformObservation(inner, lambda obs: obs * scale, space)

    return make


def corridor(alike: bool) -> Any:
    """The short corridor, whose states look alike, so that the best policy draws its actions; or do not."""
    problem = short_corridor()
    features = np.full((4, 1), 0.5) if alike else np.eye(4, 3)
    return finite(problem.start, problem.transition, problem.reward, problem.terminal, features, max_episode_steps=100)


SHORT = {"total_steps": 30_000}
PENDULUM = {"env": "Pendulum-v1", "backend": "gymnasium", "num_envs": 16, **SHORT}
CORRIDOR = {"total_steps": 40_000, "hidden": (), "discount": 1.0, "num_envs": 16, "learning_rate": 0.03}
SICK: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what makes a run sick, and what is changed to cure it
    "all episodes alike": (
        {"env": "MountainCar-v0", "backend": "gymnasium", "num_envs": 32, "total_steps": 20_000},
        {"env": "CartPole-v1"},
    ),
    "entropy collapsed": ({"learning_rate": 0.3}, {"learning_rate": 0.005}),
    "KL jumps": ({"algorithm": "natural", "max_kl": 1.0, **SHORT}, {"max_kl": 0.01}),
    "return fell": ({"algorithm": "notebook", "seed": 1}, {"algorithm": "actor-critic"}),
    "useless value function": (
        {"value_learning_rate": 30.0, "max_grad_norm": None, **SHORT},
        {"value_learning_rate": 0.02},
    ),
    "unscaled observations": ({"env": stretched(1e4), **SHORT}, {"normalize_obs": True}),
    "actions clipped": ({**PENDULUM, "initial_std": 10.0}, {"initial_std": 1.0}),
    "greedy apart": ({"env": corridor(True), **CORRIDOR}, {"env": corridor(False)}),
    "no better than random": ({"learning_rate": 1e-9, **SHORT}, {"learning_rate": 0.005}),
}


def test_every_disease_is_provoked() -> None:
    assert SICK.keys() == DISEASES.keys()


@pytest.mark.parametrize("disease", SICK)
def test_a_sick_run_is_told_and_its_cure_silences_it(disease: str) -> None:
    sick, cure = SICK[disease]
    result = train(**sick)
    found = {finding.name: finding.sentence for finding in result.findings()}
    assert disease in found
    assert f"doctor: {found[disease]}" in result.summary()
    assert found[disease].endswith(f"; what helps: {DISEASES[disease].help}")
    assert {"name": disease, "seeds": (0 if "seed" not in sick else 1,)}.items() <= next(
        entry for entry in result.to_dict()["doctor"] if entry["name"] == disease
    ).items()
    assert disease not in {finding.name for finding in train(**{**sick, **cure}).findings()}


def test_a_healthy_run_is_told_nothing() -> None:
    result = train(seeds=[0, 1, 2], seed=None)
    assert result.findings() == [] and "doctor" not in result.summary() and result.to_dict()["doctor"] == []
    assert all(seed.greedy is not None and seed.obs_sizes.size == 4 for seed in result.seeds)


def test_one_sentence_tells_of_all_seeds() -> None:
    result = train(seeds=[0, 1, 2], seed=None, learning_rate=1e-9, **SHORT)
    [finding] = [finding for finding in result.findings() if finding.name == "no better than random"]
    assert finding.seeds == (0, 1, 2) and finding.sentence.startswith("in 3 of 3 seeds the policy is no better")


def test_a_run_of_a_few_steps_is_told_nothing() -> None:
    assert train(total_steps=256, evaluation_episodes=0).findings() == []


def test_figures_are_medians_over_the_seeds_that_have_it() -> None:
    result = train(seeds=[0, 1, 2], seed=None, **SHORT)
    patients = [
        Patient(s.seed, result.config, result.env, s.history, None, None, np.array([1.0, size]))
        for s, size in zip(result.seeds, (50.0, 300.0, 500.0), strict=True)
    ]
    [finding] = [finding for finding in examine(patients) if finding.name == "unscaled observations"]
    assert finding.seeds == (1, 2)
    assert finding.sentence.startswith("in 2 of 3 seeds observations reach from 1.00 to 400.0 in size")
