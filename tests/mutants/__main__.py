"""`make mutants`: plant errors in pgrad, and fail on every one that no test notices and nothing explains."""

import argparse
import json
import os
import random
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from edits import ROOMS, ROOT, SOURCES, Edit, every_mechanical, replacing
from harness import OPTIONS, Harness, Verdict, digest

HERE = Path(__file__).parent
TESTS = [f"tests/{room}" for room in (*ROOMS, "torch", "presets", "experiments")]
APART = ("jit", "fingerprint", "numba_cache")  # tests of how Numba is used, which the errors do not touch


def planted() -> list[Edit]:
    """The errors that people thought of, in planted.toml."""
    text = (HERE / "planted.toml").read_text(encoding="utf-8")
    return [
        replacing(entry["file"], entry["right"], entry["wrong"])._replace(name=f"{entry['file']}: {entry['name']}")
        for entry in tomllib.loads(text)["error"]
    ]


def explained() -> dict[str, str]:
    """Why an error changes nothing that a test could see, in explained.toml; by its name."""
    text = (HERE / "explained.toml").read_text(encoding="utf-8")
    return {name: entry["because"] for entry in tomllib.loads(text).get("reason", []) for name in entry["errors"]}


class Results:
    """What became of each error; kept, so that a run can be interrupted and go on."""

    def __init__(self, folder: Path, total: int) -> None:
        self.file = folder / f"results-{digest(*sorted(SOURCES.rglob('*.py')))}.jsonl"
        self.verdicts: dict[str, Verdict] = {}
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                name, *verdict = json.loads(line)
                self.verdicts[name] = Verdict(*verdict)
        self.total, self.told, self.began = total, 0, time.monotonic()

    def tell(self, edit: Edit, verdict: Verdict) -> None:
        """Keep a verdict, and print a survivor."""
        self.verdicts[edit.name] = verdict
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps([edit.name, *verdict], ensure_ascii=False) + "\n")
        self.told += 1
        if not verdict.noticed:
            print(f"survived ({verdict.by}): {edit.name}", flush=True)
        if self.told % 100 == 0:
            print(f"{self.told} of {self.total} in {time.monotonic() - self.began:.0f} s", flush=True)


def main() -> int:
    """Plant what was asked for, print a table of rooms, and fail on what is neither noticed nor explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="only so many mechanical errors, the same ones every time")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", nargs="+", default=[""], help="errors whose names begin so, as kernels/gaussian.py")
    parser.add_argument("--planted", action="store_true", help="the errors of planted.toml alone")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="the tests that may notice")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="errors tried at a time")
    parser.add_argument("--folder", type=Path, default=ROOT / ".pytest_cache" / "mutants", help="for what is found out")
    arguments = parser.parse_args()
    wanted = tuple(arguments.only)
    edits = [edit for edit in planted() if edit.name.startswith(wanted)]
    if not arguments.planted:
        mechanical = [edit for edit in every_mechanical() if edit.name.startswith(wanted)]
        random.Random(arguments.seed).shuffle(mechanical)  # so that what an interrupted run has done is a fair sample
        edits += mechanical[: arguments.sample]
    os.environ["NUMBA_DISABLE_JIT"] = "1"  # before pgrad is imported
    arguments.folder.mkdir(parents=True, exist_ok=True)
    reasons = explained()
    results = Results(arguments.folder, len(edits))
    tried = {name for name, verdict in results.verdicts.items() if verdict.noticed} | set(reasons)
    left = [edit for edit in edits if edit.name not in tried]
    print(f"{len(edits)} errors, {len(left)} to try", flush=True)
    options = [*OPTIONS, "--rootdir", str(ROOT), *(f"--ignore=tests/kernels/test_{name}.py" for name in APART)]
    harness = Harness(left, results.tell, arguments.jobs, arguments.folder)
    status = pytest.main([*options, *arguments.tests], plugins=[harness])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return int(status)
    return report(edits, results.verdicts, reasons)


def report(edits: list[Edit], verdicts: dict[str, Verdict], reasons: dict[str, str]) -> int:
    """Print how many errors of each room were noticed or explained; return 1 if any was neither."""
    rooms = [edit.file.partition("/")[0] for edit in edits]
    total = Counter(rooms)
    noticed = Counter(r for r, e in zip(rooms, edits, strict=True) if e.name in verdicts and verdicts[e.name].noticed)
    clear = Counter(r for r, e in zip(rooms, edits, strict=True) if e.name in reasons)
    for room in sorted(total):
        share = noticed[room] / total[room]
        print(f"{room:12} {noticed[room]:5} of {total[room]:5} noticed ({share:.1%}), {clear[room]:4} explained")
    left = [e.name for e in edits if e.name not in reasons and not verdicts[e.name].noticed]
    print(f"{sum(noticed.values())} of {len(edits)} noticed, {sum(clear.values())} explained, {len(left)} survived")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
