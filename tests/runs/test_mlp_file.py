"""Networks on disk: bit for bit, readable by others, and never half a file."""

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pgrad.algorithms.learner import Checkpoints
from pgrad.errors import RunError
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs import atomic as files
from pgrad.runs.atomic import write_atomically
from pgrad.runs.mlp_file import (
    CHECKPOINTS,
    POLICY,
    VALUE,
    load_checkpoints,
    load_policy,
    load_value,
    save_checkpoints,
    save_policy,
    save_value,
    sealed,
)


def new_policy(sizes: tuple[int, ...] = (4, 5, 3, 2), **options: Any) -> MLPPolicy:
    count = sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))
    return MLPPolicy(np.random.default_rng(0).standard_normal(count).astype(np.float32), sizes, **options)


@pytest.mark.parametrize("sizes", [(4, 2), (4, 7, 2), (3, 5, 6, 4), (1, 1)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "relu", "temperature": 0.1 + 0.2, "env": "CartPole-v1"},
        {"temperature": 1e-7, "env": 'a "strange" γ\nname', "metadata": {"algorithm": "reinforce", "seed": "7"}},
    ],
)
def test_a_policy_comes_back_bit_for_bit(tmp_path: Path, sizes: tuple[int, ...], options: dict[str, Any]) -> None:
    policy = new_policy(sizes, **options)
    save_policy(policy, tmp_path / "p.safetensors")
    again = load_policy(tmp_path / "p.safetensors")
    assert again.parameters.tobytes() == policy.parameters.tobytes()
    assert again.parameters.dtype == np.float32
    assert (again.sizes, again.activation, again.temperature) == (policy.sizes, policy.activation, policy.temperature)
    assert (again.env, again.metadata) == (policy.env, policy.metadata)
    obs = np.linspace(-1, 1, sizes[0])
    np.testing.assert_array_equal(again.probabilities(obs), policy.probabilities(obs))


def test_extreme_numbers_come_back_bit_for_bit(tmp_path: Path) -> None:
    tiny, largest = np.float32(1e-45), np.finfo(np.float32).max
    policy = MLPPolicy(np.array([tiny, -tiny, -0.0, largest, -largest, 1 / 3], np.float32), (2, 2))
    save_policy(policy, tmp_path / "p.safetensors")
    assert load_policy(tmp_path / "p.safetensors").parameters.tobytes() == policy.parameters.tobytes()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_plain_safetensors_reader_has_all_it_takes(tmp_path: Path, activation: str) -> None:
    policy = new_policy(activation=activation, temperature=0.5, env="CartPole-v1", metadata={"seed": "3"})
    save_policy(policy, tmp_path / "p.safetensors")
    tensors = load_file(tmp_path / "p.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {
        "layers.0.weight": (5, 4),
        "layers.0.bias": (5,),
        "layers.1.weight": (3, 5),
        "layers.1.bias": (3,),
        "layers.2.weight": (2, 3),
        "layers.2.bias": (2,),
    }
    with safe_open(tmp_path / "p.safetensors", framework="numpy") as file:
        header = json.loads(file.metadata()["pgrad"])
    assert (header["format"], header["activation"], header["temperature"]) == (POLICY, activation, 0.5)
    assert (header["sizes"], header["env"]) == ([4, 5, 3, 2], "CartPole-v1")
    assert header["training"] == {"seed": "3"}

    obs = np.array([0.1, -0.2, 0.3, -0.4])
    squash = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}[activation]
    x = obs
    for k in range(3):
        x = tensors[f"layers.{k}.weight"].astype(float) @ x + tensors[f"layers.{k}.bias"]
        x = squash(x) if k < 2 else x
    np.testing.assert_allclose(policy.logits(obs), x, atol=1e-5)


def rewritten(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[Path], None]:
    """Something that changes a policy file's tensors and header and writes a valid safetensors file again."""

    def rewrite(path: Path) -> None:
        tensors = load_file(path)
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["pgrad"])
        change(tensors, header)
        path.unlink()
        del header["sha256"]
        save_file(tensors, path, metadata={"pgrad": json.dumps(sealed(tensors, header))})

    return rewrite


def header(**entries: Any) -> Callable[[Path], None]:
    return rewritten(lambda _, known: known.update(entries))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("these are not the parameters you are looking for"),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)),
    "only the length": lambda path: cut(path, 8),
    "half a header": lambda path: cut(path, 100),
    "all but a byte": lambda path: cut(path, path.stat().st_size - 1),
    "too long": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "no header": lambda path: save_file({"weight": np.zeros(3, np.float32)}, path),
    "another format": header(format="pgrad-policy-999"),
    "no sizes": rewritten(lambda _, known: known.pop("sizes")),
    "sizes no list": header(sizes=4),
    "no JSON": lambda path: save_file(load_file(path), path, metadata={"pgrad": '{"format": '}),
    "no table": lambda path: save_file(load_file(path), path, metadata={"pgrad": "3"}),
    "sizes too few": header(sizes=[4]),
    "sizes of others": header(sizes=[4, 6, 3, 2]),
    "more layers": header(sizes=[4, 5, 3, 2, 2]),
    "no temperature": header(temperature="warm"),
    "unknown activation": header(activation="gelu"),
    "training no table": header(training=3),
    "tensor missing": rewritten(lambda tensors, _: tensors.pop("layers.1.bias")),
    "tensor too wide": rewritten(lambda tensors, _: tensors.update({"layers.1.bias": np.zeros(4, np.float32)})),
    "tensor of doubles": rewritten(lambda tensors, _: tensors.update({"layers.1.bias": np.zeros(3)})),
    "tensor transposed": rewritten(
        lambda tensors, _: tensors.update({"layers.0.weight": tensors["layers.0.weight"].T.copy()})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.safetensors"
    save_policy(new_policy(), path)
    load_policy(path)
    DAMAGES[damage](path)
    with pytest.raises(RunError, match=r"p\.safetensors"):
        load_policy(path)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_temperature_is_refused(tmp_path: Path, temperature: float) -> None:
    path = tmp_path / "p.safetensors"
    save_policy(new_policy(), path)
    header(temperature=temperature)(path)
    with pytest.raises(RunError, match="temperature"):
        load_policy(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no policy"):
        load_policy(tmp_path / "p.safetensors")


def new_value(sizes: tuple[int, ...] = (4, 5, 3, 1), activation: str = "tanh") -> MLPValue:
    return MLPValue(new_policy(sizes).parameters, sizes, activation)


def new_checkpoints(count: int = 3, every: int = 20) -> Checkpoints:
    rng = np.random.default_rng(count)
    policy, critic = (rng.standard_normal((count, size)).astype(np.float32) for size in (10, 5))
    shift, scale = (rng.standard_normal((count, 4)).astype(np.float32) for _ in range(2))
    reward_scale = rng.uniform(1, 2, count)
    kept = (np.array([count]), np.array([every]))
    return Checkpoints(every * np.arange(count), policy, critic, shift, scale, reward_scale, *kept)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(4, 1), (4, 7, 1), (3, 5, 6, 1), (1, 1)])
def test_a_value_network_comes_back_bit_for_bit(tmp_path: Path, sizes: tuple[int, ...], activation: str) -> None:
    critic = new_value(sizes, activation)
    save_value(critic, tmp_path / "v.safetensors")
    again = load_value(tmp_path / "v.safetensors")
    assert type(again) is MLPValue
    assert (again.parameters.tobytes(), again.parameters.dtype) == (critic.parameters.tobytes(), np.float32)
    assert (again.sizes, again.activation) == (sizes, activation)
    obs = np.linspace(-1, 1, 3 * sizes[0]).reshape(3, -1)
    np.testing.assert_array_equal(again.value(obs), critic.value(obs))
    tensors = load_file(tmp_path / "v.safetensors")
    assert tensors["layers.0.weight"].shape == (sizes[1], sizes[0])
    assert len(tensors) == 2 * (len(sizes) - 1)


@pytest.mark.parametrize(("count", "every"), [(1, 1), (3, 20), (128, 2**40)])
def test_checkpoints_come_back_bit_for_bit(tmp_path: Path, count: int, every: int) -> None:
    checkpoints = new_checkpoints(count, every)
    checkpoints.policy[0, :4] = [np.float32(1e-45), -0.0, np.finfo(np.float32).max, np.nan]
    save_checkpoints(checkpoints, tmp_path / "c.safetensors")
    again = load_checkpoints(tmp_path / "c.safetensors")
    for name, array, expected in zip(Checkpoints._fields, again, checkpoints, strict=True):
        assert (array.tobytes(), array.dtype, array.shape) == (expected.tobytes(), expected.dtype, expected.shape), name
    tensors = load_file(tmp_path / "c.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {
        "iteration": (count,),
        "policy": (count, 10),
        "critic": (count, 5),
        "shift": (count, 4),
        "scale": (count, 4),
        "reward_scale": (count,),
    }


SAVES: dict[str, Callable[[Path], None]] = {
    POLICY: lambda path: save_policy(new_policy(env="CartPole-v1", metadata={"seed": "7", "steps": "9"}), path),
    VALUE: lambda path: save_value(new_value(), path),
    CHECKPOINTS: lambda path: save_checkpoints(new_checkpoints(), path),
}
LOADS: dict[str, tuple[Callable[[Path], Any], str]] = {
    POLICY: (load_policy, "policy"),
    VALUE: (load_value, "value network"),
    CHECKPOINTS: (load_checkpoints, "file of checkpoints"),
}


@pytest.mark.parametrize("kind", SAVES)
def test_what_is_equal_is_an_equal_file(tmp_path: Path, kind: str) -> None:
    for name in ("one", "other"):
        SAVES[kind](tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize(("wanted", "given"), list(itertools.product(LOADS, SAVES)))
def test_a_file_of_another_kind_is_named(tmp_path: Path, wanted: str, given: str) -> None:
    path = tmp_path / "file.safetensors"
    SAVES[given](path)
    load, what = LOADS[wanted]
    if wanted == given:
        load(path)
    else:
        with pytest.raises(RunError, match=rf"file\.safetensors is not a {what} that pgrad wrote: .*'{given}'"):
            load(path)


@pytest.mark.parametrize("kind", LOADS)
@pytest.mark.parametrize(
    "damage", ["empty", "text", "noise", "only the length", "half a header", "all but a byte", "too long", "a folder"]
)
def test_half_a_file_of_any_kind_is_refused_by_name(tmp_path: Path, damage: str, kind: str) -> None:
    path = tmp_path / "file.safetensors"
    SAVES[kind](path)
    DAMAGES[damage](path)
    load, what = LOADS[kind]
    with pytest.raises(RunError, match=rf"cannot read the {what} .*file\.safetensors"):
        load(path)


@pytest.mark.parametrize("kind", LOADS)
def test_no_file_of_any_kind(tmp_path: Path, kind: str) -> None:
    load, what = LOADS[kind]
    with pytest.raises(RunError, match=f"there is no {what} .*file"):
        load(tmp_path / "file.safetensors")


def replaced(**tensors: Any) -> Callable[[Path], None]:
    return rewritten(lambda known, _: known.update(tensors))


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        (VALUE, header(sizes=[4, 6, 3, 1]), r"layers\.0\.weight is float32 \(5, 4\), not float32 \(6, 4\)"),
        (VALUE, header(sizes=[4, 5, 3, 2]), r"layers\.2\.weight is float32 \(1, 3\), not float32 \(2, 3\)"),
        (VALUE, header(sizes=[4, 5, 3, 1, 1]), "layers.3.weight"),
        (VALUE, header(activation="gelu"), "gelu"),
        (VALUE, rewritten(lambda tensors, _: tensors.pop("layers.1.bias")), "layers.1.bias"),
        (VALUE, replaced(**{"layers.2.bias": np.zeros(1)}), r"layers\.2\.bias is float64 \(1,\), not float32 \(1,\)"),
        (CHECKPOINTS, replaced(iteration=np.arange(2)), r"policy is float32 \(3, 10\), not float32 \[K, P\]"),
        (CHECKPOINTS, replaced(policy=np.zeros((4, 10), np.float32)), r"policy is float32 \(4, 10\)"),
        (CHECKPOINTS, replaced(policy=np.zeros((3, 10))), r"policy is float64 \(3, 10\), not float32"),
        (CHECKPOINTS, replaced(critic=np.zeros((1, 5), np.float32)), r"critic is float32 \(1, 5\)"),
        (CHECKPOINTS, replaced(iteration=np.array(0)), r"iteration is int64 \(\), not int64 \[K\]"),
        (CHECKPOINTS, rewritten(lambda tensors, _: tensors.pop("critic")), "critic"),
        (CHECKPOINTS, rewritten(lambda _, known: known.pop("every")), "every"),
        (CHECKPOINTS, header(every="often"), "often"),
    ],
)
def test_shapes_and_headers_that_disagree_are_named(
    tmp_path: Path, kind: str, damage: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "file.safetensors"
    SAVES[kind](path)
    load, _ = LOADS[kind]
    load(path)
    damage(path)
    with pytest.raises(RunError, match=message) as caught:
        load(path)
    assert "file.safetensors" in str(caught.value)


@pytest.mark.parametrize("content", ["γ: text as UTF-8\n", b"\x00bytes\xff"])
def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"something longer that was there before")
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def fail(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: Any, **__: Any) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(28, "No space left on device"), RunError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
@pytest.mark.parametrize("where", ["while writing", "while replacing"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException, expected: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    if where == "while writing":
        opened = os.fdopen

        def fdopen(*args: Any) -> Any:
            file = opened(*args)
            file.write(b"ne")
            file.close()
            raise error

        monkeypatch.setattr(files.os, "fdopen", fdopen)
    else:
        monkeypatch.setattr(Path, "replace", fail(error))
    with pytest.raises(expected) as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()
    if expected is RunError:
        assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("obstacle", ["a folder of that name", "no folder", "a file for a folder"])
def test_what_is_in_the_way_is_named(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "folder" / "file"
    if obstacle == "a folder of that name":
        path.mkdir(parents=True)
    elif obstacle == "a file for a folder":
        path.parent.write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=f"cannot write .*{path.name}"):
        write_atomically(path, b"new")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", SAVES)
def test_a_file_in_which_a_bit_has_changed_is_refused(tmp_path: Path, kind: str) -> None:
    """Any bit of the numbers, and any byte of the header; padding may change into other white space."""
    path = tmp_path / "file.safetensors"
    SAVES[kind](path)
    load, whole = LOADS[kind][0], path.read_bytes()
    size = 8 + int.from_bytes(whole[:8], "little")
    passed = 0
    for at in range(len(whole)):
        for flip in (1 << at % 8, 255):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            try:
                load(path)
            except RunError as error:
                assert "file.safetensors" in str(error)
            else:
                passed += 1
                assert at < size and whole[at : at + 1] == b" ", at
    assert passed <= 8
