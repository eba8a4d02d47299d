"""Files that a stranger made: nothing that they name is run, nothing is read for ever, nothing is written elsewhere."""

import contextlib
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.faults.damage import Tried, added

import pgrad
from pgrad.cli import main as cli
from pgrad.errors import PgradError
from pgrad.runs.mlp_file import load_policy, save_policy
from pgrad.runs.state_file import NEWEST

EVIL = "from pathlib import Path\nPath({canary!r}).touch()\ndef Env(): Path({canary!r}).touch()\n"
NAMES = (
    "evilmod:Env",
    "evil.py:Env",
    "evil.py",
    "../evil.py:Env",
    "{here}/evil.py:Env",
    "{here}/evilmod.py",
    "evilmod",
)


class Bomb:
    """What pickle would run."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.canary,)


def contents(canary: Path) -> dict[str, bytes]:
    """Return files that are none of pgrad's, by what they are."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(canary)))
        archive.writestr("archive/data/0", b"\0" * 50_000_000)
    shape = {"a": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 2**64 - 1]}}
    huge = json.dumps(shape).encode()
    return {
        "a pickle": pickle.dumps(Bomb(canary)),
        "a zip bomb of a PyTorch file": zipped.getvalue(),
        "a gzip bomb": gzip.compress(b"\0" * 50_000_000),
        "a header of 2**63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "a header of 2**64 - 1 bytes": struct.pack("<Q", 2**64 - 1) + b"{}",
        "a tensor of 2**64 bytes": struct.pack("<Q", len(huge)) + huge,
        "an endless nesting": struct.pack("<Q", 200_000) + b'{"a":' * 40_000,
    }


def readers(run: Path) -> list[Callable[[], object]]:
    """Return all that reads a stranger's run."""
    quick = {"episodes": 1, "max_episode_steps": 3}
    words = [
        ["eval", str(run), "--episodes", "1", "--max-episode-steps", "3", "--quiet"],
        ["watch", str(run)],
        ["explain-failure", str(run)],
        ["train", "--resume", str(run), "--evaluation-episodes", "0", "--no-figures", "--quiet"],
    ]
    return [
        lambda: pgrad.load(run),
        lambda: pgrad.load_value(run),
        lambda: pgrad.evaluate(run, **quick),
        lambda: pgrad.collect_episode(run, max_episode_steps=3),
        lambda: pgrad.resume(run, evaluation_episodes=0),
        *((lambda words=words: cli.run(words)) for words in words),
    ]


def harmless(run: Path, canary: Path) -> Tried:
    """Read a run in all ways; return how many there are, and how many ended in one of pgrad's errors or well, and ran
    nothing of the run's."""
    tried = held = 0
    for read in readers(run):
        tried += 1
        nowhere = io.StringIO()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), contextlib.suppress(PgradError):
            read()
        held += not canary.exists()
    return tried, held


def copied(run: Path, folder: Path) -> Path:
    """Return a fresh copy of a run."""
    shutil.rmtree(folder / "stranger", ignore_errors=True)
    return Path(shutil.copytree(run, folder / "stranger", symlinks=True))


def try_files(run: Path, folder: Path, most: int | None = None) -> Tried:
    """Put each hostile file in the place of a run's."""
    canary, results = folder / "canary", []
    for content in contents(canary).values():
        for name in ("seed-0/policy.safetensors", f"seed-0/{NEWEST}", "config.toml")[:most]:
            stranger = copied(run, folder)
            (stranger / name).write_bytes(content)
            results.append(harmless(stranger, canary))
    return added(results)


def try_names(run: Path, folder: Path) -> Tried:
    """Let a run name code as its environment, in its policy, its checkpoint's configuration, or both."""
    canary, results = folder / "canary", []
    inner = folder / "inner"
    inner.mkdir(exist_ok=True)
    for file in ("inner/evil.py", "inner/evilmod.py", "evil.py"):
        (folder / file).write_text(EVIL.format(canary=str(canary)))
    with contextlib.chdir(inner):
        for name in NAMES:
            stranger = copied(run, folder)
            env = name.format(here=inner)
            policy = stranger / "seed-0" / "policy.safetensors"
            save_policy(replace(load_policy(policy), env=env), policy)
            config = (stranger / "config.toml").read_text()
            (stranger / "config.toml").write_text(config.replace('"CartPole-v1"', json.dumps(env), 1))
            results.append(harmless(stranger, canary))
            with contextlib.suppress(PgradError):
                pgrad.diagnose(stranger)
            results.append((1, not canary.exists()))
    return added(results)


def try_links(run: Path, folder: Path, first: int = 0) -> Tried:
    """Put links to other places, and pipes without an end, in the place of a run's files."""
    outside, results = folder / "outside", []
    outside.write_text("mine")
    for link, target in links(outside)[first:]:
        stranger = copied(run, folder)
        place = stranger / link
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        os.mkfifo(place) if target is None else place.symlink_to(target)
        results.append(harmless(stranger, folder / "canary"))
        untouched = outside.read_text() == "mine" and not list((folder / "elsewhere").iterdir())
        results.append((1, untouched))
    return added(results)


def links(outside: Path) -> list[tuple[str, Path | None]]:
    """Return files of a run, and what is put in their place: a link, or None for a pipe without an end."""
    elsewhere = outside.with_name("elsewhere")
    elsewhere.mkdir(exist_ok=True)
    names = ("config.toml", "seed-0/policy.safetensors", "seed-0/metrics.csv", f"seed-0/{NEWEST}", "failure.json")
    targets: list[Path | None] = [outside, Path("/dev/zero"), Path("/proc/self/mem"), None]
    found = [(name, target) for name in names for target in targets]
    return [*found, ("evaluations.jsonl", outside), ("seed-0", elsewhere), ("seed-0", None)]
