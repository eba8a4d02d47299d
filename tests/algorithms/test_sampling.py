"""Chunks of iterations for proofs: each with random numbers of its own, from the same parameters."""

from typing import Any

import numpy as np
import pytest

from pgrad.algorithms import sampling
from pgrad.algorithms.iteration import METRICS
from pgrad.envs.cartpole import CartPole
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.compiled import BEGUN, Plan, new_simulation
from pgrad.verify.sampling import learner_of

CHUNKS, ITERATIONS, KEY = 3, 2, 11


@pytest.mark.parametrize("anew", [True, False])
def test_chunks_begin_anew_or_go_on(anew: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a training that adds 1 to every parameter, and fails in its last chunk."""
    policy = MLPPolicy(np.arange(10, dtype=np.float32), (4, 2))
    learner = learner_of(policy, MLPValue(np.zeros(5, np.float32), (4, 1)))
    simulation = new_simulation(CartPole(), policy.compiled, Plan(3, 0, 500, np.uint64(KEY)), 2)
    keys, began = list[int](), list[int]()

    def train_chunk(settings: Any, learner: Any, simulation: Any, metrics: Any) -> tuple[int, int]:
        keys.append(int(simulation.plan.run_key))
        assert simulation.plan[:3] == (3, 0, 500), "how much to collect stays as it was"
        began.append(int(simulation.lanes.counters[BEGUN]))
        simulation.lanes.counters[BEGUN] += 3
        learner.policy.network.parameters[:] += 1
        metrics[:] = len(keys)
        return (len(metrics) if len(keys) < CHUNKS else 1), 0

    monkeypatch.setattr(sampling, "train_chunk", train_chunk)
    parameters, metrics = np.zeros((CHUNKS, 10), np.float32), np.zeros((CHUNKS, ITERATIONS, len(METRICS)))
    record: Any = sampling.record_chunks
    record.__wrapped__(None, learner, simulation, anew, parameters, metrics)
    assert keys == ([fold_in(KEY, r) for r in range(CHUNKS)] if anew else [KEY] * CHUNKS)
    assert began == ([0] * CHUNKS if anew else [0, 3, 6])
    assert parameters[0].tolist() == list(range(1, 11)) and np.isnan(parameters[2]).all()
    assert parameters[1].tolist() == [number + (0 if anew else 1) for number in range(1, 11)]
    assert (metrics[1] == 2).all()
    put_back = np.arange(10) + (0 if anew else CHUNKS)
    assert (policy.parameters == put_back).all(), "they are put back, where each begins from them"
