"""Acrobot-v1: swing the tip of a hanging double pendulum up by a torque at the joint between its links.

The system of Sutton (1996) with the equations of motion of Sutton and Barto's book, which Gymnasium calls `book`; the
paper prints them without the term in θ̇₁² (Gymnasium's `nips`), though its results were computed with it. One step is
one of Runge and Kutta's fourth order in float64. Where Gymnasium takes the cosine of an angle less π/2, here is a sine,
and functions of θ₁ + θ₂ come from those of the two angles: the same up to rounding. The system is chaotic, so that in a
whole episode rounding does not stay small.
"""

from typing import NamedTuple

from pgrad.kernels.fast_math import PI, sin_cos, wrap_angle
from pgrad.kernels.jit import both
from pgrad.kernels.random import uniform
from pgrad.spaces import Box, Discrete

AcrobotState = tuple[float, float, float, float]  # θ₁ [rad, 0 = down], θ₂ [rad, 0 = straight], θ̇₁, θ̇₂ [rad/s]
Observation = tuple[float, float, float, float, float, float]


class Acrobot(NamedTuple):
    """Physical parameters, with Gymnasium's values."""

    gravity: float = 9.8  # m/s²
    link_length_1: float = 1.0  # m, the link on the fixed hinge
    link_length_2: float = 1.0  # m
    link_mass_1: float = 1.0  # kg
    link_mass_2: float = 1.0  # kg
    centre_1: float = 0.5  # m, from the hinge to the first link's centre of mass
    centre_2: float = 0.5  # m, from the joint to the second link's centre of mass
    inertia_1: float = 1.0  # kg m², about the centre of mass
    inertia_2: float = 1.0  # kg m²
    torque: float = 1.0  # N m, of actions 0 (negative) and 2 (positive)
    max_speed_1: float = 4 * PI  # rad/s, either way
    max_speed_2: float = 9 * PI  # rad/s, either way
    time_step: float = 0.2  # s
    target_height: float = 1.0  # m, of the tip above the hinge
    start_range: float = 0.1  # each state variable starts uniform within ± this

    @property
    def observation_space(self) -> Box:
        """Cosine and sine of θ₁ and of θ₂, and the two speeds."""
        high = (1.0, 1.0, 1.0, 1.0, self.max_speed_1, self.max_speed_2)
        return Box([-bound for bound in high], high)

    @property
    def action_space(self) -> Discrete:
        """Three torques."""
        return Discrete(3)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the three torques."""
        return ("clockwise", "none", "anticlockwise")

    @property
    def max_episode_steps(self) -> int:
        """Gymnasium's time limit."""
        return 500

    @property
    def reward_threshold(self) -> float:
        """The mean return that counts as solved."""
        return -100.0

    def reset(self, key: int) -> AcrobotState:
        """Draw all four state variables uniformly within ± start_range."""
        b = self.start_range
        return uniform(key, 0, -b, b), uniform(key, 1, -b, b), uniform(key, 2, -b, b), uniform(key, 3, -b, b)

    def step(self, state: AcrobotState, action: int, key: int) -> tuple[AcrobotState, float, bool]:
        """Take a Runge-Kutta step. Reward -1; 0 and terminal when the tip is above target_height."""
        theta_1, theta_2, speed_1, speed_2 = state
        torque = self.torque * (float(action) - 1.0)
        h = self.time_step
        a_1, a_2 = accelerations(self, theta_1, theta_2, speed_1, speed_2, torque)
        v_1, v_2 = speed_1 + h / 2 * a_1, speed_2 + h / 2 * a_2
        b_1, b_2 = accelerations(self, theta_1 + h / 2 * speed_1, theta_2 + h / 2 * speed_2, v_1, v_2, torque)
        w_1, w_2 = speed_1 + h / 2 * b_1, speed_2 + h / 2 * b_2
        c_1, c_2 = accelerations(self, theta_1 + h / 2 * v_1, theta_2 + h / 2 * v_2, w_1, w_2, torque)
        z_1, z_2 = speed_1 + h * c_1, speed_2 + h * c_2
        d_1, d_2 = accelerations(self, theta_1 + h * w_1, theta_2 + h * w_2, z_1, z_2, torque)
        theta_1 = wrap_angle(theta_1 + h / 6 * (speed_1 + 2 * v_1 + 2 * w_1 + z_1))
        theta_2 = wrap_angle(theta_2 + h / 6 * (speed_2 + 2 * v_2 + 2 * w_2 + z_2))
        speed_1 = speed_1 + h / 6 * (a_1 + 2 * b_1 + 2 * c_1 + d_1)
        speed_2 = speed_2 + h / 6 * (a_2 + 2 * b_2 + 2 * c_2 + d_2)
        speed_1 = min(max(speed_1, -self.max_speed_1), self.max_speed_1)
        speed_2 = min(max(speed_2, -self.max_speed_2), self.max_speed_2)
        sine_1, cosine_1 = sin_cos(theta_1)
        sine_2, cosine_2 = sin_cos(theta_2)
        height = -self.link_length_1 * cosine_1 - self.link_length_2 * (cosine_1 * cosine_2 - sine_1 * sine_2)
        terminated = height > self.target_height
        return (theta_1, theta_2, speed_1, speed_2), 0.0 if terminated else -1.0, terminated

    def observe(self, state: AcrobotState) -> Observation:
        """Return (cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂)."""
        sine_1, cosine_1 = sin_cos(state[0])
        sine_2, cosine_2 = sin_cos(state[1])
        return cosine_1, sine_1, cosine_2, sine_2, state[2], state[3]


@both
def accelerations(
    bot: Acrobot, theta_1: float, theta_2: float, speed_1: float, speed_2: float, torque: float
) -> tuple[float, float]:
    """Return θ̈₁ and θ̈₂ [rad/s²] in a state under a torque at the joint; d₁, d₂, φ₁, φ₂ as in the book."""
    sine_1, cosine_1 = sin_cos(theta_1)
    sine_2, cosine_2 = sin_cos(theta_2)
    coupling = bot.link_mass_2 * bot.link_length_1 * bot.centre_2
    own_2 = bot.link_mass_2 * bot.centre_2 * bot.centre_2 + bot.inertia_2
    own_1 = bot.link_mass_1 * bot.centre_1 * bot.centre_1 + bot.inertia_1
    d_1 = own_1 + own_2 + bot.link_mass_2 * bot.link_length_1 * bot.link_length_1 + 2 * coupling * cosine_2
    d_2 = own_2 + coupling * cosine_2
    phi_2 = bot.link_mass_2 * bot.centre_2 * bot.gravity * (sine_1 * cosine_2 + cosine_1 * sine_2)
    weight = (bot.link_mass_1 * bot.centre_1 + bot.link_mass_2 * bot.link_length_1) * bot.gravity
    phi_1 = weight * sine_1 + phi_2 - coupling * speed_2 * (speed_2 + 2 * speed_1) * sine_2
    ratio = d_2 / d_1
    acceleration_2 = (torque + ratio * phi_1 - coupling * speed_1 * speed_1 * sine_2 - phi_2) / (own_2 - d_2 * ratio)
    return -(d_2 * acceleration_2 + phi_1) / d_1, acceleration_2
