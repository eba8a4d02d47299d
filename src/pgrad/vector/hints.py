"""What to say of an environment that is not there: which package holds it, or which one was meant."""

import re
import traceback

import gymnasium

from pgrad.errors import closest

# Environments that a package adds when it is imported: how their ids begin, and the module.
FAMILIES = {
    "ALE/": "ale_py",
    "BabyAI-": "minigrid",
    "MiniGrid-": "minigrid",
    "MiniWorld-": "miniworld",
    "Fetch": "gymnasium_robotics",
    "AntMaze": "gymnasium_robotics",
    "PointMaze": "gymnasium_robotics",
    "HandManipulate": "gymnasium_robotics",
    "HandReach": "gymnasium_robotics",
    "FrankaKitchen": "gymnasium_robotics",
    "Adroit": "gymnasium_robotics",
    "highway-": "highway_env",
    "merge-": "highway_env",
    "intersection-": "highway_env",
    "parking-": "highway_env",
    "racetrack-": "highway_env",
    "roundabout-": "highway_env",
}

# What an import names, and what installs it.
INSTALLATIONS = {
    "Box2D": "pgrad[box2d]",
    "box2d": "pgrad[box2d]",
    "mujoco": "gymnasium[mujoco]",
    "pygame": "gymnasium[classic-control]",
    "jax": "gymnasium[jax]",
    "cv2": "opencv-python",
}


def way_out(env_id: str, error: BaseException) -> str:
    """What went wrong when making an environment of that id, and what to do about it."""
    module, colon, name = env_id.rpartition(":")
    if isinstance(error, ModuleNotFoundError) and isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__  # Gymnasium's own of that kind does not say which module is missing
    if isinstance(error, ModuleNotFoundError) and module and _is_part_of(module, error.name or module):
        return f"'{env_id}' needs the package {module}: {installation(module)}"
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError):
        known = [package for package in INSTALLATIONS if re.search(rf"\b{package}\b", str(error), re.IGNORECASE)]
        missing = known[0] if known else getattr(error, "name", None)
        hint = installation(missing) if missing else str(error)
        return f"'{env_id}' needs a package that is not installed: {hint}"
    if isinstance(error, gymnasium.error.DeprecatedEnv | gymnasium.error.VersionNotFound):
        return f"Gymnasium has no '{env_id}': did you mean '{module}{colon}{_newest(_stem(name))}'?"
    if isinstance(error, gymnasium.error.UnregisteredEnv) or not _known(name):
        family = next((package for start, package in FAMILIES.items() if name.startswith(start)), None)
        if family and not module:
            return f"'{env_id}' is in the package {family}: {installation(family)}, then name it '{family}:{env_id}'"
        known_ids = registered_by(module) if module else list(gymnasium.registry)
        meant = closest(_stem(name), {_stem(known) for known in known_ids})
        if meant:
            hint = f"did you mean '{module}{colon}{_newest(meant)}'?"
        elif known_ids:
            hint = (
                f"{module} has {', '.join(sorted(known_ids)[:8])} …" if module else "`pgrad envs` lists the known ones"
            )
        else:
            hint = (
                f"importing {module} adds none to Gymnasium's. Its documentation says what does: another import "
                f"(then name it like '{module}.envs:{name}'), or a call (write that into a file, in a function that "
                "returns the environment, and name it 'file.py:function')"
            )
        return f"unknown environment '{env_id}': {hint}"
    newer = _newest(_stem(name))
    hint = "" if newer in (name, _stem(name)) else f"; its newer version is '{newer}'"
    return f"'{env_id}' cannot be made: {told(error)}{hint}"


def told(error: BaseException) -> str:
    """An error in a line; where it was raised, if it says nothing itself."""
    if str(error):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}, line {frames[-1].lineno}: `{frames[-1].line}`" if frames else ""
    return type(error).__name__ + where


def registered_by(module: str) -> list[str]:
    """The ids of environments that are written in a package."""
    package = module.split(".")[0]
    homes = {
        spec.id: spec.entry_point if isinstance(spec.entry_point, str) else getattr(spec.entry_point, "__module__", "")
        for spec in gymnasium.registry.values()
    }
    return [env_id for env_id, home in homes.items() if re.split(r"[.:]", home or "")[0] == package]


def installation(module: str) -> str:
    """The command that most likely installs a module."""
    package = module.split(".")[0]
    return f"pip install '{INSTALLATIONS.get(package, package.replace('_', '-'))}'"


def _is_part_of(module: str, missing: str) -> bool:
    return module == missing or module.startswith(f"{missing}.")


def _known(name: str) -> bool:
    return any(_stem(known) == _stem(name) for known in gymnasium.registry)


def _newest(stem: str) -> str:
    same = [spec for spec in gymnasium.registry.values() if _stem(spec.id) == stem]
    return max(same, key=lambda spec: spec.version or 0).id if same else stem


def _stem(env_id: str) -> str:
    return re.sub(r"-v\d+$", "", env_id)
