"""The multilayer perceptron, forward and backward, against PyTorch in float64."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.kernels.mlp import (
    BLOCK,
    backward_block,
    forward,
    forward_block,
    network,
    num_parameters,
    transposed_weights,
)

Floats = npt.NDArray[np.float32]

# No hidden layer, one, several; one unit; multiples of four and of none.
SHAPES = [(1, 1), (2, 1), (3, 2), (4, 4), (9, 5), (4, 8, 2), (1, 1, 1), (3, 5, 3), (5, 6, 1), (17, 9, 4), (2, 3, 7, 5)]
SHAPES += [(4, 4, 4, 4, 4), (6, 13, 2, 11, 3)]


def random_parameters(sizes: tuple[int, ...], seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=num_parameters(sizes)).astype(np.float32)


def random_inputs(sizes: tuple[int, ...], batch: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(sizes[0], batch)).astype(np.float32)


def torch_outputs(parameters: torch.Tensor, sizes: tuple[int, ...], activation: str, x: Any) -> torch.Tensor:
    """Outputs [batch, outputs] for x [inputs, batch]."""
    y, offset = torch.tensor(np.asarray(x, np.float64)).T, 0
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weight = parameters[offset : offset + inputs * outputs].reshape(outputs, inputs)
        offset += inputs * outputs
        y = torch.nn.functional.linear(y, weight, parameters[offset : offset + outputs])
        offset += outputs
        if k < len(sizes) - 2:
            y = torch.relu(y) if activation == "relu" else torch.tanh(y)
    return y


@pytest.mark.parametrize(
    ("sizes", "expected"), [((1, 1), 2), ((4, 2), 10), ((4, 8, 2), 58), ((4, 64, 64, 2), 320 + 4160 + 130)]
)
def test_number_of_parameters(sizes: tuple[int, ...], expected: int) -> None:
    assert num_parameters(sizes) == expected


def test_a_network_worked_by_hand() -> None:
    """Two inputs, two ReLU units (x₀ - x₁, x₀ + x₁ - 1), one output 10 u₀ + 100 u₁ + 3."""
    parameters = np.array([1, -1, 1, 1, 0, -1, 10, 100, 3], np.float32)
    x = np.array([[2, 0, 1], [1, 1, 3]], np.float32)
    assert forward(network(parameters, (2, 2, 1), "relu"), x, 3).tolist() == [[10 + 200 + 3, 3, 300 + 3]]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("batch", [1, 7, BLOCK, 2 * BLOCK + 5])
def test_forward_is_pytorchs(sizes: tuple[int, ...], activation: str, batch: int) -> None:
    parameters, x = random_parameters(sizes), random_inputs(sizes, batch)
    y = forward(network(parameters, sizes, activation), x, batch)
    assert y.shape == (sizes[-1], batch) and y.dtype == np.float32
    expected = torch_outputs(torch.tensor(parameters.astype(np.float64)), sizes, activation, x).numpy().T
    np.testing.assert_allclose(y, expected, rtol=0, atol=3e-6 * max(1.0, float(np.abs(expected).max())))


def test_columns_beyond_the_batch_are_not_read() -> None:
    sizes = (3, 5, 2)
    net, x = network(random_parameters(sizes), sizes, "tanh"), random_inputs(sizes, BLOCK + 40)
    expected = forward(net, x, BLOCK + 10)
    x[:, BLOCK + 10 :] = np.nan
    assert forward(net, x, BLOCK + 10).tobytes() == expected.tobytes()
    assert forward(net, x, 0).shape == (2, 0)


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    sizes = (5, 7, 3)
    net, x = network(random_parameters(sizes), sizes, "relu"), random_inputs(sizes, 2 * BLOCK)
    changed = random_inputs(sizes, 2 * BLOCK, seed=2)
    changed[:, 3] = x[:, 3]
    assert forward(net, x, 2 * BLOCK)[:, 3].tolist() == forward(net, changed, 2 * BLOCK)[:, 3].tolist()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("sizes", [(4, 2), (3, 6, 2), (5, 8, 3, 1)], ids=str)
def test_what_is_not_finite_reaches_the_output_of_its_lane_alone(
    sizes: tuple[int, ...], activation: str, bad: float
) -> None:
    x = random_inputs(sizes, 9)
    x[-1, 4] = bad
    y = forward(network(random_parameters(sizes), sizes, activation), x, 9)
    assert np.isfinite(np.delete(y, 4, axis=1)).all()
    if np.isnan(bad):
        assert np.isnan(y[:, 4]).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("index", [0, 17, -1])
def test_nan_in_a_parameter_reaches_the_outputs(activation: str, index: int) -> None:
    sizes = (3, 5, 1)
    parameters = random_parameters(sizes)
    parameters[index] = np.nan
    assert np.isnan(forward(network(parameters, sizes, activation), random_inputs(sizes, 6), 6)).all()


def test_the_network_shares_its_parameters() -> None:
    parameters, x = random_parameters((2, 2)), random_inputs((2, 2), 1)
    net = network(parameters, (2, 2), "relu")
    parameters[:] = 0
    assert forward(net, x, 1).tolist() == [[0.0], [0.0]]


def test_transposed_weights() -> None:
    sizes = (3, 5, 2)
    parameters = random_parameters(sizes)
    transposed = transposed_weights(network(parameters, sizes, "relu"))
    assert (transposed[:15].reshape(3, 5) == parameters[:15].reshape(5, 3).T).all()
    assert (transposed[20:30].reshape(5, 2) == parameters[20:30].reshape(2, 5).T).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("lanes", [1, 6, BLOCK])
def test_backward_adds_the_vector_jacobian_product(sizes: tuple[int, ...], activation: str, lanes: int) -> None:
    """gradient += Σ_lanes Jᵀ delta, with nothing read from the lanes that are not in use."""
    parameters, x = random_parameters(sizes), random_inputs(sizes, lanes)
    delta = np.random.default_rng(2).normal(size=(sizes[-1], lanes)).astype(np.float32)
    net = network(parameters, sizes, activation)
    activations, deltas = (np.full((net.rows, BLOCK), np.nan, np.float32) for _ in range(2))
    activations[: sizes[0], :lanes], deltas[net.rows - sizes[-1] :, :lanes] = x, delta
    before = random_parameters(sizes, seed=3)
    gradient = before.copy()
    forward_block(net, activations, True, lanes)
    zeros = np.zeros(net.rows, np.float32)
    backward_block(net, transposed_weights(net), zeros, activations, deltas, gradient, lanes)

    leaf = torch.tensor(parameters.astype(np.float64), requires_grad=True)
    (torch_outputs(leaf, sizes, activation, x) * torch.tensor(delta.T.astype(np.float64))).sum().backward()
    assert leaf.grad is not None
    expected = before + leaf.grad.numpy()
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=5e-6 * max(1.0, float(np.abs(expected).max())))


def test_a_relu_exactly_at_zero_passes_no_gradient() -> None:
    """As in PyTorch: both one-sided derivatives would do, but the two must agree."""
    net = network(np.array([1, 0, 1, 0], np.float32), (1, 1, 1), "relu")
    activations, deltas = np.zeros((net.rows, BLOCK), np.float32), np.ones((net.rows, BLOCK), np.float32)
    gradient, zeros = np.zeros(4, np.float32), np.zeros(net.rows, np.float32)
    forward_block(net, activations, True, 1)
    backward_block(net, transposed_weights(net), zeros, activations, deltas, gradient, 1)
    assert gradient.tolist() == [0, 0, 0, 1]


def test_the_last_hidden_layer_is_left_behind_only_on_request() -> None:
    """Its values feed the backward pass; the forward pass alone gives the same outputs without them."""
    sizes = (3, 9, 2)
    parameters, outputs = random_parameters(sizes), {}
    net, weight, bias = network(parameters, sizes, "tanh"), parameters[:27].reshape(9, 3), parameters[27:36]
    for keep in (True, False):
        activations = np.zeros((net.rows, BLOCK), np.float32)
        activations[:3, :5] = random_inputs(sizes, 5)
        forward_block(net, activations, keep, 5)
        outputs[keep] = activations[-2:, :5].copy()
        kept = np.allclose(activations[3:12, :5], np.tanh(weight @ activations[:3, :5] + bias[:, None]), atol=1e-6)
        assert kept == keep
    np.testing.assert_allclose(outputs[True], outputs[False], rtol=1e-5, atol=1e-6)
