"""The problems and policies on which estimators are proved: small enough to enumerate every trajectory."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgrad import exact
from pgrad.exact.mdp import Floats
from pgrad.policies.mlp import MLPPolicy, MLPValue

ATTEMPTS = 1_000
LEAST_GRADIENT = 0.05  # least ‖∇J‖ of a case: errors are measured relative to it
LEAST_PROBABILITY = 0.02  # of an action: rarer ones would be missing from samples
OBS_SIZE = 5  # the same in all cases: it is part of a compiled environment's type, and each type is compiled


@dataclass(frozen=True, eq=False)
class Case:
    """A problem and a policy on it."""

    problem: exact.MDP
    policy_name: str
    obs: Floats  # [|S|, O] the observation of each state
    family: exact.Perceptron
    theta: Floats  # [P] numbers exact in float32

    @property
    def name(self) -> str:
        """Problem and policy."""
        return f"{self.problem.name}, {self.policy_name} policy"

    @cached_property
    def policy(self) -> exact.SoftmaxPolicy:
        """The policy in float64."""
        return self.family(self.theta)

    @cached_property
    def solution(self) -> exact.Solution:
        """J, ∇J and more, by linear algebra."""
        return exact.solve(self.problem, self.policy)

    @cached_property
    def values(self) -> Floats:
        """V(s) without the time limit, [|S|]."""
        unlimited = dataclasses.replace(self.problem, time_limit=None)
        return exact.solve(unlimited, self.policy).value

    @property
    def compiled_policy(self) -> MLPPolicy:
        """The policy in float32, as training holds it."""
        sizes = (OBS_SIZE, *self.family.hidden, self.problem.num_actions)
        return MLPPolicy(self.theta.astype(np.float32), sizes, self.family.activation)

    @property
    def compiled_value(self) -> MLPValue:
        """A linear network that returns `values`."""
        acting = ~self.problem.terminal
        inputs = np.column_stack([self.obs, np.ones(len(self.obs))])[acting]
        fit = np.linalg.lstsq(inputs, self.values[acting], rcond=None)[0]
        return MLPValue(fit.astype(np.float32), (OBS_SIZE, 1))


def problems() -> list[exact.MDP]:
    """Return problems with noise, step costs, states that look alike, time limits, and episodes of varied length."""
    corridor = dataclasses.replace(exact.short_corridor(), discount=0.9, time_limit=4)
    chain = dataclasses.replace(exact.chain(3), discount=0.95, time_limit=4)
    return [
        exact.bandit([1.0, 2.0, 4.0], noise=1.0),
        corridor,
        chain,
        exact.garnet(4, 2, 2, seed=1, discount=0.8, time_limit=2),
        exact.layered(2, 3, seed=2, discount=0.9),
    ]


def cases(seed: int = 0) -> list[Case]:
    """Return every problem with a tabular, a linear and a tanh-network policy of random parameters."""
    rng = np.random.default_rng(seed)
    return [_with_slope(case, rng) for problem in problems() for case in cases_of(problem, rng)]


def cases_of(problem: exact.MDP, rng: np.random.Generator) -> list[Case]:
    """Return the three policies on one problem: `tabular` observes the state, the others random features of it."""
    states = problem.num_states
    acting = np.flatnonzero(~problem.terminal)
    tabular, random = np.zeros((states, OBS_SIZE)), np.zeros((states, OBS_SIZE))
    tabular[acting, np.arange(acting.size)] = 1.0
    random[acting] = rng.normal(size=(acting.size, OBS_SIZE)).astype(np.float32)
    made = []
    for name, obs, hidden in (("tabular", tabular, ()), ("linear", random, ()), ("network", random, (3,))):
        family = exact.Perceptron(obs, hidden, problem.num_actions, "tanh")
        made.append(Case(problem, name, obs, family, _parameters(family, rng)))
    return made


def _parameters(family: exact.Perceptron, rng: np.random.Generator) -> Floats:
    return rng.normal(scale=0.7, size=family.num_parameters).astype(np.float32).astype(np.float64)


def _with_slope(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with random parameters at which J is neither flat nor the policy almost deterministic."""
    acting = ~case.problem.terminal
    for _ in range(ATTEMPTS):
        steep = float(np.linalg.norm(case.solution.gradient)) >= LEAST_GRADIENT
        if steep and case.policy.probabilities[acting].min() >= LEAST_PROBABILITY:
            return case
        case = dataclasses.replace(case, theta=_parameters(case.family, rng))
    raise AssertionError(f"all of {ATTEMPTS} random policies are flat or almost deterministic on {case.problem.name}")
