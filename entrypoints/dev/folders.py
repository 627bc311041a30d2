"""Where the development servers keep data, sockets and downloads.

As root, PostgreSQL runs as `nobody` (it refuses root), who must reach its data whatever the
permissions above the repository are: a clone in root's home is closed to him. So root's servers
live outside of the repository, in a folder named after it; everybody else's in `.cache/`.
"""

import hashlib
import os
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_NAME = "orchestrator-dev"
_HASH = hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:8]


def download_folder() -> Path:
    """What was fetched once and is safe to delete, inside the repository (git-ignored)."""
    return _made(REPOSITORY / ".cache", 0o755)


def state_folder() -> Path:
    """Data of the development servers: kept between runs, one folder per repository."""
    if os.geteuid() != 0:
        return _made(download_folder() / "state", 0o700)
    return _made(_made(Path("/var/lib") / _NAME, 0o755) / _HASH, 0o755)


def runtime_folder() -> Path:
    """Sockets and pid files, on a short path: a unix socket's address holds 107 bytes.

    Raises:
        PermissionError: somebody else made the folder of that name.
    """
    if os.geteuid() == 0:
        return _made(_made(Path("/run") / _NAME, 0o755) / _HASH, 0o755)
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    above = Path(given) if given and Path(given).is_dir() else Path(tempfile.gettempdir())
    folder = _made(above / f"{_NAME}-{os.geteuid()}", 0o700)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else: remove it")
    return _made(folder / _HASH, 0o700)


def _made(folder: Path, mode: int) -> Path:
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    return folder
