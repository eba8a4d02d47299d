"""Advantages whose decay is read off a function: GAE(λ), n-step advantages, their means, and mistakes in the recursion.

    Â_t = Σ_j d_j δ_{t+j},  δ_t = r_t + γ V(s_{t+1}) - V(s_t)

A mean of n-step advantages has d_j = γ^j c_j with 1 = c_0 ≥ c_1 ≥ … ≥ 0 that do not depend on γ: λ^j for GAE(λ), and 1
for j < n. With the true V any d_j with d_0 = 1 is unbiased; with another V only these are estimates of an advantage.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory
from pgrad.verify import parts, returns
from pgrad.verify.parts import each
from pgrad.verify.probes import estimate, probe, read_weights, with_one_reward
from pgrad.verify.recognition import Psi
from pgrad.verify.zoo import FORWARD, LEAK, STEP, WHOLE, WHY

STEPS = 12  # of the trajectory that is read
GAMMAS = (0.7, 0.9)
EQUAL = 1e-3  # of two c_j: float32 has 6e-8, times a few operations, divided by 0.7^11

OWN_GAMMA = "a γ of its own"

Factors = Callable[[float, int], Floats]


class Decay(NamedTuple):
    """How much the TD error j steps later counts."""

    title: str
    mistake: str  # empty for means of n-step advantages
    why: str
    factors: Factors  # (γ, T) -> d_j, [T]


def read_decays(function: EstimatorFunction, rng: np.random.Generator) -> list[Decay]:
    """Return the decay that a function has if it keeps γ^t, and the one if it drops it; empty if neither is one."""
    if (rows := _weights_of_one_reward(function, rng, STEPS - 1)) is None:
        return []
    decays = (_classified(*read) for read in (_decays(rows, keeps=True), _decays(rows, keeps=False)))
    return [decay for decay in decays if decay is not None]


def psis_of_forward_recursion(function: EstimatorFunction, rng: np.random.Generator) -> tuple[Psi, ...]:
    """Return Ψ_t = δ_t + γλ Ψ_{t-1} with λ read off the function; empty if the first reward has no part in step 1."""
    if (rows := _weights_of_one_reward(function, rng, 0)) is None:
        return ()
    ratios = rows[:, 1] / rows[:, 0] / GAMMAS  # λ, or γλ if γ^t is kept
    found = [float(read[0]) for read in (ratios, ratios / GAMMAS) if np.ptp(read) <= EQUAL and read[0] > EQUAL]
    return tuple(_of_forward_recursion(gae_lambda) for gae_lambda in found)


def _of_forward_recursion(gae_lambda: float) -> Psi:
    def psi(one: Trajectory) -> Floats:
        return returns.recursive(returns.td_errors(one)[::-1], gae_lambda * one.discount)[::-1]

    return Psi(f"GAE(λ={gae_lambda:.4g})", FORWARD, WHY[FORWARD], each(psi), STEP)


def _weights_of_one_reward(function: EstimatorFunction, rng: np.random.Generator, step: int) -> Floats | None:
    """Return the weights of the steps where one reward is 1, others are 0 and V = 0, at the two γ; [2, T].

    For the last reward step t has weight d_{T-1-t}, times γ^t, divided by N = 2. None if there are no such weights, or
    if the function fails where most rewards are 0.
    """
    rows = []
    for gamma in GAMMAS:
        batch = with_one_reward(probe([STEPS, 1], rng, gamma), step)
        try:
            weights = read_weights(estimate(function, batch), batch)
        except EstimatorError:
            return None
        if weights is None or weights[step] == 0:
            return None
        rows.append(weights[:STEPS])
    return np.array(rows)


def _decays(rows: Floats, keeps: bool) -> Floats:
    """Return d_j at the two γ if the function keeps γ^t, or if it drops it; [2, T]."""
    read = rows / np.array([gamma ** np.arange(STEPS) for gamma in GAMMAS]) if keeps else rows
    return np.asarray(read[:, ::-1] / read[:, -1:])


def _classified(first: Floats, other: Floats) -> Decay | None:
    """Return the decay whose factors d_j at the two γ these are, [T] both."""
    powers = [gamma ** np.arange(STEPS) for gamma in GAMMAS]
    fractions = first / powers[0]  # c_j
    same = bool(np.abs(fractions - other / powers[1]).max() <= EQUAL)
    ratios = (float(first[1]), float(other[1]))
    geometric = all(
        np.abs(row - q ** np.arange(STEPS)).max() <= EQUAL for row, q in zip((first, other), ratios, strict=True)
    )
    if same and geometric:
        return _gae(ratios[0] / GAMMAS[0])
    if same and (np.diff(fractions) <= EQUAL).all() and fractions.min() >= -EQUAL:
        fixed = np.round(fractions) if np.abs(fractions - np.round(fractions)).max() <= EQUAL else fractions
        steps = f"{fixed.sum():.0f}-step advantage" if set(fixed) <= {0.0, 1.0} else "a mean of n-step advantages"
        return Decay(steps, "", "", lambda gamma, length: gamma ** np.arange(length) * fixed[:length])
    if geometric and abs(ratios[0] - ratios[1]) <= EQUAL:
        why = (
            "the TD error j steps later counts (γλ)^j, not λ^j: with a V that is not exact, late errors count too much"
        )
        return Decay(f"advantage of decay {ratios[0]:.3g}", "λ without γ", why, _powers(lambda gamma: ratios[0]))
    squares = [ratio / gamma**2 for ratio, gamma in zip(ratios, GAMMAS, strict=True)]
    if geometric and abs(squares[0] - squares[1]) <= EQUAL:
        why = "the TD error j steps later counts (γλ)^j: the recursion multiplies by γλ at each step, not by its square"
        name = "(γλ)² instead of γλ"
        return Decay(f"advantage of decay {squares[0]:.3g} γ²", name, why, _powers(lambda gamma: squares[0] * gamma**2))
    return None


def _gae(gae_lambda: float) -> Decay:
    nearest = round(gae_lambda, 4)
    factor = nearest if abs(nearest - gae_lambda) <= 1e-5 else gae_lambda
    inside = 0 <= factor <= 1
    why = "" if inside else f"λ is {factor:.4g}, and GAE is a mean of n-step advantages for λ in [0, 1] only"
    return Decay(
        f"GAE(λ={factor:.4g})", "" if inside else "λ outside [0, 1]", why, _powers(lambda gamma: gamma * factor)
    )


def _powers(base: Callable[[float], float]) -> Factors:
    return lambda gamma, length: np.asarray(base(gamma) ** np.arange(length))


def advantages(decay: Decay, trajectory: Trajectory) -> Floats:
    """Return Â_t, [T]."""
    factors, errors = decay.factors(trajectory.discount, len(trajectory)), returns.td_errors(trajectory)
    return np.array([factors[: len(errors) - t] @ errors[t:] for t in range(len(errors))])


def psis_of(decay: Decay) -> tuple[Psi, ...]:
    """Return what a function of this decay may multiply the score by: Â_t, Â_t + V(s_t), and Â that leaks."""

    def leaking(trajectory: Trajectory) -> tuple[Floats, float]:
        return returns.td_errors(trajectory), float(decay.factors(trajectory.discount, 2)[1])

    title, mistake, why, _ = decay
    return (
        Psi(title, mistake, why, each(lambda one: advantages(decay, one)), STEP),
        Psi(f"{title} plus V", mistake, why, each(lambda one: advantages(decay, one) + one.values[:-1]), STEP),
        *(Psi(title, mistake or LEAK, why or WHY[LEAK], returns.leaking(leaking, order), STEP) for order in (1, -1)),
    )


# A γ of its own, in a function that does not read V


def psis_of_own_gamma(function: EstimatorFunction, rng: np.random.Generator) -> tuple[Psi, ...]:
    """Return the Ψ of a function that discounts by one number, whatever the problem's γ; empty if it does not."""
    if (rows := _weights_of_one_reward(function, rng, STEPS - 1)) is None:
        return ()
    numbers = [float(d[0, 1]) for d in (_decays(rows, True), _decays(rows, False)) if np.ptp(d[:, 1]) <= EQUAL]
    if np.ptp(rows) <= EQUAL * rows.max():  # γ^t G_t, or G_0
        numbers.append(float(2 * rows.mean()) ** (1 / (STEPS - 1)))
    return tuple(psi for number in numbers if 0 < number < 1 - EQUAL for psi in _of_own_gamma(number))


def _of_own_gamma(number: float) -> tuple[Psi, ...]:
    def own(one: Trajectory) -> Trajectory:
        return dataclasses.replace(one, discount=number)

    def both(one: Trajectory) -> Floats:
        return parts.discounted(own(one)) * returns.reward_to_go(own(one))

    title = f"reward-to-go with γ = {number:.4g}"
    why = f"it discounts by {number:.4g} in every problem: use the problem's γ"
    return (
        Psi(title, OWN_GAMMA, why, each(lambda one: returns.reward_to_go(own(one))), STEP),
        Psi(title, OWN_GAMMA, why, each(both), WHOLE),
        Psi(title, OWN_GAMMA, why, each(lambda one: returns.total_return(own(one))), WHOLE),
    )
