"""A cache of compiled code that is damaged, full or read-only: the program goes on, and mends what it can."""

import errno
import io
import logging
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import caching

from pgrad.kernels import jit, numba_cache
from pgrad.kernels.numba_cache import Sealed, unseal


def twice(x: Any) -> Any:
    return x + x


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("0" * 16)
    folder.mkdir()
    monkeypatch.setattr(jit, "CACHE_FOLDER", str(folder))
    numba_cache.warn_unusable.cache_clear()
    return folder


def hits(*arguments: Any) -> int:
    """Call `twice` as a process that has just started would; return how often compiled code came from the cache."""
    function: Any = jit.strict(twice)
    for x in arguments:
        assert function(x) == 2 * x
    return sum(function.outer.stats.cache_hits.values())


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def overwritten(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 9)


def bit_flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[2 * len(data) // 3] ^= 1
    file.write_bytes(data)


def naming_a_missing_module(file: Path) -> None:
    file.write_bytes(pickle.dumps(numba.__version__) + b"cmodule_of_a_test_run\nPoint\n.")


def turned_into_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("suffixes", [{".nbi"}, {".nbc"}, {".nbi", ".nbc"}])
@pytest.mark.parametrize("damage", [cut_short, emptied, overwritten, bit_flipped, naming_a_missing_module])
def test_what_is_damaged_is_compiled_again_and_overwritten(
    damage: Callable[[Path], None], suffixes: set[str], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (hits(1, 1.0), hits(1, 1.0)) == (0, 2)
    for file in cache.rglob("*.nb*"):
        if file.suffix in suffixes:
            damage(file)
    assert hits(1, 1.0) == 0
    assert (hits(1, 1.0), caplog.text) == (2, "")


def test_one_damaged_entry_costs_the_others_of_its_function_no_more_than_once(cache: Path) -> None:
    assert hits(1, 1.0) == 0
    bit_flipped(next(cache.rglob("*.1.nbc")))
    assert hits(1.0) == 1
    assert hits(1) == 0
    hits(1, 1.0)
    assert hits(1, 1.0) == 2


class FullFile(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def open_on_a_full_disk(path: str, mode: str) -> Any:
    return FullFile() if "w" in mode else Path(path).open(mode)


def test_a_full_disk_costs_the_cache_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as full, caplog.at_level(logging.WARNING, "pgrad"):
        full.setattr(caching, "open", open_on_a_full_disk, raising=False)
        assert (hits(1, 1.0), hits(1, 1.0)) == (0, 0)
    assert caplog.messages == [
        f"the cache at {cache.parent} cannot be used (No space left on device), so compilation repeats each time; "
        "PGRAD_CACHE_DIR chooses another folder"
    ]
    assert (hits(1, 1.0), hits(1, 1.0)) == (0, 2)


def test_a_full_disk_leaves_what_is_kept_already(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hits(1)
    monkeypatch.setattr(caching, "open", open_on_a_full_disk, raising=False)
    assert hits(1, 1.0) == 1


def test_a_read_only_folder_is_no_cache_and_nothing_is_written_beside_the_source(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Numba tries a folder by a temporary file, and would go on to `__pycache__`."""

    def read_only(dir: str) -> Any:
        if dir.startswith(str(cache)):
            raise OSError(errno.EROFS, "Read-only file system")
        return temporary(dir=dir)

    temporary = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with caplog.at_level(logging.WARNING, "pgrad"):
        assert (hits(1), hits(1)) == (0, 0)
    assert [f"the cache at {cache.parent} cannot be used" in message for message in caplog.messages] == [True]
    assert not list(Path(__file__).parent.rglob("test_numba_cache.twice*.nb*"))


def test_an_index_that_cannot_be_replaced(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    hits(1)
    turned_into_a_folder(next(cache.rglob("*.nbi")))
    with caplog.at_level(logging.WARNING, "pgrad"):
        assert (hits(1), hits(1)) == (0, 0)
    assert len(caplog.messages) == 1


def test_other_errors_than_the_caches_are_not_hidden(cache: Path) -> None:
    with pytest.raises(numba.TypingError):
        jit.strict(twice)(object())


def test_a_seal_is_opened_only_when_nothing_has_changed() -> None:
    _, (payload, checksum) = Sealed({"a": 1}).__reduce__()
    assert unseal(payload, checksum) == {"a": 1} == pickle.loads(pickle.dumps(Sealed({"a": 1})))
    with pytest.raises(ValueError, match="checksum"):
        unseal(payload[:-1] + b"!", checksum)
