"""The decay that is read off a function, and the advantages that have it."""

from collections.abc import Callable

import numpy as np
import pytest

from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.exact.trajectories import Trajectory
from pgrad.verify.as_estimator import as_function
from pgrad.verify.decay import advantages, psis_of_own_gamma, read_decays
from pgrad.verify.parts import each
from pgrad.verify.probes import truncated_probes
from pgrad.verify.zoo import Form


def summed(decays: Callable[[float, int], np.ndarray]) -> Callable[[list[Trajectory]], np.ndarray]:
    """Σ_j d_j δ_{t+j}, term by term."""

    def estimate(batch: list[Trajectory]) -> np.ndarray:
        total = np.zeros(batch[0].scores.shape[1])
        for one in batch:
            d = decays(one.discount, len(one))
            for t in range(len(one)):
                for j in range(len(one) - t):
                    delta = one.rewards[t + j] + one.discount * one.values[t + j + 1] - one.values[t + j]
                    total += one.discount**t * d[j] * delta * one.scores[t]
        return total / len(batch)

    return estimate


def first_read(decays: Callable[[float, int], np.ndarray]) -> tuple[str, str]:
    read = read_decays(summed(decays), np.random.default_rng(0))
    return (read[0].title, read[0].mistake) if read else ("", "")


@pytest.mark.parametrize(
    ("decays", "title", "mistake"),
    [
        (lambda gamma, steps: (0.3 * gamma) ** np.arange(steps), "GAE(λ=0.3)", ""),
        (lambda gamma, steps: 0.0 ** np.arange(steps), "GAE(λ=0)", ""),
        (lambda gamma, steps: gamma ** np.arange(steps), "GAE(λ=1)", ""),
        (lambda gamma, steps: gamma ** np.arange(steps) * (np.arange(steps) < 4), "4-step advantage", ""),
        (
            lambda gamma, steps: gamma ** np.arange(steps) * np.linspace(1, 0, 12)[:steps],
            "a mean of n-step advantages",
            "",
        ),
        (lambda gamma, steps: 0.8 ** np.arange(steps), "advantage of decay 0.8", "λ without γ"),
        (
            lambda gamma, steps: (0.9 * gamma) ** (2 * np.arange(steps)),
            "advantage of decay 0.81 γ²",
            "(γλ)² instead of γλ",
        ),
        (lambda gamma, steps: (-0.5 * gamma) ** np.arange(steps), "GAE(λ=-0.5)", "λ outside [0, 1]"),
        (lambda gamma, steps: (1.2 * gamma) ** np.arange(steps), "GAE(λ=1.2)", "λ outside [0, 1]"),
    ],
)
def test_decays_are_told_apart(decays: Callable[[float, int], np.ndarray], title: str, mistake: str) -> None:
    assert first_read(decays) == (title, mistake)


@pytest.mark.parametrize(
    "decays",
    [
        lambda gamma, steps: gamma ** np.arange(steps) * np.linspace(0.5, 1, 12)[:steps] / 0.5,
        lambda gamma, steps: gamma ** (np.arange(steps) ** 2),
    ],
)
def test_growing_and_other_decays_are_none(decays: Callable[[float, int], np.ndarray]) -> None:
    assert first_read(decays) == ("", "")


def test_the_advantages_are_the_trainings() -> None:
    (decay, *_) = read_decays(summed(lambda gamma, steps: (0.95 * gamma) ** np.arange(steps)), np.random.default_rng(0))
    ours, trainings = (
        Form(each(lambda one: advantages(decay, one))),
        as_function(EstimatorSpec(GAE, VALUE, gae_lambda=0.95)),
    )
    for batch in truncated_probes(np.random.default_rng(0)):
        np.testing.assert_allclose(ours(batch), trainings(batch), rtol=1e-10, atol=1e-13)


def test_a_gamma_of_its_own_is_read_where_there_is_one() -> None:
    def estimate(batch: list[Trajectory]) -> np.ndarray:
        return np.mean([(0.97 ** np.arange(len(one)) @ one.rewards) * one.scores.sum(axis=0) for one in batch], axis=0)

    assert {psi.title for psi in psis_of_own_gamma(estimate, np.random.default_rng(0))} == {
        "reward-to-go with γ = 0.97"
    }
    assert psis_of_own_gamma(Form(), np.random.default_rng(0)) == ()
