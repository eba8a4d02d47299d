"""What `train` is given to train PyTorch modules with; nothing here imports PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Modules:
    """See training.session.train."""

    policy: Any  # a torch.nn.Module, or a function without arguments that makes one
    value: Any = None  # likewise, or None
    optimizer: Callable[..., Any] | None = None  # None for the configuration's
    value_coef: float = 0.5
    device: str = "cpu"
