"""Spaces and flat arrays: Gymnasium's own flatten is the oracle, sample by sample and batch by batch."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from pgrad import spaces as light
from pgrad.errors import EnvError
from pgrad.vector.spaces import actions_of, observations_of

BOX = spaces.Box(0, 1, (2,))

NESTED = spaces.Dict(
    {
        "z": spaces.Tuple([spaces.Discrete(3, start=2), spaces.Box(-1, 1, (2, 2), np.float64)]),
        "a": spaces.Dict({"flags": spaces.MultiBinary((2, 3)), "dice": spaces.MultiDiscrete([2, 3], start=[1, -1])}),
        "image": spaces.Box(0, 255, (3, 2, 1), np.uint8),
    }
)

OBSERVATIONS = [
    spaces.Box(-1, 1, (3,), np.float32),
    spaces.Box(-1, 1, (), np.float64),
    spaces.Box(0, 255, (4, 3, 2), np.uint8),
    spaces.Box(-5, 5, (2,), np.int64),
    spaces.Discrete(5),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 5, 3]),
    spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[1, 0], [-3, 7]]),
    spaces.MultiBinary(4),
    spaces.MultiBinary((2, 2)),
    spaces.Tuple([spaces.Discrete(32), spaces.Discrete(11), spaces.Discrete(2)]),
    NESTED,
]


@pytest.mark.parametrize("space", OBSERVATIONS, ids=str)
def test_observations_are_flattened_as_gymnasium_does(space: spaces.Space[Any]) -> None:
    observations = observations_of(space, "Test")
    space.seed(1)
    samples = [space.sample() for _ in range(6)]
    expected = np.stack([np.asarray(spaces.flatten(space, sample), np.float32) for sample in samples])
    assert observations.size == spaces.flatdim(space)
    batch = concatenate(space, samples, create_empty_array(space, 6))
    for rows in (
        np.stack([observations.one(sample) for sample in samples]),
        observations.batch(batch, 6),
        observations.batch(np.fromiter(samples, object, 6), 6),
    ):
        assert rows.dtype == np.float32
        assert not np.shares_memory(rows, np.asarray(batch)) if isinstance(batch, np.ndarray) else True
        np.testing.assert_array_equal(rows, expected)
    assert ((expected >= observations.low) & (expected <= observations.high)).all()
    assert observations.space.flat_size == observations.size


def test_samples_in_a_tuple_are_a_batch_too() -> None:
    samples = ({"x": np.ones(2, np.float32)}, {"x": np.zeros(2, np.float32)})
    observations = observations_of(spaces.Dict({"x": spaces.Box(0, 1, (2,))}), "Test")
    np.testing.assert_array_equal(observations.batch(samples, 2), [[1, 1], [0, 0]])


def test_a_plain_box_keeps_its_shape_and_bounds() -> None:
    image = observations_of(spaces.Box(0, 255, (4, 3, 2), np.uint8), "Test")
    assert image.shape == (4, 3, 2)
    assert image.space == light.Box(0, 255, 24)
    assert observations_of(NESTED, "Test").shape == (spaces.flatdim(NESTED),)
    assert observations_of(spaces.Discrete(5, start=3), "Test").space == light.Discrete(5)
    assert observations_of(spaces.MultiDiscrete([2, 3]), "Test").space == light.MultiDiscrete((2, 3))


def test_a_component_is_named_as_one_writes_it() -> None:
    observations = observations_of(NESTED, "Test")
    names = [observations.component(index) for index in range(observations.size)]
    assert names == (
        ["observation['a']['dice']"] * 5
        + [f"observation['a']['flags'][{i}, {j}]" for i in range(2) for j in range(3)]
        + [f"observation['image'][{i}, {j}, 0]" for i in range(3) for j in range(2)]
        + ["observation['z'][0]"] * 3
        + [f"observation['z'][1][{i}, {j}]" for i in range(2) for j in range(2)]
    )


@pytest.mark.parametrize(
    ("space", "obs", "message"),
    [
        (spaces.Box(-1, 1, (3,)), np.zeros(4), r"observation has shape \(4,\), expected \(3,\)"),
        (spaces.Box(-1, 1, (3,)), np.zeros((3, 1)), r"observation has shape \(3, 1\), expected \(3,\)"),
        (spaces.Box(-1, 1, (3,)), None, "holds object, which is not numeric"),
        (spaces.Box(-1, 1, (1,)), ["one"], "which is not numeric"),
        (spaces.Discrete(5), 5, r"observation is \[5\], outside its space Discrete\(5\)"),
        (spaces.Discrete(5, start=1), 0, r"outside its space"),
        (spaces.Discrete(5), 1.5, r"observation is \[1.5\], outside"),
        (spaces.Discrete(5), np.nan, r"observation is \[nan\], outside"),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 3]), r"observation is \[1, 3\], outside"),
        (spaces.MultiBinary(2), np.array([1, 2]), "outside its space"),
        (spaces.Dict({"x": spaces.Discrete(2)}), {"y": 1}, r"there is no observation\['x'\] in dict"),
        (spaces.Dict({"x": spaces.Discrete(2)}), np.zeros(2), r"there is no observation\['x'\] in ndarray"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused(space: spaces.Space[Any], obs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        observations_of(space, "Test").one(obs)


@pytest.mark.parametrize(
    ("space", "batch", "message"),
    [
        (spaces.Discrete(5), np.array([1, 5]), r"observation is \[5\], outside its space Discrete\(5\)"),
        (spaces.Discrete(5), np.array([-1, 2]), r"observation is \[-1\], outside"),
        (spaces.MultiDiscrete([2, 3]), np.array([[1, 2], [1, 3]]), r"observation is \[1, 3\], outside"),
        (spaces.Box(-1, 1, (3,)), np.zeros((3, 3)), "shape"),
        (spaces.Dict({"x": spaces.Discrete(2)}), ({"x": 1},), "got 1 observations, expected 2"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(space: spaces.Space[Any], batch: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        observations_of(space, "Test").batch(batch, 2)


def test_only_a_box_has_bounds_to_pass() -> None:
    assert [observations_of(space, "Test").bounded for space in (spaces.Discrete(3), BOX, NESTED)] == [
        False,
        True,
        True,
    ]
    assert not observations_of(spaces.Box(-np.inf, np.inf, (2,)), "Test").bounded


def test_parts_that_are_no_numbers_are_left_out() -> None:
    space = spaces.Dict({"mission": spaces.Text(10), "x": spaces.Box(0, 1, (2,)), "y": spaces.Discrete(2)})
    observations = observations_of(space, "Test")
    assert observations.left_out == ("observation['mission']: Text",)
    np.testing.assert_array_equal(observations.one({"mission": "go", "x": [0.5, 1.0], "y": 1}), [0.5, 1.0, 0, 1])
    with pytest.raises(EnvError, match=r"'Test' has no numeric observations \(observation: Text\)"):
        observations_of(spaces.Text(10), "Test")


class Strange(spaces.Space[Any]):
    """A space of the user's own."""


@pytest.mark.parametrize(
    ("space", "part", "way_out"),
    [
        (spaces.Sequence(BOX), "observation: Sequence", "TransformObservation"),
        (spaces.Dict({"n": spaces.Graph(BOX, None), "x": BOX}), r"observation\['n'\]: Graph", r"\(env, \['x'\]\)"),
        (spaces.Dict({"n": spaces.Dict({"m": Strange()})}), r"observation\['n'\]\['m'\]: Strange", "Transform"),
        (spaces.Tuple([BOX, spaces.OneOf([BOX, BOX])]), r"observation\[1\]: OneOf", r"\(env, \[0\]\)"),
        (Strange(), "observation: Strange", "TransformObservation"),
    ],
)
def test_a_part_that_cannot_be_translated_is_named_with_a_way_out(space: Any, part: str, way_out: str) -> None:
    with pytest.raises(EnvError, match=f"'Test' has {part}.*{way_out}"):
        observations_of(space, "Test")


class Showing(gymnasium.Env[Any, Any]):
    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space


def test_the_suggested_wrappers_work() -> None:
    """FilterObservation on a Dict and on a Tuple, TransformObservation on anything."""
    from gymnasium.wrappers import FilterObservation, TransformAction, TransformObservation

    in_dict = FilterObservation(Showing(spaces.Dict({"n": spaces.Sequence(BOX), "x": BOX})), ["x"])
    in_tuple = FilterObservation(Showing(spaces.Tuple([BOX, spaces.Sequence(BOX)])), [0])
    transformed: Any = TransformObservation(
        Showing(spaces.Sequence(BOX)), lambda obs: np.zeros(3), spaces.Box(0, 1, (3,))
    )
    for env, size in [(in_dict, 2), (in_tuple, 2), (transformed, 3)]:
        assert observations_of(env.observation_space, "Test").size == size
    acting: Any = TransformAction(Showing(BOX), lambda action: action, spaces.Discrete(3))
    assert actions_of(acting.action_space, "Test").counts == (3,)


@pytest.mark.parametrize(
    ("space", "same", "action", "expected"),
    [
        (spaces.Discrete(3), light.Discrete(3), [2, 0], [2, 0]),
        (spaces.Discrete(3, start=-1), light.Discrete(3), [2, 0], [1, -1]),
        (spaces.MultiDiscrete([2, 3]), light.MultiDiscrete((2, 3)), [[1, 2], [0, 0]], [[1, 2], [0, 0]]),
        (
            spaces.MultiDiscrete([[2], [3]], start=[[5], [-1]]),
            light.MultiDiscrete((2, 3)),
            [[1, 2], [0, 0]],
            [[[6], [1]], [[5], [-1]]],
        ),
        (spaces.MultiBinary(2), light.MultiDiscrete((2, 2)), [[1, 0], [0, 1]], [[1, 0], [0, 1]]),
        (spaces.Box(-1, 1, (2, 1)), light.Box(-1, 1, 2), [[0.5, -1], [1, 0]], [[[0.5], [-1]], [[1], [0]]]),
        (spaces.Box(0, 1, (), np.float64), light.Box(0, 1), [[0.25], [1.0]], [0.25, 1.0]),
        (spaces.Box(0, 9, (1,), np.int32), light.Box(0, 9, 1), [[8.7], [9.2]], [[9], [9]]),
        (spaces.Box(0, 0.1, (1,), np.float64), light.Box(0, 0.1, 1), [[0.05], [0.1]], [[0.05], [0.1]]),
    ],
    ids=str,
)
def test_actions_become_what_the_environment_expects(space: Any, same: light.Space, action: Any, expected: Any) -> None:
    actions = actions_of(space, "Test")
    assert actions.space == same
    dtype = np.float32 if isinstance(same, light.Box) else np.int32
    native = actions.native(np.asarray(action, dtype))
    np.testing.assert_allclose(native, expected, rtol=1e-6)
    batched = batch_space(space, 2)
    assert native.shape == batched.shape
    assert all(np.asarray(one) in space for one in iterate(batched, native)), "also after rounding from float32"
    for one in iterate(batch_space(space, 50), actions.native(actions.random(50, np.random.default_rng(0)))):
        assert np.asarray(one) in space


def test_actions_in_a_dict_are_refused() -> None:
    with pytest.raises(EnvError, match=r"'Test' has actions Dict \(action\['go'\]: Box\).*TransformAction"):
        actions_of(spaces.Dict({"go": BOX}), "Test")
    with pytest.raises(EnvError, match="has no actions"):
        actions_of(spaces.Box(0, 1, (0,)), "Test")
