"""What the checker says of an answer: right, or the mistake's name, the smallest failing call, and where to look."""

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgrad.errors import InputError
from pgrad.exercises.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, NOT_BEGUN, UNKNOWN = "right", "not begun yet", "unknown"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one answer; print it, or take `to_json()`."""

    exercise: str
    right: bool
    mistake: str = ""  # its name, the same for the same mistake however it is written; empty if right
    where: str = ""  # where to look, or what is right about it, in one sentence
    holds: tuple[str, ...] = ()  # what is right already
    call: str = ""  # the smallest failing call
    expected: str = ""
    got: str = ""
    picture: Picture | None = None
    notes: tuple[str, ...] = ()
    printed: str = ""  # what the answer printed in its first call
    seed: int = 0  # reproduces the numbers

    @property
    def title(self) -> str:
        """`right`, `not begun yet`, or the mistake."""
        return RIGHT if self.right else self.mistake

    def __str__(self) -> str:
        lines = [f"{'✓' if self.right else '✗'} {self.exercise}: {self.title}"]
        lines += [f"  {self.where}"] if self.where else []
        if self.call:
            lines += [f"  call      {self.call}", f"  expected  {self.expected}", f"  got       {self.got}"]
        lines += [f"  holds     {sentence}" for sentence in self.holds]
        lines += [f"  note      {sentence}" for sentence in self.notes]
        lines += [f"  printed   {line}" for line in self.printed.splitlines()]
        if self.picture is not None:
            lines += ["", *(f"  {line}" for line in str(self.picture).splitlines())]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in notebooks as it is printed."""
        printer.text(str(self))

    def figure(self) -> "Figure":
        """Draw the picture; raise InputError if there is none, as there is nothing to compare in a right answer."""
        from pgrad.exercises.drawing import draw

        if self.picture is None:
            raise InputError(f"there is no picture of this verdict: {self.title}")
        return draw(self.picture)

    def to_json(self) -> str:
        """Return it as JSON, for autograders and the page."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Return the verdict that `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        for name in ("holds", "notes"):
            fields[name] = tuple(fields[name])
        if (drawn := fields["picture"]) is not None:
            tables = {name: tuple(map(tuple, drawn[name])) for name in ("yours", "wanted")}
            fields["picture"] = Picture(drawn["title"], tuple(drawn["rows"]), **tables)
        return cls(**fields)
