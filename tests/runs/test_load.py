"""The loaders: a run's networks are found by folder, by seed and by file, and nothing that a file names is run."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save
from torch import Tensor, nn

import pgrad
from pgrad.config.resolve import resolve
from pgrad.errors import EnvError, RunError
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs.folder import RunFolder
from pgrad.runs.load import load, load_value, policy_path, seeds_of
from pgrad.runs.mlp_file import AS_MODULE, POLICY, load_policy, reading, save_policy, sealed, write
from pgrad.torch import TorchValue


def new_policy(fill: float = 0.0, env: str | None = "CartPole-v1", **metadata: str) -> MLPPolicy:
    return MLPPolicy(np.full(10, fill, np.float32), (4, 2), env=env, metadata=metadata)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run", resolve("CartPole-v1"))
    for seed in (10, 33, 2, 4, 21):
        (folder.path / f"seed-{seed}").mkdir()
        save_policy(new_policy(seed), folder.path / f"seed-{seed}" / "policy.safetensors")
    (folder.path / "seed-99").mkdir()
    (folder.path / "seed-x").mkdir()
    (folder.path / "seed-x" / "policy.safetensors").write_text("")
    return folder.path


def test_a_policy_is_found_by_run_by_seed_and_by_file(run: Path) -> None:
    assert seeds_of(run) == [2, 4, 10, 21, 33]
    assert policy_path(run) == policy_path(run, 2) == run / "seed-2" / "policy.safetensors"
    assert policy_path(run, 10) == policy_path(run / "seed-10") == run / "seed-10" / "policy.safetensors"
    assert policy_path(run / "seed-10" / "policy.safetensors") == policy_path(str(run), 10)
    assert load(run, 10).parameters[0] == 10


@pytest.mark.parametrize(
    ("path", "seed", "message"),
    [
        ("", 3, "has no seed 3; it has 2, 4, 10, 21, 33"),
        ("seed-99", None, "neither a policy file nor a run folder"),
        ("nowhere", None, "neither a policy file nor a run folder"),
    ],
)
def test_a_policy_that_is_not_there(run: Path, path: str, seed: int | None, message: str) -> None:
    with pytest.raises(RunError, match=message):
        load(run / path, seed)


@pytest.mark.parametrize("path", ["seed-10", "seed-10/policy.safetensors"])
def test_another_seed_than_the_folders_is_refused(run: Path, path: str) -> None:
    with pytest.raises(RunError, match="2"):
        load(run / path, 2)


# --- V


def test_the_value_network_of_a_run_comes_back(tmp_path: Path) -> None:
    result = pgrad.train(
        "CartPole-v1", preset="none", seeds=2, total_steps=500, evaluation_episodes=0, normalize_rewards=True
    )
    pgrad.save(result, tmp_path / "run")
    obs = np.random.default_rng(0).normal(size=(5, 4))
    for seed, path in ((1, tmp_path / "run"), (None, tmp_path / "run" / "seed-1")):
        value = pgrad.load_value(path, seed)
        assert isinstance(value, MLPValue)
        critic = result.seeds[1].critic
        assert critic is not None
        np.testing.assert_array_equal(value.value(obs), critic.value(obs))


def test_a_run_without_a_value_network_says_so(tmp_path: Path) -> None:
    result = pgrad.train("CartPole-v1", algorithm="reinforce", total_steps=500, evaluation_episodes=0)
    pgrad.save(result, tmp_path / "run")
    with pytest.raises(RunError, match="seed-0 has no value function: train with baseline 'value'"):
        load_value(tmp_path / "run")


class Both(nn.Module):
    """Logits and V in one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, obs: Tensor) -> Any:
        outputs = self.layer(obs)
        return outputs[:, :2], outputs[:, 2]


@pytest.mark.parametrize("shared", [True, False])
def test_the_value_module_of_a_run_comes_back(tmp_path: Path, shared: bool) -> None:
    modules: dict[str, Any] = {"policy": Both()} if shared else {"policy": nn.Linear(4, 2), "value": nn.Linear(4, 1)}
    settings: dict[str, Any] = {"total_steps": 500, "evaluation_episodes": 0, "normalize_rewards": True}
    result = pgrad.train("CartPole-v1", normalize_obs=True, **modules, **settings)
    pgrad.save(result, tmp_path / "run")
    value = pgrad.load_value(tmp_path / "run", module=Both() if shared else nn.Linear(4, 1))
    critic = result.seeds[0].critic
    assert isinstance(value, TorchValue) and isinstance(critic, TorchValue)
    obs = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(value.value(obs), critic.value(obs), rtol=1e-6)
    with pytest.raises(RunError, match="numbers of a PyTorch module"):
        load_value(tmp_path / "run")


# --- files of strangers


HOSTILE = """
from pathlib import Path
Path({flag!r}).write_text("run")

def Env():
    Path({flag!r}).write_text("called")
"""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module in the working folder that no other test imports; `ran` appears once it runs."""
    (tmp_path / f"{tmp_path.name}.py").write_text(HOSTILE.format(flag=str(tmp_path / "ran")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path.name


@pytest.mark.parametrize(
    "env", ["{evil}.py:Env", "{evil}.py", "{folder}/{evil}.py:Env", "{evil}:Env", "{evil}:Env-v0", "{evil}:CartPole-v1"]
)
def test_nothing_that_a_policy_file_names_is_run(tmp_path: Path, evil: str, env: str) -> None:
    path, flag = tmp_path / "policy.safetensors", tmp_path / "ran"
    save_policy(new_policy(env=env.format(folder=tmp_path, evil=evil)), path)
    load(path)
    for policy in (path, load(path)):
        with pytest.raises(EnvError, match="trust=True"):
            pgrad.evaluate(policy, episodes=1)
    assert pgrad.evaluate(path, "CartPole-v1", episodes=1).returns.size == 1
    assert not flag.exists()
    with suppress(EnvError):
        pgrad.evaluate(path, episodes=1, trust=True)
    assert flag.exists(), "the test would notice"


@pytest.mark.parametrize("env", ["{evil}.py:Env", "{evil}:Env", "{evil}:CartPole-v1"])
def test_nothing_that_a_run_folder_names_is_run(tmp_path: Path, evil: str, env: str) -> None:
    name, flag = env.format(evil=evil), tmp_path / "ran"
    folder = RunFolder(tmp_path / "run", resolve(name))
    (folder.path / "seed-0").mkdir()
    save_policy(new_policy(env=name, iterations="0"), folder.path / "seed-0" / "policy.safetensors")
    with pytest.raises(EnvError, match="trust=True"):
        pgrad.diagnose(folder.path, trajectories=200)
    with pytest.raises(EnvError, match="trust=True"):
        pgrad.evaluate(folder.path, episodes=1)
    assert not flag.exists()
    with suppress(EnvError):
        pgrad.diagnose(folder.path, trajectories=200, trust=True)
    assert flag.exists(), "the test would notice"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["layers.0.weight", "layers.0.bias", "inputs.shift", "inputs.scale"])
def test_parameters_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    path = tmp_path / "p.safetensors"
    inputs = {"shift": np.zeros(4, np.float32), "scale": np.ones(4, np.float32)}
    save_policy(MLPPolicy(np.zeros(10, np.float32), (4, 2), **inputs), path)
    with reading(path, POLICY, "policy") as (tensors, description):
        tensors[name] = tensors[name].copy()
        tensors[name].flat[-1] = value
    write(path, POLICY, tensors, {key: entry for key, entry in description.items() if key != "format"})
    with pytest.raises(RunError, match=rf"p\.safetensors: {name} has values that are not finite"):
        load(path)


def test_a_module_whose_parameters_are_not_finite_is_refused(tmp_path: Path) -> None:
    module = nn.Linear(4, 2)
    pgrad.save(pgrad.train("CartPole-v1", policy=module, total_steps=200, evaluation_episodes=0), tmp_path / "run")
    path = tmp_path / "run" / "seed-0" / "policy.safetensors"
    pgrad.load(path, module=module)
    with reading(path, AS_MODULE, "policy") as (tensors, description):
        tensors["module.bias"] = np.array([0, np.nan], np.float32)
    write(path, AS_MODULE, tensors, {key: entry for key, entry in description.items() if key != "format"})
    with pytest.raises(RunError, match=r"policy\.safetensors: bias has values that are not finite"):
        pgrad.load(path, module=module)
    tensors["module.bias"] = np.zeros(2, np.float32)
    tensors["another"] = np.zeros(2, np.float32)
    write(path, AS_MODULE, tensors, {key: entry for key, entry in description.items() if key != "format"})
    with pytest.raises(RunError, match=r"policy\.safetensors holds 'another', which is no part of it"):
        pgrad.load(path, module=module)


def test_an_infinite_buffer_of_a_module_is_its_own_affair(tmp_path: Path) -> None:
    class Masked(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 2)
            self.register_buffer("mask", torch.tensor([-torch.inf]))

    pgrad.save(pgrad.train("CartPole-v1", policy=Masked, total_steps=200, evaluation_episodes=0), tmp_path / "run")
    assert pgrad.load(tmp_path / "run", module=Masked()).module.mask == -torch.inf


def with_header(path: Path, header: str | dict[str, Any], **more: Any) -> None:
    """A policy file with another header, and its right checksum unless it is text."""
    save_policy(new_policy(), path)
    tensors = {**load_file(path), **more}
    text = header if isinstance(header, str) else json.dumps(sealed(tensors, header))
    path.write_bytes(save(tensors, metadata={"pgrad": text}))


def described(**changes: Any) -> dict[str, Any]:
    description: dict[str, Any] = {
        "format": POLICY,
        "sizes": [4, 2],
        "activation": "tanh",
        "actions": {"space": "Discrete", "n": 2},
        "std": "state-independent",
        "squash": False,
        "action_distribution": "gaussian",
        "noise_steps": 1,
        "temperature": 1.0,
        "env": "CartPole-v1",
        "training": {},
    }
    return {**description, **changes}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"format": ' + "[" * 100_000, "its description is nested too deeply"),
        (described(sizes=[float("inf"), 2]), "infinity"),
        (described(sizes=[10**400, 2]), r"float32 \(2, 4\), not float32"),
        (described(temperature=10**400), "too large"),
        (described(training={"iterations": "9" * 5000}), "its iterations are '9+"),
        (described(training={"max_episode_steps": "soon"}), "its max_episode_steps are 'soon'"),
        (described(noise_steps=0), "noise_steps must be at least 1, not 0"),
        (described(training={"iterations": 3}), "its training is not told in text"),
        (described(env=["CartPole-v1"]), "its environment is not named by text"),
        (described(padding="x" * 2**20), "its description has 1,048,[0-9]+ characters, at most 1,048,576 are read"),
        (described(actions={"space": "Discrete", "n": 2, "m": 3}), "unexpected keyword"),
        ("3", "attribute"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_description_that_is_huge_deep_or_odd_is_one_clear_error(tmp_path: Path, header: Any, message: str) -> None:
    path = tmp_path / "p.safetensors"
    with_header(path, described())
    load_policy(path)
    with_header(path, header)
    with pytest.raises(RunError, match=message) as caught:
        load_policy(path)
    assert "p.safetensors" in str(caught.value)
    assert len(str(caught.value)) < 6000


def test_a_tensor_that_belongs_to_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with_header(path, described(), **{"layers.1.bias": np.zeros(2, np.float32)})
    with pytest.raises(RunError, match=r"p\.safetensors holds 'layers\.1\.bias', which is no part of it"):
        load_policy(path)


def test_a_file_that_is_no_regular_one_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    os.mkfifo(path)
    with pytest.raises(RunError, match=r"cannot read the policy .*: it is not a regular file"):
        load_policy(path)
