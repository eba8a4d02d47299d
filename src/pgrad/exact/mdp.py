"""A finite Markov decision process as arrays, validated on construction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pgrad.errors import MDPError, collecting, require_discount, require_integer

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Array = TypeVar("Array", bound=npt.NDArray[Any])

TOLERANCE = 1e-9  # by which a row of probabilities may differ from a sum of one
LARGEST = 2**30  # bytes of one dense array; a computation needs several of that size
SHOWN = 6  # states or rows listed in a message


@dataclass(frozen=True, eq=False, repr=False)
class MDP:
    """A finite Markov decision process: |S| states, A actions, every transition probability and reward known.

    J(π) = E[Σ_t γ^t r(s_t, a_t, s_{t+1})],  s_0 ~ start,  a_t ~ π(· | s_t),  s_{t+1} ~ transition[s_t, a_t]

    The sum ends on entering a terminal state or, with a time limit of T steps, after T steps: the limit is part of the
    problem, so nothing is bootstrapped there, and values depend on the time t.

    transition  [|S|, A, |S|] p(s' | s, a); rows that sum to one within 1e-9 are normalised
    reward      [|S|, A, |S|] r(s, a, s'), or [|S|, A] if it does not depend on s'
    start       [|S|] probabilities, zero in terminal states
    terminal    [|S|] booleans; terminal states' transitions and rewards are replaced by a loop that pays 0
    discount    γ in [0, 1]
    time_limit  T, in steps, or None
    name        of the problem, for reports

    Arrays are copied and read-only; change an MDP with dataclasses.replace. Raises MDPError with everything that is
    wrong. At γ = 1 without a time limit every state must be able to reach a terminal one, or its value could be
    infinite. Puterman (1994), section 2.1; Sutton and Barto (2018), section 3.1.
    """

    transition: Floats
    reward: Floats
    start: Floats
    terminal: Bools
    discount: float
    time_limit: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        problems: list[str] = []
        with collecting(problems):
            require_discount(self.discount)
        with collecting(problems):
            require_integer("time_limit", 1 if self.time_limit is None else self.time_limit, 1)
        arrays = _arrays(self, problems)
        if arrays is not None:
            transition, reward, start, terminal = arrays
            ends = np.flatnonzero(terminal)
            transition[ends], reward[ends] = 0.0, 0.0
            transition[ends, :, ends] = 1.0
            problems += _row_problems("transition", transition)
            problems += _row_problems("start", start)
            problems += _reward_problems(reward)
            if (start[ends] > 0).any():
                at = listed(ends[start[ends] > 0])
                problems.append(f"start must be zero in terminal states: it is not in {at}")
        if problems or arrays is None:
            raise MDPError("\n".join(problems))
        transition /= transition.sum(axis=-1, keepdims=True)
        start /= start.sum()
        if self.discount == 1 and self.time_limit is None:
            _require_exits(transition, start, terminal)
        settings = {"discount": float(self.discount), "time_limit": self.time_limit and int(self.time_limit)}
        frozen = {
            "transition": read_only(transition),
            "reward": read_only(reward),
            "start": read_only(start),
            "terminal": read_only(terminal),
        }
        for name, value in (settings | frozen).items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        limit = f", at most {self.time_limit} steps" if self.time_limit else ""
        sizes = f"{self.num_states} states ({self.terminal.sum()} terminal), {self.num_actions} actions"
        return f"<MDP: {self.name + ', ' if self.name else ''}{sizes}, discount {self.discount:g}{limit}>"

    @property
    def num_states(self) -> int:
        """|S|, including terminal states."""
        return int(self.transition.shape[0])

    @property
    def num_actions(self) -> int:
        """A, the same in every state."""
        return int(self.transition.shape[1])

    @cached_property
    def expected_reward(self) -> Floats:
        """r(s, a) = Σ_s' p(s' | s, a) r(s, a, s'); [|S|, A]."""
        return read_only(np.asarray(np.einsum("sat,sat->sa", self.transition, self.reward)))


def read_only(array: Array) -> Array:
    """Make an array read-only and return it."""
    array.setflags(write=False)
    return array


def as_floats(what: str, values: Any) -> Floats:
    """Return values as a float64 array, without a copy if they are one; raise MDPError if they are not real numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise TypeError
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise MDPError(f"{what} must be an array of real numbers, not {values!r:.80}") from None


def listed(states: Sequence[int] | npt.NDArray[np.int64]) -> str:
    """Return 'state 3' or 'states 1, 2, 5', abbreviated past six states."""
    names = ", ".join(str(int(s)) for s in states[:SHOWN])
    more = f" and {len(states) - SHOWN:,} more" if len(states) > SHOWN else ""
    return f"state{'s' if len(states) > 1 else ''} {names}{more}"


def require_size(what: str, shape: tuple[int, ...]) -> None:
    """Raise MDPError if a dense float64 array of that shape would exceed 1 GiB."""
    size = 8 * math.prod(int(n) for n in shape)
    if size > LARGEST:
        axes = " x ".join(f"{n:,}" for n in shape)
        raise MDPError(
            f"{what} of {axes} numbers would need {size // 2**30:,} GiB, more than the {LARGEST / 2**30:.0f} GiB "
            "that exact computations allow for one array: use a smaller problem"
        )


def require_probabilities(what: str, probabilities: Floats) -> None:
    """Raise MDPError unless the last axis holds probabilities that sum to one."""
    problems = _row_problems(what, probabilities)
    if problems:
        raise MDPError("\n".join(problems))


def reachable(edges: Bools, sources: Bools) -> Bools:
    """Return the states reachable along edges [|S|, |S|] from the sources [|S|], the sources included; [|S|]."""
    found = sources.copy()
    frontier = found
    while frontier.any():
        frontier = edges[frontier].any(axis=0) & ~found
        found = found | frontier
    return found


def _arrays(mdp: MDP, problems: list[str]) -> tuple[Floats, Floats, Floats, Bools] | None:
    """Return copies of the four arrays in their final shapes; if that fails, append the reasons and return None."""
    shape = np.shape(mdp.transition) if isinstance(mdp.transition, np.ndarray) else ()
    if len(shape) == 3:
        require_size("the transition array", shape)
    given = []
    for name in ("transition", "reward", "start", "terminal"):
        with collecting(problems):
            given.append(as_floats(name, getattr(mdp, name)))
    if len(given) < 4:
        return None
    transition, reward, start, terminal = given
    if transition.ndim != 3 or transition.shape[0] != transition.shape[2] or transition.size == 0:
        problems.append(
            f"transition must have shape [|S|, A, |S|], states by actions by next states, not {transition.shape}"
        )
        return None
    s, a, _ = transition.shape
    wrong = []
    if reward.shape not in ((s, a), (s, a, s)):
        wrong.append(f"reward must have shape {(s, a, s)} or {(s, a)} for transition {(s, a, s)}, not {reward.shape}")
    for name, array in (("start", start), ("terminal", terminal)):
        if array.shape != (s,):
            wrong.append(f"{name} must have shape {(s,)} for transition {(s, a, s)}, not {array.shape}")
    if not wrong and not np.isin(terminal, (0, 1)).all():
        wrong.append(f"terminal must hold a boolean for each state, not {mdp.terminal!r}")
    problems += wrong
    if wrong:
        return None
    full = np.broadcast_to(reward[..., None] if reward.ndim == 2 else reward, (s, a, s))
    return transition.copy(), full.copy(), start.copy(), terminal.astype(np.bool_)


def _row_problems(what: str, rows: Floats) -> list[str]:
    """Return a message for each row of the last axis that is not a probability distribution."""
    sums = rows.sum(axis=-1)
    negative = (rows < 0).any(axis=-1)
    faulty = np.argwhere(negative | ~(np.abs(sums - 1) <= TOLERANCE))
    problems = []
    for index in faulty[:SHOWN]:
        where = ", ".join(f"{axis} {k}" for axis, k in zip(("state", "action"), index, strict=False))
        row = rows[tuple(index)]
        fault = f"has a negative probability, {row.min():g}" if (row < 0).any() else f"sums to {row.sum():.12g}, not 1"
        problems.append(f"{what} {'of ' + where + ' ' if where else ''}{fault}")
    if len(faulty) > SHOWN:
        problems.append(f"and {len(faulty) - SHOWN:,} more rows of {what}")
    return problems


def _reward_problems(reward: Floats) -> list[str]:
    faulty = np.argwhere(~np.isfinite(reward))
    if not len(faulty):
        return []
    s, a, t = faulty[0]
    more = f" and {len(faulty) - 1:,} more" if len(faulty) > 1 else ""
    return [f"reward must be finite: it is {reward[s, a, t]} from state {s} by action {a} to state {t}{more}"]


def _require_exits(transition: Floats, start: Floats, terminal: Bools) -> None:
    edges = np.asarray((transition > 0).any(axis=1))
    trapped = ~reachable(edges.T, terminal)
    if trapped.any():
        reached = (reachable(edges, start > 0) & trapped).any()
        raise MDPError(
            f"{listed(np.flatnonzero(trapped))} can never reach a terminal state ("
            f"{'reachable' if reached else 'not reachable'} from the start), so at discount 1 the return may be "
            "infinite: mark states as terminal, or use discount < 1 or a time_limit"
        )
