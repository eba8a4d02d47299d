"""Names with arguments: what is written is read back, and nothing else is taken for it."""

from typing import Any

import pytest

from pgrad.errors import ConfigError
from pgrad.vector.arguments import named_with, read_arguments, split_name

VALUES: dict[str, Any] = {
    "a": True,
    "b": -1.5,
    "c": "8x8 (big), 'x'",
    "d": ["SF", "FG"],
    "e": {"x": None},
    "f": (1,),
}


def test_a_name_with_arguments_comes_apart_again() -> None:
    assert split_name(named_with("FrozenLake-v1", VALUES)) == ("FrozenLake-v1", VALUES)
    assert split_name(named_with("my_env.py:MyEnv", {"where": "a:b.py"})) == ("my_env.py:MyEnv", {"where": "a:b.py"})
    assert named_with("CartPole-v1", {}) == "CartPole-v1"


@pytest.mark.parametrize(
    "text",
    [
        "CartPole-v1",
        "TransformReward(CartPole-v1)",
        "Clip(FrozenLake-v1(is_slippery=False))",
        "FrozenLake-v1(desc=array([['S', 'F']]))",
        "FrozenLake-v1(is_slippery=open('x'))",
        "FrozenLake-v1(**{'is_slippery': False})",
        "FrozenLake-v1(is_slippery=)",
        "copy (2)/env.py:Mine",
        "(a=1)",
        "X(a=1)(b=2)",
    ],
)
def test_what_is_no_call_with_literals_is_a_name(text: str) -> None:
    assert split_name(text) == (text, {})


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("is_slippery=false", {"is_slippery": False}),
        ('map_name="8x8", is_slippery = true', {"map_name": "8x8", "is_slippery": True}),
        ("map_name=8x8,n=3,x=1e-3", {"map_name": "8x8", "n": 3, "x": 0.001}),
        ("desc=['SF', 'FG']", {"desc": ["SF", "FG"]}),
        ("day=2026-12-01", {"day": "2026-12-01"}),
    ],
)
def test_arguments_are_written_as_in_toml_or_without_quotes(text: str, arguments: dict[str, Any]) -> None:
    assert read_arguments(text) == arguments


@pytest.mark.parametrize("text", ["slippery", "=3", "a=", "a b=3", "a=1,b"])
def test_what_is_no_argument_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="--env-kwargs must be key=value"):
        read_arguments(text)
