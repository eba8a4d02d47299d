"""A robot arm in a horizontal plane: seven links, a motor at each joint, and a target for the tip to reach.

No table could hold it: its angles in whole degrees alone would make 360⁷ ≈ 7.8e17 rows, one for each posture.

The links are rigid uniform rods. Their accelerations come from the articulated-body algorithm, O(n) for n links
(Featherstone 2008, Rigid Body Dynamics Algorithms, chapter 7), written for the plane; they are integrated by the
classical fourth-order method of Runge and Kutta. The links pass over one another, and the joints turn without end.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pgrad.envs.robot_arm_image import draw
from pgrad.errors import EnvError
from pgrad.kernels.fast_math import sin_cos
from pgrad.kernels.jit import both, compiled_as
from pgrad.kernels.random import uniform
from pgrad.spaces import Box

F = TypeVar("F", bound=Callable[..., Any])

Floats = tuple[float, ...]
Point = tuple[float, float]

JOINTS = 7


class Link(NamedTuple):
    """A uniform rod, and the joint at its inner end."""

    length: float = 0.15  # m
    mass: float = 0.3  # kg
    rotor_inertia: float = 0.02  # kg·m², of the motor behind its gear: as the joint feels it
    damping: float = 0.05  # N·m·s/rad, at the joint
    torque_limit: float = 0.5  # N·m, either way


def unrolled(function: F) -> F:
    """Let compiled code call a recursion over tuples: each length becomes a function of its own."""

    @functools.wraps(function)
    def choose(*types: Any) -> Any:
        return function

    compiled_as(function)(choose)
    return function


@unrolled
def joint_points(links: Any, angles: Any, angle: float, x: float, y: float) -> tuple[Point, ...]:
    """Return the joints' positions from (x, y) on, the tip last; `angle` is the previous link's, from the x-axis."""
    if len(angles) == 0:
        return ((x, y),)
    angle = angle + angles[0]
    sine, cosine = sin_cos(angle)
    length = links[0].length
    return ((x, y),) + joint_points(links[1:], angles[1:], angle, x + length * cosine, y + length * sine)


@both
def tip_from_target(links: Any, state: Floats) -> Point:
    """Return the vector from the target to the tip [m]."""
    x, y = joint_points(links, state[:7], 0.0, 0.0, 0.0)[7]
    return x - state[14], y - state[15]


@unrolled
def inward(links: Any, angles: Any, velocities: Any, action: Any, angle: float, spin: float) -> tuple[Floats, Any]:
    """Return the articulated inertia of the arm from its first joint on, and each link's response, tip to base.

    If the first joint has the acceleration a [m/s²] and the link before it the angular acceleration α [rad/s²], then
    force f [N] and moment n [N·m] through the joint are

        n = J α + h·a + p,    f = h α + A a + b    (A symmetric).

    Returns (J, hx, hy, Axx, Axy, Ayy, p, bx, by), and for each link (s, r, gx, gy, ex, ey, cx, cy): its own angular
    acceleration is s + r α - g·a; its outer end accelerates by e for each unit of that, and by c beside it.
    """
    if len(links) == 0:
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), ()
    link = links[0]
    angle, spin = angle + angles[0], spin + velocities[0]
    beyond, responses = inward(links[1:], angles[1:], velocities[1:], action[1:], angle, spin)
    j, hx, hy, xx, xy, yy, p, bx, by = beyond

    sine, cosine = sin_cos(angle)
    ex, ey = -link.length * sine, link.length * cosine
    cx, cy = -(spin * spin) * ey, (spin * spin) * ex
    # What is beyond the outer end, as felt at the inner one ...
    bx, by = bx + xx * cx + xy * cy, by + xy * cx + yy * cy
    p = p + hx * cx + hy * cy + ex * bx + ey * by
    ux, uy = hx + xx * ex + xy * ey, hy + xy * ex + yy * ey
    j = j + hx * ex + hy * ey + ux * ex + uy * ey
    # ... the rod itself, with its centre halfway ...
    half = 0.5 * link.mass
    j = j + link.mass * (link.length * link.length) / 3.0
    hx, hy = ux + half * ex, uy + half * ey
    xx, yy = xx + link.mass, yy + link.mass
    bx, by = bx + half * cx, by + half * cy
    # ... and the joint, which passes on a moment of torque - rotor_inertia · (its own angular acceleration).
    torque = link.torque_limit * action[0] - link.damping * velocities[0]
    inverse = 1.0 / (j + link.rotor_inertia)
    s, r, gx, gy = (torque - p) * inverse, link.rotor_inertia * inverse, hx * inverse, hy * inverse
    felt = (j * r, hx * r, hy * r, xx - hx * gx, xy - hx * gy, yy - hy * gy, p + j * s, bx + hx * s, by + hy * s)
    return felt, ((s, r, gx, gy, ex, ey, cx, cy),) + responses


@unrolled
def outward(responses: Any, before: float, ax: float, ay: float) -> Floats:
    """Return the joints' angular accelerations, outwards; `before` is the previous link's, (ax, ay) that of its end."""
    if len(responses) == 0:
        return ()
    s, r, gx, gy, ex, ey, cx, cy = responses[0]
    own = s + r * before - gx * ax - gy * ay
    return (own - before,) + outward(responses[1:], own, ax + own * ex + cx, ay + own * ey + cy)


@both
def joint_accelerations(links: Any, gravity: float, angles: Any, velocities: Any, action: Any) -> Floats:
    """Return q̈ [rad/s²] for any number of links: angles q [rad], velocities q̇ [rad/s], action · torque_limit [N·m].

    It solves M(q) q̈ + C(q, q̇) q̇ + G(q) = torque - damping · q̇, where M includes the rotors' inertia on its diagonal.
    Gravity, towards -y, is the same as a base that accelerates towards +y.
    """
    _, responses = inward(links, angles, velocities, action, 0.0, 0.0)
    return outward(responses, 0.0, 0.0, gravity)


@unrolled
def moved(values: Any, rates: Any, time: float) -> Floats:
    """Return values + time · rates."""
    if len(values) == 0:
        return ()
    return (values[0] + time * rates[0],) + moved(values[1:], rates[1:], time)


@unrolled
def moved_by_four(values: Any, k1: Any, k2: Any, k3: Any, k4: Any, time: float) -> Floats:
    """Return values + time · (k₁ + 2 k₂ + 2 k₃ + k₄) / 6."""
    if len(values) == 0:
        return ()
    mean = (k1[0] + 2.0 * (k2[0] + k3[0]) + k4[0]) / 6.0
    return (values[0] + time * mean,) + moved_by_four(values[1:], k1[1:], k2[1:], k3[1:], k4[1:], time)


@both
def runge_kutta(links: Any, gravity: float, q: Any, v: Any, action: Any, time: float) -> tuple[Floats, Floats]:
    """Return angles and velocities after `time` seconds under one action.

    The error of a step is O(time⁵): at 0.025 s below 1e-3 rad, even under full torques that change side at random.
    """
    half = 0.5 * time
    a1 = joint_accelerations(links, gravity, q, v, action)
    v2 = moved(v, a1, half)
    a2 = joint_accelerations(links, gravity, moved(q, v, half), v2, action)
    v3 = moved(v, a2, half)
    a3 = joint_accelerations(links, gravity, moved(q, v2, half), v3, action)
    v4 = moved(v, a3, time)
    a4 = joint_accelerations(links, gravity, moved(q, v3, time), v4, action)
    return moved_by_four(q, v, v2, v3, v4, time), moved_by_four(v, a1, a2, a3, a4, time)


@unrolled
def sum_of_squares(values: Any) -> float:
    """Return Σ values²."""
    if len(values) == 0:
        return 0.0
    first: float = values[0]
    return first * first + sum_of_squares(values[1:])


@unrolled
def cosines_and_sines(angles: Any) -> tuple[Floats, Floats]:
    """Return the cosines, and the sines."""
    if len(angles) == 0:
        return (), ()
    sine, cosine = sin_cos(angles[0])
    cosines, sines = cosines_and_sines(angles[1:])
    return (cosine,) + cosines, (sine,) + sines


@unrolled
def scaled(values: Any, factor: float) -> Floats:
    """Return factor · values."""
    if len(values) == 0:
        return ()
    return (factor * values[0],) + scaled(values[1:], factor)


# The motors grow stronger towards the base, which has more to carry.
LINKS = tuple(Link(damping=0.07 * k, torque_limit=0.7 * k) for k in range(JOINTS, 0, -1))


class RobotArm(NamedTuple):
    """Physical parameters. The base is at (0, 0) m.

    State: 7 joint angles [rad, each from the link before it, the first from the x-axis], 7 joint velocities [rad/s],
    the target's x and y [m]. Action: the torque of each motor as a share of its limit, in -1 … 1.

    Mean returns to compare with: -181 for no torque at all, -148 for actions uniform on -1 … 1, and -25 for a spring of
    60 N/m between tip and target, acting through the transposed Jacobian, with brakes of 0.3 · torque_limit per rad/s.
    """

    links: tuple[Link, ...] = LINKS  # 7, from the base to the tip
    gravity: float = 0.0  # m/s², towards -y; 0: the plane is horizontal
    time_step: float = 0.025  # s, of an action and of the integration
    start_range: float = 0.5  # rad; every joint starts at rest, uniform within ± this
    nearest_target: float = 0.2  # m, from the base
    farthest_target: float = 0.95  # m, from the base; the arm reaches 1.05
    control_cost: float = 0.01  # weight of Σ action² in the reward
    velocity_unit: float = 10.0  # rad/s, observed as 1

    @property
    def observation_space(self) -> Box:
        """Cosines and sines are bounded; so are the rest in practice, but nothing holds them."""
        return Box((-1.0,) * 14 + (-math.inf,) * 11, (1.0,) * 14 + (math.inf,) * 11)

    @property
    def action_space(self) -> Box:
        """A share of its torque limit for each motor."""
        return Box(-1.0, 1.0, JOINTS)

    @property
    def max_episode_steps(self) -> int:
        """4 s at the time step given above."""
        return 160

    @property
    def render_fps(self) -> int:
        """Frames per second that show it in real time."""
        return round(1.0 / self.time_step)

    def reset(self, key: int) -> Floats:
        """Return the arm at rest, angles uniform within ± start_range, the target uniform over its ring."""
        b = self.start_range
        near, far = self.nearest_target * self.nearest_target, self.farthest_target * self.farthest_target
        radius = math.sqrt(uniform(key, 7, near, far))
        sine, cosine = sin_cos(uniform(key, 8, -math.pi, math.pi))
        angles = (
            uniform(key, 0, -b, b),
            uniform(key, 1, -b, b),
            uniform(key, 2, -b, b),
            uniform(key, 3, -b, b),
            uniform(key, 4, -b, b),
            uniform(key, 5, -b, b),
            uniform(key, 6, -b, b),
        )
        return angles + (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0) + (radius * cosine, radius * sine)

    def step(self, state: Floats, action: Floats, key: int) -> tuple[Floats, float, bool]:
        """Apply the torques for one time step. Reward: -|tip - target| [m] after it, less control_cost · Σ action².

        Never terminal: an arm that is there has to stay there until the time limit.
        """
        angles, velocities = runge_kutta(self.links, self.gravity, state[:7], state[7:14], action, self.time_step)
        after = angles + velocities + state[14:]
        dx, dy = tip_from_target(self.links, after)
        reward = -math.sqrt(dx * dx + dy * dy) - self.control_cost * sum_of_squares(action)
        return after, reward, False

    def observe(self, state: Floats) -> Floats:
        """Return cos and sin of the joint angles, velocities / velocity_unit, target [m], tip - target [m]."""
        cosines, sines = cosines_and_sines(state[:7])
        velocities = scaled(state[7:14], 1.0 / self.velocity_unit)
        return cosines + sines + velocities + state[14:] + tip_from_target(self.links, state)

    def joint_positions(self, state: Floats) -> npt.NDArray[np.float64]:
        """Return [8, 2] in metres: the joints from the base outwards, and the tip."""
        if len(state) != 2 * JOINTS + 2:
            raise EnvError(
                f"a state of the robot arm has {2 * JOINTS + 2} numbers (`reset` returns one), not {len(state)}"
            )
        return np.array(joint_points(self.links, state[:7], 0.0, 0.0, 0.0))

    def render(self, state: Floats) -> npt.NDArray[np.uint8]:
        """Return an image from above, [480, 480, 3]: x to the right, y upwards, and the circle of its reach."""
        reach = sum(link.length for link in self.links)
        return draw(self.joint_positions(state), state[14:], reach, self.nearest_target, self.farthest_target)
