"""`pgrad envs`: list the environments that can be trained on."""

from pgrad.cli.parser import Parser
from pgrad.envs.make import COMPILED, OURS
from pgrad.spaces import actions_in_words


def command(argv: list[str]) -> int:
    """Run `pgrad envs`."""
    Parser("envs", "", "List the environments: compiled ports, then other installed ones.").checked(argv)
    import gymnasium

    print(f"compiled (millions of steps a second), each but {' and '.join(OURS)} held to Gymnasium's own step by step:")
    for env in (make_compiled() for make_compiled in COMPILED.values()):
        limit = f"at most {env.max_episode_steps} steps" if env.max_episode_steps else "no time limit"
        solved = "" if env.reward_threshold is None else f", solved at {env.reward_threshold:g}"
        print(f"  {env.id:<26}{env.obs_size} observations, {actions_in_words(env.actions)}, {limit}{solved}")
    print("known to Gymnasium, or to a package of its own (`pgrad train module:id`), stepped as they are:")
    others = sorted(name for name in gymnasium.registry if name not in COMPILED)
    print("  " + "\n  ".join(others))
    return 0
