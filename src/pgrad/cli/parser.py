"""Command-line arguments: argparse whose complaints are ConfigErrors, all in one message."""

import argparse
import itertools
from typing import Any

from pgrad.config.settings import ARGUMENTS, check_arguments
from pgrad.config.synonyms import nearest_setting
from pgrad.config.values import plain
from pgrad.errors import ConfigError, collecting


class Parser(argparse.ArgumentParser):
    """The parser of one command."""

    def __init__(self, command: str, argument: str, description: str, epilog: str = "") -> None:
        super().__init__(
            f"pgrad {command}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            usage=f"pgrad {command} {argument}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> Any:
        """Raise instead of exiting."""
        raise ConfigError([f"{message} (see `{self.prog} --help`)"])

    def parse(self, argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """Return the arguments as text, and a problem for each one that is unknown or lacks its value."""
        problems = []
        valued = {flag for action in self._actions for flag in action.option_strings if action.nargs is None}
        switches = {
            flag: action.option_strings
            for action in self._actions
            if isinstance(action, argparse.BooleanOptionalAction)
            for flag in action.option_strings
        }
        words, complete = iter(itertools.zip_longest(argv, argv[1:])), []
        for word, following in words:
            flag, equals, value = word.partition("=")
            if flag in valued and (value == "--" if equals else following is None or following.startswith("--")):
                problems.append(f"{flag} needs a value")
            elif word in switches and following in ("true", "false"):
                complete.append(switches[word][following == "false"])
                next(words)
            else:
                complete.append(word)
        arguments, unknown = self.parse_known_args(complete)
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in unknown:
            if word.startswith("--"):
                name = word.split("=")[0]
                problems.append(f"unknown flag '{name}': {nearest_setting(name, flags, self.prog)}")
            elif not problems:  # else it is most likely the unknown flag's value
                problems.append(f"unexpected argument '{word}' (see `{self.prog} --help`)")
        return arguments, problems

    def checked(self, argv: list[str]) -> argparse.Namespace:
        """Return the arguments, converted and checked against config.ARGUMENTS; raise one ConfigError."""
        arguments, problems = self.parse(argv)
        flags = [action.option_strings[0] for action in self._actions if action.option_strings]
        given = {flag: getattr(arguments, plain(flag), None) for flag in flags if plain(flag) in ARGUMENTS}
        with collecting(problems):
            vars(arguments).update(check_arguments(**{flag: text for flag, text in given.items() if text is not None}))
        if problems:
            raise ConfigError(problems)
        return arguments

    def add_trust(self) -> None:
        """Add --trust."""
        self.add_argument(
            "--trust",
            action="store_true",
            help="import, and run, the code that the run names as its environment: only for files of your own",
        )

    def add_policy(self, group: Any = None) -> None:
        """Add --policy."""
        (group or self).add_argument(
            "--policy",
            metavar="FILE:NAME",
            help="the PyTorch module to train, or that was trained: a class or function in a file of yours, as in "
            "my_policy.py:Net",
        )

    def add_cluster(self, group: Any = None) -> None:
        """Add --on, which is absent where it is not given."""
        (group or self).add_argument(
            "--on",
            default=argparse.SUPPRESS,
            metavar="CLUSTER",
            help="ray: on a Ray cluster on this machine; ray:ADDRESS: on an existing one",
        )

    def add_quiet(self) -> None:
        """Add --quiet."""
        self.add_argument("--quiet", action="store_true", help="show no progress, only the result")

    def add_step_timeout(self) -> None:
        """Add --step-timeout."""
        self.add_argument(
            "--step-timeout",
            metavar="SECONDS",
            default=60.0,
            help="seconds after which a step of the environment counts as hung, or none (default 60)",
        )
