"""Explain why an environment cannot be made: the package that is missing, or the id that was probably meant."""

import re
import traceback

import gymnasium

from pgrad.errors import closest

# The module that an import names, and the package that installs it.
INSTALLATIONS = {
    "Box2D": "pgrad[box2d]",
    "box2d": "pgrad[box2d]",
    "mujoco": "gymnasium[mujoco]",
    "pygame": "gymnasium[classic-control]",
    "jax": "gymnasium[jax]",
    "cv2": "opencv-python",
}


def explain_failure(env_id: str, error: BaseException) -> str:
    """Return what went wrong when making an environment of that id, and what to do about it."""
    module, colon, name = env_id.rpartition(":")
    if isinstance(error, ModuleNotFoundError) and isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__  # Gymnasium's own error does not say which module is missing
    if isinstance(error, ModuleNotFoundError) and module and _is_part_of(module, error.name or module):
        return f"'{env_id}' needs the package {module}: {installation(module)}"
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError):
        known = [package for package in INSTALLATIONS if re.search(rf"\b{package}\b", str(error), re.IGNORECASE)]
        missing = known[0] if known else getattr(error, "name", None)
        return f"'{env_id}' needs a package that is not installed: {installation(missing) if missing else error}"
    if isinstance(error, gymnasium.error.DeprecatedEnv | gymnasium.error.VersionNotFound):
        return f"Gymnasium has no '{env_id}': did you mean '{module}{colon}{_newest(_stem(name))}'?"
    if isinstance(error, gymnasium.error.UnregisteredEnv) or not _is_registered(name):
        return f"unknown environment '{env_id}': {_nearest_id(module, name)}"
    newer = _newest(_stem(name))
    hint = "" if newer in (name, _stem(name)) else f"; its newest version is '{newer}'"
    return f"'{env_id}' cannot be made: {summarise(error)}{hint}"


def _nearest_id(module: str, name: str) -> str:
    """Return a hint for an unknown id."""
    known_ids = registered_by(module) if module else list(gymnasium.registry)
    if meant := closest(_stem(name), {_stem(known) for known in known_ids}):
        return f"did you mean '{module}{':' if module else ''}{_newest(meant)}'?"
    if not module:
        return f"`pgrad envs` lists the known ones; one from another package needs its module, as in 'module:{name}'"
    if known_ids:
        return f"{module} has {', '.join(sorted(known_ids)[:8])} …"
    return (
        f"importing {module} registers no environments with Gymnasium. Its documentation says what does: another "
        f"import (then name it like '{module}.envs:{name}'), or a call (put that into a file, in a function that "
        "returns the environment, and name it 'file.py:function')"
    )


def summarise(error: BaseException) -> str:
    """Return an error in one line, with where it was raised if it has no message."""
    if str(error):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}, line {frames[-1].lineno}: `{frames[-1].line}`" if frames else ""
    return type(error).__name__ + where


def registered_by(module: str) -> list[str]:
    """Return the ids of environments that are implemented in a package."""
    package = module.split(".")[0]
    homes = {
        spec.id: spec.entry_point if isinstance(spec.entry_point, str) else getattr(spec.entry_point, "__module__", "")
        for spec in gymnasium.registry.values()
    }
    return [env_id for env_id, home in homes.items() if re.split(r"[.:]", home or "")[0] == package]


def package_of(module: str) -> str:
    """Return what most likely has to be given to pip to install a module."""
    package = module.split(".")[0]
    return INSTALLATIONS.get(package, package.replace("_", "-"))


def installation(module: str) -> str:
    """Return the command that most likely installs a module."""
    return f"pip install '{package_of(module)}'"


def _is_part_of(module: str, missing: str) -> bool:
    return module == missing or module.startswith(f"{missing}.")


def _is_registered(name: str) -> bool:
    return any(_stem(known) == _stem(name) for known in gymnasium.registry)


def _newest(stem: str) -> str:
    same = [spec for spec in gymnasium.registry.values() if _stem(spec.id) == stem]
    return max(same, key=lambda spec: spec.version or 0).id if same else stem


def _stem(env_id: str) -> str:
    return re.sub(r"-v\d+$", "", env_id)
