"""Calls of a learner's function, which may do anything: it gets copies, and what it does wrong becomes a sentence.

The checker's own arguments are plain: numbers, arrays, lists of lists. A function that wants tensors gets tensors: the
first kind of arguments that it takes without a TypeError or an AttributeError is kept. PyTorch is never imported here.
"""

import contextlib
import dis
import io
import random
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.verdict import NOT_BEGUN

Kind = Callable[[Any], Any]

HERE = Path(__file__).parent
PRINTED = 2_000  # characters of the learner's own prints that are shown
MISFITS = (TypeError, AttributeError)  # what a function raises that wants another kind of arguments
IDLE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}  # instructions of a body that does nothing
OVERFLOWS = (OverflowError, ZeroDivisionError, FloatingPointError)  # where NumPy would answer inf or nan
RAISES, NO_NUMBERS, WRONG_SHAPE = "it raises an error", "no numbers returned", "wrong shape"
CHANGES, NOTHING, RANDOM = "input changed in place", "nothing returned", "another answer each time"


class Trouble(Exception):
    """What keeps an answer from being judged: its name, and what to do about it in a sentence."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name, self.sentence = name, sentence


class Learner:
    """A learner's function."""

    def __init__(self, function: Any) -> None:
        self.function, self.printed = function, io.StringIO()
        self.kind: Kind = plain
        self.called = False

    def call(self, *arguments: Any) -> Any:
        """Return what the function returns for copies of the arguments; raise Trouble if it raises or changes them."""
        given = [self.kind(argument) for argument in arguments]
        try:
            with contextlib.redirect_stdout(Once(None if self.called else self.printed)):
                self.called = True
                result = self.function(*given)
        except OVERFLOWS:
            raise
        except (Exception, SystemExit) as error:
            raise trouble_of(error) from error
        changed = [k for k, x in enumerate(given) if as_lists(x) != as_lists(arguments[k])]
        if changed:
            raise Trouble(
                CHANGES, f"it changes its argument number {changed[0] + 1}, which belongs to the caller: work on a copy"
            )
        return result

    def settle(self, *arguments: Any, draws: bool = False) -> None:
        """Choose the kind of arguments, by a first call; raise Trouble if the function takes none or is not begun.

        Likewise if a second call gives other numbers, unless the function `draws`.
        """
        if self.function is not ... and not callable(self.function):
            raise Trouble(
                NOT_BEGUN, f"{self.function!r:.60} is no function: give the function itself, without calling it"
            )
        if self.function is ... or unfinished(self.function):
            raise Trouble(NOT_BEGUN, "put your code where the `...` is")
        faults = []
        for kind in kinds():
            self.kind = kind
            try:
                first = as_lists(self.call(*arguments))
                if (
                    not draws
                    and isinstance(first, list | float)
                    and repr(as_lists(self.call(*arguments))) != repr(first)
                ):
                    raise Trouble(RANDOM, "the same arguments gave two answers: nothing is to be drawn here, or kept")
            except OVERFLOWS:
                return
            except Trouble as trouble:
                faults.append(trouble)
                if not isinstance(trouble.__cause__, MISFITS):
                    break
            else:
                return
        self.kind = plain
        raise faults[0] if isinstance(faults[-1].__cause__, MISFITS) else faults[-1]


class Once(io.TextIOBase):
    """Standard output of which the first characters are kept, or none."""

    def __init__(self, kept: io.StringIO | None) -> None:
        self.kept = kept

    def write(self, text: str) -> int:
        """Keep the text if there is room."""
        if self.kept is not None:
            self.kept.write(text[: max(0, PRINTED - self.kept.tell())])
        return len(text)


def kinds() -> Iterator[Kind]:
    """Yield the kinds of arguments to try: plain, arrays or lists alone, and tensors if PyTorch is imported."""
    yield from (plain, arrays, as_lists)
    if (torch := sys.modules.get("torch")) is not None:
        yield lambda x: of_rows(x, lambda row: torch.tensor(np.array(row)))
        yield lambda x: of_rows(x, lambda row: list(torch.tensor(np.array(row))))


def plain(x: Any) -> Any:
    """Return a copy."""
    return x.copy() if isinstance(x, np.ndarray) else [plain(y) for y in x] if isinstance(x, list) else x


def arrays(x: Any) -> Any:
    """Return arrays in place of lists of numbers."""
    return of_rows(x, np.array)


def as_lists(x: Any) -> Any:
    """Return nested lists of numbers; what is neither array, tensor nor list stays as it is."""
    if hasattr(x, "detach"):
        x = x.detach()
    if hasattr(x, "tolist"):
        return x.tolist()
    return [as_lists(y) for y in x] if isinstance(x, list | tuple) else x


def of_rows(x: Any, make: Callable[[Any], Any]) -> Any:
    """Return `make` of each row of numbers in x: of x itself if it is one."""
    if isinstance(x, list) and x and isinstance(x[0], list):
        return [of_rows(row, make) for row in x]
    return make(x) if isinstance(x, list | np.ndarray) else x


def unfinished(function: Any) -> bool:
    """Return True if a function's body is `...`, `pass`, its docstring, or the return of one of these."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return False
    steps = list(dis.get_instructions(code))
    return all(step.opname in IDLE and (step.opname == "RESUME" or step.argval in (None, ...)) for step in steps)


def numbers(result: Any, shape: tuple[int, ...]) -> Floats:
    """Return a function's result as an array of this shape; raise Trouble if it is anything else.

    One number may come in any shape, such as [1].
    """
    if result is None:
        raise Trouble(NOTHING, "it returns None: end it with `return` and the answer")
    if result is Ellipsis:
        raise Trouble(NOT_BEGUN, "put your code where the `...` is")
    try:
        array = np.asarray(as_lists(result))
    except ValueError:  # rows of different lengths
        raise Trouble(WRONG_SHAPE, f"it returns rows of different lengths, {result!r:.60}; {wanted(shape)}") from None
    if array.dtype.kind not in "biuf":
        kind = type(result).__name__
        raise Trouble(NO_NUMBERS, f"it returns {article(kind)} {kind}, {result!r:.60}; {wanted(shape)}")
    if array.size == 1 and shape == ():
        array = array.reshape(())
    if array.shape != shape:
        raise Trouble(WRONG_SHAPE, f"it returns {in_words(array.shape)}; {wanted(shape)}")
    return array.astype(np.float64)


def ragged(result: Any, lengths: Sequence[int]) -> list[Floats]:
    """Return a result as one row of numbers for each of these lengths; raise Trouble if it is anything else."""
    rows = as_lists(result)
    if isinstance(rows, list) and len(rows) == len(lengths):
        return [numbers(row, (length,)) for row, length in zip(rows, lengths, strict=True)]
    numbers(result, (len(lengths), lengths[0]))
    raise Trouble(WRONG_SHAPE, f"it returns {len(rows)} rows; one for each of {len(lengths)} episodes is wanted")


def wanted(shape: tuple[int, ...]) -> str:
    """Return what is wanted, in words."""
    return f"{in_words(shape)} {'is' if shape == () else 'are'} wanted"


def in_words(shape: tuple[int, ...]) -> str:
    """Return a shape in words."""
    if shape == ():
        return "one number"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"an array of shape {shape}"


def article(word: str) -> str:
    """Return `a` or `an`."""
    return "an" if word[:1].lower() in "aeiou" else "a"


def trouble_of(error: BaseException) -> Trouble:
    """Return what an exception of the learner's code comes to, in a sentence."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, NotImplementedError):
        return Trouble(NOT_BEGUN, "put your code where NotImplementedError is raised")
    if isinstance(error, NameError) and "???" in str(error):
        return Trouble(NOT_BEGUN, "put your code where the `???` is")
    line = f", line {number}" if (number := own_line(error)) else ""
    if isinstance(error, SystemExit):
        return Trouble("it ends the program", f"it calls exit(){line}: return the answer instead")
    if isinstance(error, RecursionError):
        return Trouble(
            "endless recursion", f"it calls itself without end{line}: give the recursion a case that stops it"
        )
    if isinstance(error, MemoryError):
        return Trouble("too much memory", f"it asks for more memory than there is{line}: a few numbers are enough")
    if isinstance(error, EOFError):
        return Trouble("it asks for input", f"nobody answers input(){line}: take everything from the arguments")
    if isinstance(error, ModuleNotFoundError):
        return Trouble("a missing import", f"there is no module {error.name!r} here{line}: do without, or install it")
    return Trouble(RAISES, f"{type(error).__name__}{line}: {str(error) or 'without a message':.160}")


def own_line(error: BaseException) -> int | None:
    """Return the last line of the learner's own code in an exception's traceback; None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if HERE not in Path(frame.filename).parents and "site-packages" not in frame.filename
    ]
    return own[-1].lineno if own else None


@contextlib.contextmanager
def undisturbed(seed: int) -> Iterator[None]:
    """Seed the global random numbers and silence warnings; put both back afterwards."""
    torch = sys.modules.get("torch")
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    if torch:
        torch.manual_seed(seed)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        if torch:
            torch.set_rng_state(kept[2])
