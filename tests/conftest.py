"""What every test may count on: one thread each, a compile cache of the tests' own, and global state as it found it."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

# Before NumPy and pgrad are imported, and inherited by the processes that tests start.
# With two cores, more threads only fight; and tests that break code on purpose stay away from the user's cache.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("PGRAD_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "pgrad"))

import gymnasium
import numpy as np
import pytest

SHOP = """
import gymnasium, numpy as np

class Shop(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == 3, False, {}
"""

# A background job of a shell ignores Ctrl-C, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def global_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Seed the global generators by the test's name, and put back afterwards what a test may have changed."""
    seed = crc32(request.node.nodeid.encode())
    with ExitStack() as after:
        after.callback(random.setstate, random.getstate())
        after.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        after.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        after.callback(restore, gymnasium.registry, dict(gymnasium.registry))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if torch := sys.modules.get("torch"):  # most tests do without, and are faster for it
            after.callback(torch.set_rng_state, torch.get_rng_state())
            after.callback(torch.set_default_dtype, torch.get_default_dtype())
            after.callback(torch.set_num_threads, torch.get_num_threads())
            torch.manual_seed(seed)
        yield


def restore(kept: dict[str, object], before: dict[str, object]) -> None:
    """Make `kept` what it was, in place."""
    kept.clear()
    kept.update(before)


@pytest.fixture
def shop() -> str:
    """Return the text of a user's file, whose episodes last three steps."""
    return SHOP
