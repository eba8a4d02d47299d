"""Dense layers over lanes: the loops in which training spends its time.

Arrays of numbers to work on are feature-major, [rows, lanes], and the innermost loop runs over the first `lanes`
columns, which LLVM vectorises. A tile of weights stays in registers, so that each number loaded is used several times.
If the inputs are not a multiple of four, the tile's missing weights are zero and its missing rows repeat the last one.

Weights are read from a flat vector: row r, column i of a matrix with `inputs` columns that starts at `w` is
weights[w + r · inputs + i]. Arrays are passed whole, with the number of their first row: with few lanes, a view of some
rows would cost more than the arithmetic on them.
"""

from typing import Any

import numpy as np

from pgrad.kernels.fast_math import tanh
from pgrad.kernels.jit import both, dense

f4 = np.float32

Array = Any  # a NumPy array in Python, an array type in compiled code

RELU, TANH, LINEAR = 0, 1, 2
ACTIVATIONS = {"relu": RELU, "tanh": TANH}


@both
def at_least(value: Any, floor: Any) -> Any:
    """Return max(value, floor), but NaN stays NaN."""
    return floor if value < floor else value


@dense
def activate(y: Array, first: int, rows: int, activation: int, lanes: int) -> None:
    """Apply the activation to y, in place, for the rows from `first` on."""
    for j in range(first, first + rows):
        if activation == RELU:
            for n in range(lanes):
                y[j, n] = at_least(y[j, n], f4(0))
        elif activation == TANH:
            for n in range(lanes):
                y[j, n] = tanh(y[j, n])


@dense
def through_activation(
    delta: Array, first: int, y: Array, first_y: int, rows: int, activation: int, lanes: int
) -> None:
    """Multiply delta by activation'(z), in place, expressed by the output y = activation(z)."""
    for r in range(rows):
        j, k = first + r, first_y + r
        if activation == RELU:
            for n in range(lanes):
                delta[j, n] = f4(0) if y[k, n] <= f4(0) else delta[j, n]
        else:
            for n in range(lanes):
                delta[j, n] = delta[j, n] * (f4(1) - y[k, n] * y[k, n])


@dense
def four_rows(
    weights: Array,
    w: int,
    inputs: int,
    biases: Array,
    b: int,
    x: Array,
    h: int,
    y: Array,
    j: int,
    floor: Any,
    lanes: int,
) -> None:
    """Compute four rows, y[j:] = max(weights · x[h:] + biases, floor), four (or just two) inputs at a time."""
    b0, b1, b2, b3 = biases[b], biases[b + 1], biases[b + 2], biases[b + 3]
    w0, w1, w2, w3 = w, w + inputs, w + 2 * inputs, w + 3 * inputs
    if inputs <= 2:
        i1 = inputs - 1
        keep = f4(i1)
        a00, a01, a10, a11 = weights[w0], weights[w0 + i1] * keep, weights[w1], weights[w1 + i1] * keep
        a20, a21, a30, a31 = weights[w2], weights[w2 + i1] * keep, weights[w3], weights[w3 + i1] * keep
        for n in range(lanes):
            p, q = x[h, n], x[h + i1, n]
            y[j, n] = at_least(b0 + a00 * p + a01 * q, floor)
            y[j + 1, n] = at_least(b1 + a10 * p + a11 * q, floor)
            y[j + 2, n] = at_least(b2 + a20 * p + a21 * q, floor)
            y[j + 3, n] = at_least(b3 + a30 * p + a31 * q, floor)
        return
    for i in range(0, inputs, 4):
        i1, i2, i3 = min(i + 1, inputs - 1), min(i + 2, inputs - 1), min(i + 3, inputs - 1)
        k1, k2, k3 = f4(i + 1 < inputs), f4(i + 2 < inputs), f4(i + 3 < inputs)
        a00, a01, a02, a03 = weights[w0 + i], weights[w0 + i1] * k1, weights[w0 + i2] * k2, weights[w0 + i3] * k3
        a10, a11, a12, a13 = weights[w1 + i], weights[w1 + i1] * k1, weights[w1 + i2] * k2, weights[w1 + i3] * k3
        a20, a21, a22, a23 = weights[w2 + i], weights[w2 + i1] * k1, weights[w2 + i2] * k2, weights[w2 + i3] * k3
        a30, a31, a32, a33 = weights[w3 + i], weights[w3 + i1] * k1, weights[w3 + i2] * k2, weights[w3 + i3] * k3
        bound = floor if i + 4 >= inputs else f4(-np.inf)
        h0, h1, h2, h3 = h + i, h + i1, h + i2, h + i3
        if i == 0:
            for n in range(lanes):
                p, q, r, s = x[h0, n], x[h1, n], x[h2, n], x[h3, n]
                y[j, n] = at_least(b0 + a00 * p + a01 * q + a02 * r + a03 * s, bound)
                y[j + 1, n] = at_least(b1 + a10 * p + a11 * q + a12 * r + a13 * s, bound)
                y[j + 2, n] = at_least(b2 + a20 * p + a21 * q + a22 * r + a23 * s, bound)
                y[j + 3, n] = at_least(b3 + a30 * p + a31 * q + a32 * r + a33 * s, bound)
        else:
            for n in range(lanes):
                p, q, r, s = x[h0, n], x[h1, n], x[h2, n], x[h3, n]
                y[j, n] = at_least(y[j, n] + a00 * p + a01 * q + a02 * r + a03 * s, bound)
                y[j + 1, n] = at_least(y[j + 1, n] + a10 * p + a11 * q + a12 * r + a13 * s, bound)
                y[j + 2, n] = at_least(y[j + 2, n] + a20 * p + a21 * q + a22 * r + a23 * s, bound)
                y[j + 3, n] = at_least(y[j + 3, n] + a30 * p + a31 * q + a32 * r + a33 * s, bound)


@dense
def add_columns(
    weights: Array, w: int, inputs: int, columns: int, x: Array, h: int, y: Array, j: int, rows: int, lanes: int
) -> None:
    """Add weights · x[h:] to y[j : j + rows] for up to four columns of a matrix, from `w` on; two rows at a time."""
    i1, i2, i3 = min(1, columns - 1), min(2, columns - 1), min(3, columns - 1)
    k1, k2, k3 = f4(columns > 1), f4(columns > 2), f4(columns > 3)
    h1, h2, h3 = h + i1, h + i2, h + i3
    for row in range(0, rows, 2):
        v, j0, j1 = w + row * inputs, j + row, j + row + 1
        a0, a1, a2, a3 = weights[v], weights[v + i1] * k1, weights[v + i2] * k2, weights[v + i3] * k3
        if row + 1 == rows:
            for n in range(lanes):
                y[j0, n] += a0 * x[h, n] + a1 * x[h1, n] + a2 * x[h2, n] + a3 * x[h3, n]
        else:
            v += inputs
            c0, c1, c2, c3 = weights[v], weights[v + i1] * k1, weights[v + i2] * k2, weights[v + i3] * k3
            for n in range(lanes):
                p, q, r, s = x[h, n], x[h1, n], x[h2, n], x[h3, n]
                y[j0, n] += a0 * p + a1 * q + a2 * r + a3 * s
                y[j1, n] += c0 * p + c1 * q + c2 * r + c3 * s


@dense
def fill_rows(y: Array, j: int, rows: int, values: Array, v: int, lanes: int) -> None:
    """Set y[j + r, lane] = values[v + r]."""
    for r in range(rows):
        value = values[v + r]
        for n in range(lanes):
            y[j + r, n] = value


@dense
def layer_rows(
    weights: Array,
    w: int,
    inputs: int,
    biases: Array,
    b: int,
    x: Array,
    h: int,
    y: Array,
    j: int,
    rows: int,
    activation: int,
    lanes: int,
) -> None:
    """Compute up to four rows of a layer: y[j : j + rows] = activation(weights · x[h : h + inputs] + biases)."""
    if rows == 4:
        floor = f4(0) if activation == RELU else f4(-np.inf)
        four_rows(weights, w, inputs, biases, b, x, h, y, j, floor, lanes)
        if activation == TANH:
            activate(y, j, rows, activation, lanes)
    else:
        fill_rows(y, j, rows, biases, b, lanes)
        for i in range(0, inputs, 4):
            add_columns(weights, w + i, inputs, min(4, inputs - i), x, h + i, y, j, rows, lanes)
        activate(y, j, rows, activation, lanes)


@dense
def accumulate_outer(
    delta: Array, j: int, rows: int, x: Array, h: int, columns: int, gradient: Array, w: int, inputs: int, lanes: int
) -> None:
    """Add Σ_lanes delta[j : j + rows] x[h : h + columns]ᵀ to a part of a matrix; two rows by four columns at a time.

    The matrix has `inputs` columns, and the part starts at gradient[w].
    """
    for row in range(0, rows, 2):
        paired = row + 1 < rows
        j0, j1 = j + row, j + row + (1 if paired else 0)
        for i in range(0, columns, 4):
            wide = min(4, columns - i)
            h0, h1, h2, h3 = h + i, h + i + min(1, wide - 1), h + i + min(2, wide - 1), h + i + min(3, wide - 1)
            g00, g01, g02, g03 = f4(0), f4(0), f4(0), f4(0)
            g10, g11, g12, g13 = f4(0), f4(0), f4(0), f4(0)
            for n in range(lanes):
                d, e, p, q, r, s = delta[j0, n], delta[j1, n], x[h0, n], x[h1, n], x[h2, n], x[h3, n]
                g00 += d * p
                g01 += d * q
                g02 += d * r
                g03 += d * s
                g10 += e * p
                g11 += e * q
                g12 += e * r
                g13 += e * s
            add_up_to_four(gradient, w + row * inputs + i, wide, g00, g01, g02, g03)
            if paired:
                add_up_to_four(gradient, w + (row + 1) * inputs + i, wide, g10, g11, g12, g13)


@dense
def add_up_to_four(vector: Array, i: int, count: int, a: Any, b: Any, c: Any, d: Any) -> None:
    """Add (a, b, c, d)[:count] to vector[i : i + count]."""
    vector[i] += a
    if count > 1:
        vector[i + 1] += b
    if count > 2:
        vector[i + 2] += c
    if count > 3:
        vector[i + 3] += d


@dense
def accumulate_sum(delta: Array, j: int, rows: int, gradient: Array, b: int, lanes: int) -> None:
    """Add Σ_lanes delta[j + r] to gradient[b + r]."""
    for r in range(rows):
        total = f4(0)
        for n in range(lanes):
            total += delta[j + r, n]
        gradient[b + r] += total
