"""Write a training's metrics as TensorBoard's event files, under the names that the field uses.

The tags are Stable-Baselines3's where it has the quantity, so that runs of both lie on the same axes.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgrad.errors import RunError
from pgrad.runs.load import RunPath
from pgrad.system import require_tensorboard
from pgrad.training.callbacks import Iteration

WINDOW = 100  # episodes in the means of rollout/, as there
FLUSH_SECONDS = 5  # after which a reader sees what was written

# What metrics.csv calls a quantity, and its tag; entropy is written as a loss, with the other sign.
TAGS = {
    "kl": "train/approx_kl",
    "clip_fraction": "train/clip_fraction",
    "explained_variance": "train/explained_variance",
    "learning_rate": "train/learning_rate",
    "value_loss": "train/value_loss",
    "gradient_norm": "train/gradient_norm",
    "advantage_std": "train/advantage_std",
    "actions_clipped": "train/actions_clipped",
    "signal_to_noise": "train/signal_to_noise",
}


class TensorBoard:
    """Writes event files; give it to pgrad.train as `on_iteration`, inside a `with`, which closes the files.

    folder  each seed's files go to folder/seed-N; `tensorboard --logdir folder` shows them, also while training
    every   environment steps between what is written of a seed; 1 for every iteration

    On the x axis are environment steps. rollout/ has means of the last 100 training episodes, train/ the iteration's
    metrics, eval/ the evaluations along the way. Where a run goes on from a checkpoint, what was written beyond it is
    dropped by readers. Raises ConfigError where TensorBoard is not installed, and RunError where it cannot write.
    """

    def __init__(self, folder: RunPath, every: int = 1) -> None:
        require_tensorboard()
        self.folder, self.every = Path(folder), every
        self.writers: dict[int, Any] = {}
        self.recent: dict[int, deque[tuple[float, float]]] = {}  # return and length of each seed's last episodes
        self.written: dict[int, int] = {}  # the steps at which each seed was last written

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()

    def __call__(self, iteration: Iteration) -> None:
        """Write what an iteration has, if it is time."""
        seed, steps, episodes = iteration.seed, iteration.total_steps, iteration.episodes
        recent = self.recent.setdefault(seed, deque(maxlen=WINDOW))
        recent.extend(zip(episodes.episode_return.tolist(), episodes.length.tolist(), strict=True))
        due = seed not in self.written or steps // self.every > self.written[seed] // self.every
        if due or iteration.evaluation is not None:
            self._write(seed, steps, dict(scalars(iteration, recent)))

    def _write(self, seed: int, steps: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        try:
            if seed not in self.writers:
                self.writers[seed] = EventFileWriter(str(self.folder / f"seed-{seed}"), flush_secs=FLUSH_SECONDS)
                self.writers[seed].add_event(Event(step=steps, session_log=SessionLog(status=SessionLog.START)))
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
            self.writers[seed].add_event(Event(step=steps, summary=summary))
        except OSError as error:
            where = self.folder / f"seed-{seed}"
            raise RunError(f"cannot write TensorBoard's files in {where}: {error.strerror or error}") from error
        self.written[seed] = steps


def scalars(iteration: Iteration, recent: "deque[tuple[float, float]]") -> Iterator[tuple[str, float]]:
    """Yield tags and values of what is known of an iteration."""
    if recent:
        mean_return, mean_length = np.mean(recent, axis=0)
        yield from (("rollout/ep_rew_mean", mean_return), ("rollout/ep_len_mean", mean_length))
    yield "train/entropy_loss", -iteration.metrics["entropy"]
    for name, tag in TAGS.items():
        if not np.isnan(value := iteration.metrics[name]):
            yield tag, value
    if (evaluation := iteration.evaluation) is not None:
        yield from (("eval/mean_reward", evaluation.mean_return), ("eval/mean_ep_length", evaluation.mean_length))
