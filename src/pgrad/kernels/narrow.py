"""A perceptron's outputs for a few lanes: vectors run along a layer's units instead of the lanes.

A vector holds 16 numbers, and `mlp.forward_block` puts lanes into it: four lanes leave three quarters of it empty. Here
a wide layer adds up columns of its weights, which the transposed weights hold side by side, for four lanes at a time; a
narrow one, such as a policy's outputs, is a few dot products.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.dense import activate
from pgrad.kernels.jit import dense
from pgrad.kernels.mlp import MLP

f4 = np.float32

Array = Any

NARROW = 12  # with as many lanes, vectors of lanes are as fast


class Narrow(NamedTuple):
    """What a network needs besides its parameters."""

    transposed: npt.NDArray[np.float32]  # [P] see mlp.transpose_weights; to be renewed when the parameters change
    even: npt.NDArray[np.float32]  # [NARROW, widest layer] scratch: each lane's inputs, and every second layer's units
    odd: npt.NDArray[np.float32]  # [NARROW, widest layer] the other layers'


def new_narrow(net: MLP) -> Narrow:
    """Make room for what `forward_narrow` needs of a network."""
    room = (NARROW, int(net.sizes.max()))
    return Narrow(np.empty_like(net.parameters), np.zeros(room, f4), np.zeros(room, f4))


@dense
def forward_narrow(net: MLP, narrow: Narrow, rows: Array, lanes: int) -> None:
    """Compute the last rows, the outputs, from the first, the inputs; rows [Σ sizes, ≥ lanes], lanes ≤ NARROW."""
    outputs, num_layers = net.sizes[-1], net.offsets.size
    for n in range(lanes):
        for i in range(net.sizes[0]):
            narrow.even[n, i] = rows[i, n]
    for k in range(num_layers):
        if k % 2 == 0:
            one_layer(net, k, narrow.transposed, narrow.even, narrow.odd, lanes)
        else:
            one_layer(net, k, narrow.transposed, narrow.odd, narrow.even, lanes)
    for n in range(lanes):
        for j in range(outputs):
            rows[net.rows - outputs + j, n] = narrow.even[n, j] if num_layers % 2 == 0 else narrow.odd[n, j]


@dense
def one_layer(net: MLP, k: int, transposed: Array, x: Array, y: Array, lanes: int) -> None:
    """Compute layer k's units y [≥ lanes, ≥ units] from its inputs x [≥ lanes, ≥ inputs]."""
    inputs, units, w = net.sizes[k], net.sizes[k + 1], net.offsets[k]
    if units < NARROW:
        dot_products(net.parameters, w, inputs, units, x, y, lanes)
    else:
        for n in range(0, lanes, 4):  # of the last four some may be none
            if n == lanes - 1:  # one lane alone, as where an iteration is one episode
                copy_bias(net.parameters, w + units * inputs, units, y[n])
                for i in range(0, inputs, 4):
                    add_columns_to_one(transposed, w, inputs, units, i, x[n], y[n])
                continue
            for m in range(n, n + 4):
                copy_bias(net.parameters, w + units * inputs, units, y[m])
            for i in range(0, inputs, 4):
                add_columns(transposed, w, inputs, units, i, x, n, y[n], y[n + 1], y[n + 2], y[n + 3])
    if k < net.offsets.size - 1:
        activate(y, 0, lanes, net.activation, units)


@dense
def dot_products(weights: Array, w: int, inputs: int, units: int, x: Array, y: Array, lanes: int) -> None:
    """Set y_nj = bias_j + Σ_i weight_ji x_ni, a unit of a lane at a time."""
    for n in range(lanes):
        x_n = x[n]
        for j in range(units):
            total, row = f4(0), w + j * inputs
            for i in range(inputs):
                total += weights[row + i] * x_n[i]
            y[n, j] = total + weights[w + units * inputs + j]


@dense
def copy_bias(weights: Array, bias: int, units: int, y: Array) -> None:
    """Set y_j = bias_j."""
    for j in range(units):
        y[j] = weights[bias + j]


@dense
def add_columns(
    transposed: Array,
    w: int,
    inputs: int,
    units: int,
    i: int,
    x: Array,
    n: int,
    y0: Array,
    y1: Array,
    y2: Array,
    y3: Array,
) -> None:
    """Add weight_ji x_i to y_j, for inputs i … i + 3 of the four lanes from lane n on, whose units y0 … y3 are."""
    i1, i2, i3 = min(i + 1, inputs - 1), min(i + 2, inputs - 1), min(i + 3, inputs - 1)
    k1, k2, k3 = f4(i + 1 < inputs), f4(i + 2 < inputs), f4(i + 3 < inputs)
    w0, w1, w2, w3 = w + i * units, w + i1 * units, w + i2 * units, w + i3 * units
    p0, q0, r0, s0 = x[n, i], x[n, i1] * k1, x[n, i2] * k2, x[n, i3] * k3
    p1, q1, r1, s1 = x[n + 1, i], x[n + 1, i1] * k1, x[n + 1, i2] * k2, x[n + 1, i3] * k3
    p2, q2, r2, s2 = x[n + 2, i], x[n + 2, i1] * k1, x[n + 2, i2] * k2, x[n + 2, i3] * k3
    p3, q3, r3, s3 = x[n + 3, i], x[n + 3, i1] * k1, x[n + 3, i2] * k2, x[n + 3, i3] * k3
    for j in range(units):
        a, b, c, d = transposed[w0 + j], transposed[w1 + j], transposed[w2 + j], transposed[w3 + j]
        y0[j] += a * p0 + b * q0 + c * r0 + d * s0
        y1[j] += a * p1 + b * q1 + c * r1 + d * s1
        y2[j] += a * p2 + b * q2 + c * r2 + d * s2
        y3[j] += a * p3 + b * q3 + c * r3 + d * s3


@dense
def add_columns_to_one(transposed: Array, w: int, inputs: int, units: int, i: int, x: Array, y: Array) -> None:
    """Add weight_ji x_i to y_j, for inputs i … i + 3 of one lane."""
    i1, i2, i3 = min(i + 1, inputs - 1), min(i + 2, inputs - 1), min(i + 3, inputs - 1)
    p, q, r, s = x[i], x[i1] * f4(i + 1 < inputs), x[i2] * f4(i + 2 < inputs), x[i3] * f4(i + 3 < inputs)
    w0, w1, w2, w3 = w + i * units, w + i1 * units, w + i2 * units, w + i3 * units
    for j in range(units):
        y[j] += transposed[w0 + j] * p + transposed[w1 + j] * q + transposed[w2 + j] * r + transposed[w3 + j] * s
