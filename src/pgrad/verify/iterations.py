"""Training iterations of the compiled loop, replayed in NumPy from what they recorded: all that a step is made of.

Each replay begins every iteration from the compiled parameters, so that errors do not add up; what has a memory, Adam
and the running statistics, is computed anew from all that it has seen.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.checkpoints import new_checkpoints
from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.learner import Checkpoints, Learner, Settings
from pgrad.algorithms.normalization import new_normalization
from pgrad.envs.finite_mdp import FiniteMDP
from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.kernels.optimizers import ADAM, SGD
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan, Simulation, new_simulation
from pgrad.verify import formulas
from pgrad.verify.check import Check
from pgrad.verify.recorded import LIMIT, OBS_SIZE, last_batch, maze
from pgrad.verify.sampling import ENDLESS, learner_of, train

Network = TypeVar("Network", bound=MLPNetwork)

ITERATIONS = 8
LANES, EPISODES, NUM_STEPS = 4, 9, 11
HIDDEN, ACTIONS = 3, 4
REPLAYED = 3e-4  # of a step, of α / 100 at least: θ of up to 2 rounds to 1e-7, which is 1e-4 of that where α = 0.1
ROOM = 4  # checkpoints, far fewer than iterations
SETTINGS = Settings(
    estimator=EstimatorSpec(GAE, VALUE, discount=0.9, gae_lambda=0.8),
    entropy_coef=0.0,
    optimizer=SGD,
    learning_rate=0.1,
    value_learning_rate=0.05,
    max_grad_norm=math.inf,
    linear_decay=False,
    num_iterations=ENDLESS,
    total_steps=ENDLESS,
)
SLOW = SETTINGS._replace(optimizer=ADAM, learning_rate=0.02, value_learning_rate=0.02)
TINY = 1e-8  # as Adam's ε
SMALL = 1e-2  # of a gradient


class Run(NamedTuple):
    """A training to replay, and what is special about it."""

    name: str
    settings: Settings = SETTINGS
    temperature: float = 1.0
    normalize_obs: bool = False
    normalize_rewards: bool = False
    whole_episodes: bool = True


RUNS = (
    Run("plain ascent along GAE, and V's regression"),
    Run("batches of a fixed number of steps", whole_episodes=False),
    Run("temperature 0.6 and an entropy bonus", SETTINGS._replace(entropy_coef=0.5), temperature=0.6),
    Run("clipping by the global norm", SETTINGS._replace(max_grad_norm=3.0)),
    Run("Adam", SLOW),
    Run("Adam, where its ε counts", SLOW._replace(max_grad_norm=TINY)),
    Run("learning rates that decay by iterations", SETTINGS._replace(linear_decay=True, num_iterations=2 * ITERATIONS)),
    Run("learning rates that decay by steps", SETTINGS._replace(linear_decay=True, total_steps=1_000)),
    Run("normalised observations", normalize_obs=True),
    Run("scaled rewards", normalize_rewards=True),
    Run(
        "all of it, on a fixed number of steps",
        SLOW._replace(entropy_coef=0.1, max_grad_norm=3.0, linear_decay=True, num_iterations=2 * ITERATIONS),
        1.7,
        True,
        True,
        False,
    ),
)


def iteration_checks(seed: int) -> Iterator[Check]:
    """Yield checks of training runs of the maze, each replayed in NumPy, and of what is kept along them."""
    for run in RUNS:
        yield Check(f"training: {run.name}", replayed(run, seed), REPLAYED)
    yield Check("training: checkpoints are the parameters at their iterations", kept(seed), 0.0)
    yield Check("training: chunks of any length train alike", chunks(seed), 0.0)
    yield Check("training: a number that is not finite changes no parameter", unharmed(seed), 0.0)


class Trained(NamedTuple):
    """A training of the maze that has not begun; the networks share their arrays with the learner."""

    policy: MLPPolicy
    value: MLPValue
    learner: Learner
    simulation: Simulation


def begun(run: Run, seed: int, env: FiniteMDP | None = None) -> Trained:
    """Return the training of a run, of random networks."""
    rng = np.random.default_rng(seed)
    plan = Plan(EPISODES, 0, LIMIT, np.uint64(fold_in(seed, 5)))
    if not run.whole_episodes:
        plan = plan._replace(episodes=0, num_steps=NUM_STEPS)
    normalization = new_normalization(
        OBS_SIZE if run.normalize_obs else 0, (plan.episodes or LANES) if run.normalize_rewards else 0
    )
    sizes, shift, scale = (OBS_SIZE, HIDDEN, ACTIONS), normalization.shift, normalization.scale
    theta, phi = (
        rng.normal(scale=0.4, size=HIDDEN * (OBS_SIZE + 1) + outputs * (HIDDEN + 1)).astype(np.float32)
        for outputs in (ACTIONS, 1)
    )
    policy = MLPPolicy(theta, sizes, temperature=run.temperature, shift=shift, scale=scale)
    value = MLPValue(phi, (*sizes[:-1], 1), shift=shift, scale=scale)
    learner = learner_of(policy, value, normalization)
    learner = learner._replace(checkpoints=room(policy, value))
    return Trained(policy, value, learner, new_simulation(env or maze(seed), policy.compiled, plan, LANES, 1_000))


class Memory:
    """What a training remembers, kept as all that it has seen."""

    def __init__(self) -> None:
        self.iterations, self.steps = 0, 0
        self.policy: list[Floats] = []  # gradients as Adam gets them
        self.value: list[Floats] = []
        self.obs: list[Floats] = []  # [O, B] of each iteration
        self.discounted: list[float] = []  # G ← γ G + r after each sample
        self.running: dict[int, float] = {}  # the last of these in each trajectory
        self.returns: dict[int, float] = {}  # Σ r of each trajectory's episode so far


def replayed(run: Run, seed: int) -> float:
    """Return the largest deviation of a run's parameters, statistics and metrics from their replay in NumPy."""
    trained, memory, largest = begun(run, seed), Memory(), 0.0
    for _ in range(ITERATIONS):
        policy, value = copy_of(trained.policy), copy_of(trained.value)
        _, metrics = train(run.settings, trained.learner, trained.simulation)
        batch = last_batch(trained.simulation, memory.steps)
        scale = trained.learner.normalization.reward_scale[0]
        expected = replay(run, memory, policy, value, batch._replace(reward=scale * batch.reward))
        found = dict(zip(METRICS, metrics[0, 0].tolist(), strict=True))
        counted = {"total_steps": memory.steps, **finished(memory, batch)}
        largest = max(
            largest,
            *statistics(run, memory, trained.learner, batch),
            step_error(trained.policy, policy, expected.policy),
            step_error(trained.value, value, expected.value),
            *(difference(found[name], number, 1.0) for name, number in {**expected.metrics, **counted}.items()),
        )
    return largest


class Step(NamedTuple):
    """What should have been added to a network's parameters."""

    length: Floats  # [P]
    known: npt.NDArray[np.bool_]  # [P] where float32 gradients are good enough to tell
    scale: float  # a length by which an error counts as large


class Replayed(NamedTuple):
    """What an iteration should have done."""

    policy: Step
    value: Step
    metrics: dict[str, float]


def replay(run: Run, memory: Memory, policy: MLPPolicy, value: MLPValue, batch: Batch) -> Replayed:
    """Return what an iteration makes of a batch, whose rewards are as scaled, with networks as they were before it."""
    settings, count = run.settings, batch.num_trajectories
    decay = decayed(settings, memory.iterations, memory.steps)
    psi, target = estimates(settings, value, batch)
    weight = psi * settings.estimator.discount**batch.time / count
    gradient, spread = formulas.policy_gradient(policy, batch, weight, settings.entropy_coef / count)
    uphill, error = formulas.value_gradient(value, batch.obs, target)
    residual = target - formulas.perceptron(value, value.parameters.astype(np.float64), batch.obs)[0]
    rates = settings.learning_rate * decay, settings.value_learning_rate * decay
    memory.iterations, memory.steps = memory.iterations + 1, memory.steps + batch.reward.size
    return Replayed(
        stepped(settings, memory.policy, gradient, rates[0]),
        stepped(settings, memory.value, uphill, rates[1]),
        {
            "entropy": spread,
            "gradient_norm": float(np.linalg.norm(gradient)),
            "learning_rate": rates[0],
            "value_loss": error,
            "explained_variance": float(1 - residual.var() / target.var()),
        },
    )


def copy_of(net: Network) -> Network:
    """Return a network with arrays of its own."""
    arrays = {name: getattr(net, name).copy() for name in ("parameters", "shift", "scale")}
    return dataclasses.replace(net, **arrays)


def step_error(now: MLPNetwork, before: MLPNetwork, step: Step) -> float:
    """Return the largest error of what was added to a network's parameters, as part of a step's length."""
    found = now.parameters.astype(np.float64) - before.parameters
    return difference(found[step.known], step.length[step.known], step.scale)


def difference(found: Floats | float, expected: Floats | float, scale: float) -> float:
    """Return the largest |found - expected| over `scale` or, if more, the expected size; NaN where one alone is NaN."""
    if np.isnan(expected).all() and np.isnan(found).all():
        return 0.0
    return float((np.abs(found - expected) / np.maximum(scale, np.abs(expected))).max())


def decayed(settings: Settings, iteration: int, steps: int) -> float:
    """Return the factor of the learning rates: linear, from 1 at the beginning to 0 at the end of the run."""
    spent = max(iteration / settings.num_iterations, steps / settings.total_steps)
    return max(0.0, 1.0 - spent) if settings.linear_decay else 1.0


def estimates(settings: Settings, value: MLPValue, batch: Batch) -> tuple[Floats, Floats]:
    """Return the advantages and V's targets, [B] both."""
    phi, spec = value.parameters.astype(np.float64), settings.estimator
    here, after = (formulas.perceptron(value, phi, obs)[0] for obs in (batch.obs, batch.final_obs))
    return formulas.advantages(batch, here, after, spec.discount, spec.gae_lambda)


def stepped(settings: Settings, gradients: list[Floats], gradient: Floats, rate: float) -> Step:
    """Return the step along a gradient [P], clipped, which is added to those that Adam has got.

    Adam divides by the root mean square of gradients: of parameters whose gradients are almost zero it makes steps of
    full length, in which float32's rounding shows.
    """
    gradients.append(formulas.clipped(gradient, settings.max_grad_norm))
    if settings.optimizer == SGD:
        length = rate * gradients[-1]
        return Step(length, np.ones(length.size, np.bool_), max(float(np.abs(length).max()), rate * SMALL))
    size = np.sqrt(np.mean(np.square(gradients), axis=0))
    return Step(formulas.adam(np.array(gradients), rate), size > SMALL * size.max(), rate)


def statistics(run: Run, memory: Memory, learner: Learner, batch: Batch) -> Iterator[float]:
    """Yield deviations of the running statistics from those of the whole stream so far, this batch included."""
    kept = learner.normalization
    memory.obs.append(batch.obs.astype(np.float64))
    if run.normalize_obs:
        seen = np.concatenate(memory.obs, axis=1)
        scale = 1 / np.sqrt(seen.var(axis=1) + formulas.VARIANCE_FLOOR)
        yield difference(kept.shift * scale, seen.mean(axis=1) * scale, 1.0)
        yield difference(kept.scale / scale, np.ones(OBS_SIZE), 1.0)
    for n, t, r in zip(batch.trajectory.tolist(), batch.time.tolist(), batch.reward.tolist(), strict=True):
        memory.running[n] = run.settings.estimator.discount * (memory.running[n] if t > 0 else 0.0) + r
        memory.discounted.append(memory.running[n])
    wanted = 1 / np.sqrt(np.var(memory.discounted) + formulas.VARIANCE_FLOOR) if run.normalize_rewards else 1.0
    yield difference(kept.reward_scale[0], wanted, float(wanted))


def finished(memory: Memory, batch: Batch) -> dict[str, float]:
    """Return how many episodes ended in the batch, and their mean return; the batch's own end is no episode's."""
    returns = []
    for b, (n, t) in enumerate(zip(batch.trajectory.tolist(), batch.time.tolist(), strict=True)):
        memory.returns[n] = (memory.returns[n] if t > 0 else 0.0) + float(batch.reward[b])
        if batch.terminated[b] or t + 1 == LIMIT:
            returns.append(memory.returns[n])
    return {"episodes": len(returns), "mean_episode_return": float(np.mean(returns)) if returns else np.nan}


def room(policy: MLPPolicy, value: MLPValue, every: int = 0) -> Checkpoints:
    """Return room for few checkpoints."""
    wide = new_checkpoints(1, policy.num_parameters, value.num_parameters, policy.shift.size)
    return wide._replace(**{name: getattr(wide, name)[:ROOM] for name in wide._fields[:-2]}, every=np.array([every]))


def kept(seed: int) -> float:
    """Return the largest difference between checkpoints and the parameters that their iterations began with.

    Room for R holds the multiples of the least power of two that fit.
    """
    trained = begun(Run("", normalize_obs=True, normalize_rewards=True), seed)
    policy, value, learner, simulation = trained
    learner = learner._replace(checkpoints=room(policy, value, every=1))
    began, count = [], 3 * ROOM
    for _ in range(count):
        shown = policy.parameters, value.parameters, policy.shift, policy.scale
        began.append(np.concatenate([array.copy() for array in shown]))
        train(SETTINGS, learner, simulation)
        began[-1] = np.append(began[-1], learner.normalization.reward_scale[0])
    every = next(2**k for k in range(count) if len(range(0, count, 2**k)) <= ROOM)
    wanted, rooms = list(range(0, count, every)), learner.checkpoints
    if rooms.iteration[: rooms.kept[0]].tolist() != wanted:
        return np.inf
    found = np.column_stack([rooms.policy, rooms.critic, rooms.shift, rooms.scale, rooms.reward_scale])[: len(wanted)]
    return float(np.abs(found - np.array(began)[wanted]).max())


def chunks(seed: int) -> float:
    """Return the largest difference between iterations in one chunk and each in a chunk of its own."""
    run = RUNS[-1]
    one, several = begun(run, seed), begun(run, seed)
    _, together = train(run.settings, one.learner, one.simulation, 1, ITERATIONS)
    _, apart = train(run.settings, several.learner, several.simulation, ITERATIONS, 1)
    same = np.array_equal(together[0], apart[:, 0], equal_nan=True)
    return float(np.abs(one.policy.parameters - several.policy.parameters).max()) if same else np.inf


def unharmed(seed: int) -> float:
    """Return how many parameters an infinite reward or observation changes; infinity if training goes on."""
    changed = 0.0
    for poisoned in ("reward", "features"):
        env = maze(seed)
        getattr(env, poisoned)[0] = np.inf
        trained = begun(Run(""), seed, env)
        before = trained.policy.parameters.copy(), trained.value.parameters.copy()
        after, _ = train(SETTINGS, trained.learner, trained.simulation)
        now = trained.policy.parameters, trained.value.parameters
        changed += sum((a != b).sum() for a, b in zip(before, now, strict=True))
        changed += 0.0 if np.isnan(after).all() else np.inf
    return float(changed)
