"""`pgrad envs`: list the environments that can be trained on."""

import textwrap

from pgrad.cli.parser import Parser
from pgrad.envs.make import COMPILED, OURS
from pgrad.presets.preset import read, shipped
from pgrad.spaces import actions_in_words
from pgrad.vector.make import installed_ids

EXAMPLES = 3  # ids of those that a missing package brings


def command(argv: list[str]) -> int:
    """Run `pgrad envs`."""
    Parser("envs", "", "List the environments: compiled ports, then other installed ones.").checked(argv)
    print(f"compiled (millions of steps a second), all but {' and '.join(OURS)} tested against Gymnasium's own:")
    for env in (make_compiled() for make_compiled in COMPILED.values()):
        limit = f"at most {env.max_episode_steps} steps" if env.max_episode_steps else "no time limit"
        solved = "" if env.reward_threshold is None else f", solved at {env.reward_threshold:g}"
        print(f"  {env.id:<26}{env.obs_size} observations, {actions_in_words(env.actions)}, {limit}{solved}")
    print("with a tuned preset, which `pgrad train` takes by itself (all others take the general one):")
    for name in shipped():
        print(f"  {read(name)}")
    installed, missing = installed_ids()
    print("installed, stepped as they are (those of other packages by `pgrad train package.module:id`):")
    others = ", ".join(env_id for env_id in installed if env_id not in COMPILED) or "none"
    print(textwrap.fill(others, 120, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    for package, ids in sorted(missing.items()):
        examples = ", ".join(ids[-EXAMPLES:])
        print(f"with `pip install '{package}'`: {len(ids)} more, such as {examples}")
    return 0
