"""`rollout`: act, step, record, wherever the environments are."""

from typing import Any

from pgrad.kernels.jit import compiled_as, face_for
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Simulation, simulate


class Stopped(Exception):
    """A rollout was asked to stop before its batch was complete."""


def rollout(experience: Any, policy: Any) -> Batch:
    """Return a batch of experience with the policy.

    experience  a Simulation, whose lanes are stepped here in compiled code; a collector (LaneCollector in
                compiled_stepwise, VectorCollector in vectorized), which steps environments from Python; or a Batch that
                one has collected, which is returned unchanged: so one compiled iteration serves both
    policy      who acts: a kernels.heads.Policy in a Simulation, an actor (rollouts.actions) for a collector

    Raises Stopped where a collector was asked to stop.
    """
    if isinstance(experience, Batch):
        return experience
    if isinstance(experience, Simulation):
        return face_for(simulate, experience)(experience, policy)
    return experience.collect(policy)  # type: ignore[no-any-return]


@compiled_as(rollout)
def _rollout_compiled(experience: Any, policy: Any) -> Any:
    if experience.instance_class is Batch:
        return lambda experience, policy: experience
    return lambda experience, policy: simulate(experience, policy)
