"""A multilayer perceptron with any number of hidden layers, forward and backward, a block of lanes at a time.

Parameters are one flat float32 vector: for each layer its weight [outputs, inputs], row by row, then its bias.
A block's activations live in one array whose rows are the inputs, then each layer's units; `deltas` has the same rows.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.dense import (
    ACTIVATIONS,
    LINEAR,
    accumulate_outer,
    add_columns,
    fill_rows,
    layer_rows,
    through_activation,
)
from pgrad.kernels.jit import dense

f4 = np.float32

Array = Any

BLOCK = 512


class MLP(NamedTuple):
    """What compiled code needs of a network."""

    parameters: npt.NDArray[np.float32]  # [P]
    sizes: npt.NDArray[np.int64]  # [inputs, hidden …, outputs]
    activation: int  # kernels.dense.RELU or TANH, between layers
    rows: int  # Σ sizes: the rows of a block


def network(parameters: npt.NDArray[np.float32], sizes: npt.ArrayLike, activation: str) -> MLP:
    """The record for compiled code; `parameters` is shared, not copied."""
    layers = np.ascontiguousarray(sizes, dtype=np.int64)
    return MLP(parameters, layers, ACTIVATIONS[activation], int(layers.sum()))


def num_parameters(sizes: npt.ArrayLike) -> int:
    """P = Σ over layers of outputs · (inputs + 1)."""
    layers = np.asarray(sizes, dtype=np.int64)
    return int(np.sum(layers[1:] * (layers[:-1] + 1)))


@dense
def layer(net: MLP, k: int) -> tuple[Array, Array, int]:
    """Weight [outputs, inputs] and bias [outputs] of layer k (0 is the first), and where its parameters start."""
    offset = 0
    for i in range(k):
        offset += net.sizes[i + 1] * (net.sizes[i] + 1)
    inputs, outputs = net.sizes[k], net.sizes[k + 1]
    bias = offset + outputs * inputs
    return net.parameters[offset:bias].reshape(outputs, inputs), net.parameters[bias : bias + outputs], offset


@dense
def forward_block(net: MLP, activations: Array, keep_hidden: bool, lanes: int) -> None:
    """Fill the last rows, the outputs, from the first, the inputs; activations [Σ sizes, ≥ lanes].

    A few units at a time, while they are in the first-level cache: the last hidden layer's units go straight into the
    outputs, and are left in `activations` only on request (the backward pass needs them).
    """
    layers = net.sizes.size - 1
    weight_out, bias_out, _ = layer(net, layers - 1)
    y = activations[net.rows - net.sizes[layers] :]
    if layers == 1:
        x = activations[: net.sizes[0]]
        for j in range(0, y.shape[0], 4):
            layer_rows(weight_out[j : j + 4], bias_out[j : j + 4], x, y[j : j + 4], LINEAR, lanes)
        return
    fill_rows(y, bias_out, lanes)
    row = 0
    for k in range(layers - 1):
        weight, bias, _ = layer(net, k)
        x = activations[row : row + net.sizes[k]]
        row += net.sizes[k]
        last = k == layers - 2
        for j in range(0, net.sizes[k + 1], 4):
            first = row if last and not keep_hidden else row + j
            units = activations[first : first + min(4, net.sizes[k + 1] - j)]
            layer_rows(weight[j : j + 4], bias[j : j + 4], x, units, net.activation, lanes)
            if last:
                add_columns(weight_out, j, units, y, lanes)


@dense
def transposed_weights(net: MLP) -> Array:
    """The parameters with each layer's weight transposed in its place; the backward pass reads it by columns."""
    transposed = np.empty_like(net.parameters)
    offset = 0
    for k in range(net.sizes.size - 1):
        inputs, outputs = net.sizes[k], net.sizes[k + 1]
        for j in range(outputs):
            for i in range(inputs):
                transposed[offset + i * outputs + j] = net.parameters[offset + j * inputs + i]
        offset += outputs * (inputs + 1)
    return transposed


@dense
def backward_block(
    net: MLP, transposed: Array, zeros: Array, activations: Array, deltas: Array, gradient: Array, lanes: int
) -> None:
    """gradient [P] += Σ_lanes Jᵀ · delta, where the caller has put delta at the rows of the last layer's outputs.

    `transposed` is `transposed_weights(net)`; `zeros` has at least as many zeros as the widest layer has units. A few
    units at a time: the gradient of the weights they feed, their own delta, and for the first hidden layer at once the
    gradient of the weights that feed them.
    """
    layers = net.sizes.size - 1
    row = net.rows - net.sizes[layers]
    delta = deltas[row:]
    first_weight, first_bias = gradient_of_layer(net, gradient, 0)
    if layers == 1:
        accumulate_outer(delta, activations[:row], first_weight, first_bias, 0, 0, lanes)
        return
    for k in range(layers - 1, 0, -1):
        units, above = net.sizes[k], net.sizes[k + 1]
        row -= units
        weight_gradient, bias_gradient = gradient_of_layer(net, gradient, k)
        _, _, offset = layer(net, k)
        weight = transposed[offset : offset + units * above].reshape(units, above)
        for j in range(0, units, 4):
            rows = min(4, units - j)
            y = activations[row + j : row + j + rows]
            accumulate_outer(delta, y, weight_gradient, bias_gradient, 0, j, lanes)
            first = row if k == 1 else row + j
            delta_y = deltas[first : first + rows]
            layer_rows(weight[j : j + 4], zeros[:rows], delta, delta_y, LINEAR, lanes)
            through_activation(delta_y, y, net.activation, lanes)
            if k == 1:
                accumulate_outer(delta_y, activations[:row], first_weight, first_bias, j, 0, lanes)
        delta = deltas[row : row + units]


@dense
def gradient_of_layer(net: MLP, gradient: Array, k: int) -> tuple[Array, Array]:
    """The parts of a gradient [P] that belong to layer k's weight and bias."""
    weight, bias, offset = layer(net, k)
    end = offset + weight.size
    return gradient[offset:end].reshape(weight.shape), gradient[end : end + bias.size]


@dense
def load_block(x: Array, start: int, rows: Array, lanes: int) -> None:
    """Copy columns start … start + lanes of x [features, B] into the first rows of a block."""
    for i in range(x.shape[0]):
        source, target = x[i], rows[i]
        for n in range(lanes):
            target[n] = source[start + n]


@dense
def forward(net: MLP, x: Array, batch: int) -> Array:
    """Outputs [outputs, batch] for the first `batch` columns of x [inputs, ≥ batch]."""
    outputs = net.sizes[-1]
    y = np.empty((outputs, batch), f4)
    activations = np.empty((net.rows, BLOCK), f4)
    for start in range(0, batch, BLOCK):
        lanes = min(BLOCK, batch - start)
        load_block(x, start, activations, lanes)
        forward_block(net, activations, False, lanes)
        for k in range(outputs):
            source, target = activations[net.rows - outputs + k], y[k]
            for n in range(lanes):
                target[start + n] = source[n]
    return y
