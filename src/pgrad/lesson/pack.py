"""The lesson as a zip, for a web host or a learning-management system; students get it without the solutions."""

import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from pgrad.errors import InputError
from pgrad.lesson.answers import described
from pgrad.lesson.sources import SITE, require_site


def pack(path: Path, solutions: bool, site: Path = SITE) -> None:
    """Write the site to a zip, with or without the exercises' solutions.

    Raises InputError where the page is not built, or the zip cannot be written.
    """
    require_site(site)
    try:
        with ZipFile(path, "w", ZIP_DEFLATED) as zipped:
            for file in sorted(site.rglob("*")):
                if file.is_file() and file.name != "exercises.json":
                    zipped.write(file, file.relative_to(site))
            zipped.writestr("exercises.json", json.dumps(described(solutions), ensure_ascii=False))
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None
