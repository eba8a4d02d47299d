"""`pgrad diagnose`: look at the gradient estimators along a run."""

import contextlib
from pathlib import Path

from pgrad.cli.parser import Parser
from pgrad.diagnostics import tables
from pgrad.diagnostics.along_run import diagnose
from pgrad.estimators.gradient import trajectory_gradients
from pgrad.runs.atomic import write_atomically
from pgrad.training.console import StepProgress


def command(argv: list[str]) -> int:
    """Run `pgrad diagnose`."""
    parser = Parser(
        "diagnose",
        "RUN [flags]",
        "The gradient microscope: measure signal and noise of every estimator at a policy, on the same trajectories.\n"
        "Writes gradients-*.csv and gradients-*.png into the seed's folder.",
        "Examples:\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1 --at 80 --trajectories 20000\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1 --at every:50",
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("--seed", help="which seed of the run (default: its first)")
    parser.add_argument("--at", default="last", help="last | an iteration, or several like 0,40,120 | every:10")
    parser.add_argument("--trajectories", metavar="N", help="at each policy (default 10000, or 1000 of several)")
    parser.add_argument("--diagnosis-seed", metavar="SEED", default=0, help="seed of the trajectories (default 0)")
    parser.add_argument("--no-figures", action="store_true", help="write no figure")
    parser.add_trust()
    parser.add_quiet()
    arguments = parser.checked(argv)

    with contextlib.nullcontext() if arguments.quiet else StepProgress(trajectory_gradients) as progress:
        diagnosis = diagnose(
            arguments.run,
            arguments.seed,
            arguments.at,
            arguments.trajectories,
            arguments.diagnosis_seed,
            progress,
            arguments.trust,
        )
    along = len(diagnosis.microscopes) > 1
    table = tables.table_along(diagnosis) if along else tables.table(diagnosis.microscopes[0])
    stem = Path(arguments.run) / f"seed-{diagnosis.seed}" / f"gradients-{tables.slug(arguments.at)}"
    written = [stem.with_suffix(".csv")]
    write_atomically(written[0], tables.csv(diagnosis))
    if not arguments.no_figures:
        from pgrad.reports.figures import save_figure  # imports matplotlib
        from pgrad.reports.microscope import along_training_figure, microscope_figure

        figure = along_training_figure(diagnosis) if along else microscope_figure(diagnosis.microscopes[0])
        written.append(save_figure(figure, stem.with_suffix(".png")))
    print(f"{tables.LEGEND}\nV(s)        {diagnosis.value}\n\n{table}")
    print(f"written to {' and '.join(map(str, written))}")
    return 0
