"""What the README promises of its own lines."""

import re
from pathlib import Path
from typing import Any

import pytest

import pgrad

README = Path(__file__).parent.parent / "README.md"


def test_the_lines_on_the_gradient_run_and_say_what_is_said_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## Is it the gradient?") :]
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, names)
    diagnosis, *_, frozen_lake = capsys.readouterr().out.splitlines()
    assert diagnosis == "mean of log-probabilities times total return"
    assert float(frozen_lake) == pytest.approx(0.542, abs=5e-4)


@pytest.mark.parametrize("title", ["## Your environment", "## Your policy"])
def test_the_lines_on_environments_and_policies_run(title: str) -> None:
    text = README.read_text(encoding="utf-8")
    section = text[text.index(title) + len(title) :].partition("\n## ")[0]
    names: dict[str, Any] = {"pgrad": pgrad}
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert blocks
    for code in blocks:
        exec(code, names)
    assert names["result"].total_steps >= 2_000
