"""Findings of a check: what is wrong and what to do, each kind once."""

from dataclasses import dataclass, field
from textwrap import indent

MARK = "    → "


@dataclass
class Finding:
    """A problem or hint."""

    what: str
    way_out: str
    hint: bool  # it may be intended
    times: int = 1

    def __str__(self) -> str:
        again = f" (and {self.times - 1:,} more times)" if self.times > 1 else ""
        first, *rest = self.what.splitlines()
        what = "\n".join([f"{first}{again}", *rest])
        way_out = indent(self.way_out, " " * len(MARK)).lstrip()
        return f"{'hint' if self.hint else 'problem'}: {what}\n{MARK}{way_out}"


@dataclass
class Findings:
    """All findings: of each kind the first, and how often it recurred."""

    by_kind: dict[str, Finding] = field(default_factory=dict)

    def add(self, kind: str, what: str, way_out: str, hint: bool = False) -> None:
        """Add a finding."""
        if kind in self.by_kind:
            self.by_kind[kind].times += 1
        else:
            self.by_kind[kind] = Finding(what, way_out, hint)

    @property
    def problems(self) -> list[Finding]:
        """What cannot be intended."""
        return [finding for finding in self.by_kind.values() if not finding.hint]

    @property
    def hints(self) -> list[Finding]:
        """What may be intended."""
        return [finding for finding in self.by_kind.values() if finding.hint]
