"""The lines of docs/torch.md run, and print what is said of them."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "torch.md"


def test_the_lines_of_the_page_run(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "pgrad")
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    *_, shape, same = capsys.readouterr().out.splitlines()
    assert shape == "torch.Size([2, 6])"
    assert same == "True"
    assert names["result"].policies[0].module.__class__.__name__ == "Trunk"
