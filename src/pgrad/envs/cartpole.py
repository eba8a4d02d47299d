"""CartPole-v1: keep a pole upright on a cart by pushing the cart left (action 0) or right (action 1).

The physics are those of Barto, Sutton and Anderson (1983) with the equations corrected by Florian (2007), integrated by
explicit Euler steps in float64, operation by operation in Gymnasium's order.
"""

import math
from typing import NamedTuple

from pgrad.kernels.fast_math import sin_cos
from pgrad.kernels.random import uniform
from pgrad.spaces import Box, Discrete

CartPoleState = tuple[float, float, float, float]  # x [m], ẋ [m/s], θ [rad, 0 = upright], θ̇ [rad/s]


class CartPole(NamedTuple):
    """Physical parameters, with Gymnasium's values."""

    gravity: float = 9.8  # m/s²
    cart_mass: float = 1.0  # kg
    pole_mass: float = 0.1  # kg
    half_length: float = 0.5  # m, from the hinge to the pole's centre of mass
    force: float = 10.0  # N, of one push
    time_step: float = 0.02  # s
    position_limit: float = 2.4  # m, either side
    angle_limit: float = 12 * 2 * 3.141592653589793 / 360  # rad, either side
    start_range: float = 0.05  # each state variable starts uniform within ± this

    @property
    def observation_space(self) -> Box:
        """The state, up to twice the limits; speeds are unbounded."""
        high = (2 * self.position_limit, math.inf, 2 * self.angle_limit, math.inf)
        return Box([-bound for bound in high], high)

    @property
    def action_space(self) -> Discrete:
        """Two pushes."""
        return Discrete(2)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the two pushes."""
        return ("left", "right")

    @property
    def max_episode_steps(self) -> int:
        """Gymnasium's time limit."""
        return 500

    @property
    def reward_threshold(self) -> float:
        """The mean return that counts as solved."""
        return 475.0

    @property
    def max_return(self) -> float:
        """One for each step of an episode that reaches the time limit."""
        return 500.0

    def reset(self, key: int) -> CartPoleState:
        """Draw all four state variables uniformly within ± start_range."""
        b = self.start_range
        return uniform(key, 0, -b, b), uniform(key, 1, -b, b), uniform(key, 2, -b, b), uniform(key, 3, -b, b)

    def step(self, state: CartPoleState, action: int, key: int) -> tuple[CartPoleState, float, bool]:
        """Take an Euler step under the chosen push. Reward 1 per step; terminal beyond a limit."""
        x, x_dot, theta, theta_dot = state
        force = self.force if action == 1 else -self.force
        mass = self.pole_mass + self.cart_mass
        moment = self.pole_mass * self.half_length
        sine, cosine = sin_cos(theta)
        push = (force + moment * (theta_dot * theta_dot) * sine) / mass
        theta_acc = (self.gravity * sine - cosine * push) / (
            self.half_length * (4.0 / 3.0 - self.pole_mass * (cosine * cosine) / mass)
        )
        x_acc = push - moment * theta_acc * cosine / mass
        x = x + self.time_step * x_dot
        x_dot = x_dot + self.time_step * x_acc
        theta = theta + self.time_step * theta_dot
        theta_dot = theta_dot + self.time_step * theta_acc
        terminated = abs(x) > self.position_limit or abs(theta) > self.angle_limit
        return (x, x_dot, theta, theta_dot), 1.0, terminated

    def observe(self, state: CartPoleState) -> CartPoleState:
        """Return the whole state."""
        return state
