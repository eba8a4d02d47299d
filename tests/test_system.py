"""Where a result comes from, told well enough to repeat it."""

import datetime
import importlib.metadata
from typing import Any

import pytest

from pgrad.system import available_cores, provenance, version


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/somewhere/bin/pgrad", "train", "my env.py"], "pgrad train 'my env.py'"),
        (["/somewhere/pgrad/__main__.py", "eval", "run"], "python -m pgrad eval run"),
        (["script.py"], "script.py"),
        ([""], "python"),
    ],
)
def test_the_command_can_be_typed_again(monkeypatch: pytest.MonkeyPatch, argv: list[str], command: Any) -> None:
    monkeypatch.setattr("sys.argv", argv)
    assert provenance()["command"] == command


def test_versions_processor_and_date() -> None:
    told = provenance()
    assert told["packages"]["numba"] == importlib.metadata.version("numba")
    assert None not in told["packages"].values(), "what is not installed is left out"
    assert told["processor"] and told["python"] and told["platform"] and told["cores"] == available_cores()
    date = datetime.datetime.fromisoformat(told["date"])
    assert abs(datetime.datetime.now(datetime.UTC) - date) < datetime.timedelta(days=1)
    assert version("no-such-package-at-all") is None
