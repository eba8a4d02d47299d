"""`pgrad algorithms`: list the rungs of the ladder."""

from pgrad.algorithms import DEFAULT_ALGORITHM, LADDER
from pgrad.cli.parser import Parser


def command(argv: list[str]) -> int:
    """Run `pgrad algorithms`."""
    Parser("algorithms", "", "List the algorithms, and the one term that each adds to those before it.").checked(argv)
    for name, module in LADDER.items():
        default = "  (the default with --preset none)" if name == DEFAULT_ALGORITHM else ""
        print(f"{name:<16}{module.ADDS}{default}")
    print("pgrad train CartPole-v1 --algorithm ppo takes one; other flags change its settings")
    return 0
