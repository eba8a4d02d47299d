"""The lesson's notebook: the file with outputs is that of its source, and its numbers are right."""

import ast
import json
import math
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

LESSON = Path(__file__).parents[2] / "lesson"
SOURCE, NOTEBOOK = LESSON / "policy_gradients.py", LESSON / "policy_gradients.ipynb"
RESULTS = LESSON.parent / "docs" / "results.md"
FEWER = 2  # seeds that are trained here
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]\d+)?")


def source_cells() -> list[tuple[str, str]]:
    """The kind and text of each cell of the percent format, as a notebook holds them."""
    cells = []
    for part in re.split(r"^# %%", SOURCE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind, text = ("markdown" if "[markdown]" in head else "code"), body.strip("\n")
        if kind == "markdown":
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
        cells.append((kind, text))
    return cells


def written() -> list[dict[str, Any]]:
    """The cells of the notebook in Git."""
    cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return cells


def printed(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", [])) for output in cell.get("outputs", []))


def test_the_notebook_is_that_of_its_source() -> None:
    fresh = [(cell["cell_type"], "".join(cell["source"])) for cell in written()]
    assert fresh == source_cells(), "run `make notebooks`"


def test_all_of_it_has_run_and_no_cell_failed() -> None:
    code = [cell for cell in written() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "execute_result"}
    assert all(cell["outputs"] for cell in code)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 14
    assert NOTEBOOK.stat().st_size < 1.5e6


def test_what_the_text_says_of_thirty_seeds_is_what_was_measured() -> None:
    out = "\n".join(map(printed, written()))

    def held(name: str) -> int:
        return int(re.findall(rf"^{re.escape(name)} +mean.*at 475: +(\d+) of 30$", out, re.MULTILINE)[0])

    def mean(name: str) -> float:
        return float(re.findall(rf"^{re.escape(name)} +mean +([\d.]+),", out, re.MULTILINE)[0])

    assert held("the recipe") <= 2
    assert mean("the recipe") + 50 < mean("eight episodes a step") < mean("and a baseline") - 50
    assert held("and a falling rate, 1,200 episodes") >= 28
    assert held("the recipe, 1,200 episodes") <= 15
    assert held("actor-critic") == 30
    left = re.findall(r"push left though the pole tilts right: (\d+) of 30", out)
    assert int(left[0]) <= 5
    assert int(left[1]) > 15
    assert mean("two layers") < mean("one layer of 128")
    assert mean("learning rate 0.1") < 20 < mean("learning rate 0.001") < mean("learning rate 0.003")
    assert float(re.findall(r"the best 50 episodes of each seed: mean ([\d.]+)", out)[0]) > 1.5 * mean("the recipe")


def test_recorded_numbers_are_in_the_results() -> None:
    results = " ".join(RESULTS.read_text("utf-8").replace("**", "").split())
    recorded = re.findall(r"^print\(\"recorded.*?(-?[\d.]+ \[[^]]+\])\"\)$", SOURCE.read_text("utf-8"), re.MULTILINE)
    assert len(recorded) == 3
    for numbers in recorded:
        assert numbers in results


class Ran(NamedTuple):
    """A code cell that was run."""

    source: str
    out: str
    value: Any  # of its last expression
    names: dict[str, Any]  # that there were afterwards

    def numbers(self, line: str) -> list[float]:
        """What follows `line` in the output."""
        row = next(row for row in self.out.splitlines() if row.startswith(line))
        return [float(number.replace(",", "")) for number in NUMBER.findall(row.removeprefix(line))]


class Program(NamedTuple):
    cells: list[Ran]

    def __getitem__(self, fragment: str) -> Ran:
        """The one cell with this code."""
        (found,) = [cell for cell in self.cells if fragment in cell.source]
        return found


def run() -> Program:
    """Run the source as a program, with fewer seeds."""
    names: dict[str, Any] = {}
    cells = []
    for source in [text for kind, text in source_cells() if kind == "code"]:
        tree, value = ast.parse(source.replace("SEEDS = 30", f"SEEDS = {FEWER}")), None
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with redirect_stdout(StringIO()) as out:
            exec(compile(tree, str(SOURCE), "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), str(SOURCE), "eval"), names)
        cells.append(Ran(source, out.getvalue(), value, dict(names)))
    return Program(cells)


def softmax(preferences: list[float], temperature: float = 1.0) -> list[float]:
    exponentials = [math.exp(h / temperature) for h in preferences]
    return [e / sum(exponentials) for e in exponentials]


PREFERENCES = [2.0, 1.0, 0.5]
GRADIENT = [0.0911, 0.0612]  # of the chain, by hand in docs/theory.md
TO_GO = [(1 - 0.99**k) / 0.01 for k in range(1, 501)]  # 1 + γ + … of k steps


def setup(program: Program) -> None:
    assert f"{FEWER} seeds" in program["SEEDS = "].out


def probabilities(program: Program) -> None:
    cell = program["print(pgrad.softmax(preferences).round(2))"]
    assert cell.out == "[0.63 0.23 0.14]\n[0.63 0.23 0.14]\n"
    np.testing.assert_allclose(softmax(PREFERENCES), [0.63, 0.23, 0.14], atol=0.005)


def bars(program: Program) -> None:
    left, right = program["theory.preference_bars"].value.axes
    assert [bar.get_height() for bar in left.patches] == PREFERENCES
    np.testing.assert_allclose([bar.get_height() for bar in right.patches], softmax(PREFERENCES))


def network(program: Program) -> None:
    assert program["policy.num_parameters"].out.startswith("898 parameters: 640 into the hidden layer, 258 out of it")
    cell = program["draws = "]
    left, right = cell.numbers("probabilities")
    assert left + right == pytest.approx(1, abs=1e-4)
    assert cell.numbers("log π(right)") == [pytest.approx(math.log(right), abs=1e-3)]
    assert abs(cell.numbers("1,000 draws")[1] - right) < 4 * math.sqrt(left * right / 1000)


def trick(program: Program) -> None:
    cell = program["moved = "]
    p = softmax(PREFERENCES)
    by_hand = [p[0] * ((k == 0) - p[k]) for k in range(3)]
    np.testing.assert_allclose(cell.numbers("∇π(a₁)"), by_hand, atol=5e-5)
    np.testing.assert_allclose(cell.numbers("π(a₁) · ∇ log π(a₁)"), by_hand, atol=5e-5)


def sign(program: Program) -> None:
    step, value = program["after = "].value.axes[0].lines[:2]
    assert (np.diff(step.get_ydata()) > 0).all(), "a better return, a likelier action"
    assert (np.diff(value.get_ydata()) < 0).all(), "and the value says the opposite"
    up, down = program["theory.return_sign"].value.axes
    assert ("reinforced" in up.get_title("left")) and ("discouraged" in down.get_title("left"))


def estimator(program: Program) -> None:
    """(-1.7 · 3 + -1.1 · -1) / 2 is the surrogate's value; G / N multiplies each score."""
    assert program["two_returns = "].numbers("the surrogate's value:") == [-2.0]
    cell = program["weights = "]
    assert "[[1.5, 1.5], [-0.5, -0.5]]" in cell.out
    for b in (0.0, -2.5, -5.0):
        np.testing.assert_allclose(cell.numbers(f"the chain, b = {b:4}")[1:], GRADIENT, atol=5e-5)
    assert "not begun yet" in program["def estimate_policy_gradient"].out


def estimator_solved(program: Program) -> None:
    cell = program["def worked_estimate"]
    assert cell.out.startswith("✓ estimate_policy_gradient: right")
    assert cell.names["worked_estimate"]([[-0.5, -1.2], [-0.3, -0.8]], [3.0, -1.0]) == pytest.approx(-2.0)


def temperature(program: Program) -> None:
    cell = program["theory.temperature_curves"]
    for tau in (0.1, 1.0, 10.0):
        np.testing.assert_allclose(cell.numbers(f"τ = {tau:4}"), softmax(PREFERENCES, tau), atol=5e-5)
    assert "not begun yet" in program["def temperature_softmax"].out


def temperature_solved(program: Program) -> None:
    cell = program["def worked_softmax"]
    assert cell.out.startswith("✓ temperature_softmax: right")
    low, middle, high = (cell.names["worked_softmax"](PREFERENCES, tau) for tau in (0.1, 1.0, 10.0))
    assert low.argmax() == 0
    assert middle.sum() == pytest.approx(1)
    assert np.ptp(high) < 0.1


def episode(program: Program) -> None:
    cell = program["pgrad.collect_episode"]
    length = int(cell.numbers("<Episode:")[0])
    to_go = TO_GO[:length][::-1]
    np.testing.assert_allclose(cell.numbers("first five returns:"), to_go[:5], atol=0.005)
    np.testing.assert_allclose(cell.numbers("last five returns: "), to_go[-5:], atol=0.005)
    assert program["backwards.append"].out == "the same by hand: True\n"


def training(program: Program) -> None:
    result = program["plain = train()"].names["plain"]
    settings = [getattr(result.config, name) for name in ("hidden", "activation", "learning_rate", "discount")]
    assert settings == [(128,), "relu", 0.01, 0.99]
    assert (result.config.baseline, result.config.estimator) == ("none", "reward-to-go")
    assert [seed.history.episodes.length.size for seed in result.seeds] == [300] * FEWER
    last = np.mean([seed.history.episodes.length[-50:].mean() for seed in result.seeds])
    assert program["ended below half"].numbers("the recipe")[0] == pytest.approx(last, abs=0.05)


def curves(program: Program) -> None:
    axes = program["plain = train()"].value.axes[0]
    assert axes.get_xlabel() == "episodes"
    assert sum(len(line.get_xdata()) == 300 for line in axes.lines) == 2 * FEWER  # dots, and the running means
    compared = program["pgrad.compare(trained)"].value.axes[0]
    assert [round(line.get_xdata()[-1]) for line in compared.lines] == [300, 304, 304, 1200]


def five_states(program: Program) -> None:
    """The states of the original; π by the network's formula; where the pole's next angle is beyond 12 degrees."""
    names = program["masters = "].names
    states = [(0, 0, 0, 0), (-1, -0.5, 0.1, 0.5), (1, 0.5, -0.1, -0.5), (0, 0, 0.2, 1.5), (0, 0, -0.2, -1.5)]
    np.testing.assert_array_equal(names["states"], states)
    (first, first_bias), (second, second_bias) = names["masters"]["cured"].policies[0].layers
    logits = np.maximum(np.array(states) @ first.T + first_bias, 0) @ second.T + second_bias
    np.testing.assert_allclose(names["right"]["cured"][0], 1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), atol=1e-4)
    ends = [abs(angle + 0.02 * speed) > math.radians(12) for *_, angle, speed in states]
    rows = program["env.state = "].out.splitlines()
    assert [row.count("True") for row in rows] == [2 * end for end in ends] == [0, 0, 0, 2, 2]


COUNTERPARTS: tuple[Callable[[Program], None], ...] = (
    setup,
    probabilities,
    bars,
    network,
    trick,
    sign,
    estimator,
    estimator_solved,
    temperature,
    temperature_solved,
    episode,
    training,
    curves,
    five_states,
)


def beyond(program: Program) -> None:
    """What the original had not: the theorem's table, unbiased and biased estimators, the questions' answers."""
    for name in ("the table", "linear algebra", "finite differences"):
        np.testing.assert_allclose(program['print("the table'].numbers(name), GRADIENT, atol=5e-5)
    estimators = program["def reward_to_go"]
    for name, mean in (("total_return", GRADIENT), ("reward_to_go", GRADIENT), ("dropped", [0.0911, 0.068])):
        np.testing.assert_allclose(estimators.numbers(name)[:2], mean, atol=5e-5)
    assert program["largest change of a score"].numbers("largest change of a score:") == [0.0]
    counts = program["for limit in"]
    assert counts.numbers("FrozenLake,  10 steps:") == [7e9]
    assert counts.numbers("FrozenLake, 100 steps:") == [4e96]
    constants = program["for c in"].out.splitlines()
    assert [row.split("h(right) = ")[1] for row in constants] == ["+0.74", "+0.00", "-0.74"]
    assert program["np.polyfit"].numbers("slope") == [pytest.approx(-0.5, abs=0.03)]


def test_the_fourteen_cells_of_the_original_have_their_counterparts() -> None:
    program = run()
    assert len(COUNTERPARTS) == 14
    for check in (*COUNTERPARTS, beyond):
        check(program)
