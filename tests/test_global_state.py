"""Each test draws from generators seeded by its name, whatever ran before it, and leaves nothing behind."""

import random
import signal
from zlib import crc32

import gymnasium
import numpy as np
import pytest

torch = pytest.importorskip("torch")


def test_a_name_seeds_every_global_generator(request: pytest.FixtureRequest) -> None:
    seed = crc32(request.node.nodeid.encode())
    assert random.random() == random.Random(seed).random()
    assert np.random.random() == np.random.RandomState(seed).random()  # noqa: NPY002
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("turn", range(3))  # two of three meet in one process, also where there are two of them
def test_what_a_test_changes_is_put_back(turn: int) -> None:
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_num_threads() == 1
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert "Untidy-v0" not in gymnasium.registry
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gymnasium.register("Untidy-v0", "nowhere:Untidy")
