"""A multilayer perceptron with any number of hidden layers, forward and backward, a block of lanes at a time.

Parameters are one flat float32 vector: for each layer its weight [outputs, inputs], row by row, then its bias, and
after the last layer a policy's extra parameters (kernels.heads). Inputs may be normalised: (x - shift) · scale.
A block's activations live in one array whose rows are the inputs, then each layer's units; `deltas` has the same rows.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.crew import ALONE, Crew, run_blocks
from pgrad.kernels.dense import (
    ACTIVATIONS,
    LINEAR,
    accumulate_outer,
    accumulate_sum,
    add_columns,
    fill_rows,
    layer_rows,
    through_activation,
)
from pgrad.kernels.jit import both, dense

f4 = np.float32

Array = Any

BLOCK = 512  # lanes a block: wide enough to amortise the sums at its end, small enough for the second-level cache


class MLP(NamedTuple):
    """A network for compiled code."""

    parameters: npt.NDArray[np.float32]  # [P]
    sizes: npt.NDArray[np.int64]  # [inputs, hidden …, outputs]
    offsets: npt.NDArray[np.int64]  # [layers] where each layer's weight starts in `parameters`
    activation: int  # kernels.dense.RELU or TANH, between layers
    rows: int  # Σ sizes: the rows of a block
    shift: npt.NDArray[np.float32]  # [inputs] subtracted from the inputs; empty if they are not normalised
    scale: npt.NDArray[np.float32]  # [inputs] that then multiplies them


NOT_NORMALISED = np.empty(0, np.float32)
INPUT_LIMIT = 10.0  # normalised inputs are clipped to ± this


def network(
    parameters: npt.NDArray[np.float32],
    sizes: npt.ArrayLike,
    activation: str,
    shift: npt.NDArray[np.float32] = NOT_NORMALISED,
    scale: npt.NDArray[np.float32] = NOT_NORMALISED,
) -> MLP:
    """Return the record for compiled code; the arrays are shared, not copied."""
    layers = np.ascontiguousarray(sizes, dtype=np.int64)
    ends = np.cumsum(layers[1:] * (layers[:-1] + 1))
    offsets = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    return MLP(parameters, layers, offsets, ACTIVATIONS[activation], int(layers.sum()), shift, scale)


def num_parameters(sizes: npt.ArrayLike) -> int:
    """Return P = Σ over layers of outputs · (inputs + 1)."""
    return sum(outputs * (inputs + 1) for inputs, outputs in itertools.pairwise(np.asarray(sizes).tolist()))


@both
def new_block(net: MLP, lanes: int) -> Array:
    """Return an empty block for at most so many lanes, and at most BLOCK: [Σ sizes, a little more].

    Rows are an odd number of cache lines apart: a power of two would put all of them into few sets of the cache. The
    block is no larger than needed: with images as inputs there are many rows, and fresh memory costs more than sums.
    """
    return np.empty((net.rows, block_width(lanes)), f4)


@both
def block_width(lanes: int) -> int:
    """Return how far apart the rows of a block are, in numbers: see `new_block`."""
    return 16 * ((min(lanes, BLOCK) + 15) // 16 | 1)


@both
def new_scratch(net: MLP, batch: int, crew: Crew, blocks: int) -> Array:
    """Return so many empty blocks for each of a crew's workers: [workers, blocks, Σ sizes, a little more]."""
    return np.empty((crew.workers, blocks, net.rows, block_width(batch)), f4)


@both
def num_blocks(batch: int) -> int:
    """Return how many blocks a batch has."""
    return (batch + BLOCK - 1) // BLOCK


@dense
def forward_block(net: MLP, activations: Array, keep_hidden: bool, lanes: int) -> None:
    """Compute the last rows, the outputs, from the first, the inputs; activations [Σ sizes, ≥ lanes].

    A few units at a time, while they are in the first-level cache: the last hidden layer's units go straight into the
    outputs, and stay in `activations` only if `keep_hidden` (the backward pass needs them).
    """
    weights, sizes, last = net.parameters, net.sizes, net.sizes.size - 2
    inputs_out, outputs, w_out = sizes[last], sizes[last + 1], net.offsets[last]
    b_out, y = w_out + outputs * inputs_out, net.rows - outputs
    if last == 0:
        for j in range(0, outputs, 4):
            w, rows = w_out + j * inputs_out, min(4, outputs - j)
            layer_rows(
                weights, w, inputs_out, weights, b_out + j, activations, 0, activations, y + j, rows, LINEAR, lanes
            )
        return
    fill_rows(activations, y, outputs, weights, b_out, lanes)
    x = 0
    for k in range(last):
        inputs, units, offset = sizes[k], sizes[k + 1], net.offsets[k]
        b, first = offset + units * inputs, x + inputs
        for j in range(0, units, 4):
            h, rows = first if k == last - 1 and not keep_hidden else first + j, min(4, units - j)
            layer_rows(
                weights,
                offset + j * inputs,
                inputs,
                weights,
                b + j,
                activations,
                x,
                activations,
                h,
                rows,
                net.activation,
                lanes,
            )
            if k == last - 1:
                add_columns(weights, w_out + j, units, rows, activations, h, activations, y, outputs, lanes)
        x = first


@dense
def tangent_block(net: MLP, vector: Array, activations: Array, tangents: Array, lanes: int) -> None:
    """Compute the outputs' derivative along a change `vector` [P] of the parameters, in the last rows of `tangents`.

    Forward mode: ẏ = f'(z) (V x + v + W ẋ) from layer to layer, with `vector` as V and v, and ẋ = 0 at the inputs.
    activations [Σ sizes, ≥ lanes] hold all units, as `forward_block` leaves them with `keep_hidden`.
    """
    x = 0
    for k in range(net.offsets.size):
        inputs, units, w = net.sizes[k], net.sizes[k + 1], net.offsets[k]
        y, b = x + inputs, w + units * inputs
        for j in range(0, units, 4):
            rows, at = min(4, units - j), w + j * inputs
            layer_rows(vector, at, inputs, vector, b + j, activations, x, tangents, y + j, rows, LINEAR, lanes)
            if k > 0:
                for i in range(0, inputs, 4):
                    columns = min(4, inputs - i)
                    add_columns(net.parameters, at + i, inputs, columns, tangents, x + i, tangents, y + j, rows, lanes)
        if k < net.offsets.size - 1:
            through_activation(tangents, y, activations, y, units, net.activation, lanes)
        x = y


@dense
def transposed_weights(net: MLP) -> Array:
    """Return the parameters with each layer's weight transposed in place, which the backward pass reads by columns."""
    transposed = np.empty_like(net.parameters)
    transpose_weights(net, transposed)
    return transposed


@dense
def transpose_weights(net: MLP, transposed: Array) -> None:
    """Set `transposed` [P] to the parameters with each layer's weight transposed in place."""
    for k in range(net.offsets.size):
        inputs, outputs, offset = net.sizes[k], net.sizes[k + 1], net.offsets[k]
        for j in range(outputs):
            for i in range(inputs):
                transposed[offset + i * outputs + j] = net.parameters[offset + j * inputs + i]


@dense
def backward_block(
    net: MLP, transposed: Array, zeros: Array, activations: Array, deltas: Array, gradient: Array, lanes: int
) -> None:
    """Add Σ_lanes Jᵀ · delta to gradient [P]; the caller has put delta at the rows of the last layer's outputs.

    `transposed` is `transposed_weights(net)`; `zeros` holds four zeros. A few units at a time: the gradient of the
    weights they feed, their own delta, and for the first hidden layer at once the gradient of the weights that feed
    them.
    """
    sizes, last = net.sizes, net.sizes.size - 2
    above = net.rows - sizes[last + 1]
    for k in range(last, -1, -1):
        units, outputs, offset = sizes[k], sizes[k + 1], net.offsets[k]
        x = above - units
        if k > 0 or last == 0:
            accumulate_sum(deltas, above, outputs, gradient, offset + outputs * units, lanes)
        if k == 0:
            if last == 0:
                accumulate_outer(deltas, above, outputs, activations, x, units, gradient, offset, units, lanes)
            return
        below, w_below = sizes[k - 1], net.offsets[k - 1]
        for j in range(0, units, 4):
            rows, y = min(4, units - j), x + j
            accumulate_outer(deltas, above, outputs, activations, y, rows, gradient, offset + j, units, lanes)
            d = x if k == 1 else y
            layer_rows(
                transposed,
                offset + j * outputs,
                outputs,
                zeros,
                0,
                deltas,
                above,
                deltas,
                d,
                rows,
                LINEAR,
                lanes,
            )
            through_activation(deltas, d, activations, y, rows, net.activation, lanes)
            if k == 1:
                w = w_below + j * below
                accumulate_outer(deltas, d, rows, activations, 0, below, gradient, w, below, lanes)
                accumulate_sum(deltas, d, rows, gradient, w_below + units * below + j, lanes)
        above = x


@dense
def load_block(net: MLP, x: Array, start: int, rows: Array, lanes: int) -> None:
    """Copy columns start … start + lanes of x [features, B] into the first rows of a block, normalised."""
    for i in range(x.shape[0]):
        source, target = x[i], rows[i]
        for n in range(lanes):
            target[n] = source[start + n]
    normalise_inputs(net, rows, lanes)


@dense
def normalise_inputs(net: MLP, rows: Array, lanes: int) -> None:
    """Set the inputs in a block's first rows to (x - shift) · scale, within ± INPUT_LIMIT. NaN stays NaN."""
    for i in range(net.shift.size):
        row, shift, scale = rows[i], net.shift[i], net.scale[i]
        for n in range(lanes):
            x = (row[n] - shift) * scale
            x = f4(INPUT_LIMIT) if x > f4(INPUT_LIMIT) else x
            row[n] = f4(-INPUT_LIMIT) if x < f4(-INPUT_LIMIT) else x


@dense
def forward(net: MLP, x: Array, batch: int, crew: Crew = ALONE) -> Array:
    """Return the outputs [outputs, batch] for the first `batch` columns of x [inputs, ≥ batch]."""
    y = np.empty((net.sizes[-1], batch), f4)
    run_blocks(crew, forward_columns, (net, x, new_scratch(net, batch, crew, 1), y), num_blocks(batch))
    return y


@dense
def forward_columns(net: MLP, x: Array, scratch: Array, y: Array, worker: int, block: int) -> None:
    """Set a block's columns of y: see `forward`."""
    activations, start = scratch[worker, 0], block * BLOCK
    lanes, first = min(BLOCK, y.shape[1] - start), net.rows - y.shape[0]
    load_block(net, x, start, activations, lanes)
    forward_block(net, activations, False, lanes)
    for k in range(y.shape[0]):
        source, target = activations[first + k], y[k]
        for n in range(lanes):
            target[start + n] = source[n]
