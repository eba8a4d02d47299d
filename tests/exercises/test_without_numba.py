"""The checker, `exact` and the rest that a browser's Python needs: without Numba the same answers, from NumPy alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import pgrad
from pgrad import exact
from pgrad.exercises import EXERCISES, check

MISSING = ("numba", "llvmlite", "gymnasium", "matplotlib", "rich", "safetensors", "torch", "scipy")
WRONG = {
    "temperature_softmax": "def temperature_softmax(h, t=1.0):\n    return np.exp(h / t) / np.exp(h / t).sum()",
    "sample_action": "def sample_action(h, rng):\n    return int(np.argmax(h)), 0.0",
    "rewards_to_go": "def rewards_to_go(rewards, discount):\n    return np.cumsum(rewards)",
    "estimate_policy_gradient": """
def estimate_policy_gradient(log_probs, returns):
    for row, g in zip(log_probs, returns):
        return g * sum(row) / len(returns)
""",
    "reward_to_go_gradient": """
def reward_to_go_gradient(log_probs, rewards, discount):
    return sum(sum(row) * sum(r) for row, r in zip(log_probs, rewards)) / len(rewards)
""",
    "subtract_baseline": """
def subtract_baseline(returns, values):
    return [[g - np.mean(row) for g in row] for row in returns]
""",
}


def answers() -> Iterator[tuple[str, str]]:
    yield from WRONG.items()
    for name, asked in EXERCISES.items():
        yield name, asked.solutions["NumPy"]


def found() -> Any:
    """What pgrad finds in this process: verdicts, a gradient, its own functions."""
    verdicts = []
    for name, code in answers():
        namespace: dict[str, Any] = {"np": np}
        exec(code, namespace)
        verdict = check(name, namespace[name], seed=1)
        verdicts.append([name, verdict.title, verdict.call, verdict.expected, verdict.got])
    mdp = exact.layered(2, 2, 0, 0.8)
    policy = exact.Tabular(mdp.num_states, mdp.num_actions)(np.zeros(mdp.num_states * mdp.num_actions))
    numbers = [
        exact.solve(mdp, policy).gradient,
        pgrad.softmax([1.0, 2.0, 3.0]),
        pgrad.rewards_to_go([1.0, 2.0], discount=0.5),
    ]
    diagnosis = pgrad.verify.diagnose_estimator(lambda trajectories: trajectories[0].scores.sum(axis=0), seed=0)
    return [verdicts, [np.round(x, 9).tolist() for x in numbers], str(diagnosis)]


def test_the_same_is_found_without_numba() -> None:
    code = f"""if True:
        import sys
        sys.modules.update(dict.fromkeys({MISSING}))
        import json
        from tests.exercises.test_without_numba import found
        print(json.dumps(found()))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdicts, *others = json.loads(done.stdout)
    assert [verdicts, *others] == found()
    assert {title for _, title, *_ in verdicts[len(WRONG) :]} == {"right"}
    assert "right" not in {title for _, title, *_ in verdicts[: len(WRONG)]}
