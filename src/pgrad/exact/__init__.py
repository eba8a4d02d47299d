"""Finite Markov decision processes solved exactly: the oracle by which estimators are proved, and a laboratory.

    mdp = exact.short_corridor()
    family = exact.Linear(exact.short_corridor_features())
    solution = exact.solve(mdp, family([0.0, 0.0]))
    solution.performance, solution.gradient

`solve` gives J, ∇J, V, Q, occupancies and the Fisher matrix of a policy by linear algebra; `moments` the exact mean and
covariance of any estimator by enumerating all trajectories.
"""

from pgrad.exact.from_gymnasium import from_gymnasium
from pgrad.exact.mdp import MDP
from pgrad.exact.policies import Differentiable, Family, Linear, Perceptron, SoftmaxPolicy, Tabular
from pgrad.exact.problems import bandit, chain, garnet, gridworld, layered, short_corridor, short_corridor_features
from pgrad.exact.solution import (
    AscentPath,
    OptimalValues,
    Solution,
    ascend,
    finite_difference_gradient,
    optimal_values,
    solve,
)
from pgrad.exact.table import Rows, theorem_table
from pgrad.exact.trajectories import (
    Moments,
    Trajectory,
    checked_call,
    enumerate_trajectories,
    moments,
    sample_trajectories,
)

__all__ = [
    "MDP",
    "AscentPath",
    "Differentiable",
    "Family",
    "Linear",
    "Moments",
    "OptimalValues",
    "Perceptron",
    "Rows",
    "SoftmaxPolicy",
    "Solution",
    "Tabular",
    "Trajectory",
    "ascend",
    "bandit",
    "chain",
    "checked_call",
    "enumerate_trajectories",
    "finite_difference_gradient",
    "from_gymnasium",
    "garnet",
    "gridworld",
    "layered",
    "moments",
    "optimal_values",
    "sample_trajectories",
    "short_corridor",
    "short_corridor_features",
    "solve",
    "theorem_table",
]
