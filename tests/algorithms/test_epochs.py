"""Several epochs on one batch: who is in which minibatch, and an iteration of each kind against one in NumPy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.algorithms.checkpoints import new_checkpoints
from pgrad.algorithms.epochs import Epochs, Once, Step, most_steps, next_part, note, shuffle, standardize
from pgrad.algorithms.iteration import advantages, new_passes, step_along, train_iteration, values
from pgrad.algorithms.learner import Learner, Settings, new_optimizer_state
from pgrad.algorithms.normalization import new_normalization
from pgrad.algorithms.signal_to_noise import new_signal
from pgrad.estimators.advantages import Advantages
from pgrad.estimators.gradient import policy_gradient, value_gradient
from pgrad.estimators.ratio import log_probs
from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.jit import Omitted
from pgrad.kernels.mlp import MLP, network, num_parameters
from pgrad.kernels.optimizers import ADAM
from pgrad.kernels.random import fold_in
from pgrad.rollouts.batch import Batch, chosen_samples

Array = npt.NDArray[Any]

SIZE, KEY = 37, np.uint64(99)
SPEC = EstimatorSpec(GAE, VALUE, discount=0.9, gae_lambda=0.8, exact_discounting=False, per_episode=False)
EPOCHS = Epochs(3, 4, np.inf, np.inf, False, np.inf, False)
SETTINGS = Settings(SPEC, 0.0, ADAM, 0.05, 0.1, math.inf, False, 10, 10_000, EPOCHS, scores=Omitted())


def random_network(sizes: tuple[int, ...], seed: int) -> MLP:
    parameters = np.random.default_rng(seed).normal(size=num_parameters(sizes)).astype(np.float32)
    return network(parameters, sizes, "tanh")


def random_learner() -> Learner:
    policy, critic = random_network((2, 5, 3), 1), random_network((2, 4, 1), 2)
    return Learner(
        Policy(policy, CategoricalHead(1.0)),
        critic,
        new_optimizer_state(policy.parameters),
        new_optimizer_state(critic.parameters),
        new_normalization(0, 0),
        np.zeros(1, np.int64),
        new_checkpoints(1, policy.parameters.size, critic.parameters.size),
        new_signal(policy.parameters.size),
        KEY,
    )


def random_batch() -> Batch:
    """One trajectory, of which an episode ends now and then."""
    rng, at = np.random.default_rng(0), np.arange(SIZE)
    ends = at % 9 == 8
    obs = rng.normal(size=(2, SIZE)).astype(np.float32)
    final = obs[:, -1:].copy()
    truncated = at == SIZE - 1
    return Batch(
        obs,
        rng.integers(0, 3, SIZE).astype(np.int32),
        rng.normal(size=SIZE),
        ends,
        truncated,
        np.zeros(SIZE, np.int32),
        (at % 9).astype(np.int32),
        final,
        np.array([SIZE - 1]),
        1,
        total_steps=SIZE,
    )


def changed(**changes: Any) -> Settings:
    """SETTINGS with some of their own and of their epochs' fields replaced."""
    own = {name: value for name, value in changes.items() if name in Settings._fields}
    inner = {name: value for name, value in changes.items() if name not in own}
    return SETTINGS._replace(epochs=EPOCHS._replace(**inner), **own)


def in_numpy(settings: Settings, learner: Learner, batch: Batch) -> dict[str, float]:
    """One iteration as the textbook has it, with ratios, clipping, shuffling and standardisation in float64 NumPy."""
    epochs, policy, critic = settings.epochs, learner.policy, learner.critic
    assert isinstance(epochs, Epochs)
    whole = advantages(settings, policy, critic, batch)
    left = max(0.0, 1 - max(int(learner.iteration[0]) / settings.num_iterations, 0.0))
    epsilon = epochs.clip_epsilon * (left if epochs.clip_decay else 1.0)
    before, old = log_probs(policy, batch).astype(np.float64), values(critic, batch.obs, SIZE)
    key, order = fold_in(int(learner.key), int(learner.iteration[0])), np.arange(SIZE)
    entropies, norms, losses, kl, fraction = [], [], [], 0.0, 0.0
    for epoch in range(epochs.num_epochs):
        shuffle(order, np.uint64(fold_in(key, epoch)))
        divergences, clipped = [], []
        for k in range(epochs.num_minibatches):
            chosen = order[SIZE * k // epochs.num_minibatches : SIZE * (k + 1) // epochs.num_minibatches]
            part = chosen_samples(batch, chosen)
            weight = whole.weight[chosen] * SIZE / chosen.size
            if epochs.standardize:
                weight = (weight - weight.mean()) / weight.std() / chosen.size
            ratio = np.exp(log_probs(policy, part).astype(np.float64) - before[chosen])
            outside = np.where(weight > 0, ratio > 1 + epsilon, ratio < 1 - epsilon)
            divergences.append(ratio - 1 - np.log(ratio))
            clipped.append(outside)
            advantage = Advantages(np.where(outside, 0, weight * ratio), 1 / chosen.size, whole.target[chosen], 0.0)
            gradient, entropy = policy_gradient(policy, part, advantage, settings.entropy_coef)
            _, norm = step_along(settings, policy.network, learner.policy_state, gradient, settings.learning_rate)
            value = values(critic, part.obs, chosen.size)
            target = whole.target[chosen]
            near = np.clip(value, old[chosen] - epochs.value_clip_epsilon, old[chosen] + epochs.value_clip_epsilon)
            still = (target - near) ** 2 > (target - value) ** 2
            gradient, _ = value_gradient(critic, part.obs, np.where(still, value, target))
            step_along(settings, critic, learner.critic_state, gradient, settings.value_learning_rate)
            entropies.append(entropy)
            norms.append(norm)
            losses.append(((target - value) ** 2).mean())
        kl, fraction = np.concatenate(divergences).mean(), np.concatenate(clipped).mean()
        if kl > epochs.target_kl:
            break
    means = {"entropy": np.mean(entropies), "gradient_norm": np.mean(norms), "value_loss": np.mean(losses)}
    return {**means, "kl": kl, "clip_fraction": fraction, "learning_rate": settings.learning_rate}


SWITCHES: dict[str, dict[str, Any]] = {
    "epochs": {"num_epochs": 2},
    "minibatches": {"num_minibatches": 3},
    "one minibatch": {"num_minibatches": 1},
    "clipping": {"clip_epsilon": 0.05},
    "clip decay": {"clip_epsilon": 0.1, "clip_decay": True},
    "target KL": {"target_kl": 0.05},
    "value clipping": {"value_clip_epsilon": 0.05},
    "standardised minibatches": {"standardize": True},
    "entropy": {"entropy_coef": 0.1},
    "all": {"clip_epsilon": 0.1, "target_kl": 0.5, "value_clip_epsilon": 0.1, "standardize": True, "entropy_coef": 0.1},
}


@pytest.mark.parametrize("switch", [None, *SWITCHES])
def test_an_iteration_is_numpys(switch: str | None) -> None:
    """In the fourth iteration of ten, where decay shows. Each switch changes what is learnt."""
    settings, batch = changed(**SWITCHES.get(switch or "", {})), random_batch()
    learner, reference, without = random_learner(), random_learner(), random_learner()
    for one in (learner, reference, without):
        one.iteration[0] = 4
    status, metrics = train_iteration(settings, learner, batch)
    expected = in_numpy(settings, reference, batch)
    assert status == 0
    for ours, theirs in ((learner.policy.network, reference.policy.network), (learner.critic, reference.critic)):
        np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=0, atol=2e-4)
    for name, value in expected.items():
        assert getattr(metrics, name) == pytest.approx(value, rel=2e-3, abs=1e-5), name
    assert learner.iteration[0] == 5
    np.testing.assert_array_equal(learner.checkpoints.policy[0], random_learner().policy.network.parameters)
    np.testing.assert_array_equal(learner.checkpoints.critic[0], random_learner().critic.parameters)
    if switch is not None:
        train_iteration(SETTINGS, without, batch)
        moved = [
            abs(a.parameters - b.parameters).max()
            for a, b in ((learner.policy.network, without.policy.network), (learner.critic, without.critic))
        ]
        assert max(moved) > 1e-3, "the switch changes nothing here"


def test_one_epoch_of_one_minibatch_is_the_single_step() -> None:
    """The first step of all has ratio 1: no ratio is clipped, and the gradient is the actor-critic's."""
    batch, many, once = random_batch(), random_learner(), random_learner()
    train_iteration(changed(num_epochs=1, num_minibatches=1, clip_epsilon=0.1), many, batch)
    _, metrics = train_iteration(SETTINGS._replace(epochs=Once()), once, batch)
    np.testing.assert_allclose(many.policy.network.parameters, once.policy.network.parameters, rtol=0, atol=1e-5)
    np.testing.assert_allclose(many.critic.parameters, once.critic.parameters, rtol=0, atol=1e-5)
    assert np.isnan(metrics.kl) and np.isnan(metrics.clip_fraction)


def parts_of(settings: Settings, kl: float = 0.0) -> list[Any]:
    """The parts of an iteration whose every step moves the policy by `kl`."""
    learner, batch = random_learner(), random_batch()
    advantage = advantages(settings, learner.policy, learner.critic, batch)
    passes, parts = new_passes(settings, learner, batch, advantage), []
    for _ in range(most_steps(settings.epochs)):
        parts.append(next_part(settings.epochs, passes))
        passes.sums[0] += kl * parts[-1].batch.reward.size
        passes.sums[2] += parts[-1].batch.reward.size
        if note(passes, 0.0, Step(0, 0.0, 0.0, np.nan), 0.0):
            break
    return parts


def test_every_sample_is_in_one_minibatch_of_each_epoch_and_in_another_company() -> None:
    parts, batch = parts_of(SETTINGS), random_batch()
    assert len(parts) == 12
    assert {part.batch.reward.size for part in parts} == {9, 10}
    epochs = [np.concatenate([part.batch.reward for part in parts[k : k + 4]]) for k in (0, 4, 8)]
    for rewards in epochs:
        np.testing.assert_array_equal(np.sort(rewards), np.sort(batch.reward))
    assert not np.array_equal(epochs[0], epochs[1]) and not np.array_equal(epochs[1], epochs[2])


def test_minibatches_keep_samples_together_and_average_to_the_whole() -> None:
    settings, batch, learner = SETTINGS, random_batch(), random_learner()
    whole = advantages(settings, learner.policy, learner.critic, batch)
    total = np.zeros(SIZE)
    for part in parts_of(settings)[:4]:
        at = np.array([int(np.flatnonzero(batch.reward == reward)[0]) for reward in part.batch.reward])
        np.testing.assert_array_equal(part.batch.obs, batch.obs[:, at])
        np.testing.assert_array_equal(part.batch.action, batch.action[at])
        np.testing.assert_array_equal(part.advantage.target, whole.target[at])
        np.testing.assert_allclose(part.ratio.log_prob, log_probs(learner.policy, batch)[at])
        total[at] += part.advantage.weight * at.size / SIZE
    np.testing.assert_allclose(total, whole.weight, rtol=1e-12)


@pytest.mark.parametrize(("target_kl", "steps"), [(0.2, 12), (0.05, 4)])
def test_an_epoch_that_went_too_far_is_the_last(target_kl: float, steps: int) -> None:
    assert len(parts_of(changed(target_kl=target_kl), kl=0.1)) == steps


def test_shuffles_are_permutations_and_all_are_equally_frequent() -> None:
    """Of 3 samples, 6 orders over 6,000 keys: 1,000 ± 5 standard errors each."""
    counts: dict[tuple[int, ...], int] = {}
    for key in range(6000):
        order = np.arange(3)
        shuffle(order, np.uint64(fold_in(7, key)))
        counts[tuple(order.tolist())] = counts.get(tuple(order.tolist()), 0) + 1
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts.values()) < 5 * math.sqrt(6000 / 6 * 5 / 6)


def test_standardised_weights_have_mean_zero_and_the_step_weight_as_deviation() -> None:
    weight = np.array([1.0, 2.0, 3.0, 6.0])
    standardize(weight, 0.25)
    assert weight.mean() == pytest.approx(0) and weight.std() == pytest.approx(0.25)
    equal = np.full(3, 0.1)
    standardize(equal, 0.25)
    assert (equal == 0).all()


def test_a_gradient_that_is_not_finite_in_a_later_step_leaves_finite_parameters() -> None:
    learner, batch = random_learner(), random_batch()
    settings = changed(learning_rate=1e38)
    fault, _ = train_iteration(settings, learner, batch)
    assert fault != 0
    assert np.isfinite(learner.policy.network.parameters).all()
    assert learner.iteration[0] == 0
