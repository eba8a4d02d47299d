"""`pgrad eval`: estimate what frozen policies are worth."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pgrad.cli.modules import policy_of_run
from pgrad.cli.parser import Parser
from pgrad.config.settings import check_arguments
from pgrad.errors import RunError
from pgrad.evaluation import Evaluation, evaluate
from pgrad.experiments.statistics import interval_name, mean_interval
from pgrad.runs.folder import record_evaluations
from pgrad.runs.load import seeds_of
from pgrad.training.console import StepProgress


def command(argv: list[str]) -> int:
    """Run `pgrad eval`."""
    parser = Parser(
        "eval",
        "RUN [flags]",
        "Estimate J of a frozen policy in Gymnasium's own environment.\n"
        "Results of a run folder's seeds are appended to its evaluations.jsonl.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, or a policy.safetensors")
    parser.add_argument("--seed", help="which seed of the run folder (default: all of them)")
    parser.add_argument("--env", help="another environment than the policy was trained on")
    parser.add_argument("--episodes", default=100, help="number of episodes (default 100)")
    parser.add_argument("--discount", default=1.0, help="γ of the estimated J, in [0, 1] (default 1)")
    parser.add_argument("--evaluation-seed", metavar="SEED", default=0, help="seed of the episodes (default 0)")
    parser.add_argument("--best", action="store_true", help="the best policy seen along the run, not the last")
    parser.add_argument("--at", metavar="N", help="the policy after N iterations, not the last")
    parser.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")
    parser.add_argument("--max-episode-steps", metavar="STEPS", help="time limit (default: that of training)")
    parser.add_policy()
    parser.add_step_timeout()
    parser.add_trust()
    parser.add_quiet()
    arguments = parser.checked(argv)
    at = check_arguments(iteration=arguments.at)["iteration"]

    run = Path(arguments.run)
    seeds: Sequence[int | None] = [arguments.seed] if arguments.seed is not None else (seeds_of(run) or [None])
    evaluations: dict[int | None, Evaluation] = {}
    for seed in seeds:
        with contextlib.nullcontext() if arguments.quiet else StepProgress() as progress:
            evaluations[seed] = evaluate(
                policy_of_run(run, seed, arguments.policy, arguments.trust, best=arguments.best, at=at),
                arguments.env,
                arguments.episodes,
                arguments.discount,
                arguments.evaluation_seed,
                arguments.greedy,
                arguments.max_episode_steps,
                arguments.step_timeout,
                arguments.trust,
                progress.episodes if progress else None,
            )
        print(evaluations[seed] if seed is None else f"seed {seed}: {evaluations[seed]}", flush=True)
    means = [evaluation.returns.mean() for evaluation in evaluations.values()]
    if len(means) > 1:
        print(f"all {len(means)} seeds: mean {mean_interval(means)} ({interval_name(len(means), 'seeds')})")
    which = {"best": True} if arguments.best else {} if at is None else {"iteration": at}
    of_seeds = {
        seed: replace(evaluation, settings={**evaluation.settings, **which})
        for seed, evaluation in evaluations.items()
        if seed is not None
    }
    if of_seeds:
        try:
            record_evaluations(run, of_seeds)
        except RunError as error:  # somebody else's folder, perhaps
            print(f"not kept: {error}", file=sys.stderr)
    return 0
