"""Families of policies: probabilities, scores and Jacobians, against autograd and the policy that is trained."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pgrad import exact
from pgrad.errors import InputError, MDPError
from pgrad.policies.mlp import MLPPolicy

S, A, O = 5, 3, 4  # noqa: E741
OBS = np.random.default_rng(0).normal(size=(S, O))
FEATURES = np.random.default_rng(1).normal(size=(S, A, 6))

FAMILIES = {
    "tabular": exact.Tabular(S, A),
    "linear": exact.Linear(FEATURES),
    "perceptron without hidden layers": exact.Perceptron(OBS, (), A),
    "tanh": exact.Perceptron(OBS, (7,), A),
    "two layers of tanh": exact.Perceptron(OBS, (4, 6), A),
    "two layers of ReLU": exact.Perceptron(OBS, (6, 5), A, "relu"),
}


def parameters(family: exact.Family) -> np.ndarray:
    return np.random.default_rng(2).normal(size=family.num_parameters)


def torch_logits(name: str, theta: torch.Tensor) -> torch.Tensor:
    """The same families, written down in PyTorch."""
    if name == "tabular":
        return theta.reshape(S, A)
    if name == "linear":
        return torch.tensor(FEATURES) @ theta
    family = FAMILIES[name]
    assert isinstance(family, exact.Perceptron)
    x, offset = torch.tensor(OBS), 0
    for k, (inputs, outputs) in enumerate(zip(family.sizes[:-1], family.sizes[1:], strict=True)):
        weight = theta[offset : offset + inputs * outputs].reshape(outputs, inputs)
        offset += inputs * outputs
        x = x @ weight.T + theta[offset : offset + outputs]
        offset += outputs
        if k < len(family.sizes) - 2:
            x = torch.relu(x) if family.activation == "relu" else torch.tanh(x)
    return x


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_jacobian_and_scores_are_autograds(name: str) -> None:
    family = FAMILIES[name]
    theta = torch.tensor(parameters(family), requires_grad=True)
    policy = family(theta.detach().numpy())
    logits = torch_logits(name, theta)
    np.testing.assert_allclose(policy.logits, logits.detach(), rtol=1e-13, atol=1e-13)
    jacobian = torch.autograd.functional.jacobian(lambda t: torch_logits(name, t), theta)
    np.testing.assert_allclose(policy.jacobian, jacobian, rtol=1e-12, atol=1e-13)
    scores = torch.autograd.functional.jacobian(lambda t: torch.log_softmax(torch_logits(name, t), -1), theta)
    np.testing.assert_allclose(policy.scores, scores, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_have_mean_zero(name: str) -> None:
    policy = FAMILIES[name](parameters(FAMILIES[name]))
    np.testing.assert_allclose(policy.probabilities.sum(axis=1), 1, rtol=1e-14)
    mean = np.einsum("sa,sap->sp", policy.probabilities, policy.scores)
    np.testing.assert_allclose(mean, 0, atol=1e-14)
    assert np.abs(policy.scores).max() > 0.1


def test_probabilities_and_scores_by_hand() -> None:
    """π = (1/4, 3/4): the score of an action is its unit vector less π."""
    policy = exact.Tabular(1, 2)([0.0, np.log(3.0)])
    np.testing.assert_allclose(policy.probabilities, [[0.25, 0.75]], rtol=1e-15)
    np.testing.assert_allclose(policy.log_probabilities, np.log([[0.25, 0.75]]), rtol=1e-15)
    np.testing.assert_allclose(policy.scores, [[[0.75, -0.75], [-0.25, 0.25]]], rtol=1e-15)
    assert policy.num_parameters == 2


def test_tabular_scores_of_a_state_concern_that_state_alone() -> None:
    policy = exact.Tabular(3, 2)(np.arange(6.0))
    rows = policy.scores.reshape(3, 2, 3, 2)
    for s in range(3):
        others = [k for k in range(3) if k != s]
        assert not rows[s][:, others].any()
        np.testing.assert_allclose(rows[s][:, s].sum(axis=1), 0, atol=1e-15)


def test_tabular_takes_a_table() -> None:
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(exact.Tabular(3, 2)(table).logits, table)
    np.testing.assert_array_equal(exact.Tabular(3, 2)(table.ravel()).logits, table)


def test_minus_infinity_is_probability_zero() -> None:
    policy = exact.Tabular(1, 3)([0.0, -np.inf, 0.0])
    assert policy.probabilities.tolist() == [[0.5, 0.0, 0.5]]
    assert policy.log_probabilities[0, 1] == -np.inf
    assert np.isfinite(policy.scores).all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (8,), (6, 5)], ids=str)
def test_perceptron_is_the_policy_that_is_trained(hidden: tuple[int, ...], activation: str) -> None:
    family = exact.Perceptron(OBS, hidden, A, activation)
    theta = parameters(family).astype(np.float32)
    trained = MLPPolicy(theta, family.sizes, activation)
    np.testing.assert_allclose(family(theta).logits, trained.logits(OBS), atol=1e-5)
    np.testing.assert_allclose(family(theta).probabilities, trained.probabilities(OBS), atol=1e-5)


def test_any_differentiable_policy() -> None:
    family = exact.Differentiable(
        lambda theta: np.stack([theta**2, 0 * theta], axis=-1),
        lambda theta: np.stack([np.diag(2 * theta), 0 * np.diag(theta)], axis=1),
        2,
    )
    policy = family([1.0, 2.0])
    assert policy.logits.tolist() == [[1, 0], [4, 0]]
    assert policy.jacobian[1, 0].tolist() == [0, 4]


def test_arrays_are_read_only_and_not_shared() -> None:
    logits = np.zeros((2, 2))
    policy = exact.SoftmaxPolicy(logits, np.zeros((2, 2, 3)))
    logits[:] = 7
    assert not policy.logits.any()
    for array in (policy.logits, policy.jacobian, policy.probabilities, policy.log_probabilities, policy.scores):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def at(family: Any, theta: Any) -> Callable[[], Any]:
    return lambda: family(theta)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: exact.SoftmaxPolicy(np.zeros(2), np.zeros((2, 2, 1))),
            r"logits must have shape \[\|S\|, A\].*not \(2,\)",
        ),
        (
            lambda: exact.SoftmaxPolicy(np.zeros((2, 2)), np.zeros((2, 3, 1))),
            r"jacobian must have shape.*not \(2, 3, 1\)",
        ),
        (lambda: exact.SoftmaxPolicy([[0, np.nan]], np.zeros((1, 2, 1))), "logits of state 0 are .*must be finite"),
        (lambda: exact.SoftmaxPolicy([[0, np.inf]], np.zeros((1, 2, 1))), "must be finite"),
        (lambda: exact.SoftmaxPolicy([[-np.inf] * 2], np.zeros((1, 2, 1))), "not for all actions"),
        (
            lambda: exact.SoftmaxPolicy([[0, 0]], np.full((1, 2, 1), np.nan)),
            "jacobian must be finite: it is nan at state 0",
        ),
        (
            lambda: exact.SoftmaxPolicy([[0, 0]], [[[1.0], [np.nan]]]),
            r"it is nan at state 0, action 1, θ\[0\]",
        ),
        (lambda: exact.SoftmaxPolicy("abc", np.zeros((1, 2, 1))), "logits must be an array of real numbers"),
        (lambda: exact.Tabular(0, 2), "num_states must be an integer, at least 1, not 0"),
        (lambda: exact.Tabular(10_000, 10), r"the Jacobian of a tabular policy .* GiB"),
        (at(exact.Tabular(2, 2), [0.0] * 3), r"θ must have shape \(4,\).*not \(3,\)"),
        (at(exact.Linear(FEATURES), [0.0] * 3), r"θ must have shape \(6,\)"),
        (at(exact.Linear(FEATURES), [np.nan] * 6), r"θ must be finite: θ\[0\] is nan"),
        (at(exact.Linear(FEATURES), [0.0, 0, np.nan, 0, np.nan, 0]), r"θ must be finite: θ\[2\] is nan"),
        (lambda: exact.Linear(np.ones((2, 2))), r"features must be finite and of shape \[\|S\|, A, P\], not \(2, 2\)"),
        (lambda: exact.Perceptron(np.ones(3), (), 2), r"obs must be finite and of shape \[\|S\|, O\]"),
        (lambda: exact.Perceptron(OBS, (), 2, "sine"), "unknown activation 'sine': known: relu, tanh"),
        (lambda: exact.Perceptron(OBS, (0,), 2), "units of a hidden layer must be an integer, at least 1, not 0"),
        (lambda: exact.Perceptron(OBS, 8, 2), r"hidden must be .* like \(64,\) or \(\), not 8"),  # type: ignore[arg-type]
        (at(exact.Perceptron(OBS, (), 2), [1.0]), r"θ must have shape \(10,\)"),
        (
            at(exact.Differentiable(lambda t: np.zeros((1, 2)), lambda t: np.zeros((1, 2, 3)), 2), [0.0, 0.0]),
            r"jacobian must have shape \[\|S\|, A, 2\].*not \(1, 2, 3\)",
        ),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((MDPError, InputError), match=message):
        make()


def test_policies_keep_what_they_were_made_of() -> None:
    """Their own copies, read-only, of arrays that others may change."""
    logits, jacobian, obs = np.zeros((1, 2)), np.zeros((1, 2, 1)), np.ones((2, 3))
    view = logits[:]
    view.flags.writeable = False
    features = np.ones((1, 2, 3))
    softmax, network = exact.SoftmaxPolicy(view, jacobian), exact.Perceptron(obs, [4], 2)
    linear = exact.Linear(features)
    logits[:], jacobian[:], obs[:], features[:] = 5.0, 5.0, 5.0, 5.0
    assert (linear.features == 1).all() and not linear.features.flags.writeable
    assert softmax.logits.tolist() == [[0.0, 0.0]] and not softmax.jacobian.any()
    assert network.obs.tolist() == [[1.0] * 3] * 2 and network.hidden == (4,)
    for array in (softmax.logits, softmax.jacobian, network.obs):
        assert not array.flags.writeable
