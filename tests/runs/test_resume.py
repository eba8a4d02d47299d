"""Exact resume: stopped after any iteration, a run that goes on ends in the same bytes as one that never stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pgrad
from pgrad.cli import main as cli
from pgrad.config.resolve import resolve
from pgrad.config.settings import TorchOptions
from pgrad.errors import ConfigError, EnvError, RunError
from pgrad.runs.atomic import alone_in
from pgrad.runs.folder import RunFolder
from pgrad.runs.resume import changed, reopened
from pgrad.runs.state_file import NEWEST, PREVIOUS, load_state, save_state
from pgrad.spaces import Discrete
from pgrad.torch import MLPModule
from pgrad.training import loops, seeds
from pgrad.training.loops import Loop, Past, new_loop
from pgrad.training.result import Result
from pgrad.training.seeds import Snapshot
from pgrad.training.train import Interrupted

EXACT = ("policy.safetensors", "value.safetensors", "checkpoints.safetensors", "metrics.csv", "episodes.csv")
QUIET = ("--evaluation-episodes", "0", "--no-figures", "--quiet")
LAST = 9  # iterations
TOTAL = 300_032  # steps of a whole run's seeds


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "CHUNK_SECONDS", 0.002)
    monkeypatch.setattr(seeds, "CHUNK_SECONDS", 0.002)


def advanced(loop: Loop, iterations: int) -> Loop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "CHUNK_SECONDS", 1e-6)  # chunks of one iteration
        while not loop.finished and loop.learner.iterations < iterations:
            loop.advance()
    loop.keep_state()
    loop.close()
    return loop


def through_a_file(loop: Loop, folder: Path) -> Past:
    assert loop.state is not None
    save_state(loop.state, folder)
    return Past(load_state(folder / NEWEST), loop.history)


def assert_same_training(loop: Loop, whole: Loop) -> None:
    assert loop.learner.iterations == whole.learner.iterations == LAST
    assert loop.state is not None and whole.state is not None
    assert loop.state.arrays.keys() == whole.state.arrays.keys()
    for name, array in whole.state.arrays.items():
        if name != "obs_sizes":  # of some batches, for the doctor
            assert loop.state.arrays[name].tobytes() == array.tobytes(), name
    for kept, expected in zip(loop.trained.checkpoints or (), whole.trained.checkpoints or (), strict=True):
        assert kept.tobytes() == expected.tobytes()
    assert loop.history.metrics.tobytes() == whole.history.metrics.tobytes()
    for column, expected in zip(loop.history.episodes, whole.history.episodes, strict=True):
        assert (column.dtype, column.tobytes()) == (expected.dtype, expected.tobytes())


def config_for(env: str, algorithm: str, **settings: Any) -> pgrad.Config:
    return resolve(env, algorithm, {"total_steps": None, "num_iterations": LAST, "checkpoint_every": 2, **settings})


COMPILED: list[tuple[str, str, dict[str, Any]]] = [
    ("CartPole-v1", "actor-critic", {"normalize_obs": True, "normalize_rewards": True}),
    ("CartPole-v1", "ppo", {}),
    ("CartPole-v1", "reinforce", {}),
    ("CartPole-v1", "trpo", {}),
    ("CartPole-v1", "notebook", {}),
    ("Pendulum-v1", "actor-critic", {"num_steps": 7, "std": "gsde", "noise_steps": 4}),
    ("FrozenLake-v1", "actor-critic", {"num_steps": 7}),  # whose steps are random
]


@pytest.mark.parametrize(("env", "algorithm", "settings"), COMPILED, ids=str)
def test_a_compiled_run_goes_on_after_any_iteration(
    tmp_path: Path, env: str, algorithm: str, settings: dict[str, Any]
) -> None:
    config, made = config_for(env, algorithm, **settings), pgrad.make(env)
    whole = advanced(new_loop(config, made, 3), LAST)
    for iteration in range(LAST + 1):
        part = advanced(new_loop(config, made, 3), iteration)
        assert part.learner.iterations == iteration
        again = new_loop(config, made, 3, past=through_a_file(part, tmp_path))
        assert_same_training(advanced(again, LAST), whole)


class Both(nn.Module):
    """Policy and V from one body, with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.v = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = torch.tanh(self.body(x)) * self.scale
        return self.head(hidden), self.v(hidden)


class Rounded(nn.Module):
    """A policy in bfloat16, which NumPy does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2).to(torch.bfloat16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.to(torch.bfloat16)).float()


def perceptron() -> MLPModule:
    return MLPModule((4, 8, 2), "tanh", Discrete(2))


MODULES: dict[str, tuple[str, TorchOptions, dict[str, Any]]] = {
    "pgrad's optimizer": ("ppo", TorchOptions(perceptron), {"normalize_obs": True}),
    "a shared body and Adam": ("actor-critic", TorchOptions(Both, optimizer=torch.optim.Adam), {}),
    "momentum, by a function": (
        "actor-critic",
        TorchOptions(perceptron, optimizer=lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True)),
        {},
    ),
    "numbers beside tensors": ("actor-critic", TorchOptions(perceptron, optimizer=torch.optim.NAdam), {}),
    "bfloat16": ("reinforce", TorchOptions(Rounded), {}),
    "a natural step": ("trpo", TorchOptions(perceptron), {}),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_goes_on_in_a_compiled_environment(tmp_path: Path, name: str) -> None:
    algorithm, options, settings = MODULES[name]
    config, made = config_for("CartPole-v1", algorithm, **settings), pgrad.make("CartPole-v1")
    whole = advanced(new_loop(config, made, 3, torch_options=options), LAST)
    for iteration in (0, 1, 5, LAST):
        part = advanced(new_loop(config, made, 3, torch_options=options), iteration)
        again = new_loop(config, made, 3, torch_options=options, past=through_a_file(part, tmp_path))
        assert_same_training(advanced(again, LAST), whole)


def test_an_optimizer_that_no_file_holds_has_no_checkpoints() -> None:
    class Remembering(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            self.state[self.param_groups[0]["params"][0]]["last"] = {1, 2}
            return super().step(closure)

    options = TorchOptions(lambda: perceptron(), optimizer=Remembering)
    loop = new_loop(config_for("CartPole-v1", "actor-critic"), pgrad.make("CartPole-v1"), 3, torch_options=options)
    assert advanced(loop, 2).state is None and loop.trained.policy is not None


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    config, made = config_for("CartPole-v1", "actor-critic"), pgrad.make("CartPole-v1")
    adam, sgd = (TorchOptions(perceptron, optimizer=kind) for kind in (torch.optim.Adam, torch.optim.SGD))
    past = through_a_file(advanced(new_loop(config, made, 3, torch_options=adam), 2), tmp_path)
    with pytest.raises(RunError, match="another optimizer or value_coef"):
        new_loop(config, made, 3, torch_options=sgd, past=past)
    wider = TorchOptions(lambda: MLPModule((4, 9, 2), "tanh", Discrete(2)), optimizer=torch.optim.Adam)
    with pytest.raises(RunError, match=r"checkpoint's signal\.gradient is .* the network has changed"):
        new_loop(config, made, 3, torch_options=wider, past=past)


def test_gymnasiums_environments_begin_their_episodes_anew_and_all_else_goes_on(tmp_path: Path) -> None:
    config, made = config_for("CartPole-v1", "actor-critic", num_steps=40), pgrad.make("CartPole-v1", "gymnasium")
    part = advanced(new_loop(config, made, 3), 4)
    past = through_a_file(part, tmp_path)
    again, other = (new_loop(config, made, 3, past=past) for _ in range(2))
    first, begun = new_loop(config, made, 3), part.collector.lanes.begun  # type: ignore[attr-defined]
    assert not np.array_equal(again.collector.envs.obs, first.collector.envs.obs), "other start states than at first"  # type: ignore[attr-defined]
    assert (again.collector.envs.episode == 0).all()  # type: ignore[attr-defined]
    assert again.collector.lanes.begun == begun + 4, "no random number of an action is drawn twice"  # type: ignore[attr-defined]
    assert again.total_steps == part.total_steps > 0
    for name, array in part.learner.state()[0].items():  # type: ignore[index]
        assert again.learner.state()[0][name].tobytes() == array.tobytes(), name  # type: ignore[index]
    advanced(again, LAST), advanced(other, LAST)
    assert again.history.metrics.tobytes() == other.history.metrics.tobytes(), "going on twice is the same twice"
    assert again.history.metrics[:4].tobytes() == part.history.metrics.tobytes()
    assert again.learner.iterations == LAST and np.isfinite(again.history.metrics[:, 3:6]).all()


# ------------------------------------------------------------------------------------------------------- whole runs


def assert_same_files(run: Path, whole: Path, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        for name in EXACT:
            one, other = (folder / f"seed-{seed}" / name for folder in (run, whole))
            assert one.exists() == other.exists()
            assert not one.exists() or one.read_bytes() == other.read_bytes(), f"{seed}: {name}"


def train(out: Path, *flags: object) -> int:
    return cli.run(["train", "CartPole-v1", "--preset", "none", "--out", str(out), *QUIET, *map(str, flags)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three seeds that nobody stopped."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert train(path, "--seeds", 3, "--total-steps", TOTAL) == 0
    return path


def stop_after(steps: int) -> Callable[[Snapshot], None]:
    def progress(snapshot: Snapshot) -> None:
        if snapshot.total_steps >= steps:
            raise KeyboardInterrupt

    return progress


@pytest.fixture
def stopped(tmp_path: Path, whole: Path) -> Path:
    """The same run, stopped twice in its second seed."""
    config, path = resolve(None, None, pgrad.runs.atomic.read_toml(whole / "config.toml")), tmp_path / "run"
    once: dict[str, Any] = {"threads": 1, "evaluation_episodes": 0}
    with pytest.raises(Interrupted):
        pgrad.train(config=config, save=RunFolder(path, config).save, progress=stop_after(TOTAL + 10_000), **once)
    with pytest.raises(Interrupted) as caught:
        pgrad.resume(path, progress=stop_after(TOTAL + 100_000), **once)
    assert [seed.finished for seed in caught.value.result.seeds] == [True, False]
    return path


def test_several_seeds_go_on_by_the_command(stopped: Path, whole: Path) -> None:
    assert cli.run(["train", "--resume", str(stopped), *QUIET]) == 0
    assert_same_files(stopped, whole, (0, 1, 2))


def test_python_goes_on_too_and_has_the_whole_history(stopped: Path, whole: Path) -> None:
    result = pgrad.resume(stopped, evaluation_episodes=2)
    assert_same_files(stopped, whole, (0, 1, 2))
    assert result.total_steps == 3 * TOTAL and 0 < result.earlier_steps < result.total_steps
    expected = pgrad.train(config=result.config, evaluation_episodes=2)
    for seed, other in zip(result.seeds, expected.seeds, strict=True):
        assert seed.history.metrics.tobytes() == other.history.metrics.tobytes()
        assert seed.evaluation is not None and other.evaluation is not None
        np.testing.assert_array_equal(seed.evaluation.returns, other.evaluation.returns)
    assert (stopped / "summary.json").exists() and (stopped / "seed-2" / "evaluation.csv").exists()


def test_a_finished_run_takes_more_steps(tmp_path: Path) -> None:
    """With constant learning rates, the bytes of a run that was to take them from the beginning."""
    constant = ("--learning-rate-schedule", "constant")
    assert train(tmp_path / "long", "--total-steps", 6_000, *constant) == 0
    assert train(tmp_path / "short", "--total-steps", 3_000, *constant) == 0
    assert cli.run(["train", "--resume", str(tmp_path / "short"), "--total-steps", "6000", *QUIET]) == 0
    assert_same_files(tmp_path / "short", tmp_path / "long", (0,))
    assert (tmp_path / "short" / "config.toml").read_text() == (tmp_path / "long" / "config.toml").read_text()


def test_a_run_that_pgrad_save_wrote_goes_on_with_its_module(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"learning_rate_schedule": "constant", "evaluation_episodes": 0}
    short, long = (pgrad.train("CartPole-v1", policy=perceptron, num_iterations=n, **settings) for n in (4, LAST))
    pgrad.save(short, tmp_path / "run")
    pgrad.save(long, tmp_path / "long")
    with pytest.raises(RunError, match=r"a PyTorch module, .*MLPModule, whose code no file holds: pgrad\.resume"):
        pgrad.resume(tmp_path / "run", num_iterations=LAST)
    pgrad.resume(tmp_path / "run", num_iterations=LAST, policy=perceptron, evaluation_episodes=0)
    assert_same_files(tmp_path / "run", tmp_path / "long", (0,))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--hidden 32", "hidden is 64 in this run and cannot become 32: remove it, or begin a new run"),
        ("--learning-rate 0.1", "learning_rate is 0.005 in this run and cannot become 0.1"),
        ("--seeds 4", "seeds is 0,1,2 in this run and cannot become 0,1,2,3"),
        ("--algorithm ppo", "algorithm is actor-critic in this run and cannot become ppo"),
        ("--out elsewhere", "--out is for a new run: remove it, or --resume"),
        ("--config settings.toml", "--config is for a new run"),
        ("Acrobot-v1", "env is 'Acrobot-v1', but the run's is 'CartPole-v1'"),
        ("--save-every 0", "--save-every must be positive"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_touched(
    whole: Path, capsys: pytest.CaptureFixture[str], flags: str, message: str
) -> None:
    before = {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()}
    assert cli.run(["train", "--resume", str(whole), *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()} == before


def test_settings_that_the_run_has_already_are_accepted(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, run := tmp_path / "run")
    same = ("CartPole-v1", "--hidden", "64", "--seeds", "0-2", "--total-steps", TOTAL)
    assert cli.run(["train", "--resume", str(run), *map(str, same), *QUIET]) == 0
    assert_same_files(run, whole, (0, 1, 2))


def test_a_later_end_of_decaying_rates_is_said_to_be_another_run(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole, run := tmp_path / "run")
    assert reopened(run, {"num_iterations": 1e6}).config.total_steps is None
    assert "learning_rate_schedule 'linear' now decays to the new end" in caplog.text


# ------------------------------------------------------------------------------------------------ damage and faults


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_the_previous_checkpoint_stands_in_for_one_that_is_not_whole(
    stopped: Path, whole: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    newest = stopped / "seed-1" / NEWEST
    data = newest.read_bytes()
    newest.unlink()
    if damage != "gone":  # as between two renames
        newest.write_bytes(data[:-40] + b"x" + data[-39:] if damage == "flip" else data[:-1])
    expected = load_state(stopped / "seed-1" / PREVIOUS).about["iterations"]
    past = reopened(stopped, {}).past[1]
    assert past.state.about["iterations"] == len(past.history.metrics) == expected
    assert (f"going on from the one before it, after iteration {expected}" in caplog.text) == (damage != "gone")
    assert load_state(newest).about["iterations"] == expected, "the next one will not take its place"
    pgrad.resume(stopped, evaluation_episodes=0)
    assert_same_files(stopped, whole, (0, 1, 2))


def test_two_damaged_checkpoints_are_an_error(stopped: Path) -> None:
    for name in (NEWEST, PREVIOUS):
        (stopped / "seed-1" / name).write_bytes(b"nothing of the kind")
    with pytest.raises(RunError, match=r"(?s)resume\.safetensors.*resume-previous\.safetensors"):
        pgrad.resume(stopped)


def test_an_edited_configuration_is_an_error(stopped: Path) -> None:
    config = stopped / "config.toml"
    config.write_text(config.read_text().replace("discount = 0.99", "discount = 0.98"))
    with pytest.raises(RunError, match=r"config\.toml says discount = 0\.98, but .* was trained with 0\.99"):
        pgrad.resume(stopped)


def test_a_policy_without_a_checkpoint_is_not_begun_anew(stopped: Path) -> None:
    for name in (NEWEST, PREVIOUS):
        (stopped / "seed-1" / name).unlink()
    with pytest.raises(RunError, match="seed-1 has a policy, and no checkpoint to go on from"):
        pgrad.resume(stopped)


def test_no_two_processes_train_in_one_folder(stopped: Path) -> None:
    with alone_in(stopped), pytest.raises(RunError, match="another process trains in"):
        pgrad.resume(stopped)


def test_no_code_that_a_run_names_is_run_unless_it_is_trusted(
    tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(shop)
    flags = ("--preset", "none", "--num-iterations", "3", *QUIET)
    assert cli.run(["train", "shop.py:Shop", "--out", "run", *flags]) == 0
    with pytest.raises(EnvError, match="--trust"):
        pgrad.resume("run")
    for env in (["--trust"], ["shop.py:Shop"]):
        assert cli.run(["train", "--resume", "run", "--num-iterations", "5", *env, *QUIET]) == 0
    assert (tmp_path / "run" / "seed-0" / "metrics.csv").read_text().count("\n") == 6


def test_metrics_and_episodes_are_there_while_a_run_trains(tmp_path: Path) -> None:
    config, rows = config_for("CartPole-v1", "actor-critic", num_iterations=20_000), []
    folder = RunFolder(tmp_path / "run", config)

    def save(result: Result) -> None:
        folder.save(result)
        (seed,) = result.seeds
        lines = (tmp_path / "run" / "seed-0" / "metrics.csv").read_text().splitlines()
        assert seed.state is not None and len(lines) == 1 + seed.state.about["iterations"]
        rows.append(len(lines))

    pgrad.train(config=config, save=save, save_every=1e-3, evaluation_episodes=0)
    assert len(set(rows)) > 2


def test_what_has_not_changed_is_not_written_again(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, run := tmp_path / "run")
    began = reopened(run, {})
    result = pgrad.train(config=began.config, past=began.past, evaluation_episodes=0)
    began.folder.save(result)
    times = {file: file.stat().st_mtime_ns for file in run.rglob("seed-*/*")}
    began.folder.save(result)
    assert {file: file.stat().st_mtime_ns for file in run.rglob("seed-*/*")} == times


def test_settings_of_nowhere_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'hiden': did you mean 'hidden'"):
        changed(pgrad.Config(), {"hiden": 3})
