"""The robot arm against mechanics by other routes: energies by quadrature, textbook formulas, complex numbers."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.envs.dynamics import observe, reset, step
from pgrad.envs.robot_arm import Link, RobotArm, joint_accelerations, runge_kutta
from pgrad.errors import EnvError
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in

Floats = npt.NDArray[np.float64]

ARM = RobotArm()
GRAVITY = 9.81

# Gauss and Legendre's points on [0, 1] are exact for the squares that kinetic energy integrates along a rod.
POINTS, WEIGHTS = (np.polynomial.legendre.leggauss(2)[0] + 1) / 2, np.polynomial.legendre.leggauss(2)[1] / 2


@strict
def compiled_all(env: Any, state: Any, action: Any, key: Any) -> Any:
    return reset(env, key), step(env, state, action, key), observe(env, state)


def joints(links: Any, q: Floats) -> npt.NDArray[np.complex128]:
    """The joints and the tip as complex numbers."""
    lengths = np.array([link.length for link in links])
    return np.concatenate([[0], np.cumsum(lengths * np.exp(1j * np.cumsum(q)))])


def mass_points(links: Any, q: Floats) -> list[tuple[float, complex, npt.NDArray[np.complex128]]]:
    """Points that stand for the rods: mass, place, and velocity for a unit of each joint's, a turn about that joint."""
    places, found = joints(links, q), []
    for k, (start, end) in enumerate(pairwise(places)):
        for point, weight in zip(POINTS, WEIGHTS, strict=True):
            place = start + point * (end - start)
            turns = np.where(np.arange(len(links)) <= k, 1j * (place - places[:-1]), 0)
            found.append((weight * links[k].mass, place, turns))
    return found


def mass_matrix(links: Any, q: Floats) -> Floats:
    """The Hessian of the kinetic energy in the joint velocities."""
    rods = sum(mass * (turns.conj()[:, None] * turns).real for mass, _, turns in mass_points(links, q))
    return np.asarray(rods + np.diag([link.rotor_inertia for link in links]))


def potential_energy(links: Any, q: Floats, gravity: float) -> float:
    return float(sum(mass * gravity * place.imag for mass, place, _ in mass_points(links, q)))


def energy(links: Any, q: Floats, v: Floats, gravity: float) -> float:
    return float(v @ mass_matrix(links, q) @ v) / 2 + potential_energy(links, q, gravity)


def angular_momentum(links: Any, q: Floats, v: Floats) -> float:
    """About the base: of the rods, and of the first joint's rotor."""
    rods = sum(mass * (place.conjugate() * (turns @ v)).imag for mass, place, turns in mass_points(links, q))
    return float(rods + links[0].rotor_inertia * v[0])


def slope(function: Any, q: Floats, k: int, width: float = 1e-4) -> Any:
    shift = width * np.eye(len(q))[k]
    return (function(q + shift) - function(q - shift)) / (2 * width)


def lagranges_accelerations(links: Any, gravity: float, q: Floats, v: Floats, torque: Floats) -> Floats:
    """M q̈ + Ṁ q̇ - ∂(½ q̇ᵀM q̇)/∂q + ∂V/∂q = torque - damping · q̇, with derivatives by central differences."""
    slopes = [slope(lambda x: mass_matrix(links, x), q, k) for k in range(len(q))]
    coriolis = sum(slopes[k] @ v * v[k] for k in range(len(q))) - np.array([v @ m @ v for m in slopes]) / 2
    weight = np.array([slope(lambda x: potential_energy(links, x, gravity), q, k) for k in range(len(q))])
    drag = np.array([link.damping for link in links]) * v
    return np.asarray(np.linalg.solve(mass_matrix(links, q), torque - drag - coriolis - weight))


def random_links(rng: np.random.Generator, count: int, **fixed: float) -> tuple[Link, ...]:
    """Links of which no two are alike. With a torque limit of 1 N·m, an action is the torque."""
    scales = Link(0.4, 2.0, 0.05, 0.2, 1.0)
    return tuple(
        Link(*rng.uniform(0.3, 1.0, 5) * scales)._replace(**{"torque_limit": 1.0, **fixed}) for _ in range(count)
    )


def simulated(links: Any, gravity: float, q: Any, v: Any, action: Any, seconds: float, steps: int) -> Any:
    q, v = tuple(q), tuple(v)
    for _ in range(steps):
        q, v = runge_kutta(links, gravity, q, v, tuple(action), seconds / steps)
    return np.array(q), np.array(v)


def state_of(q: Any, v: Any = (0.0,) * 7, target: Any = (0.3, 0.4)) -> tuple[float, ...]:
    return tuple(float(x) for x in (*q, *v, *target))


# Forward dynamics


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rotors", [True, False], ids=["rotors", "no rotors"])
def test_accelerations_are_lagranges(count: int, rotors: bool) -> None:
    rng = np.random.default_rng(count)
    for _ in range(10):
        links = random_links(rng, count, **({} if rotors else {"rotor_inertia": 0.0}))
        q, v, torque = rng.uniform(-3, 3, count), rng.normal(0, 4, count), rng.normal(0, 5, count)
        expected = lagranges_accelerations(links, GRAVITY, q, v, torque)
        found = joint_accelerations(links, GRAVITY, tuple(q), tuple(v), tuple(torque))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_an_action_is_a_share_of_the_torque_limit() -> None:
    rng = np.random.default_rng(0)
    q, v, action = rng.uniform(-1, 1, 7), rng.normal(0, 2, 7), rng.uniform(-1, 1, 7)
    limits = np.array([link.torque_limit for link in ARM.links])
    expected = lagranges_accelerations(ARM.links, 0.0, q, v, action * limits)
    found = joint_accelerations(ARM.links, 0.0, tuple(q), tuple(v), tuple(action))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_two_links_are_the_textbooks() -> None:
    """The planar elbow manipulator of Spong, Hutchinson and Vidyasagar, Robot Modeling and Control, chapter 7."""
    links = (Link(0.4, 2.0, 0.0, 0.0, 1.0), Link(0.3, 1.5, 0.0, 0.0, 1.0))
    (l1, m1), (l2, m2) = (link[:2] for link in links)
    q1, q2, v1, v2, torques = 0.3, 1.1, -2.0, 3.0, (0.7, -0.2)
    i1, i2, c1, c2 = m1 * l1**2 / 12, m2 * l2**2 / 12, l1 / 2, l2 / 2
    d11 = m1 * c1**2 + m2 * (l1**2 + c2**2 + 2 * l1 * c2 * np.cos(q2)) + i1 + i2
    d12 = m2 * (c2**2 + l1 * c2 * np.cos(q2)) + i2
    d22 = m2 * c2**2 + i2
    h = -m2 * l1 * c2 * np.sin(q2)
    g2 = m2 * c2 * GRAVITY * np.cos(q1 + q2)
    g1 = (m1 * c1 + m2 * l1) * GRAVITY * np.cos(q1) + g2
    forces = [torques[0] - (2 * h * v1 * v2 + h * v2**2) - g1, torques[1] + h * v1**2 - g2]
    expected = np.linalg.solve([[d11, d12], [d12, d22]], forces)
    found = joint_accelerations(links, GRAVITY, (q1, q2), (v1, v2), torques)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_link_under_a_constant_torque_is_the_closed_form() -> None:
    link = Link(length=0.5, mass=1.2, rotor_inertia=0.03, damping=0.4, torque_limit=2.0)
    inertia, torque = 1.2 * 0.5**2 / 3 + 0.03, 0.6 * 2.0
    q, v = simulated((link,), 0.0, [0.2], [0.0], [0.6], 1.0, 200)
    settled = 1 - np.exp(-0.4 / inertia)
    np.testing.assert_allclose(v, torque / 0.4 * settled, rtol=1e-8)
    np.testing.assert_allclose(q, 0.2 + torque / 0.4 * (1 - inertia / 0.4 * settled), rtol=1e-8)


# Integration


def test_the_error_falls_with_the_fourth_power_of_the_step() -> None:
    """16 times at each halving; a method of third order would give 8, one of fifth 32."""
    rng = np.random.default_rng(5)
    q, v, action = rng.uniform(-1, 1, 7), rng.normal(0, 2, 7), rng.uniform(-1, 1, 7)
    exact = np.concatenate(simulated(ARM.links, 0.0, q, v, action, 0.5, 1600))
    errors = [
        np.linalg.norm(np.concatenate(simulated(ARM.links, 0.0, q, v, action, 0.5, n)) - exact) for n in (50, 100, 200)
    ]
    ratios = [coarse / fine for coarse, fine in pairwise(errors)]
    assert all(13 < ratio < 20 for ratio in ratios), ratios


def test_energy_is_kept_without_friction_and_torque() -> None:
    """Under gravity too; what the integrator loses in 1 s falls at least with the fourth power of its step."""
    rng = np.random.default_rng(1)
    links = tuple(link._replace(damping=0.0) for link in ARM.links)
    q, v = rng.uniform(-1, 1, 7), rng.normal(0, 1, 7)
    before = energy(links, q, v, GRAVITY)
    losses = []
    for steps in (100, 200):
        q_after, v_after = simulated(links, GRAVITY, q, v, (0.0,) * 7, 1.0, steps)
        losses.append(abs(energy(links, q_after, v_after, GRAVITY) - before))
    assert losses[1] < 1e-5 * abs(before)
    assert losses[0] / losses[1] > 13, losses


def test_motors_beyond_the_first_leave_the_angular_momentum_about_the_base() -> None:
    """The base holds the first joint by a force through the axis, and by its motor's and its friction's moment alone.

    Without these two, torques and friction between links change nothing: they come in pairs. With a torque on the
    first joint, the momentum grows by torque · time.
    """
    rng = np.random.default_rng(2)
    links = (ARM.links[0]._replace(damping=0.0), *ARM.links[1:])
    q, v = rng.uniform(-1, 1, 7), rng.normal(0, 2, 7)
    others = rng.uniform(-1, 1, 6)
    before = angular_momentum(links, q, v)
    assert abs(before) > 0.1
    for first in (0.0, 0.5):
        after = angular_momentum(links, *simulated(links, 0.0, q, v, (first, *others), 1.0, 200))
        assert after - before == pytest.approx(first * links[0].torque_limit, abs=1e-5)


def test_one_step_is_accurate_in_the_roughest_motion() -> None:
    """Full torques that change side at random: against sixteen smaller steps."""
    rng = np.random.default_rng(3)
    errors, speeds = [], []
    state, action = ARM.reset(0), tuple(np.zeros(7))
    for t in range(80):
        if t % 10 == 0:
            action = tuple(rng.choice([-1.0, 1.0], 7))
        q, _ = simulated(ARM.links, 0.0, state[:7], state[7:14], action, ARM.time_step, 16)
        state = ARM.step(state, action, 0)[0]
        errors.append(np.abs(q - state[:7]).max())
        speeds.append(np.abs(state[7:14]).max())
    assert max(errors) < 1e-3
    assert 5 < max(speeds) < 30


# The environment


def test_joint_positions_are_sums_of_complex_numbers() -> None:
    rng = np.random.default_rng(4)
    arm = RobotArm(links=random_links(rng, 7))
    q = rng.uniform(-9, 9, 7)
    places = joints(arm.links, q)
    found = arm.joint_positions(state_of(q))
    assert found.shape == (8, 2)
    np.testing.assert_allclose(found, np.stack([places.real, places.imag], axis=1), rtol=0, atol=1e-14)


def test_what_is_observed() -> None:
    rng = np.random.default_rng(6)
    q, v, target = rng.uniform(-9, 9, 7), rng.normal(0, 3, 7), np.array([0.1, -0.7])
    tip = joints(ARM.links, q)[-1]
    expected = [np.cos(q), np.sin(q), v / 10, target, np.array([tip.real, tip.imag]) - target]
    found = ARM.observe(state_of(q, v, target))
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-14)
    assert len(found) == ARM.observation_space.flat_size
    low, high = np.array(ARM.observation_space.low), np.array(ARM.observation_space.high)
    assert ((low <= found) & (found <= high)).all()


def test_reward_by_hand() -> None:
    """Stretched out and at rest, the tip is at (1.05, 0) and the target 0.5 m from the base, at a right angle to it."""
    state = state_of((0.0,) * 7, target=(0.0, 0.5))
    after, reward, terminated = ARM.step(state, (0.0,) * 7, 0)
    assert after == state
    assert reward == pytest.approx(-np.hypot(1.05, 0.5))
    assert not terminated


def test_reward_is_the_distance_after_the_step_and_the_control_cost() -> None:
    action = (1.0, -1.0, 0.5, 0.0, 0.0, 0.0, 0.5)
    state = state_of((0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.1), (3.0,) * 7)
    after, reward, _ = ARM.step(state, action, 0)
    distances = [abs(joints(ARM.links, np.array(s[:7]))[-1] - (0.3 + 0.4j)) for s in (state, after)]
    assert abs(distances[0] - distances[1]) > 0.01
    assert reward == pytest.approx(-distances[1] - 0.01 * 2.5)
    assert after[14:] == state[14:]


def test_start_states_and_targets_have_the_stated_distributions() -> None:
    """Kolmogorov's distance of each number from its uniform distribution, at a level of 1e-6 or so."""
    starts = np.array([ARM.reset(fold_in(1, episode)) for episode in range(4000)])
    assert not starts[:, 7:14].any()
    angles, target = starts[:, :7], starts[:, 14] + 1j * starts[:, 15]
    near, far, reach = ARM.nearest_target, ARM.farthest_target, sum(link.length for link in ARM.links)
    assert 0 < near < far < reach
    assert (np.abs(angles) <= 0.5).all()
    assert ((near <= np.abs(target)) & (np.abs(target) <= far)).all()
    uniforms = [
        *(angles.T + 0.5),
        (np.abs(target) ** 2 - near**2) / (far**2 - near**2),
        np.angle(target) / 2 / np.pi + 0.5,
    ]
    steps = (np.arange(len(starts)) + 0.5) / len(starts)
    for numbers in uniforms:
        assert np.abs(np.sort(numbers) - steps).max() < 2.7 / np.sqrt(len(starts))
    assert np.abs(np.corrcoef(uniforms) - np.eye(9)).max() < 5 / np.sqrt(len(starts))


def test_interpreted_and_compiled_agree() -> None:
    """To the last bits: compiled arithmetic may fuse a multiplication and an addition. With one compilation."""
    rng = np.random.default_rng(7)
    for key in range(5):
        arm = ARM._replace(links=random_links(rng, 7), gravity=float(key), time_step=0.01)
        state: Any = arm.reset(key)
        for t in range(20):
            action = tuple(float(a) for a in rng.uniform(-1, 1, 7))
            start, (after, reward, terminated), obs = compiled_all(arm, state, action, np.uint64(t))
            expected, expected_reward, _ = arm.step(state, action, t)
            np.testing.assert_allclose(start, arm.reset(t), rtol=0, atol=1e-15)
            np.testing.assert_allclose(obs, arm.observe(state), rtol=0, atol=1e-13)
            np.testing.assert_allclose(after, expected, rtol=1e-11, atol=1e-12)
            assert reward == pytest.approx(expected_reward, rel=1e-12)
            assert not terminated
            state = expected
    assert len(compiled_all.outer.signatures) == 1  # type: ignore[attr-defined]


def transpose_control(state: Any) -> tuple[float, ...]:
    """A spring of 60 N/m from the tip to the target, felt in the joints as Jᵀ · force, and brakes."""
    places = joints(ARM.links, np.array(state[:7]))
    force = 60 * (state[14] + 1j * state[15] - places[-1])
    torques = ((places[-1] - places[:-1]).conj() * force).imag
    limits = np.array([link.torque_limit for link in ARM.links])
    return tuple(float(a) for a in np.clip(torques / limits - 0.3 * np.array(state[7:14]), -1, 1))


def test_a_hand_made_controller_reaches_targets_and_idleness_does_not() -> None:
    """Over 1000 episodes it ends within 5 cm of 99 % of them, with a mean return of -25; idleness has -181."""
    distances, returns = [], np.zeros((2, 12))
    for episode in range(12):
        for idle in (False, True):
            state: Any = ARM.reset(fold_in(8, episode))
            for _ in range(ARM.max_episode_steps):
                action = (0.0,) * 7 if idle else transpose_control(state)
                state, reward, _ = ARM.step(state, action, 0)
                returns[int(idle), episode] += reward
            if not idle:
                distances.append(abs(joints(ARM.links, np.array(state[:7]))[-1] - complex(*state[14:])))
    assert sum(distance < 0.05 for distance in distances) >= 11
    assert returns[0].mean() > -40
    assert returns[1].mean() < -120


# The picture


def red_pixels(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where the target is drawn: nothing else is red."""
    red, green, blue = (picture[:, :, k].astype(int) for k in range(3))
    return (red > 180) & (green < 120) & (blue < 130)


def test_the_picture_is_deterministic_and_shows_the_arm() -> None:
    state = state_of((0.4, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2))
    picture = ARM.render(state)
    assert picture.shape == (480, 480, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, ARM.render(state))
    for k in range(7):
        bent = state_of(np.array(state[:7]) + 0.3 * (np.arange(7) == k))
        assert (picture != ARM.render(bent)).any(axis=2).sum() > 50


def test_the_target_is_drawn_where_it_is() -> None:
    """The red pixels' centre is an affine function of the target: one scale, y upwards, the base in the middle."""
    targets = np.array([[0.9, 0.0], [0.0, 0.9], [-0.6, 0.3], [0.2, -0.7], [-0.5, -0.5]])
    centres = []
    for target in targets:
        rows, columns = np.nonzero(red_pixels(ARM.render(state_of((0.3,) * 7, target=target))))
        assert rows.size > 50
        centres.append([columns.mean() + 0.5, rows.mean() + 0.5])
    away = (np.array(centres) - 240) * [1, -1]
    scale = (away * targets).sum() / (targets**2).sum()
    assert 200 < scale * 1.05 < 240, "the reach nearly fills the picture"
    np.testing.assert_allclose(away, scale * targets, rtol=0, atol=0.7)


def test_the_tip_is_drawn_where_the_kinematics_put_it() -> None:
    for q in ((0.0,) * 7, (1.0, 0.3, 0.2, -0.4, 0.5, 0.1, 0.2)):
        picture = ARM.render(state_of(q, target=(-0.5, -0.5))).astype(int)
        rows, columns = np.nonzero((picture[:, :, 0] > 230) & (picture[:, :, 1] < 210) & (picture[:, :, 2] < 80))
        tip = joints(ARM.links, np.array(q))[-1]
        scale = 0.92 * 240 / 1.05
        found = (columns.mean() + 0.5 - 240) / scale + 1j * (240 - rows.mean() - 0.5) / scale
        assert abs(found - tip) < 0.005


def test_every_link_is_drawn_where_it_is() -> None:
    """In blue, halfway between its joints."""
    state = state_of((0.8, -0.3, -0.4, 0.5, 0.3, 0.3, -0.2), target=(-0.5, -0.5))
    picture, places = ARM.render(state).astype(int), joints(ARM.links, np.array(state[:7]))
    for start, end in pairwise(places * 0.92 * 240 / 1.05):
        middle = (start + end) / 2
        red, _, blue = picture[int(240 - middle.imag), int(240 + middle.real)]
        assert blue > red + 60


def test_without_pygame_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(EnvError, match="classic-control"):
        ARM.render(state_of((0.0,) * 7))


def test_a_state_of_the_wrong_size_is_named() -> None:
    with pytest.raises(EnvError, match=r"16 numbers.*not 14"):
        ARM.joint_positions((0.0,) * 14)
