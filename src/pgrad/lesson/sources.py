"""What the engine is built from, and whether it is older than that."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SITE = HERE / "site"
COMPILERS = ("numba", "llvmlite", "numpy", "ziglang")


def sources() -> str:
    """Return a hash of the whole package, and of the compilers' versions."""
    digest = hashlib.sha256(" ".join(map(version, COMPILERS)).encode())
    for file in [*sorted(HERE.parent.rglob("*.py")), HERE / "runtime.c"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def built_from(folder: Path) -> str | None:
    """Return the hash of what the engine in a folder was built from; None where there is none."""
    try:
        return str(json.loads((folder / "engine.json").read_text("utf-8"))["sources"])
    except FileNotFoundError:
        return None
