"""PyTorch modules as policies: `pgrad.train(env, policy=module)`; torch.module_output lists what forward may return.

Needs `pip install "pgrad[torch]"`; `import pgrad` does not import it.
"""

from pgrad.system import require_torch

require_torch()

from pgrad.torch.conversion import from_module, to_module, value_from_module  # noqa: E402
from pgrad.torch.modules import ConvPolicy, MLPModule, PolicyNetwork  # noqa: E402
from pgrad.torch.policy import TorchPolicy, TorchValue  # noqa: E402

__all__ = [
    "ConvPolicy",
    "MLPModule",
    "PolicyNetwork",
    "TorchPolicy",
    "TorchValue",
    "from_module",
    "to_module",
    "value_from_module",
]
