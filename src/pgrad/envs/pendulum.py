"""Pendulum-v1: swing a rod up by a torque at its hinge and hold it there, spending little.

Gymnasium's equations, which name no source: a rod hinged at its end, integrated by semi-implicit Euler steps in
float64. Gymnasium rounds the torque's share to float32 where the action is float32; here it stays float64. The angle
grows from turn to turn and is wrapped only in the cost, as there.
"""

from typing import NamedTuple

from pgrad.kernels.fast_math import PI, sin_cos, wrap_angle
from pgrad.kernels.random import uniform
from pgrad.spaces import Box

PendulumState = tuple[float, float]  # θ [rad, 0 = upright], θ̇ [rad/s]


class Pendulum(NamedTuple):
    """Physical parameters, with Gymnasium's values. The action is the torque."""

    gravity: float = 10.0  # m/s²
    mass: float = 1.0  # kg
    length: float = 1.0  # m, of the rod
    max_torque: float = 2.0  # N m, either way
    max_speed: float = 8.0  # rad/s, either way
    time_step: float = 0.05  # s
    speed_cost: float = 0.1  # of θ̇², against 1 for θ²
    torque_cost: float = 0.001  # of the torque squared
    start_angle: float = PI  # rad, it starts uniform within ± this
    start_speed: float = 1.0  # rad/s, uniform within ± this

    @property
    def observation_space(self) -> Box:
        """Cosine and sine of the angle, and the speed."""
        return Box((-1.0, -1.0, -self.max_speed), (1.0, 1.0, self.max_speed))

    @property
    def action_space(self) -> Box:
        """The torque."""
        return Box(-self.max_torque, self.max_torque, 1)

    @property
    def max_episode_steps(self) -> int:
        """Gymnasium's time limit."""
        return 200

    def reset(self, key: int) -> PendulumState:
        """Draw angle and speed uniformly within their ranges."""
        return (
            uniform(key, 0, -self.start_angle, self.start_angle),
            uniform(key, 1, -self.start_speed, self.start_speed),
        )

    def step(self, state: PendulumState, action: tuple[float], key: int) -> tuple[PendulumState, float, bool]:
        """Take an Euler step. Reward -(θ² + 0.1 θ̇² + 0.001 torque²) of the state before it; never terminal."""
        angle, speed = state
        torque = min(max(action[0], -self.max_torque), self.max_torque)
        error = wrap_angle(angle)
        reward = -(error * error + self.speed_cost * (speed * speed) + self.torque_cost * (torque * torque))
        sine, _ = sin_cos(angle)
        weight = 3.0 * self.gravity / (2.0 * self.length) * sine
        drive = 3.0 / (self.mass * (self.length * self.length)) * torque
        speed = min(max(speed + (weight + drive) * self.time_step, -self.max_speed), self.max_speed)
        return (angle + speed * self.time_step, speed), reward, False

    def observe(self, state: PendulumState) -> tuple[float, float, float]:
        """Return (cos θ, sin θ, θ̇)."""
        sine, cosine = sin_cos(state[0])
        return cosine, sine, state[1]
