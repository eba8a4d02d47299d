"""The two examples are one training: pgrad's line, and the same in plain PyTorch and Gymnasium."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import pgrad
from pgrad.config.resolve import resolve
from pgrad.training.loops import new_loop

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def plain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cartpole_pytorch", EXAMPLES / "cartpole_pytorch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_update_is_the_same(plain: ModuleType) -> None:
    """Given pgrad's first parameters and its first episode, PyTorch's step leads to the same parameters."""
    loop = new_loop(resolve("CartPole-v1", "notebook", {"seeds": [42]}), pgrad.make("CartPole-v1"), 42)
    policy = nn.Sequential(nn.Linear(4, plain.HIDDEN), nn.ReLU(), nn.Linear(plain.HIDDEN, 2))
    for layer, (weight, bias) in zip((policy[0], policy[2]), loop.trained.policy.layers, strict=True):
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    before = loop.trained.policy.parameters.copy()
    loop.iterations = 1
    loop.advance()
    length = loop.total_steps
    obs = torch.tensor(loop.simulation.buffer.obs[:, :length].T.copy())
    action = torch.tensor(loop.simulation.buffer.action[:length].astype(np.int64))
    optimizer = torch.optim.Adam(policy.parameters(), lr=plain.LEARNING_RATE)
    plain.update(policy, optimizer, obs, action, [1.0] * length)
    theirs = torch.cat([parameter.detach().ravel() for parameter in policy.parameters()]).numpy()
    ours = loop.trained.policy.parameters
    assert np.abs(ours - before).max() > 0.009
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_an_episode_is_gymnasiums(plain: ModuleType) -> None:
    """What is kept of an episode repeats it, and its end is the environment's."""
    torch.manual_seed(3)
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=5)
    obs, actions, rewards = plain.collect_episode(env, nn.Linear(4, 2))
    env.reset(seed=5)
    seen, _ = env.reset()
    for t, action in enumerate(actions):
        np.testing.assert_array_equal(seen, obs[t])
        seen, reward, terminated, truncated, _ = env.step(int(action))
        assert reward == rewards[t]
        assert (terminated or truncated) == (t == len(rewards) - 1)
    torch.testing.assert_close(plain.rewards_to_go([1.0, 1.0, 1.0]), torch.tensor([2.9701, 1.99, 1.0]))


def test_both_run_and_have_the_same_settings(
    plain: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = (EXAMPLES / "cartpole_pgrad.py").read_text("utf-8")
    assert len([line for line in code.split("import pgrad\n")[1].splitlines() if line]) == 3
    exec(code.replace("seeds=30", "seeds=2"), names)
    assert (tmp_path / "cartpole.png").exists()
    config = names["result"].config
    assert config.hidden == (plain.HIDDEN,)
    assert config.activation == "relu"
    assert config.learning_rate == plain.LEARNING_RATE
    assert config.discount == plain.DISCOUNT
    assert config.num_iterations * config.episodes_per_iteration == plain.EPISODES
    assert len((EXAMPLES / "cartpole_pytorch.py").read_text("utf-8").splitlines()) < 60
    monkeypatch.setattr(plain, "EPISODES", 50)
    plain.main()
    assert "50 episodes: mean return" in capsys.readouterr().out
