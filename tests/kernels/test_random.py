"""Counter-based random numbers: the published sequence, the same bits everywhere, and uniform."""

from typing import Any

import numpy as np
import pytest

from pgrad.kernels.jit import strict
from pgrad.kernels.random import ACTION_KEY, DYNAMICS_KEY, GOLDEN, MASK, RESET_KEY, fold_in, normal, uniform, unit

HUGE = [0, 1, 2, 2**31 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]


@strict
def compiled_fold_in(key: Any, index: Any) -> Any:
    return fold_in(key, index)


@strict
def compiled_unit(bits: Any) -> Any:
    return unit(bits)


@strict
def numbers(key: Any, count: int, low: float, high: float) -> Any:
    result = np.empty(count)
    for n in range(count):
        result[n] = uniform(key, n, low, high)
    return result


def test_the_indices_of_a_key_are_the_published_sequence_of_splitmix64() -> None:
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [fold_in(1234567, index) for index in range(5)] == expected


@pytest.mark.parametrize("key", HUGE)
@pytest.mark.parametrize("index", HUGE)
def test_compiled_and_interpreted_give_the_same_bits(key: int, index: int) -> None:
    bits = fold_in(key, index)
    assert 0 <= bits <= MASK
    assert int(compiled_fold_in(np.uint64(key), np.uint64(index))) == bits
    assert compiled_unit(np.uint64(bits)) == unit(bits)


@pytest.mark.parametrize("index", [0, 1, 499, 2**31 - 1])
def test_a_signed_index_gives_the_bits_of_the_unsigned_one(index: int) -> None:
    key = fold_in(3, 5)
    expected = fold_in(key, index)
    assert int(compiled_fold_in(np.uint64(key), np.int32(index))) == expected
    assert int(compiled_fold_in(np.uint64(key), np.int64(index))) == expected
    assert fold_in(np.uint64(key), np.int32(index)) == expected, "NumPy's integers do not overflow either"


def test_unit_reaches_from_zero_to_just_below_one() -> None:
    assert unit(0) == 0.0
    assert unit(MASK) == 1.0 - 2.0**-53
    assert unit(1 << 63) == 0.5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.05, 0.05), (3.0, 8.0)])
def test_uniform_is_the_same_compiled(low: float, high: float) -> None:
    compiled = numbers(np.uint64(9), 200, low, high)
    interpreted = [uniform(9, n, low, high) for n in range(200)]
    np.testing.assert_allclose(compiled, interpreted, rtol=0, atol=2.0**-52 * max(abs(low), abs(high)))
    assert (compiled >= low).all() and (compiled < high).all()


def test_a_uniform_number_grows_with_its_bits() -> None:
    """So that it reaches `low`, and never `high`."""
    assert [uniform(9, n, -1.0, 3.0) for n in range(20)] == [-1.0 + 4.0 * unit(fold_in(9, n)) for n in range(20)]


KEYS = [0, 1, GOLDEN, MASK]  # a counter-based generator must not have bad keys


@pytest.mark.parametrize("key", KEYS)
def test_numbers_are_uniform(key: int) -> None:
    """χ² over 256 bins has mean 255 and standard deviation √510 = 22.6; the mean of n numbers 1/√(12n)."""
    n = 100_000
    u = numbers(np.uint64(key), n, 0.0, 1.0)
    counts = np.bincount((u * 256).astype(int), minlength=256)
    chi_squared = np.sum((counts - n / 256) ** 2) / (n / 256)
    assert abs(chi_squared - 255) < 4 * np.sqrt(510)
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * n)


@pytest.mark.parametrize("key", KEYS)
def test_neighbouring_numbers_and_neighbouring_keys_are_uncorrelated(key: int) -> None:
    """The correlation of n independent pairs has standard error 1/√n."""
    n = 100_000
    u = numbers(np.uint64(key), n, 0.0, 1.0)
    beside = numbers(np.uint64((key + 1) & MASK), n, 0.0, 1.0)
    child = numbers(np.uint64(fold_in(key, 0)), n, 0.0, 1.0)
    for one, other in ((u[:-1], u[1:]), (u, beside), (u, child)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(n)


def test_every_bit_is_fair() -> None:
    """The share of ones among n bits has standard error 1/(2√n)."""
    n = 20_000
    bits = np.array([fold_in(7, index) for index in range(n)], np.uint64)
    ones = np.array([(bits >> np.uint64(place) & np.uint64(1)).mean() for place in range(64)])
    assert np.abs(ones - 0.5).max() < 4.5 / (2 * np.sqrt(n))


def test_a_tree_of_keys_has_no_collisions() -> None:
    leaves = {fold_in(fold_in(fold_in(0, i), j), k) for i in range(20) for j in range(20) for k in range(20)}
    assert len(leaves) == 8000


def test_normal_numbers_have_the_moments_of_the_normal_distribution() -> None:
    """E z^k = 0, 1, 0, 3 for k = 1 … 4, whose estimates have variances 1, 2, 15 and 96 over n."""
    n = 20_000
    z = np.array([normal(7, index) for index in range(n)])
    for power, (moment, variance) in enumerate(((0, 1), (1, 2), (0, 15), (3, 96)), start=1):
        assert abs((z**power).mean() - moment) < 4.5 * np.sqrt(variance / n)


def test_the_streams_of_an_episode_are_three() -> None:
    assert len({RESET_KEY, ACTION_KEY, DYNAMICS_KEY}) == 3


def test_without_bounds_a_number_is_between_0_and_1() -> None:
    assert uniform(3, 4) == unit(fold_in(3, 4))
    assert uniform(3, 4, -2.0) == -2.0 + 3.0 * unit(fold_in(3, 4))
