"""Held noise: that all holds on another seed, and that each check fails where there is nothing to hold."""

import pytest

from pgrad.policies.distributions import GSDE
from pgrad.verify import held_noise
from pgrad.verify.check import MAX_Z
from pgrad.verify.draws import CONTINUOUS
from pgrad.verify.heads import Head
from pgrad.verify.held_noise import FLOAT32, bias, held_noise_checks, successive, weights_drawn

SEED = 3
HEAD = Head("gSDE", CONTINUOUS, GSDE)


def test_all_hold() -> None:
    assert [check for check in held_noise_checks(SEED) if not check.holds] == []


def test_noise_that_is_not_held_so_long_has_no_one_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    made = held_noise.MLPPolicy
    monkeypatch.setattr(held_noise, "MLPPolicy", lambda *args, **named: made(*args, **{**named, "noise_steps": 6}))
    assert weights_drawn(HEAD, SEED)[1] > 100 * FLOAT32


def test_noise_that_is_held_longer_shows_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    made = held_noise.MLPPolicy
    monkeypatch.setattr(held_noise, "MLPPolicy", lambda *args, **named: made(*args, **{**named, "noise_steps": 14}))
    noise, residual = weights_drawn(HEAD, SEED)
    assert residual < FLOAT32
    assert successive(noise) > MAX_Z


def test_the_bias_is_that_of_the_closed_form() -> None:
    """Held, each step's score sees the noise of both: ∂J/∂μ, the larger part of ∇J, comes out twice."""
    assert bias(held=False) < FLOAT32
    assert bias(held=True) == pytest.approx(0.972, abs=1e-3)
