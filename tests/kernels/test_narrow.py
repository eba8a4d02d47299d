"""Few lanes along units: the same outputs as many lanes side by side."""

import numpy as np
import pytest

from pgrad.kernels.mlp import forward_block, network, new_block, num_parameters, transpose_weights
from pgrad.kernels.narrow import NARROW, forward_narrow, new_narrow


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(
    "sizes",
    [(4, 2), (4, 64, 2), (3, 17, 1), (5, 16, 33, 3), (6, 14, 40), (1, 64, 64, 2), (9, 128, 8, 100, 5)],
)
def test_outputs_are_those_of_a_block(sizes: tuple[int, ...], activation: str) -> None:
    rng = np.random.default_rng(0)
    net = network(rng.normal(scale=0.3, size=num_parameters(sizes)).astype(np.float32), sizes, activation)
    narrow = new_narrow(net)
    transpose_weights(net, narrow.transposed)
    for lanes in range(1, NARROW + 1):
        rows = new_block(net, lanes)
        rows[:] = np.nan  # what is not computed shows
        rows[: sizes[0]] = rng.normal(size=(sizes[0], rows.shape[1]))
        expected = rows.copy()
        forward_block(net, expected, False, lanes)
        forward_narrow(net, narrow, rows, lanes)
        np.testing.assert_allclose(rows[-sizes[-1] :, :lanes], expected[-sizes[-1] :, :lanes], rtol=2e-5, atol=2e-5)
        assert np.isnan(rows[-sizes[-1] :, lanes:]).all(), "other lanes are left alone"


def test_nan_in_one_lane_stays_there() -> None:
    sizes, lanes = (4, 32, 2), 3
    net = network(np.ones(num_parameters(sizes), np.float32), sizes, "tanh")
    narrow, rows = new_narrow(net), new_block(net, lanes)
    transpose_weights(net, narrow.transposed)
    rows[:4] = 1.0
    rows[2, 1] = np.nan
    forward_narrow(net, narrow, rows, lanes)
    assert np.isnan(rows[-2:, 1]).all()
    assert np.isfinite(rows[-2:, [0, 2]]).all()
