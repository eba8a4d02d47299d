"""The rungs' checks: that all hold, and that each notices what is wrong of its kind."""

from typing import Any

import numpy as np
import pytest

from pgrad.verify import rungs
from pgrad.verify.heads import HEADS, Head
from pgrad.verify.rungs import SHOWN, clipped_gradient, fisher_product, outside, rung_checks, solved_step

SEED = 3
STEPPED = [head for head in HEADS if head.name in SHOWN]


@pytest.mark.slow  # compiles for a minute what `pgrad verify` runs
def test_all_hold() -> None:
    checks = list(rung_checks(SEED))
    assert len(checks) == len(HEADS) + 4 * len(SHOWN)
    assert [check for check in checks if not check.holds] == []


@pytest.mark.parametrize("head", STEPPED, ids=lambda head: head.name)
def test_a_gradient_without_the_ratio_shows(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """At ratio 1 it is right, and nowhere else."""
    right = rungs.policy_gradient

    def without(policy: Any, batch: Any, advantage: Any, bonus: float, ratio: Any) -> Any:
        right(policy, batch, advantage, bonus, ratio)
        return right(policy, batch, advantage, bonus)

    monkeypatch.setattr(rungs, "policy_gradient", without)
    assert clipped_gradient(head, SEED, 0.0) < rungs.FLOAT32
    assert clipped_gradient(head, SEED) > 100 * rungs.FLOAT32


@pytest.mark.parametrize("change", [(0, 0.01), (1, 50.0)])
def test_a_wrong_divergence_or_share_shows(change: tuple[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    right, (at, by) = rungs.policy_gradient, change

    def counted_wrongly(*arguments: Any) -> Any:
        result = right(*arguments)
        arguments[-1].sums[at] += by * (rungs.SAMPLES if at == 0 else 1)
        return result

    monkeypatch.setattr(rungs, "policy_gradient", counted_wrongly)
    assert clipped_gradient(STEPPED[0], SEED) > 100 * rungs.FLOAT32


def test_a_product_without_damping_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rungs.fisher_vector_product
    monkeypatch.setattr(rungs, "fisher_vector_product", lambda p, b, v, damping: right(p, b, v, 0.9 * damping))
    assert all(fisher_product(head, SEED) > rungs.FLOAT32 for head in STEPPED)


@pytest.mark.parametrize("wrong", [{"damping": 0.2}, {"iterations": 1}, {"max_kl": 0.011}])
def test_a_step_of_another_direction_or_length_shows(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = rungs.natural_step
    monkeypatch.setattr(rungs, "natural_step", lambda step, *rest: right(step._replace(**wrong), *rest))
    assert solved_step(STEPPED[0], SEED) > rungs.SOLVED


def test_steps_that_are_too_long_downhill_or_refused_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    right, head = rungs.natural_step, STEPPED[0]

    def too_long(step: Any, *rest: Any) -> Any:
        return right(step._replace(line_search=False, max_kl=100 * step.max_kl), *rest)

    def downhill(step: Any, policy: Any, batch: Any, weight: Any, gradient: Any) -> Any:
        return right(step._replace(line_search=False, max_kl=step.max_kl / 4), policy, batch, weight, -gradient)

    for wrong in (too_long, downhill, lambda *_: (0.0, 0.0)):
        monkeypatch.setattr(rungs, "natural_step", wrong)
        assert outside(head, SEED) == len(rungs.REGIONS)


def test_the_reference_fisher_matrix_is_the_scores_covariance() -> None:
    """Of the softmax head, by enumeration of the actions: E[∇ log π ∇ log πᵀ]."""
    head = HEADS[0]
    policy, batch = rungs.policy_of(head, SEED), rungs.batch_of(head, SEED)
    theta, total = policy.parameters.astype(np.float64), np.zeros((policy.num_parameters, policy.num_parameters))
    for action in range(4):
        taken = np.full(rungs.SAMPLES, action, np.int32)

        def surprise(theta: Any, taken: Any = taken) -> Any:
            outputs = rungs.formulas.perceptron(policy, theta, batch.obs)
            return rungs.formulas.log_prob(policy, theta, outputs, taken, batch.mask)

        scores = rungs.central_differences(surprise, theta)
        total += np.einsum("b,pb,qb->pq", np.exp(surprise(theta)), scores, scores) / rungs.SAMPLES
    np.testing.assert_allclose(rungs.fisher_matrix(head, policy, batch), total, rtol=0, atol=1e-8)
