"""Policy heads: distributions over actions that a network's outputs describe, chosen by type when compiling.

A new distribution is one NamedTuple with eight methods, which run compiled:

    num_extra(self)                                               parameters that are in no layer of the network
    draw(self, outputs, bits, action, at, lanes)                  sample an action for each lane into action[at:]
    mode(self, outputs, action, at, lanes)                        the most probable one
    add_log_probs(self, outputs, action, result, lanes)           add log π(action_n), of the action as stored
    scores(self, outputs, delta, extra, action, weight, bonus, lanes) -> Σ_n H(π_n) in nats
    fisher_product(self, outputs, tangent, extra_tangent, delta, extra, lanes)    see the end of this text
    divergence(self, old_outputs, old_extra, outputs, lanes) -> Σ_n KL(π_old ‖ π) in nats
    env_action(self, action, b)                                   what `step` gets of sampled action b

`scores` is the gradient of Σ_n weight_n · log π(action_n) + bonus · H(π_n): at the outputs into `delta`, and each
lane's share for the extra parameters, which are the last of all, into `extra`. `fisher_product` is the Fisher matrix at
the outputs (and extra parameters) times `tangent` (and `extra_tangent`), into `delta` (and `extra`). `outputs` may be
overwritten. A GSDEHead, whose spread depends on the observation, gets all of a block's rows for it (`first_row`).

Actions are stored as sampled: [B] integers for one discrete action, [D, B] otherwise, integers or the continuous
numbers in units of the environment's bounds, before they are clipped or squashed to these.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels import beta, gaussian, gsde, softmax
from pgrad.kernels.jit import compiled_as, strict
from pgrad.kernels.lanes import read_lane, write_lane
from pgrad.kernels.mlp import MLP
from pgrad.kernels.random import fold_in

f4 = np.float32

Array = Any
NO_MASK = np.empty((0, 0), np.bool_)


class CategoricalHead(NamedTuple):
    """One of A actions: softmax(outputs / τ)."""

    inverse_temperature: float

    def num_extra(self) -> int:
        """Return 0."""
        return 0

    def draw(self, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
        """Sample action[at + n] from the outputs [A, lanes]."""
        softmax.sample(outputs, self.inverse_temperature, bits, action[at:], lanes)

    def mode(self, outputs: Array, action: Array, at: int, lanes: int) -> None:
        """Set action[at + n] to the first of the largest outputs [A, lanes]."""
        softmax.largest(outputs, action[at:], lanes)

    def add_log_probs(self, outputs: Array, action: Array, result: Array, lanes: int) -> None:
        """Add log π(action[n]) to result[n]; outputs [A, lanes]."""
        softmax.add_log_probs(outputs, self.inverse_temperature, action, result, lanes)

    def scores(
        self, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
    ) -> float:
        """Compute the gradient with outputs and delta [A, lanes] and action [lanes]; return Σ_n H(π_n)."""
        return softmax.logits_gradient(outputs, delta, action, weight, self.inverse_temperature, bonus, lanes)

    def fisher_product(
        self, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
    ) -> None:
        """Compute the product with outputs, tangent and delta [A, lanes]."""
        softmax.fisher_product(outputs, tangent, delta, self.inverse_temperature, lanes)

    def divergence(self, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
        """Compute it from outputs [A, lanes] of both."""
        return softmax.divergence(old_outputs, outputs, self.inverse_temperature, lanes)

    def env_action(self, action: Array, b: int) -> int:
        """Return the integer itself."""
        return action[b]  # type: ignore[no-any-return]


class MultiCategoricalHead(NamedTuple):
    """D integers at once, independent of each other given the state, each with a softmax over its own outputs."""

    inverse_temperature: float
    counts: npt.NDArray[np.int64]  # [D] choices of each; their outputs are side by side
    like: tuple[int, ...]  # D zeros: compiled code needs D as part of a type

    def num_extra(self) -> int:
        """Return 0."""
        return 0

    def draw(self, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
        """Sample action[d, at + n] from the outputs [Σ counts, lanes]."""
        first, own_bits = 0, np.empty(lanes, np.uint64)
        for d in range(self.counts.size):
            for n in range(lanes):
                own_bits[n] = fold_in(bits[n], d)
            last = first + self.counts[d]
            softmax.sample(outputs[first:last], self.inverse_temperature, own_bits, action[d, at:], lanes)
            first = last

    def mode(self, outputs: Array, action: Array, at: int, lanes: int) -> None:
        """Set action[d, at + n] to the first of the largest outputs of each."""
        first = 0
        for d in range(self.counts.size):
            last = first + self.counts[d]
            softmax.largest(outputs[first:last], action[d, at:], lanes)
            first = last

    def add_log_probs(self, outputs: Array, action: Array, result: Array, lanes: int) -> None:
        """Add Σ_d log π(action[d, n]) to result[n]; outputs [Σ counts, lanes]."""
        first = 0
        for d in range(self.counts.size):
            last = first + self.counts[d]
            softmax.add_log_probs(outputs[first:last], self.inverse_temperature, action[d], result, lanes)
            first = last

    def scores(
        self, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
    ) -> float:
        """Compute the gradient with outputs and delta [Σ counts, lanes] and action [D, lanes]; return Σ_n H(π_n)."""
        first, entropy, inverse_temperature = 0, 0.0, self.inverse_temperature
        for d in range(self.counts.size):
            last = first + self.counts[d]
            entropy += softmax.logits_gradient(
                outputs[first:last], delta[first:last], action[d], weight, inverse_temperature, bonus, lanes
            )
            first = last
        return entropy

    def fisher_product(
        self, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
    ) -> None:
        """Compute the product with outputs, tangent and delta [Σ counts, lanes]."""
        first = 0
        for d in range(self.counts.size):
            last = first + self.counts[d]
            softmax.fisher_product(
                outputs[first:last], tangent[first:last], delta[first:last], self.inverse_temperature, lanes
            )
            first = last

    def divergence(self, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
        """Compute it from outputs [Σ counts, lanes] of both."""
        first, kl = 0, 0.0
        for d in range(self.counts.size):
            last = first + self.counts[d]
            kl += softmax.divergence(old_outputs[first:last], outputs[first:last], self.inverse_temperature, lanes)
            first = last
        return kl

    def env_action(self, action: Array, b: int) -> tuple[int, ...]:
        """Return the integers themselves."""
        return read_lane(action, b, self.like)


class GaussianHead(NamedTuple):
    """D continuous numbers, independent of each other given the state."""

    log_std: npt.NDArray[np.float32]  # [D] the end of the parameters; empty where the outputs hold log σ
    bounds: tuple[gaussian.Bound, ...]  # [D] of the environment's actions
    squash: bool  # to the bounds by tanh, or clip

    def num_extra(self) -> int:
        """Return D if log σ does not depend on the state, else 0."""
        return self.log_std.size

    def draw(self, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
        """Sample action[d, at + n] from the outputs [D or 2 D, lanes]."""
        gaussian.sample(outputs, self.log_std, bits, action, at, lanes)

    def mode(self, outputs: Array, action: Array, at: int, lanes: int) -> None:
        """Set action[d, at + n] to the mean."""
        for d in range(action.shape[0]):
            for n in range(lanes):
                action[d, at + n] = outputs[d, n]

    def add_log_probs(self, outputs: Array, action: Array, result: Array, lanes: int) -> None:
        """Add the log-density of the sample action[:, n] to result[n]; outputs [D or 2 D, lanes]."""
        gaussian.add_log_probs(outputs, self.log_std, action, result, lanes)

    def scores(
        self, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
    ) -> float:
        """Compute the gradient with outputs, delta [D or 2 D, lanes], extra [D or 0, lanes] and action [D, lanes]."""
        return gaussian.scores(outputs, self.log_std, delta, extra, action, weight, bonus, self.squash, lanes)

    def fisher_product(
        self, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
    ) -> None:
        """Compute the product with outputs, tangent and delta [D or 2 D, lanes], and extra [D or 0, lanes]."""
        gaussian.fisher_product(outputs, self.log_std, tangent, extra_tangent, delta, extra, lanes)

    def divergence(self, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
        """Compute it from outputs [D or 2 D, lanes] of both; of the samples u and of what is made of them alike."""
        return gaussian.divergence(old_outputs, old_extra, outputs, self.log_std, lanes)

    def env_action(self, action: Array, b: int) -> tuple[float, ...]:
        """Return the numbers within the bounds."""
        return within(action, b, self.bounds, self.squash)


class GSDEHead(NamedTuple):
    """D continuous numbers with noise that is linear in the observation and held for some steps: see kernels.gsde."""

    log_std: npt.NDArray[np.float32]  # [(O + 1) · D] the end of the parameters
    bounds: tuple[gaussian.Bound, ...]  # [D] of the environment's actions
    squash: bool  # to the bounds by tanh, or clip
    noise_steps: int  # of an episode, for which the noise is held

    def num_extra(self) -> int:
        """Return (O + 1) · D."""
        return self.log_std.size

    def draw(self, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
        """Sample action[d, at + n] from a block's rows [rows, lanes]."""
        gsde.sample(outputs, self.log_std, bits, action, at, lanes)

    def mode(self, outputs: Array, action: Array, at: int, lanes: int) -> None:
        """Set action[d, at + n] to the mean."""
        first = outputs.shape[0] - action.shape[0]
        for d in range(action.shape[0]):
            for n in range(lanes):
                action[d, at + n] = outputs[first + d, n]

    def add_log_probs(self, outputs: Array, action: Array, result: Array, lanes: int) -> None:
        """Add the log-density of the sample action[:, n] to result[n], from a block's rows [rows, lanes]."""
        gsde.add_log_probs(outputs, self.log_std, action, result, lanes)

    def scores(
        self, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
    ) -> float:
        """Compute the gradient with a block's rows [rows, lanes], delta's last D, extra [(O + 1) · D, lanes]."""
        return gsde.scores(outputs, self.log_std, delta, extra, action, weight, bonus, self.squash, lanes)

    def fisher_product(
        self, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
    ) -> None:
        """Compute the product with a block's rows [rows, lanes], the last D of tangent and delta, and extra."""
        parts = len(self.bounds)
        gsde.fisher_product(outputs, self.log_std, parts, tangent, extra_tangent, delta, extra, lanes)

    def divergence(self, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
        """Compute it from a block's rows [rows, lanes] of both."""
        return gsde.divergence(old_outputs, old_extra, outputs, self.log_std, len(self.bounds), lanes)

    def env_action(self, action: Array, b: int) -> tuple[float, ...]:
        """Return the numbers within the bounds."""
        return within(action, b, self.bounds, self.squash)


class BetaHead(NamedTuple):
    """D continuous numbers within finite bounds, independent of each other given the state."""

    bounds: tuple[gaussian.Bound, ...]  # [D] of the environment's actions

    def num_extra(self) -> int:
        """Return 0."""
        return 0

    def draw(self, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
        """Sample action[d, at + n] from the outputs [2 D, lanes]."""
        beta.sample(outputs, bits, action, at, lanes)

    def mode(self, outputs: Array, action: Array, at: int, lanes: int) -> None:
        """Set action[d, at + n] to the mean."""
        beta.mean(outputs, action, at, lanes)

    def add_log_probs(self, outputs: Array, action: Array, result: Array, lanes: int) -> None:
        """Add the log-density of tanh of the sample action[:, n] to result[n]; outputs [2 D, lanes]."""
        beta.add_log_probs(outputs, action, result, lanes)

    def scores(
        self, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
    ) -> float:
        """Compute the gradient with outputs, delta [2 D, lanes] and action [D, lanes]; return Σ_n H(π_n)."""
        return beta.scores(outputs, delta, action, weight, bonus, lanes)

    def fisher_product(
        self, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
    ) -> None:
        """Compute the product with outputs, tangent and delta [2 D, lanes]."""
        beta.fisher_product(outputs, tangent, delta, lanes)

    def divergence(self, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
        """Compute it from outputs [2 D, lanes] of both."""
        return beta.divergence(old_outputs, outputs, lanes)

    def env_action(self, action: Array, b: int) -> tuple[float, ...]:
        """Return the numbers within the bounds."""
        return within(action, b, self.bounds, True)


class Policy(NamedTuple):
    """A policy's network and head, for compiled code."""

    network: MLP
    head: Any  # one of the above


def within(action: Array, b: int, bounds: tuple[gaussian.Bound, ...], squash: bool) -> tuple[float, ...]:
    """Return column b of action [D, B] as the environment takes it, clipped or squashed to the bounds."""
    return tuple(gaussian.bounded(u, bound, squash) for u, bound in zip(action[:, b], bounds, strict=True))


@compiled_as(within)
def _within_compiled(action: Any, b: Any, bounds: Any, squash: Any) -> Any:
    last = len(bounds) - 1
    if last == 0:
        return lambda action, b, bounds, squash: (gaussian.bounded(action[0, b], bounds[0], squash),)
    return lambda action, b, bounds, squash: (
        within(action, b, bounds[:-1], squash) + (gaussian.bounded(action[last, b], bounds[last], squash),)
    )


def num_extra(head: Any) -> int:
    """Return the number of parameters that are in no layer of the network."""
    return head.num_extra()  # type: ignore[no-any-return]


def first_row(head: Any, net: MLP) -> int:
    """Return from where on a head gets a block's rows: that of the first output, or of the first input."""
    return 0 if isinstance(head, GSDEHead) else net.rows - int(net.sizes[-1])


@compiled_as(first_row)
def _first_row_compiled(head: Any, net: Any) -> Any:
    if head.instance_class is GSDEHead:
        return lambda head, net: 0
    return lambda head, net: net.rows - net.sizes[-1]


def noise_step(head: Any, step: int) -> int:
    """Return whose random bits an action takes at a step of an episode: the step's own, or those that are held."""
    return step // head.noise_steps if isinstance(head, GSDEHead) else step


@compiled_as(noise_step)
def _noise_step_compiled(head: Any, step: Any) -> Any:
    if head.instance_class is GSDEHead:
        return lambda head, step: step // head.noise_steps
    return lambda head, step: step


def draw(head: Any, outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
    """Sample an action for each lane, from the outputs and random bits [lanes], into `action` from `at` on."""
    head.draw(outputs, bits, action, at, lanes)


def mode(head: Any, outputs: Array, action: Array, at: int, lanes: int) -> None:
    """Set the most probable action for each lane, in `action` from `at` on."""
    head.mode(outputs, action, at, lanes)


def add_log_probs(head: Any, outputs: Array, action: Array, result: Array, lanes: int) -> None:
    """Add log π(action_n), of the action as stored, to result_n."""
    head.add_log_probs(outputs, action, result, lanes)


def scores(
    head: Any, outputs: Array, delta: Array, extra: Array, action: Array, weight: Array, bonus: float, lanes: int
) -> float:
    """Compute the gradient of Σ_n weight_n · log π(action_n) + bonus · H(π_n); return Σ_n H(π_n) in nats."""
    return head.scores(outputs, delta, extra, action, weight, bonus, lanes)  # type: ignore[no-any-return]


def fisher_product(
    head: Any, outputs: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
) -> None:
    """Set delta and extra to the product of the Fisher matrix at the outputs with tangent and extra_tangent."""
    head.fisher_product(outputs, tangent, extra_tangent, delta, extra, lanes)


def divergence(head: Any, old_outputs: Array, old_extra: Array, outputs: Array, lanes: int) -> float:
    """Return Σ_n KL(π_old ‖ π) in nats; the outputs may be overwritten."""
    return head.divergence(old_outputs, old_extra, outputs, lanes)  # type: ignore[no-any-return]


def env_action(head: Any, action: Array, b: int) -> Any:
    """Return what the environment's `step` gets of sampled action b."""
    return head.env_action(action, b)


@compiled_as(num_extra)
def _num_extra_compiled(head: Any) -> Any:
    return head.instance_class.num_extra


@compiled_as(draw)
def _draw_compiled(head: Any, outputs: Any, bits: Any, action: Any, at: Any, lanes: Any) -> Any:
    return head.instance_class.draw


@compiled_as(mode)
def _mode_compiled(head: Any, outputs: Any, action: Any, at: Any, lanes: Any) -> Any:
    return head.instance_class.mode


@compiled_as(add_log_probs)
def _add_log_probs_compiled(head: Any, outputs: Any, action: Any, result: Any, lanes: Any) -> Any:
    return head.instance_class.add_log_probs


@compiled_as(scores)
def _scores_compiled(
    head: Any, outputs: Any, delta: Any, extra: Any, action: Any, weight: Any, bonus: Any, lanes: Any
) -> Any:
    return head.instance_class.scores


@compiled_as(fisher_product)
def _fisher_product_compiled(
    head: Any, outputs: Any, tangent: Any, extra_tangent: Any, delta: Any, extra: Any, lanes: Any
) -> Any:
    return head.instance_class.fisher_product


@compiled_as(divergence)
def _divergence_compiled(head: Any, old_outputs: Any, old_extra: Any, outputs: Any, lanes: Any) -> Any:
    return head.instance_class.divergence


@compiled_as(env_action)
def _env_action_compiled(head: Any, action: Any, b: Any) -> Any:
    return head.instance_class.env_action


def share_clipped(head: Any, action: Array, count: int) -> float:
    """Return the share of the first `count` actions' numbers that the bounds clip; NaN for heads that never clip."""
    return share_outside(head, action, count) if isinstance(head, GaussianHead | GSDEHead) else np.nan


@compiled_as(share_clipped)
def _share_clipped_compiled(head: Any, action: Any, count: Any) -> Any:
    if head.instance_class in (GaussianHead, GSDEHead):
        return lambda head, action, count: share_outside(head, action, count)
    return lambda head, action, count: np.nan


@strict
def share_outside(head: GaussianHead | GSDEHead, action: Array, count: int) -> float:
    """Return the share of the numbers action[:, :count], as drawn, that are outside the bounds; NaN if squashed."""
    if head.squash:
        return np.nan
    outside = 0
    for d in range(action.shape[0]):
        bound = head.bounds[d]
        low, high = (bound.low - bound.middle) / bound.scale, (bound.high - bound.middle) / bound.scale
        for b in range(count):
            outside += action[d, b] < low or action[d, b] > high
    return float(outside / (action.shape[0] * count))


def load_actions(action: Array, order: Array, taken: Array, start: int, lanes: int) -> None:
    """Set taken[..., n] = action[..., order[start + n]], or action[..., start + n] if `order` is empty."""
    where = order[start : start + lanes] if order.size else slice(start, start + lanes)
    taken[..., :lanes] = action[..., where]


@compiled_as(load_actions)
def _load_actions_compiled(action: Any, order: Any, taken: Any, start: Any, lanes: Any) -> Any:
    def one(action: Any, order: Any, taken: Any, start: Any, lanes: Any) -> None:
        for n in range(lanes):
            taken[n] = action[order[start + n] if order.size > 0 else start + n]

    def several(action: Any, order: Any, taken: Any, start: Any, lanes: Any) -> None:
        for d in range(action.shape[0]):
            for n in range(lanes):
                taken[d, n] = action[d, order[start + n] if order.size > 0 else start + n]

    return one if action.ndim == 1 else several


def new_actions(action: Array, width: int) -> Array:
    """Return an empty array for `width` actions of the same kind."""
    return np.empty((*action.shape[:-1], width), action.dtype)


@compiled_as(new_actions)
def _new_actions_compiled(action: Any, width: Any) -> Any:
    if action.ndim == 1:
        return lambda action, width: np.empty(width, action.dtype)
    return lambda action, width: np.empty((action.shape[0], width), action.dtype)


def first_actions(action: Array, count: int) -> Array:
    """Return the first `count` actions of [≥ count], as a view; an array of two axes is returned unchanged."""
    return action[:count] if action.ndim == 1 else action


@compiled_as(first_actions)
def _first_actions_compiled(action: Any, count: Any) -> Any:
    if action.ndim == 1:
        return lambda action, count: action[:count]
    return lambda action, count: action


@strict
def env_actions(head: Any, action: Array, result: Array) -> None:
    """Set result[:, b] to what the environment's `step` gets of sampled action b; action and result [D, B]."""
    for b in range(result.shape[1]):
        write_lane(result, b, env_action(head, action, b))
