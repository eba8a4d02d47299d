"""Print the oldest versions that pyproject.toml allows, as constraints for pip: `python tools/floors.py`."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)")  # a constraint names no extras


def main() -> None:
    """Print one line for each lower bound: of building, running and testing pgrad."""
    pyproject = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project = pyproject["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*pyproject["build-system"]["requires"], *project["dependencies"], *(r for e in extras for r in e)]
    bounds = [REQUIREMENT.fullmatch(requirement) for requirement in requirements]
    if None in bounds:
        raise SystemExit(f"no plain lower bound: {requirements[bounds.index(None)]}")
    print("\n".join(sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound})))


if __name__ == "__main__":
    main()
