"""Dense layers over lanes: the loops in which training spends its time.

Arrays are feature-major, [features, lanes], and the innermost loop runs over the first `lanes` columns, which is what
LLVM vectorises. A tile of weights stays in registers, so that each number loaded is used several times. Where the
inputs are no multiple of four, the tile's missing weights are zero and its missing rows repeat the last one.
"""

from typing import Any

import numpy as np

from pgrad.kernels.elementary import tanh
from pgrad.kernels.jit import both, dense

f4 = np.float32

Array = Any  # a NumPy array in Python, an array type in compiled code

RELU, TANH, LINEAR = 0, 1, 2
ACTIVATIONS = {"relu": RELU, "tanh": TANH}


@dense
def activate(y: Array, activation: int, lanes: int) -> None:
    """y ← activation(y), in place; y [units, ≥ lanes]."""
    for j in range(y.shape[0]):
        row = y[j]
        if activation == RELU:
            for n in range(lanes):
                row[n] = at_least(row[n], f4(0))
        elif activation == TANH:
            for n in range(lanes):
                row[n] = tanh(row[n])


@dense
def through_activation(delta: Array, y: Array, activation: int, lanes: int) -> None:
    """delta ← delta · activation'(z), in place, with the derivative expressed by the output y = activation(z)."""
    for j in range(y.shape[0]):
        row, out = delta[j], y[j]
        if activation == RELU:
            for n in range(lanes):
                row[n] = f4(0) if out[n] <= f4(0) else row[n]
        else:
            for n in range(lanes):
                row[n] = row[n] * (f4(1) - out[n] * out[n])


@both
def at_least(value: Any, floor: Any) -> Any:
    """max(value, floor), but NaN stays NaN."""
    return floor if value < floor else value


@dense
def four_rows(weight: Array, bias: Array, x: Array, y: Array, floor: Any, lanes: int) -> None:
    """Four rows of y = max(weight · x + bias, floor), four inputs (or, if there are no more, two) at a time."""
    inputs = weight.shape[1]
    y0, y1, y2, y3 = y[0], y[1], y[2], y[3]
    b0, b1, b2, b3 = bias[0], bias[1], bias[2], bias[3]
    if inputs <= 2:
        i1 = inputs - 1
        keep = f4(i1)
        x0, x1 = x[0], x[i1]
        w00, w01, w10, w11 = weight[0, 0], weight[0, i1] * keep, weight[1, 0], weight[1, i1] * keep
        w20, w21, w30, w31 = weight[2, 0], weight[2, i1] * keep, weight[3, 0], weight[3, i1] * keep
        for n in range(lanes):
            p, q = x0[n], x1[n]
            y0[n] = at_least(b0 + w00 * p + w01 * q, floor)
            y1[n] = at_least(b1 + w10 * p + w11 * q, floor)
            y2[n] = at_least(b2 + w20 * p + w21 * q, floor)
            y3[n] = at_least(b3 + w30 * p + w31 * q, floor)
        return
    for i in range(0, inputs, 4):
        i1, i2, i3 = min(i + 1, inputs - 1), min(i + 2, inputs - 1), min(i + 3, inputs - 1)
        k1, k2, k3 = f4(i + 1 < inputs), f4(i + 2 < inputs), f4(i + 3 < inputs)
        x0, x1, x2, x3 = x[i], x[i1], x[i2], x[i3]
        w00, w01, w02, w03 = weight[0, i], weight[0, i1] * k1, weight[0, i2] * k2, weight[0, i3] * k3
        w10, w11, w12, w13 = weight[1, i], weight[1, i1] * k1, weight[1, i2] * k2, weight[1, i3] * k3
        w20, w21, w22, w23 = weight[2, i], weight[2, i1] * k1, weight[2, i2] * k2, weight[2, i3] * k3
        w30, w31, w32, w33 = weight[3, i], weight[3, i1] * k1, weight[3, i2] * k2, weight[3, i3] * k3
        bound = floor if i + 4 >= inputs else f4(-np.inf)
        if i == 0:
            for n in range(lanes):
                p, q, r, s = x0[n], x1[n], x2[n], x3[n]
                y0[n] = at_least(b0 + w00 * p + w01 * q + w02 * r + w03 * s, bound)
                y1[n] = at_least(b1 + w10 * p + w11 * q + w12 * r + w13 * s, bound)
                y2[n] = at_least(b2 + w20 * p + w21 * q + w22 * r + w23 * s, bound)
                y3[n] = at_least(b3 + w30 * p + w31 * q + w32 * r + w33 * s, bound)
        else:
            for n in range(lanes):
                p, q, r, s = x0[n], x1[n], x2[n], x3[n]
                y0[n] = at_least(y0[n] + w00 * p + w01 * q + w02 * r + w03 * s, bound)
                y1[n] = at_least(y1[n] + w10 * p + w11 * q + w12 * r + w13 * s, bound)
                y2[n] = at_least(y2[n] + w20 * p + w21 * q + w22 * r + w23 * s, bound)
                y3[n] = at_least(y3[n] + w30 * p + w31 * q + w32 * r + w33 * s, bound)


@dense
def add_columns(weight: Array, i: int, x: Array, y: Array, lanes: int) -> None:
    """y += weight[:, i : i + 4] · x, for x of up to four rows; two rows of y at a time."""
    outputs, i1, i2, i3 = weight.shape[0], min(1, x.shape[0] - 1), min(2, x.shape[0] - 1), min(3, x.shape[0] - 1)
    k1, k2, k3 = f4(i1 == 1), f4(i2 == 2), f4(i3 == 3)
    x0, x1, x2, x3 = x[0], x[i1], x[i2], x[i3]
    for j in range(0, outputs, 2):
        y0 = y[j]
        v0, v1, v2, v3 = weight[j, i], weight[j, i + i1] * k1, weight[j, i + i2] * k2, weight[j, i + i3] * k3
        if j + 1 == outputs:
            for n in range(lanes):
                y0[n] += v0 * x0[n] + v1 * x1[n] + v2 * x2[n] + v3 * x3[n]
        else:
            h = j + 1
            y1 = y[h]
            w0, w1, w2, w3 = weight[h, i], weight[h, i + i1] * k1, weight[h, i + i2] * k2, weight[h, i + i3] * k3
            for n in range(lanes):
                p, q, r, s = x0[n], x1[n], x2[n], x3[n]
                y0[n] += v0 * p + v1 * q + v2 * r + v3 * s
                y1[n] += w0 * p + w1 * q + w2 * r + w3 * s


@dense
def fill_rows(y: Array, value: Array, lanes: int) -> None:
    """y[j, lane] = value[j]."""
    for j in range(y.shape[0]):
        row, item = y[j], value[j]
        for n in range(lanes):
            row[n] = item


@dense
def layer_rows(weight: Array, bias: Array, x: Array, y: Array, activation: int, lanes: int) -> None:
    """y = activation(weight · x + bias) for up to four rows; weight [rows, inputs], x [inputs, ≥ lanes]."""
    if weight.shape[0] == 4:
        four_rows(weight, bias, x, y, f4(0) if activation == RELU else f4(-np.inf), lanes)
        if activation == TANH:
            activate(y, activation, lanes)
    else:
        fill_rows(y, bias, lanes)
        for i in range(0, weight.shape[1], 4):
            add_columns(weight, i, x[i : i + 4], y, lanes)
        activate(y, activation, lanes)


@dense
def accumulate_outer(
    delta: Array, x: Array, weight_gradient: Array, bias_gradient: Array, first_row: int, first_column: int, lanes: int
) -> None:
    """Add Σ_lanes delta xᵀ to weight_gradient from (first_row, first_column) on, two rows by four columns at a time.

    With the first column goes the bias: Σ_lanes delta is added to bias_gradient from first_row on.
    """
    outputs, inputs = delta.shape[0], x.shape[0]
    for j in range(0, outputs, 2):
        paired = j + 1 < outputs
        d0, d1 = delta[j], delta[j + 1 if paired else j]
        for i in range(0, inputs, 4):
            x0, x1 = x[i], x[min(i + 1, inputs - 1)]
            x2, x3 = x[min(i + 2, inputs - 1)], x[min(i + 3, inputs - 1)]
            sum0, g00, g01, g02, g03 = f4(0), f4(0), f4(0), f4(0), f4(0)
            sum1, g10, g11, g12, g13 = f4(0), f4(0), f4(0), f4(0), f4(0)
            for n in range(lanes):
                d, e, p, q, r, s = d0[n], d1[n], x0[n], x1[n], x2[n], x3[n]
                sum0 += d
                sum1 += e
                g00 += d * p
                g01 += d * q
                g02 += d * r
                g03 += d * s
                g10 += e * p
                g11 += e * q
                g12 += e * r
                g13 += e * s
            column, columns = first_column + i, inputs - i
            add_up_to_four(weight_gradient[first_row + j], column, columns, g00, g01, g02, g03)
            if paired:
                add_up_to_four(weight_gradient[first_row + j + 1], column, columns, g10, g11, g12, g13)
            if column == 0:
                bias_gradient[first_row + j] += sum0
                if paired:
                    bias_gradient[first_row + j + 1] += sum1


@dense
def add_up_to_four(row: Array, i: int, columns: int, a: Any, b: Any, c: Any, d: Any) -> None:
    """row[i : i + columns] += (a, b, c, d), at most four columns."""
    row[i] += a
    if columns > 1:
        row[i + 1] += b
    if columns > 2:
        row[i + 2] += c
    if columns > 3:
        row[i + 3] += d
