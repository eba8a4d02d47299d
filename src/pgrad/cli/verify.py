"""`pgrad verify`: prove every estimator of the policy gradient, and the compiled code that trains."""

import contextlib

from pgrad.algorithms.sampling import record_chunks
from pgrad.cli.parser import Parser
from pgrad.estimators.advantages import multipliers
from pgrad.training.console import StepProgress
from pgrad.verify.report import LEGEND, run


def command(argv: list[str]) -> int:
    """Run `pgrad verify`."""
    parser = Parser(
        "verify",
        "[flags]",
        "Prove every estimator of the policy gradient: compare its exact expectation on small problems with the\n"
        "gradient by linear algebra, and sample it through the compiled iterations that train. Prove these as well:\n"
        "heads, random numbers, rollouts, optimisers, normalisation. Exit code 1 if anything fails.",
    )
    parser.add_argument("--seed", default=0, help="seed of policies and samples (default 0)")
    parser.add_argument("--no-samples", action="store_true", help="enumerate only: no compiled rollouts and kernels")
    parser.add_argument("--brief", action="store_true", help="print the verdict alone")
    parser.add_quiet()
    arguments = parser.checked(argv)

    compiled = multipliers if arguments.no_samples else record_chunks
    with contextlib.nullcontext() if arguments.quiet else StepProgress(compiled) as progress:
        report = run(arguments.seed, not arguments.no_samples, progress)
    print(report.summary if arguments.brief else f"{LEGEND}\n\n{report}")
    return 0 if report.holds else 1
