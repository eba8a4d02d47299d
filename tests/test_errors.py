"""The checks of arguments that several rooms share."""

from typing import Any

import numpy as np
import pytest

from pgrad.errors import ConfigError, InputError, collecting, require_discount, require_integer


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint64(3)])
def test_integers_of_any_kind_become_int(value: Any) -> None:
    assert type(require_integer("count", value, 3)) is int


@pytest.mark.parametrize("value", [2, -1, 3.0, True, np.bool_(True), "3", None, np.float64(4), [3]])
def test_what_is_not_an_integer_or_too_small_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^count must be an integer, at least 3, not "):
        require_integer("count", value, 3)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.int64(1)])
def test_discounts_become_float(value: Any) -> None:
    assert type(require_discount(value)) is float


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "high", None, 1j])
def test_what_is_not_a_discount_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^discount must be in \[0, 1\], not "):
        require_discount(value)


def test_the_problems_of_several_checks_are_collected() -> None:
    problems: list[str] = []
    with collecting(problems):
        require_integer("a", 0, 1)
    with collecting(problems):
        require_integer("b", 1, 1)
    with collecting(problems):
        raise ConfigError(["c", "d"])
    assert problems == ["a must be an integer, at least 1, not 0", "c", "d"]
    with pytest.raises(KeyError), collecting(problems):
        raise KeyError
