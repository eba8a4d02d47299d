"""What the engine is built from, whether it is older than that, and where the site is."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from pgrad.errors import InputError

HERE = Path(__file__).parent
SITE = HERE / "site"
COMPILERS = ("numba", "llvmlite", "numpy", "ziglang")


def sources() -> str:
    """Return a hash of the whole package, and of the compilers' versions."""
    digest = hashlib.sha256(" ".join(map(version, COMPILERS)).encode())
    for file in [*sorted(HERE.parent.rglob("*.py")), HERE / "runtime.c"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def require_site(site: Path) -> None:
    """Raise InputError where the page is not built."""
    if not (site / "index.html").exists():
        raise InputError(
            "this installation has no lesson: `make lesson` builds it in pgrad's repository, and `make wheel` packs it"
        )


def built_from(folder: Path) -> str | None:
    """Return the hash of what the engine in a folder was built from; None where there is none."""
    try:
        return str(json.loads((folder / "engine.json").read_text("utf-8"))["sources"])
    except FileNotFoundError:
        return None
