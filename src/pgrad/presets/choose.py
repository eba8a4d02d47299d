"""Which preset a training takes, and whether it fits."""

from pgrad.envs.make import Env
from pgrad.errors import ConfigError
from pgrad.presets.preset import GENERAL, NONE, Preset, read, shipped, spaces_of

AUTO = "auto"


def choose(asked: str, env: Env | None, algorithm: str | None) -> Preset | None:
    """Return the preset to take, None for none; raise ConfigError where the one that is named cannot be taken.

    asked      "auto", "none", a shipped preset's name or a file's path. Auto is the environment's own preset where it
               has one, is as it was tuned on, and the algorithm is the preset's or not named; without an algorithm
               named, it is the general one for all others
    env        None where it cannot be made, so that other mistakes can be looked for
    algorithm  that was asked for by name, if any
    """
    if asked == NONE:
        return None
    if asked == AUTO:
        return _automatic(env, algorithm)
    preset = read(asked)
    problems = []
    if algorithm not in (None, preset.algorithm):
        problems.append(
            f"preset '{asked}' is for algorithm '{preset.algorithm}', not '{algorithm}': remove one of the two"
        )
    if env is not None and preset.spaces not in (None, spaces_of(env)):
        problems.append(
            f"preset '{asked}' was tuned with {preset.spaces}, and '{env.id}' has {spaces_of(env)}: use preset "
            f"'{GENERAL}', or make one with `pgrad tune`"
        )
    if problems:
        raise ConfigError(problems)
    return preset


def _automatic(env: Env | None, algorithm: str | None) -> Preset | None:
    if env is not None and env.id != GENERAL and env.id in shipped():
        preset = read(env.id)
        if preset.spaces == spaces_of(env) and algorithm in (None, preset.algorithm):
            return preset
    return None if algorithm is not None else read(GENERAL)
