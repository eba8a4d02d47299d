"""Replays of training: that they agree on another seed, and that each notices what it is about."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pgrad.algorithms.iteration import METRICS
from pgrad.verify import formulas, iterations
from pgrad.verify.iterations import RUNS, SETTINGS, Run, begun, iteration_checks, replayed
from pgrad.verify.sampling import train

SEED = 3
NAMED = {run.name: run for run in RUNS}


def test_all_hold() -> None:
    assert [check for check in iteration_checks(SEED) if not check.holds] == []


def wrong_run(name: str, **changes: Any) -> Run:
    """The run whose replay is asked for with other settings than it was made with."""
    return NAMED[name]._replace(settings=NAMED[name].settings._replace(**changes))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("plain ascent along GAE, and V's regression", {"learning_rate": 0.101}),
        ("plain ascent along GAE, and V's regression", {"value_learning_rate": 0.0505}),
        (
            "batches of a fixed number of steps",
            {"estimator": SETTINGS.estimator._replace(gae_lambda=0.81)},
        ),
        ("temperature 0.6 and an entropy bonus", {"entropy_coef": 0.49}),
        ("clipping by the global norm", {"max_grad_norm": 3.03}),
        ("Adam", {"learning_rate": 0.0202}),
        ("learning rates that decay by iterations", {"linear_decay": False}),
        ("learning rates that decay by steps", {"total_steps": 1_010}),
        ("scaled rewards", {"estimator": SETTINGS.estimator._replace(discount=0.91)}),
    ],
)
def test_other_settings_are_noticed(name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    other = wrong_run(name, **changes)
    monkeypatch.setattr(iterations, "train", lambda settings, *given: train(other.settings, *given))
    assert replayed(NAMED[name], SEED) > 10 * iterations.REPLAYED


@pytest.mark.parametrize(
    ("name", "part", "wrong"),
    [
        ("Adam, where its ε counts", "adam", lambda gradients, rate: rate * np.sign(gradients.sum(axis=0))),
        ("normalised observations", "INPUT_BOUND", 3.0),
        ("normalised observations", "VARIANCE_FLOOR", 1e-2),
        ("scaled rewards", "VARIANCE_FLOOR", 1.0),
        ("clipping by the global norm", "clipped", lambda gradient, max_norm: gradient),
    ],
)
def test_other_formulas_are_noticed(name: str, part: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formulas, part, wrong)
    assert replayed(NAMED[name], SEED) > 10 * iterations.REPLAYED


def test_some_gradients_are_clipped_and_some_are_not() -> None:
    run = NAMED["clipping by the global norm"]
    norms = []
    for seed in range(3):
        trained = begun(run, seed)
        _, metrics = train(run.settings, trained.learner, trained.simulation, iterations.ITERATIONS)
        norms += metrics[:, 0, METRICS.index("gradient_norm")].tolist()
    assert min(norms) < run.settings.max_grad_norm < max(norms)


def test_the_rare_feature_reaches_the_bound_of_normalised_inputs() -> None:
    run = NAMED["normalised observations"]
    reached = False
    for seed in range(5):
        trained = begun(run, seed)
        for _ in range(iterations.ITERATIONS):
            shift, scale = trained.policy.shift.copy(), trained.policy.scale.copy()
            before = int(trained.simulation.lanes.counters[1])
            train(run.settings, trained.learner, trained.simulation)
            batch = iterations.last_batch(trained.simulation, before)
            reached |= bool((np.abs((batch.obs - shift[:, None]) * scale[:, None]) > formulas.INPUT_BOUND).any())
    assert reached


def test_checkpoints_of_other_iterations_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(settings: Any, learner: Any, simulation: Any) -> Any:
        result = train(settings, learner, simulation)
        learner.checkpoints.policy[:] += np.float32(1e-3)
        return result

    monkeypatch.setattr(iterations, "train", shifted)
    assert iterations.kept(SEED) > 1e-4


@pytest.mark.parametrize("change", [lambda learner: learner.iteration, lambda learner: learner.policy_state.steps])
def test_chunks_that_change_something_are_noticed(
    change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(settings: Any, learner: Any, simulation: Any, chunks: int = 1, count: int = 1) -> Any:
        first = train(settings, learner, simulation, 1, 1)
        change(learner)[0] += chunks > 1
        parameters, metrics = train(settings, learner, simulation, chunks, count)
        assert first[0].shape == parameters[:1].shape
        return parameters, metrics

    monkeypatch.setattr(iterations, "train", counting)
    assert iterations.chunks(SEED) > 0


@pytest.mark.parametrize(("moved", "stopped", "counted"), [(1, True, 2), (0, False, np.inf)])
def test_training_that_goes_on_after_infinity_is_noticed(
    moved: int, stopped: bool, counted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harming(settings: Any, learner: Any, simulation: Any) -> Any:
        learner.policy.network.parameters[0] += moved
        return np.array([np.nan if stopped else 1.0]), None

    monkeypatch.setattr(iterations, "train", harming)
    assert iterations.unharmed(SEED) == counted
