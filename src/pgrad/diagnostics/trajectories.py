"""Blocks of trajectories, and the per-trajectory gradients from which every estimate is computed."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.iteration import values
from pgrad.envs.make import Env
from pgrad.errors import ConfigError
from pgrad.estimators.advantages import multipliers
from pgrad.estimators.baselines import Summary, summarise
from pgrad.estimators.catalogue import Named
from pgrad.estimators.gradient import by_trajectory, overlaps, trajectory_gradients
from pgrad.estimators.resampling import Pieces, group_estimate
from pgrad.estimators.spec import (
    CONSTANT,
    GAE,
    NO_BASELINE,
    NOT_STANDARDIZED,
    OPTIMAL,
    REWARD_TO_GO,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan, new_simulation
from pgrad.rollouts.rollout import rollout
from pgrad.system import available_cores

Floats = npt.NDArray[np.float64]
R = TypeVar("R")

PART = 100  # trajectories collected and analysed at a time: their gradients fit a cache
MAX_BYTES = 2 * 2**30  # of per-trajectory gradients
DIAGNOSIS_STREAM = 0x44494147  # distinct from the streams of training and evaluation


@dataclass(frozen=True, eq=False)
class Block:
    """N trajectories, reduced to what estimates are computed from."""

    steps: int
    returns: Floats  # [N] undiscounted
    pieces: dict[EstimatorSpec, Pieces]  # by family (see `family_of`)

    def of(self, spec: EstimatorSpec) -> Pieces:
        """Return the pieces of the estimator's family."""
        return self.pieces[family_of(spec)]

    def power(self, spec: EstimatorSpec) -> float:
        """Return the mean ‖·‖² of the terms that an estimate sums; 0 for standardised ones, which have no scale."""
        if spec.standardize != NOT_STANDARDIZED:
            return 0.0
        pieces = self.of(spec)
        factor = 1.0 if spec.per_episode else len(self.returns) / self.steps
        return factor**2 * float(np.einsum("np,np->", pieces.a, pieces.a)) / len(self.returns)

    def estimate(self, spec: EstimatorSpec) -> Floats:
        """Return the estimate from the whole block as one batch, [P]."""
        pieces = self.of(spec)
        result = np.empty(pieces.a.shape[1], np.float32)
        group_estimate(spec, pieces, 0, len(self.returns), result)
        return result.astype(np.float64)


def family_of(spec: EstimatorSpec) -> EstimatorSpec:
    """Return the spec that decides Ψ and γ^t, without corrections that are one number a trajectory."""
    baseline = VALUE if spec.baseline == VALUE else NO_BASELINE
    psi = REWARD_TO_GO if spec.psi == GAE and spec.gae_lambda == 1 else spec.psi  # the same numbers
    bare = spec._replace(psi=psi, baseline=baseline, constant=0.0, standardize=NOT_STANDARDIZED, per_episode=True)
    return bare if psi == GAE else bare._replace(gae_lambda=1.0)


def require_memory(policy: MLPPolicy, specs: list[EstimatorSpec], trajectories: int) -> None:
    """Raise ConfigError if the per-trajectory gradients would exceed 2 GiB."""
    kinds = {family_of(spec) for spec in specs}
    needed = 4 * trajectories * policy.num_parameters * (len(kinds) + 2)
    if needed > MAX_BYTES:
        fitting = MAX_BYTES * trajectories // needed
        raise ConfigError(
            [
                f"trajectories must be at most {fitting:,} for {policy.num_parameters:,} parameters, not "
                f"{trajectories:,}: their gradients would need {needed / 2**30:.1f} GiB"
            ]
        )


def collect(
    env: Env, policy: MLPPolicy, critic: MLPValue, specs: list[EstimatorSpec], blocks: int, size: int, seed: int
) -> list[Block]:
    """Collect blocks of `size` whole episodes under the policy; the same blocks on any number of threads."""
    parts = [min(PART, size - begun) for begun in range(0, size, PART)]

    def block(batches: Iterable[Batch]) -> Block:
        return joined([analysed(batch, n, policy, critic, specs) for batch, n in zip(batches, parts, strict=True)])

    if env.compiled:  # each block on a thread, with random numbers of its own
        return in_threads(lambda k: block(rolled_out(env, policy, parts, fold_in(seed, k))), range(blocks))
    batches = rolled_out(env, policy, parts * blocks, seed)
    return [block(itertools.islice(batches, len(parts))) for _ in range(blocks)]


def rolled_out(env: Env, policy: MLPPolicy, parts: list[int], seed: int) -> Iterator[Batch]:
    """Yield a batch of whole episodes for each of `parts`; it may be overwritten by the next."""
    key = fold_in(seed, DIAGNOSIS_STREAM)
    return (compiled_batches if env.compiled else gymnasium_batches)(env, policy, parts, key)


def in_threads(function: Callable[[int], R], items: range) -> list[R]:
    """Map a function over items on all cores; compiled code releases the global interpreter lock."""
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(function, items))


def compiled_batches(env: Env, policy: MLPPolicy, parts: list[int], key: int) -> Iterator[Batch]:
    """Yield batches of whole episodes of a compiled environment."""
    assert env.dynamics is not None and env.max_episode_steps is not None
    plan = Plan(max(parts), 0, env.max_episode_steps, np.uint64(key))
    simulation = new_simulation(env.dynamics, policy.compiled, plan, max(parts))
    for k, size in enumerate(parts):
        simulation.lanes.counters[:] = 0
        own = plan._replace(episodes=size, run_key=np.uint64(fold_in(key, k)))
        yield rollout(simulation._replace(plan=own), policy.compiled)


def gymnasium_batches(env: Env, policy: MLPPolicy, parts: list[int], key: int) -> Iterator[Batch]:
    """Yield batches of whole episodes of a Gymnasium environment."""
    from pgrad.rollouts.vectorized import VectorCollector
    from pgrad.vector.vector_env import VectorEnv

    assert env.description is not None
    collector = VectorCollector(VectorEnv(env.description, max(parts), key), key)
    try:
        for collector.episodes in parts:
            yield rollout(collector, CompiledActor(policy.compiled))
    finally:
        collector.close()


def analysed(batch: Batch, size: int, policy: MLPPolicy, critic: MLPValue, specs: list[EstimatorSpec]) -> Block:
    """Compute the gradients of each trajectory, for every family that the specs belong to."""
    value = values(critic.network, batch.obs, batch.reward.size)
    final_value = values(critic.network, batch.final_obs, batch.final_sample.size)
    order, first = by_trajectory(batch.trajectory, size)
    families = dict.fromkeys(map(family_of, specs))
    multiplied = {family: multipliers(family, batch, value, final_value) for family in families}
    kept = {_keeps(family): m.discount_power for family, m in multiplied.items()}
    weight = np.stack([*(m.discount_power * m.psi for m in multiplied.values()), *kept.values()])
    gradients = trajectory_gradients(policy.compiled, batch.obs, batch.action, batch.mask, order, first, weight)
    with_psi = dict(zip(multiplied, gradients, strict=False))
    without_psi = dict(zip(kept, gradients[len(multiplied) :], strict=True))
    wanting_overlap = {family_of(spec) for spec in specs if spec.baseline == OPTIMAL}
    pieces = {}
    for family, m in multiplied.items():
        a, u = with_psi[family], without_psi[_keeps(family)]
        overlap = overlaps(a, u) if family in wanting_overlap else np.zeros((2, size))
        pieces[family] = Pieces(summarise(m.psi, batch.trajectory, size), a, u, overlap)
    returns = np.bincount(batch.trajectory, weights=batch.reward, minlength=size).astype(np.float64)
    return Block(int(batch.reward.size), returns, pieces)


def joined(parts: list[Block]) -> Block:
    """Concatenate blocks."""
    if len(parts) == 1:
        return parts[0]
    pieces = {}
    for family in parts[0].pieces:
        own = [part.pieces[family] for part in parts]
        pieces[family] = Pieces(
            psi=Summary(*(np.concatenate(column) for column in zip(*(piece.psi for piece in own), strict=True))),
            a=np.concatenate([piece.a for piece in own]),
            u=np.concatenate([piece.u for piece in own]),
            overlap=np.concatenate([piece.overlap for piece in own], axis=1),
        )
    return Block(sum(part.steps for part in parts), np.concatenate([part.returns for part in parts]), pieces)


def _keeps(family: EstimatorSpec) -> bool:
    """Return True if the factor γ^t stays outside of Ψ."""
    return family.exact_discounting and family.psi != TOTAL_RETURN


def spec_of(named: Named, discount: float, constant: float) -> EstimatorSpec:
    """Return the named estimator's spec with this discount, and this constant for a constant baseline."""
    spec = named.spec._replace(discount=discount)
    return spec._replace(constant=constant) if spec.baseline == CONSTANT else spec
