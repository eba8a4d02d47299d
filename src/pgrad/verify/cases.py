"""The problems and policies on which estimators are proved: small enough to go through every trajectory."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgrad import exact
from pgrad.exact.mdp import Floats
from pgrad.policies.mlp import MLPPolicy, MLPValue

ATTEMPTS = 1_000
LEAST_GRADIENT = 0.05  # ‖∇J‖, of a policy to prove things on: errors are measured against it
LEAST_PROBABILITY = 0.02  # of an action: rarer ones would not be seen in a sample
OBS_SIZE = 5  # of every case: the type of a compiled environment holds it, and each type is compiled anew


@dataclass(frozen=True, eq=False)
class Case:
    """A problem with a policy on it."""

    problem: exact.MDP
    policy_name: str
    obs: Floats  # [S, O] what the policy sees of each state
    family: exact.Perceptron
    theta: Floats  # [P] numbers that float32 holds exactly

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
        """J, ∇J and the rest, by linear algebra."""
        return exact.solve(self.problem, self.policy)

    @cached_property
    def values(self) -> Floats:
        """V(s) without the time limit, [S]."""
        unlimited = dataclasses.replace(self.problem, time_limit=None)
        return exact.solve(unlimited, self.policy).value

    @property
    def compiled_policy(self) -> MLPPolicy:
        """The policy that training would have, in float32."""
        sizes = (OBS_SIZE, *self.family.hidden, self.problem.num_actions)
        return MLPPolicy(self.theta.astype(np.float32), sizes, self.family.activation)

    @property
    def compiled_value(self) -> MLPValue:
        """A linear network whose outputs are `values`."""
        acting = ~self.problem.terminal
        inputs = np.column_stack([self.obs, np.ones(len(self.obs))])[acting]
        fit = np.linalg.lstsq(inputs, self.values[acting], rcond=None)[0]
        return MLPValue(fit.astype(np.float32), (OBS_SIZE, 1))


def problems() -> list[exact.MDP]:
    """Noise, steps that cost, states that look alike, time limits, random ones, and episodes of different lengths."""
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
    """Every problem with a tabular, a linear and a tanh-network policy of random parameters."""
    rng = np.random.default_rng(seed)
    return [_telling(case, rng) for problem in problems() for case in cases_of(problem, rng)]


def cases_of(problem: exact.MDP, rng: np.random.Generator) -> list[Case]:
    """The three policies on one problem. `tabular` sees which state it is in, the others random features of it."""
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


def _telling(case: Case, rng: np.random.Generator) -> Case:
    """The case, or one with other random parameters at which the problem is neither flat nor as good as decided."""
    acting = ~case.problem.terminal
    for _ in range(ATTEMPTS):
        steep = float(np.linalg.norm(case.solution.gradient)) >= LEAST_GRADIENT
        if steep and case.policy.probabilities[acting].min() >= LEAST_PROBABILITY:
            return case
        case = dataclasses.replace(case, theta=_parameters(case.family, rng))
    raise AssertionError(f"{ATTEMPTS} random policies, and all are flat on {case.problem.name}")
