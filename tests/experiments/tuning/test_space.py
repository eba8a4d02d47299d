"""What a search draws from: ranges and choices, however they are written."""

from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.config.resolve import resolve
from pgrad.errors import ConfigError
from pgrad.experiments.tuning.space import Between, Choices, domain, domains, drawn, space_for

RNG = np.random.default_rng


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("learning_rate", "1e-4..1e-2", Between(1e-4, 1e-2, False)),
        ("num_envs", "4..64", Between(4, 64, True)),
        ("num_envs", "4|8|16", Choices((4, 8, 16))),
        ("num_envs", [4, "8"], Choices((4, 8))),
        ("num_envs", 8, Choices((8,))),
        ("hidden", "64|64,64|none", Choices(((64,), (64, 64), ()))),
        ("hidden", [[64], [64, 64]], Choices(((64,), (64, 64)))),
        ("hidden", [64, 64], Choices(((64, 64),))),
        ("squash", "true|false", Choices((True, False))),
        ("max_grad_norm", "0.5|none", Choices((0.5, None))),
        ("activation", "relu", Choices(("relu",))),
    ],
    ids=str,
)
def test_a_domain_is_a_range_choices_or_one_value(name: str, values: Any, expected: Any) -> None:
    assert domain(name, values) == expected
    assert domain(name, expected.to_json()) == expected


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("learnig_rate", "1..2", "unknown setting 'learnig_rate' in the space: did you mean 'learning_rate'?"),
        ("seeds", 3, "'seeds' is not a setting that a search draws"),
        ("total_steps", 3, "'total_steps' is not a setting that a search draws"),
        ("learning_rate", "1e-2..1e-4", "learning_rate: the range 1e-2..1e-4 must rise"),
        ("learning_rate", "-1..1", "learning_rate must be positive and finite, not -1.0"),
        ("activation", "tanh..relu", "activation has no range like tanh..relu: give choices, such as a|b"),
        ("squash", "false..true", "squash has no range like false..true"),
        ("num_envs", "4|many", "num_envs must be an integer, not 'many'"),
        ("num_envs", [], "num_envs has no choices in the space"),
    ],
    ids=str,
)
def test_a_domain_that_is_none_is_refused(name: str, values: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        domain(name, values)
    assert message in str(caught.value)


def test_all_domains_that_are_wrong_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        domains({"gama": 1, "discount": "0.9|7", "num_envs": "2..1"})
    assert len(caught.value.problems) == 3


def test_wide_ranges_are_log_uniform_and_narrow_ones_uniform() -> None:
    """Half of the draws lie under the middle, of the logarithms or of the numbers; 4 standard errors of 4,000 draws."""
    for text, middle in (("1e-4..1e-2", 1e-3), ("0.2..1", 0.6), ("0..1", 0.5)):
        one = domain("damping", text)
        rng = RNG(0)
        draws = np.array([one.draw(rng) for _ in range(4000)])
        assert abs((draws < middle).mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
        low, high = map(float, text.split(".."))
        assert draws.min() >= low and draws.max() <= high
        assert all(float(f"{draw:.3g}") == draw for draw in draws)


def test_integers_are_drawn_as_such_and_reach_both_ends() -> None:
    one, rng = domain("num_epochs", "1..5"), RNG(0)
    draws = [one.draw(rng) for _ in range(300)]
    assert set(draws) == {1, 2, 3, 4, 5} and all(isinstance(draw, int) for draw in draws)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_the_default_space_has_settings_of_its_own_for_every_algorithm(env_id: str, algorithm: str) -> None:
    """Every draw is a configuration (resolve checks it), and each setting takes more than one value."""
    env, base = pgrad.make(env_id), resolve(env_id, algorithm)
    space = space_for(base, env, {})
    trials = [drawn(space, base, 0, trial) for trial in range(40)]
    assert trials[0] == base
    for name in space:
        assert len({getattr(trial, name) for trial in trials[1:]}) > 1, name
    assert ("initial_std" in space) == (env_id == "Pendulum-v1")
    assert ("clip_epsilon" in space) == (algorithm == "ppo")
    assert ("learning_rate" in space) == (algorithm not in ("natural", "trpo"))
    untouched = {name for name in vars(base) if name not in space}
    assert all(getattr(trial, name) == getattr(base, name) for trial in trials for name in untouched)


def test_a_trial_is_a_function_of_seed_and_index() -> None:
    base = resolve("CartPole-v1", "ppo")
    space = space_for(base, pgrad.make("CartPole-v1"), {})
    assert drawn(space, base, 3, 7) == drawn(space, base, 3, 7)
    assert len({drawn(space, base, seed, index) for seed in range(3) for index in (1, 2, 3)}) == 9


def test_a_trial_has_the_same_values_in_a_space_that_holds_more() -> None:
    base = resolve("Pendulum-v1", "ppo")
    few, more = ({**space_for(base, pgrad.make(env_id), {})} for env_id in ("CartPole-v1", "Pendulum-v1"))
    assert few.keys() < more.keys()
    for index in range(1, 10):
        narrow, wide = (drawn(space, base, 5, index) for space in (few, more))
        assert {name: getattr(narrow, name) for name in few} == {name: getattr(wide, name) for name in few}


def test_what_contradicts_itself_is_drawn_again() -> None:
    base = resolve("CartPole-v1", "ppo")
    space = {"num_minibatches": Choices((1, 2)), "num_epochs": Choices((1, 2))}
    drawn_pairs = {(c.num_minibatches, c.num_epochs) for c in (drawn(space, base, 0, index) for index in range(1, 60))}
    assert drawn_pairs == {(1, 2), (2, 1), (2, 2)}
    never = {"num_minibatches": Choices((1,)), "num_epochs": Choices((1,))}
    with pytest.raises(ConfigError, match="no settings that fit together in 1000 draws from the space; the last: clip"):
        drawn(never, base, 0, 1)
