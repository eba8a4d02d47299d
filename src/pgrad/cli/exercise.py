"""`pgrad exercise`: check an answer to an exercise, in a process of its own; or list, begin, get a hint, a solution."""

import argparse
import secrets
import time
from pathlib import Path

from pgrad.cli.parser import Parser
from pgrad.errors import ConfigError
from pgrad.exercises.check import EXERCISES, exercise
from pgrad.exercises.contain import check_file
from pgrad.exercises.exercise import Exercise
from pgrad.exercises.grade import as_csv, class_map, grades
from pgrad.exercises.verdict import Verdict
from pgrad.runs.atomic import write_atomically

POLL = 0.2  # seconds between two looks at a watched file
CLEAR = "\033[2J\033[H"  # the screen


def command(argv: list[str]) -> int:
    """Run `pgrad exercise`."""
    arguments = parser().checked(argv)
    if arguments.grade is not None:
        return graded(arguments)
    if arguments.list or arguments.name is None:
        print(listed())
        return 0
    asked = exercise(arguments.name)
    if arguments.hint is not None:
        print(hinted(asked, arguments.hint))
    elif arguments.solution:
        print("\n".join(f"# {style}\n{code.strip()}\n" for style, code in asked.solutions.items()))
    elif arguments.file is None:
        print(begun(asked))
    elif arguments.watch:
        watch(asked, Path(arguments.file))
    else:
        return checked(asked, arguments)
    return 0


def parser() -> Parser:
    """Return the parser."""
    made = Parser(
        "exercise",
        "[NAME [FILE]] [flags]",
        "Check the function NAME in FILE: what is right, the smallest call that fails, the mistake's name, and where\n"
        "to look. Without FILE, write one to begin with. Exit code 1 if the answer is not right yet.",
    )
    made.add_argument("name", metavar="NAME", nargs="?", help="of the exercise, which is that of the function")
    made.add_argument("file", metavar="FILE", nargs="?", help="with your answer; runs in a process of its own, for 2 s")
    made.add_argument("--list", action="store_true", help="list the exercises")
    made.add_argument(
        "--hint", metavar="1|2|3", nargs="?", const="1", help="a nudge, the formula with gaps, half a line"
    )
    made.add_argument("--solution", action="store_true", help="show solutions in plain loops, NumPy and PyTorch")
    made.add_argument("--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C")
    made.add_argument("--seed", help="of the numbers (default: others each time)")
    made.add_argument("--json", action="store_true", help="print the verdict as JSON")
    made.add_argument("--grade", metavar="FOLDER", help="grade all answers below a folder, and count the mistakes")
    made.add_argument("--out", metavar="FILE", default="grades.csv", help="where the grades go (default grades.csv)")
    made.add_argument("--picture", metavar="FILE", help="draw what a wrong answer does, as a .png")
    return made


def listed() -> str:
    """Return the table of exercises."""
    width = max(map(len, EXERCISES))
    lines = [f"{one.name:{width}}  {one.minutes:2} min  {one.difficulty:6}  {one.title}" for one in EXERCISES.values()]
    return "\n".join([*lines, "", "`pgrad exercise NAME` writes a file to begin with."])


def hinted(asked: Exercise, number: str) -> str:
    """Return a hint, and how to get the next one."""
    if number not in ("1", "2", "3"):
        raise ConfigError([f"there are hints 1, 2 and 3, not '{number}'"])
    k = int(number)
    further = f"`pgrad exercise {asked.name} --hint {k + 1}` says more" if k < 3 else "`--solution` shows it all"
    return f"{asked.hints[k - 1]}\n({further})"


def begun(asked: Exercise) -> str:
    """Write the file to begin with; raise ConfigError if it is there already."""
    path = Path(f"{asked.name}.py")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(asked.starter.lstrip())
    except FileExistsError:
        raise ConfigError([f"'{path}' is there already: `pgrad exercise {asked.name} {path}` checks it"]) from None
    except OSError as error:
        raise ConfigError([f"cannot write '{path}': {error.strerror}"]) from None
    return f"{asked.title}\nWrite your answer into {path}, then run `pgrad exercise {asked.name} {path}`."


def checked(asked: Exercise, arguments: argparse.Namespace) -> int:
    """Print the verdict; return 1 if the answer is not right."""
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    verdict = check_file(asked.name, Path(arguments.file), seed)
    print(verdict.to_json() if arguments.json else said(verdict))
    if arguments.picture is not None and verdict.picture is not None:
        from pgrad.reports.figures import save_figure

        save_figure(verdict.figure(), Path(arguments.picture))
    return 0 if verdict.right else 1


def said(verdict: Verdict) -> str:
    """Return the verdict, and how to get a hint."""
    further = "" if verdict.right else f"\n\n(`pgrad exercise {verdict.exercise} --hint` gives a hint)"
    return f"{verdict}{further}"


def graded(arguments: argparse.Namespace) -> int:
    """Grade a folder, write the grades, and print which mistakes were made."""
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    rows = list(grades(Path(arguments.grade), seed))
    write_atomically(Path(arguments.out), as_csv(rows))
    print(f"{class_map(rows)}\n\n{len(rows)} answers, seed {seed}, in {arguments.out}")
    return 0


def watch(asked: Exercise, path: Path) -> None:
    """Print a verdict whenever the file changes."""
    before = None
    while True:
        now = path.stat().st_mtime_ns if path.exists() else before  # an editor may be replacing it
        if now != before or before is None:
            before = now
            verdict = check_file(asked.name, path, secrets.randbelow(2**31))
            print(f"{CLEAR}{said(verdict)}\n\nwatching {path} until you press Ctrl-C", flush=True)
        time.sleep(POLL)
