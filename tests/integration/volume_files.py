"""What is on a volume, seen beside whoever works there."""

import os
from pathlib import Path


def files_on(volume: Path) -> set[str]:
    """Return the files and folders below it; whatever just moves or goes may be missing.

    `Path.rglob` fails when a folder goes between its being listed and its being read.
    """
    return {
        os.path.relpath(Path(folder, name), volume)
        for folder, folders, files in os.walk(volume)
        for name in (*folders, *files)
    }
