"""Parts of an iteration that only some configurations need: left out of what is compiled, not only of what runs.

They take a quarter of the time that a first compilation takes. Compiled code goes by the type.
"""

from typing import NamedTuple


class Included(NamedTuple):
    """Compile this part."""

    needed: bool = True


class Omitted(NamedTuple):
    """Leave this part out."""

    needed: bool = False
