"""Whether PyTorch is installed: it is an extra."""

import importlib.util

from pgrad.errors import ConfigError


def require_torch() -> None:
    """Raise ConfigError where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(['PyTorch is not installed: pip install "pgrad[torch]"'])
