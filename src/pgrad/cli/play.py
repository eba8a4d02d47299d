"""`pgrad play`: show an episode of a frozen policy."""

from pathlib import Path

from pgrad.cli.modules import policy_of_run
from pgrad.cli.parser import Parser
from pgrad.episode import play


def command(argv: list[str]) -> int:
    """Run `pgrad play`."""
    parser = Parser(
        "play",
        "RUN [flags]",
        "Show one episode of a frozen policy in a window, or write it as a video.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, or a policy.safetensors")
    parser.add_argument("--seed", help="which seed of the run folder (default: the first)")
    parser.add_argument("--video", metavar="FILE", help="a .gif, .webp or .png to write, in place of a window")
    parser.add_argument("--env", help="another environment than the policy was trained on")
    parser.add_argument("--evaluation-seed", metavar="SEED", default=0, help="seed of the episode (default 0)")
    parser.add_argument("--best", action="store_true", help="the best policy seen along the run, not the last")
    parser.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")
    parser.add_argument("--max-episode-steps", metavar="STEPS", help="time limit (default: that of training)")
    parser.add_policy()
    parser.add_step_timeout()
    parser.add_trust()
    arguments = parser.checked(argv)
    episode = play(
        policy_of_run(Path(arguments.run), arguments.seed, arguments.policy, arguments.trust, best=arguments.best),
        arguments.env,
        arguments.evaluation_seed,
        arguments.greedy,
        arguments.video,
        arguments.max_episode_steps,
        arguments.step_timeout,
        arguments.trust,
    )
    end = "ended by the environment" if episode.terminated else "cut by the time limit"
    print(f"{len(episode)} steps, {end}: return {episode.reward.sum():g}")
    if arguments.video is not None:
        print(f"written to {arguments.video}")
    return 0
