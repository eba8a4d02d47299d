"""`pgrad algorithms`: every rung with the term that it adds."""

import pytest

from pgrad.algorithms import ALGORITHMS, LADDER
from pgrad.cli import main as cli


def test_every_algorithm_is_listed_once_with_its_term(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["algorithms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(ALGORITHMS)
    terms = {module.ADDS for module in LADDER.values()}
    assert len(terms) == len(LADDER) and all(any(term in line for line in lines) for term in terms)


def test_the_default_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["algorithms"])
    (marked,) = [line for line in capsys.readouterr().out.splitlines() if "default" in line]
    assert marked.startswith("actor-critic ")


@pytest.mark.parametrize("name", LADDER)
def test_each_file_has_its_formula_and_its_source(name: str) -> None:
    text = LADDER[name].__doc__ or ""
    assert any(line.startswith("    ") and ("∇" in line or "max" in line or "θ" in line) for line in text.splitlines())
    assert "(19" in text or "(20" in text, "a source with its year"
