"""The command `pgrad`: find the command that the first word names, run it, and turn errors into exit codes."""

import errno
import faulthandler
import gc
import importlib
import logging
import signal
import sys

from pgrad import __version__
from pgrad.cli.output import protect_output
from pgrad.cli.signals import EXIT_CODES, heed_signals, leave
from pgrad.errors import ConfigError, PgradError, Stopped, nearest

OVERVIEW = """\
pgrad: policy gradients done right.

  pgrad train ENV      train a policy on an environment, for one seed or many
  pgrad watch RUN      follow a training from another terminal, or another machine with its folder
  pgrad explain-failure RUN
                       say why a training ended before its time, and what usually helps
  pgrad sweep ENV      train every setting of a grid on many seeds, and compare them
  pgrad report DIR     write what a sweep or a run found as one page of HTML
  pgrad experiment     answer a question by a sweep that comes with pgrad
  pgrad tune ENV       search for settings, and write them as a preset
  pgrad eval RUN       estimate what a trained policy is worth in Gymnasium's own environment
  pgrad play RUN       show an episode of a trained policy, or write it as a video
  pgrad diagnose RUN   measure signal and noise of every gradient estimator at a trained policy
  pgrad verify         prove every gradient estimator against the exact gradient
  pgrad algorithms     list the algorithms, and the term that each adds
  pgrad envs           list the environments
  pgrad check-env ENV  check an environment, yours or one of Gymnasium's
  pgrad lesson         open the lesson: policy gradients that move under your hands
  pgrad exercise NAME  check your answer to an exercise, and say where to look
  pgrad info           show versions, processor, GPU and extras

Try:  pgrad train CartPole-v1 --seeds 30
Each command explains itself: pgrad train --help"""

# Each command and its module, which is imported when the command is run.
COMMANDS = {
    "train": "train",
    "watch": "watch",
    "explain-failure": "explain_failure",
    "sweep": "sweep",
    "report": "report",
    "experiment": "experiment",
    "tune": "tune",
    "eval": "evaluate",
    "play": "play",
    "diagnose": "diagnose",
    "verify": "verify",
    "algorithms": "algorithms",
    "envs": "envs",
    "check-env": "check_env",
    "lesson": "lesson",
    "exercise": "exercise",
    "info": "info",
}


def run(argv: list[str]) -> int:
    """Run a command and return its exit code; print errors that users can put right on standard error."""
    try:
        code = dispatch(argv)
        sys.stdout.flush()
        return code
    except PgradError as error:
        for line in str(error).splitlines():
            print(f"pgrad: {line}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # of a path that was given: nobody measures these before
            raise
        print(f"pgrad: {error.strerror}: {error.filename!s:.80}…", file=sys.stderr)
        return PgradError.exit_code
    except KeyboardInterrupt as interrupt:
        return interrupt.exit_code if isinstance(interrupt, Stopped) else EXIT_CODES[signal.SIGINT]


def dispatch(argv: list[str]) -> int:
    """Call the command that the first word names."""
    if argv and argv[0] == "help":
        argv = [*argv[1:2], "--help"]
    if not argv or argv[0] in ("-h", "--help"):
        print(OVERVIEW)
        return 0
    if argv[0] == "--version":
        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        raise ConfigError([f"unknown command '{argv[0]}': {nearest(argv[0], COMMANDS)}"])
    module = importlib.import_module(f"pgrad.cli.{COMMANDS[argv[0]]}")
    code: int = module.command(argv[1:])
    return code


def main() -> None:
    """Run the command `pgrad`."""
    protect_output()
    if sys.argv[1:] and sys.argv[1] in COMMANDS:
        importlib.import_module(f"pgrad.cli.{COMMANDS[sys.argv[1]]}")  # as long as a signal ends the process at once
    heed_signals()
    if sys.__stderr__ is not None:
        faulthandler.enable()  # where an environment's own machine code crashes, its lines of Python are told
    logging.basicConfig(format="pgrad: %(message)s")
    gc.set_threshold(200_000, 50, 50)  # compiling makes millions of objects and few cycles: a tenth of its time
    code = run(sys.argv[1:])
    if code in EXIT_CODES.values():
        sys.stdout.flush()
        sys.stderr.flush()
        leave(code)
    sys.exit(code)
