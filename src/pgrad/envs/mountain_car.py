"""MountainCar-v0 and MountainCarContinuous-v0: a car too weak for the hill has to swing up by going back first.

Moore's (1990) car in a valley of the shape sin 3x, with Sutton's (1996) equations of motion; Gymnasium credits the one
with a continuous force to Martin H., Schaul and de Broissia. Units are arbitrary, time counts in steps. Gymnasium
rounds the state of the continuous one to float32 at every step; here both keep float64 (2e-5 apart after 999 steps).
"""

from typing import NamedTuple

from pgrad.kernels.fast_math import sin_cos
from pgrad.kernels.jit import both
from pgrad.kernels.random import uniform
from pgrad.spaces import Box, Discrete

CarState = tuple[float, float]  # x (the bottom is at -π/6), ẋ per step


class MountainCar(NamedTuple):
    """Physical parameters, with Gymnasium's values. Actions push left, not at all, or right."""

    force: float = 0.001  # velocity per step, of one push
    gravity: float = 0.0025  # velocity per step, where the hill is steepest
    min_position: float = -1.2  # where a wall stops the car
    max_position: float = 0.6
    max_speed: float = 0.07  # per step
    goal_position: float = 0.5
    goal_velocity: float = 0.0  # at least this fast at the goal
    start_low: float = -0.6  # it starts at rest, uniform from here …
    start_high: float = -0.4  # … to here

    @property
    def observation_space(self) -> Box:
        """Position and velocity."""
        return Box((self.min_position, -self.max_speed), (self.max_position, self.max_speed))

    @property
    def action_space(self) -> Discrete:
        """Three pushes."""
        return Discrete(3)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the three pushes."""
        return ("left", "none", "right")

    @property
    def max_episode_steps(self) -> int:
        """Gymnasium's time limit."""
        return 200

    @property
    def reward_threshold(self) -> float:
        """The mean return that counts as solved."""
        return -110.0

    def reset(self, key: int) -> CarState:
        """Start at rest, the position uniform between start_low and start_high."""
        return uniform(key, 0, self.start_low, self.start_high), 0.0

    def step(self, state: CarState, action: int, key: int) -> tuple[CarState, float, bool]:
        """Roll for one step. Reward -1 for every step; terminal at the goal."""
        after = roll(self, state, self.force * (float(action) - 1.0))
        return after, -1.0, at_goal(self, after)


class MountainCarContinuous(NamedTuple):
    """Physical parameters, with Gymnasium's values. The action is a force in [-1, 1]."""

    power: float = 0.0015  # velocity per step, of force 1
    gravity: float = 0.0025  # velocity per step, where the hill is steepest
    min_position: float = -1.2  # where a wall stops the car
    max_position: float = 0.6
    max_speed: float = 0.07  # per step
    goal_position: float = 0.45
    goal_velocity: float = 0.0  # at least this fast at the goal
    start_low: float = -0.6  # it starts at rest, uniform from here …
    start_high: float = -0.4  # … to here
    goal_reward: float = 100.0
    force_cost: float = 0.1  # of the force squared, each step

    @property
    def observation_space(self) -> Box:
        """Position and velocity."""
        return Box((self.min_position, -self.max_speed), (self.max_position, self.max_speed))

    @property
    def action_space(self) -> Box:
        """The force."""
        return Box(-1.0, 1.0, 1)

    @property
    def max_episode_steps(self) -> int:
        """Gymnasium's time limit."""
        return 999

    @property
    def reward_threshold(self) -> float:
        """The mean return that counts as solved."""
        return 90.0

    def reset(self, key: int) -> CarState:
        """Start at rest, the position uniform between start_low and start_high."""
        return uniform(key, 0, self.start_low, self.start_high), 0.0

    def step(self, state: CarState, action: tuple[float], key: int) -> tuple[CarState, float, bool]:
        """Roll for one step. Reward goal_reward at the goal, less the cost of the force; terminal at the goal.

        As in Gymnasium, a force beyond the bounds is clipped in its effect but not in its cost.
        """
        force = min(max(action[0], -1.0), 1.0)
        after = roll(self, state, self.power * force)
        terminated = at_goal(self, after)
        reward = (self.goal_reward if terminated else 0.0) - self.force_cost * (action[0] * action[0])
        return after, reward, terminated


@both
def roll(car: MountainCar | MountainCarContinuous, state: CarState, push: float) -> CarState:
    """Return the state one step later under a push; the wall on the left stops the car."""
    position, velocity = state
    _, slope = sin_cos(3.0 * position)
    velocity = min(max(velocity + push - car.gravity * slope, -car.max_speed), car.max_speed)
    position = min(max(position + velocity, car.min_position), car.max_position)
    stopped = (position == car.min_position) & (velocity < 0.0)
    return position, 0.0 if stopped else velocity


@both
def at_goal(car: MountainCar | MountainCarContinuous, state: CarState) -> bool:
    """Return True if the car has reached the goal fast enough."""
    return (state[0] >= car.goal_position) & (state[1] >= car.goal_velocity)
