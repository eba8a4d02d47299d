"""Sweeps on a Ray cluster: the same bytes as here, whatever dies; these need the extra, and run in `make extras`."""

import contextlib
import socket
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import pgrad
from pgrad.cli import main as cli
from pgrad.errors import ConfigError, RunError
from pgrad.experiments.running.cluster import SETTINGS, require_reachable

SMALL: dict[str, Any] = {"algorithm": "reinforce", "num_iterations": 2, "hidden": 8, "episodes": 3}
REPRODUCED = ("results.csv", "summary.json", "sweep.json", "best.toml")

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPRODUCED}


@needs_ray
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_on_a_ray_cluster_a_node_that_dies_loses_nothing(tmp_path: Path) -> None:
    """Three nodes are three groups of processes here; the second of two that compute is killed among the runs."""
    from ray.cluster_utils import Cluster

    environment = tmp_path / "mine.py"
    environment.write_text(
        "from gymnasium.envs.classic_control import CartPoleEnv\nclass Mine(CartPoleEnv):\n    pass\n"
    )
    grid: dict[str, Any] = {**SMALL, "learning_rate": [0.001, 0.01], "seeds": 8, "max_episode_steps": 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    told: list[str] = []

    def killing(line: str) -> None:
        told.append(line)
        if len(told) == 3:
            cluster.remove_node(nodes[1], allow_graceful=False)

    try:
        on = f"ray:{cluster.address}"
        pgrad.sweep(f"{environment}:Mine", on=on, out=tmp_path / "ray", progress=killing, **grid)
    finally:
        cluster.shutdown()
    pgrad.sweep(f"{environment}:Mine", processes=1, out=tmp_path / "here", **grid)
    assert len(told) == 16 and told[-1].startswith("16 of 16 done, 0 failed")
    assert files(tmp_path / "ray") == files(tmp_path / "here")


@needs_ray
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_on_a_ray_cluster_of_its_own_a_run_that_kills_its_process_has_failed(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import os\nfrom gymnasium.envs.classic_control import CartPoleEnv\nclass Dies(CartPoleEnv):\n"
        "    def step(self, action):\n"
        "        if self.state[0] > 0.02: os._exit(7)\n"
        "        return super().step(action)\n"
    )
    env = f"{tmp_path / 'dies.py'}:Dies"
    found = pgrad.sweep(env, seeds=1, on="ray", processes=1, out=tmp_path / "out", max_episode_steps=20, **SMALL)
    assert found.statistics[0].failures == 1
    assert "its process ended 4 times on the cluster (WorkerCrashedError)" in found.table()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"no Ray cluster at 127.0.0.1:1 \(.*refused"),
        ("ray://127.0.0.1:1", "no Ray cluster at ray://127"),
        ("127.0.0.1:99999", "no Ray cluster at 127.0.0.1:99999"),
        ("there", "address is HOST:PORT, such as 10.0.0.1:6379, ray://HOST:PORT or auto, not 'there'"),
    ],
)
def test_an_address_where_nobody_listens_is_an_error_at_once(address: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        require_reachable(address)


def test_only_who_answers_as_a_cluster_does_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, accepted in ((SETTINGS, True), (b"HTTP/1.1 400 Bad Request", False), (b"", False)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
            thread = threading.Thread(target=answer_once, args=(server, answer))
            thread.start()
            with (
                contextlib.nullcontext() if accepted else pytest.raises(RunError, match="something else answers there")
            ):
                require_reachable(address)
            thread.join()
    monkeypatch.setattr("pgrad.experiments.running.cluster.CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(RunError, match="timed out"):
        require_reachable(f"127.0.0.1:{server.getsockname()[1]}")
    require_reachable("auto")


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(answer)


def test_where_runs_cannot_be_made_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.run(["sweep", "CartPole-v1", "--on", "slurm", "--seeds", "0", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "unknown on 'slurm': ray, or ray:ADDRESS" in error and "seeds must be" in error
    with pytest.raises(ConfigError) as caught:
        pgrad.sweep(lambda: None, on="ray", out=tmp_path / "out")  # type: ignore[arg-type, return-value]
    assert 'Ray is not installed: pip install "pgrad[ray]"' in caught.value.problems
    assert any("needs an environment by its name" in problem for problem in caught.value.problems)
    assert not list(tmp_path.iterdir())
