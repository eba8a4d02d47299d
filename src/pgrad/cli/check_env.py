"""`pgrad check-env`: is an environment sound, and why not."""

from pgrad.cli.parser import Parser
from pgrad.env_check.check import check


def command(argv: list[str]) -> int:
    """Run `pgrad check-env`."""
    parser = Parser(
        "check-env",
        "ENV [flags]",
        "Play an environment with random and extreme actions, uncompiled and compiled, and say what is wrong with it:\n"
        "a gymnasium.Env, or for compiled speed a NamedTuple of parameters with reset, step and two spaces.\n"
        "Exit code 1 if anything is wrong, 2 if there is no such environment.",
        "Examples:\n  pgrad check-env my_env.py:MyEnv\n  pgrad check-env CartPole-v1",
    )
    parser.add_argument("env", metavar="ENV", help="file.py:Name, package.module:Name, or a Gymnasium id")
    parser.add_argument("--seed", default=0, help="seed of initial states and actions (default 0)")
    parser.add_step_timeout()
    arguments = parser.checked(argv)

    report = check(arguments.env, arguments.seed, arguments.step_timeout)
    print(report)
    return 0 if report.holds else 1
