"""The code in docs/torch.md runs, and prints what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "torch.md"


def test_the_lines_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    *_, shape, same = capsys.readouterr().out.splitlines()
    assert shape == "torch.Size([2, 6])"
    assert same == "True"
    assert names["result"].policies[0].module.__class__.__name__ == "Trunk"
    assert names["module"].sizes == (4, 128, 2)
