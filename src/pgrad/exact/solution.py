"""Values, occupancies, the policy gradient and the natural gradient on a finite MDP, by linear algebra in float64."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pgrad.errors import MDPError, require_integer
from pgrad.exact.mdp import MDP, Bools, Floats, as_floats, listed, reachable, read_only, require_size
from pgrad.exact.policies import Family, SoftmaxPolicy, less_mean

LONGEST = 1e10  # expected steps to a terminal state; beyond it float64 loses too many digits
RANK_TOLERANCE = 1e-12  # singular values of √weight · score below this share of the largest count as zero
VALUE_ITERATIONS = 100_000
TIED = 1e-9  # relative difference below which action values count as equal
CONVERGED = 1e-13
LEVELS = 5  # halvings of the step of a finite difference
STEPS = (0.3, 0.03, 0.003, 0.0003)


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """All exact quantities of one policy on one MDP; returned by `solve`.

    Shapes are given for an MDP without a time limit. With a limit of T steps, `value`, `action_value`, `advantage`,
    `occupancy` and `visits` have a leading time axis [T, ...], over which the gradients sum. Values and occupancies of
    terminal states are 0: no action is taken there.
    """

    mdp: MDP
    policy: SoftmaxPolicy
    value: Floats  # V(s) = Σ_a π(a|s) Q(s, a); [|S|]
    action_value: Floats  # Q(s, a) = Σ_s' p(s'|s, a) (r(s, a, s') + γ V(s')); [|S|, A]

    def __repr__(self) -> str:
        return f"<Solution: performance {self.performance:.6g} on {self.mdp!r}>"

    @cached_property
    def advantage(self) -> Floats:
        """A(s, a) = Q(s, a) − V(s); [|S|, A]."""
        return less_mean(self.action_value, self.policy.probabilities)

    @property
    def performance(self) -> float:
        """J(θ) = Σ_s start(s) V(s); with a time limit V is that of t = 0."""
        return float(self.mdp.start @ (self.value if self.value.ndim == 1 else self.value[0]))

    @cached_property
    def occupancy(self) -> Floats:
        """η(s) = Σ_t γ^t P(s_t = s), not normalised; [|S|]. With a time limit γ^t P(s_t = s); [T, |S|].

        Sutton et al. (2000) call it d^π(s).
        """
        if self.mdp.time_limit is None:
            return read_only(_visits(self.mdp, self.policy, self.mdp.discount))
        return read_only(_powers(self.mdp) * self.visits)

    @cached_property
    def visits(self) -> Floats:
        """Σ_t P(s_t = s), the expected visits, undiscounted; [|S|]. With a time limit P(s_t = s); [T, |S|].

        Raises MDPError if it is infinite: without a limit, where episodes may never end.
        """
        limit = self.mdp.time_limit
        if limit is None:
            return read_only(_visits(self.mdp, self.policy, 1.0))
        return read_only(_distribution(self.mdp, self.policy, limit))

    @cached_property
    def gradient(self) -> Floats:
        """∇J(θ) = Σ_s η(s) Σ_a ∇π(a|s) Q(s, a), the direction of ascent; [P].

        With a time limit also summed over t. Sutton et al. (2000), theorem 1; Sutton and Barto (2018), equation 13.5.
        """
        return _gradient(self.policy, self.occupancy, self.advantage)

    @cached_property
    def gradient_dropped(self) -> Floats:
        """Σ_s Σ_t P(s_t = s) Σ_a ∇π(a|s) Q(s, a), the expected update without the factor γ^t; [P].

        For γ < 1 it is not ∇J and in general not the gradient of any function: Nota and Thomas (2020).
        """
        return _gradient(self.policy, self.visits, self.advantage)

    def gradient_cut(self, num_steps: int, dropped: bool = False) -> Floats:
        """Return Σ_{t < num_steps} γ^t Σ_s P(s_t = s) Σ_a ∇π(a|s) Q(s, a), with Q of the MDP without a time limit; [P].

        This is the mean of an estimator that truncates after `num_steps` and bootstraps with V(final state).
        With `dropped` the factor γ^t is omitted. Raises InputError unless num_steps is an integer, at least 1.
        """
        num_steps = require_integer("num_steps", num_steps, 1)
        mdp = self.mdp if self.mdp.time_limit is None else dataclasses.replace(self.mdp, time_limit=None)
        unlimited = self if mdp is self.mdp else solve(mdp, self.policy)
        weight = _distribution(mdp, self.policy, num_steps)
        if not dropped:
            weight = weight * mdp.discount ** np.arange(num_steps)[:, None]
        return _gradient(self.policy, weight, unlimited.advantage)

    @cached_property
    def fisher(self) -> Floats:
        """F = Σ_s η(s) Σ_a π(a|s) ∇log π(a|s) ∇log π(a|s)ᵀ, weighted by the occupancy η; [P, P].

        η is not normalised, here as in ∇J, so that F⁺ ∇J is a fit of the advantage itself; with a normalised F, as in
        Agarwal et al. (2021), it is 1/(1 − γ) times as long. Kakade (2001).
        """
        root = self._weighted_scores
        return np.asarray(root.T @ root)

    @cached_property
    def natural_gradient(self) -> Floats:
        """F⁺ ∇J, the shortest solution w of F w = ∇J; [P].

        w is also the least-squares fit of A(s, a) by ∇log π(a|s) · w, weighted by η(s) π(a|s) (compatible function
        approximation: Kakade 2001, theorem 1). Solving that fit avoids F, whose condition number is the square.
        Eigenvalues of F below 1e-24 of the largest count as zero: w leaves alone what changes next to nothing, such as
        a third action 10²⁴ times as rare as the second.
        """
        occupancy, advantage = np.atleast_2d(self.occupancy), self.advantage.reshape(-1, *self.policy.logits.shape)
        total = occupancy.sum(axis=0)
        mean = np.einsum("ts,tsa->sa", occupancy, advantage) / np.where(total > 0, total, 1.0)[:, None]
        target = np.sqrt(total[:, None] * self.policy.probabilities) * mean
        fit = np.linalg.lstsq(self._weighted_scores, target.ravel(), rcond=RANK_TOLERANCE)
        return np.asarray(fit[0], dtype=np.float64)

    @property
    def _weighted_scores(self) -> Floats:
        """√(η(s) π(a|s)) ∇log π(a|s), a row for each state and action; [|S| · A, P]."""
        weight = np.atleast_2d(self.occupancy).sum(axis=0)[:, None] * self.policy.probabilities
        return np.asarray((np.sqrt(weight)[..., None] * self.policy.scores).reshape(weight.size, -1))


@dataclass(frozen=True, eq=False)
class OptimalValues:
    """Optimal values and a greedy policy. With a time limit all arrays have a leading time axis [T, ...]."""

    value: Floats  # V*(s); [|S|]
    action_value: Floats  # Q*(s, a); [|S|, A]
    policy: npt.NDArray[np.int64]  # a greedy action in each state, 0 in terminal ones; [|S|]


@dataclass(frozen=True, eq=False)
class AscentPath:
    """The iterates of exact gradient ascent."""

    parameters: Floats  # θ_0 … θ_n; [num_iterations + 1, P]
    performance: Floats  # J(θ_0) … J(θ_n); [num_iterations + 1]


def solve(mdp: MDP, policy: SoftmaxPolicy) -> Solution:
    """Compute V, Q, J(θ), ∇J(θ) and related quantities of a policy exactly.

    V = (I − γ P_π)⁻¹ r_π,  Q(s, a) = Σ_s' p(s'|s, a) (r(s, a, s') + γ V(s')),  ∇J = Σ_s η(s) Σ_a ∇π(a|s) Q(s, a)

    With a time limit of T steps V_t and Q_t follow by backward recursion from V_T = 0 instead.

    mdp     |S| states, A actions
    policy  logits [|S|, A] at one θ [P], from a family such as `Tabular` or `Linear`

    Returns a Solution: V and Q in reward units, discounted and unnormalised; everything else is computed on first use.
    There is no sampling, so no bias or variance: the error is that of a float64 linear solve.

    Raises MDPError if the policy's shape is not that of the problem, or if at γ = 1 without a limit some state never
    reaches an end. Puterman (1994), theorem 6.1.1; Sutton et al. (2000), theorem 1.
    """
    require_match(mdp, policy)
    if mdp.time_limit is None:
        step, reward = _under(mdp, policy.probabilities)
        value = _value(step, reward, mdp.terminal, mdp.discount)
        action_value = mdp.expected_reward + mdp.discount * (mdp.transition @ value)
    else:
        value, action_value, _ = _backward(mdp, mdp.time_limit, policy.probabilities)
    return Solution(mdp, policy, read_only(value), read_only(action_value))


def require_match(mdp: MDP, policy: SoftmaxPolicy) -> None:
    """Raise MDPError unless the policy is a SoftmaxPolicy with the problem's states and actions."""
    require_problem(mdp)
    if not isinstance(policy, SoftmaxPolicy):
        raise MDPError(
            f"policy must be a SoftmaxPolicy, not {type(policy).__name__}: call a family with θ, as in "
            "exact.Tabular(num_states, num_actions)(theta)"
        )
    if policy.logits.shape != (mdp.num_states, mdp.num_actions):
        raise MDPError(
            f"the policy has {policy.logits.shape} states and actions, the problem {(mdp.num_states, mdp.num_actions)}"
        )


def require_problem(mdp: MDP) -> None:
    """Raise MDPError unless it is an MDP."""
    if not isinstance(mdp, MDP):
        raise MDPError(f"mdp must be an exact.MDP, such as exact.gridworld(4, 4), not {mdp!r:.80}")


def optimal_values(mdp: MDP) -> OptimalValues:
    """Compute V*, Q* and a greedy policy.

    V*(s) = max_a Q*(s, a),  Q*(s, a) = Σ_s' p(s'|s, a) (r(s, a, s') + γ V*(s'))

    By policy iteration for γ < 1, value iteration from zero for γ = 1, and backward induction under a time limit. At
    γ = 1 without a limit the optimum is over all policies, including those that never end an episode.

    Returns an OptimalValues: arrays [|S|], [|S|, A] and [|S|], with a leading axis [T, ...] under a limit of T steps.
    Ties go to an action that leads towards an end, or else to the first.

    Raises MDPError if value iteration does not converge: the optimum is infinite, or takes very many steps to reach.
    Puterman (1994), sections 4.5 (backward induction) and 6.4 (policy iteration); Sutton and Barto (2018), sections 4.3
    and 4.4.
    """
    require_problem(mdp)
    if mdp.time_limit is not None:
        return OptimalValues(*_backward(mdp, mdp.time_limit, None))
    value = _value_iteration(mdp) if mdp.discount == 1 else _policy_iteration(mdp)
    action_value = mdp.expected_reward + mdp.discount * (mdp.transition @ value)
    return OptimalValues(value, action_value, _greedy(mdp, action_value))


def _greedy(mdp: MDP, action_value: Floats) -> npt.NDArray[np.int64]:
    """Return a best action of each state, [|S|]; among ties one that leads towards an end, as others could cycle."""
    most = action_value.max(axis=1, keepdims=True)
    best = action_value >= most - TIED * np.maximum(1.0, np.abs(most))
    choice: npt.NDArray[np.int64] = best.argmax(axis=1)
    ending = mdp.terminal.copy()
    while True:
        leads = best & (mdp.transition[:, :, ending].sum(axis=-1) > 0)
        new = leads.any(axis=1) & ~ending
        if not new.any():
            return choice
        choice[new] = leads[new].argmax(axis=1)
        ending |= new


def ascend(
    mdp: MDP, family: Family, theta: npt.ArrayLike, learning_rate: float, num_iterations: int, natural: bool = False
) -> AscentPath:
    """Ascend the exact gradient: θ ← θ + α ∇J(θ), or with `natural` θ ← θ + α F⁺ ∇J(θ).

    theta           θ_0; [P]
    learning_rate   α, constant
    num_iterations  number of steps, at least 0

    Returns an AscentPath of num_iterations + 1 points. With tabular softmax policies and a small enough α plain ascent
    converges at O(1/t), with constants of the problem that can be huge (Mei et al. 2020); natural ascent with constants
    that do not depend on |S| (Agarwal et al. 2021).

    Raises MDPError if learning_rate is not positive and finite or a policy cannot be solved, InputError if
    num_iterations is not an integer. Kakade (2001).
    """
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise MDPError(f"learning_rate must be positive and finite, not {learning_rate}")
    num_iterations = require_integer("num_iterations", num_iterations, 0)
    current = as_floats("θ", theta).ravel()
    parameters, performance = [current], []
    for _ in range(num_iterations):
        solution = solve(mdp, family(current))
        performance.append(solution.performance)
        current = current + learning_rate * (solution.natural_gradient if natural else solution.gradient)
        parameters.append(current)
    performance.append(solve(mdp, family(current)).performance)
    return AscentPath(np.array(parameters), np.array(performance))


def finite_difference_gradient(mdp: MDP, family: Family, theta: npt.ArrayLike) -> Floats:
    """Compute ∇J(θ) from values of J alone, as an independent check of `Solution.gradient`; [P].

    Central differences (J(θ + h e_k) − J(θ − h e_k)) / 2h, Richardson-extrapolated to h → 0 from several initial h:
    large ones lose no digits to rounding, small ones cross no kink of a ReLU. Raises MDPError for infinite logits.
    Press et al. (2007), section 5.7.
    """
    start = as_floats("θ", theta).ravel()
    if not np.isfinite(family(start).logits).all():
        raise MDPError("finite differences need finite logits: replace -inf by a large negative number")
    return np.array([_derivative(mdp, family, start, k) for k in range(family.num_parameters)])


def _derivative(mdp: MDP, family: Family, theta: Floats, k: int) -> float:
    best, error = np.nan, np.inf
    for step in STEPS:
        row: list[float] = []
        for level in range(LEVELS):
            new = [_central_difference(mdp, family, theta, k, step / 2**level)]
            for m, coarser in enumerate(row):
                new.append(new[m] + (new[m] - coarser) / (4 ** (m + 1) - 1))
            change = abs(new[-1] - row[-1]) if row else np.inf
            row = new
            if level >= 2 and change < error:
                best, error = row[-1], change
    return best


def _central_difference(mdp: MDP, family: Family, theta: Floats, k: int, step: float) -> float:
    up, down = theta.copy(), theta.copy()
    up[k] += step
    down[k] -= step
    rise = solve(mdp, family(up)).performance - solve(mdp, family(down)).performance
    return float(rise / (up[k] - down[k]))


def _under(mdp: MDP, probabilities: Floats) -> tuple[Floats, Floats]:
    """Return P_π [|S|, |S|] and r_π [|S|] of action probabilities [|S|, A]; rows of terminal states are zero."""
    alive = ~mdp.terminal
    step = np.einsum("sa,sat->st", probabilities, mdp.transition) * alive[:, None]
    return step, (probabilities * mdp.expected_reward).sum(axis=1) * alive


def _matrix(step: Floats, terminal: Bools, discount: float) -> Floats:
    """Return I − γ P_π. The diagonal is summed from the others: 1 − P_π(s, s) cancels where leaving s is unlikely."""
    leaving = step.copy()
    np.fill_diagonal(leaving, 0.0)
    diagonal = np.where(terminal, 1.0, leaving.sum(axis=1) + (1.0 - discount) * step.diagonal())
    matrix = -discount * leaving
    np.fill_diagonal(matrix, diagonal)
    return matrix


def _value(step: Floats, reward: Floats, terminal: Bools, discount: float) -> Floats:
    if discount < 1:
        return np.asarray(np.linalg.solve(_matrix(step, terminal, discount), reward), dtype=np.float64)
    trapped = ~reachable(step.T > 0, terminal)
    if trapped.any():
        raise MDPError(
            f"under this policy {listed(np.flatnonzero(trapped))} can never reach a terminal state (some probabilities "
            "are 0), so at discount 1 the return may be infinite: use discount < 1, a time_limit, or another policy"
        )
    try:
        columns = np.linalg.solve(_matrix(step, terminal, 1.0), np.stack([reward, ~terminal], axis=1))
    except np.linalg.LinAlgError:
        columns = np.full((len(reward), 2), np.inf)
    length = columns[:, 1]
    _require_length(float(length.max()) if (length >= 0).all() else np.inf)
    return np.asarray(columns[:, 0], dtype=np.float64)


def _require_length(length: float) -> None:
    if not length <= LONGEST:
        raise MDPError(
            f"under this policy an episode takes more than {LONGEST:.0e} expected steps to end, too many for float64: "
            "use discount < 1, a time_limit, or a policy that ends sooner"
        )


def _visits(mdp: MDP, policy: SoftmaxPolicy, discount: float) -> Floats:
    """Return Σ_t discount^t P(s_t = s), the solution of η = start + discount · P_πᵀ η; [|S|]."""
    step, _ = _under(mdp, policy.probabilities)
    reached = reachable(step > 0, mdp.start > 0)
    trapped = reached & ~reachable(step.T > 0, mdp.terminal)
    if discount == 1 and trapped.any():
        raise MDPError(
            f"episodes may never end: from {listed(np.flatnonzero(trapped))} no terminal state can be reached under "
            "this policy, so visits (and gradient_dropped) are infinite: set a time_limit"
        )
    among = np.ix_(reached, reached)
    visits = np.zeros(mdp.num_states)
    try:
        matrix = _matrix(step, mdp.terminal, discount)[among]
        visits[reached] = np.linalg.solve(matrix.T, mdp.start[reached])
    except np.linalg.LinAlgError:
        visits[:] = np.inf
    if discount == 1:
        _require_length(float(visits.sum()) if (visits >= 0).all() else np.inf)
    visits[mdp.terminal] = 0.0
    return visits


def _distribution(mdp: MDP, policy: SoftmaxPolicy, num_steps: int) -> Floats:
    """Return P(s_t = s) for t < num_steps, zero in terminal states; [num_steps, |S|]."""
    require_size("the distribution of states over time", (num_steps, mdp.num_states))
    step, _ = _under(mdp, policy.probabilities)
    step[:, mdp.terminal] = 0.0
    distribution = np.zeros((num_steps, mdp.num_states))
    distribution[0] = mdp.start
    for t in range(1, num_steps):
        distribution[t] = distribution[t - 1] @ step
    return distribution


def _powers(mdp: MDP) -> Floats:
    return np.asarray(mdp.discount ** np.arange(mdp.time_limit or 0)[:, None], dtype=np.float64)


def _gradient(policy: SoftmaxPolicy, occupancy: Floats, advantage: Floats) -> Floats:
    """Return Σ_s η(s) Σ_a π(a|s) A(s, a) ∂ logit_a / ∂θ; [P].

    ∇π is π times the score, and the score is ∂ logit_a / ∂θ minus its mean, which drops out as A has mean zero.
    """
    weight = occupancy[..., None] * policy.probabilities * advantage
    total = weight.reshape(-1, *policy.logits.shape).sum(axis=0)
    return np.asarray(np.einsum("sa,sap->p", total, policy.jacobian))


def _backward(mdp: MDP, limit: int, probabilities: Floats | None) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return V_t, Q_t and greedy actions for t < limit by backward recursion, of a policy or, for None, the optimum."""
    states, actions = mdp.num_states, mdp.num_actions
    require_size("action values over time", (limit, states, actions))
    value, action_value = np.zeros((limit + 1, states)), np.zeros((limit, states, actions))
    for t in reversed(range(limit)):
        action_value[t] = mdp.expected_reward + mdp.discount * (mdp.transition @ value[t + 1])
        best = probabilities is None
        value[t] = action_value[t].max(axis=1) if best else (probabilities * action_value[t]).sum(axis=1)
    return value[:-1].copy(), action_value, action_value.argmax(axis=-1)


def _policy_iteration(mdp: MDP) -> Floats:
    """Return V* by policy iteration; an action changes only for a gain beyond rounding, so that ties cannot cycle."""
    rows, choice = np.arange(mdp.num_states), mdp.expected_reward.argmax(axis=1)
    while True:
        step, reward = _under(mdp, np.eye(mdp.num_actions)[choice])
        value = _value(step, reward, mdp.terminal, mdp.discount)
        action_value = mdp.expected_reward + mdp.discount * (mdp.transition @ value)
        gain = action_value.max(axis=1) - action_value[rows, choice]
        better = gain > 1e-12 * max(1.0, float(np.abs(action_value).max()))
        if not better.any():
            return value
        choice = np.where(better, action_value.argmax(axis=1), choice)


def _value_iteration(mdp: MDP) -> Floats:
    value: Floats = np.zeros(mdp.num_states)
    for _ in range(VALUE_ITERATIONS):
        new = np.asarray((mdp.expected_reward + mdp.transition @ value).max(axis=1))
        change, scale = np.abs(new - value).max(), np.abs(new).max()
        value = new
        if change <= CONVERGED * scale:
            return value
    raise MDPError(
        f"value iteration at discount 1 has not converged in {VALUE_ITERATIONS:,} iterations (the largest value is "
        f"{np.abs(value).max():.3g}): the optimum may be infinite: use discount < 1 or a time_limit"
    )
