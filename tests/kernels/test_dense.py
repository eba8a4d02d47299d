"""Each dense loop against NumPy in float64, in the middle of larger arrays: nothing else is read or written."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.kernels.dense import LINEAR, RELU, TANH, accumulate_outer, accumulate_sum, layer_rows, through_activation

Array = npt.NDArray[Any]

LANES, WIDTH = 3, 5  # columns in use, and columns
AT, BEFORE = 2, 3  # where rows of data and flat matrices begin
ROUNDING = 2e-6  # float32's, relative to sums of up to nine terms near one


def rows_of(data: Array) -> Array:
    """The data within a larger array of NaN."""
    whole = np.full((AT + len(data) + 1, WIDTH), np.nan, np.float32)
    whole[AT : AT + len(data), :LANES] = data
    return whole


def only(written: Array, rows: int) -> Array:
    """The rows that are meant, once it is clear that no others were written."""
    outside = np.ones(written.shape, np.bool_)
    outside[AT : AT + rows, :LANES] = False
    assert (written[outside] == 9).all()
    return written[AT : AT + rows, :LANES]


ACTIVATIONS: dict[int, Any] = {LINEAR: lambda z: z, RELU: lambda z: np.maximum(z, 0), TANH: np.tanh}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_rows_of_a_layer(inputs: int, rows: int, activation: int) -> None:
    rng = np.random.default_rng(10 * inputs + rows)
    weight, bias, x = rng.normal(size=(rows, inputs)), rng.normal(size=rows), rng.normal(size=(inputs, LANES))
    parameters = np.full(BEFORE + weight.size + rows + 1, np.nan, np.float32)
    parameters[BEFORE : BEFORE + weight.size], parameters[BEFORE + weight.size : -1] = weight.ravel(), bias
    y, b = np.full((AT + rows + 1, WIDTH), 9, np.float32), BEFORE + weight.size
    layer_rows(parameters, BEFORE, inputs, parameters, b, rows_of(x), AT, y, AT, rows, activation, LANES)
    expected = ACTIVATIONS[activation](weight @ x + bias[:, None])
    np.testing.assert_allclose(only(y, rows), expected, rtol=0, atol=ROUNDING * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("rows", [4, 3])
@pytest.mark.parametrize("inputs", [2, 4, 9])
@pytest.mark.parametrize("activation", [RELU, TANH])
def test_nan_in_an_input_reaches_every_row_of_its_lane_alone(activation: int, inputs: int, rows: int) -> None:
    for bad in range(inputs):
        x, y = np.ones((inputs, LANES)), np.full((AT + rows, WIDTH), 9, np.float32)
        x[bad, 1] = np.nan
        parameters = np.ones(rows * (inputs + 1), np.float32)
        layer_rows(parameters, 0, inputs, parameters, rows * inputs, rows_of(x), AT, y, AT, rows, activation, LANES)
        assert (np.isnan(only(y, rows)) == [False, True, False]).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 7, 9])
def test_outer_products_are_added_to_a_part_of_a_matrix(columns: int, rows: int) -> None:
    rng, inputs = np.random.default_rng(10 * columns + rows), columns + 2
    delta, x = rng.normal(size=(rows, LANES)), rng.normal(size=(columns, LANES))
    gradient = rng.normal(size=BEFORE + rows * inputs + 1).astype(np.float32)
    expected = gradient.astype(np.float64)
    expected[BEFORE:-1].reshape(rows, inputs)[:, :columns] += delta @ x.T
    accumulate_outer(rows_of(delta), AT, rows, rows_of(x), AT, columns, gradient, BEFORE, inputs, LANES)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def test_sums_over_lanes_are_added() -> None:
    delta, gradient = np.array([[1.0, 2, 4], [8, 16, 32]]), np.ones(6, np.float32)
    accumulate_sum(rows_of(delta), AT, 2, gradient, BEFORE, LANES)
    assert gradient.tolist() == [1, 1, 1, 8, 57, 1]


@pytest.mark.parametrize("activation", [RELU, TANH])
def test_the_slope_at_the_output(activation: int) -> None:
    y = np.array([[-0.5, 0.0, 0.25], [0.5, 1.0, -1.0]])
    y = np.maximum(y, 0) if activation == RELU else y
    delta = np.full((AT + 3, WIDTH), 9, np.float32)
    delta[AT : AT + 2, :LANES] = [[1, 2, 3], [4, 5, 6]]
    through_activation(delta, AT, rows_of(y), AT, 2, activation, LANES)
    slope = y > 0 if activation == RELU else 1 - y * y
    np.testing.assert_allclose(only(delta, 2), [[1, 2, 3], [4, 5, 6]] * slope, rtol=ROUNDING)
