"""A `docker` in front of the real one that fails on demand, for the processes that find it in PATH.

What is to happen stands in a folder of plans, one file each: `container-create.1` holds what the
next `docker container create` meets. A plan is taken once, by whoever comes first.

    lose       carried out; the client then dies without a word, exit 125
    delay N    carried out N seconds later
    500        not carried out; the daemon answers with an internal error
    garbage    carried out; the answer is none
"""

from __future__ import annotations

import itertools
import os
import shutil
import textwrap
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
real='{real}' plans='{plans}'
verb_of() {{
    while [ $# -gt 0 ]; do
        case "$1" in
            --host|-H) shift 2 ;;
            -*) shift ;;
            container|image|network|buildx) echo "$1-$2"; return ;;
            *) echo "$1"; return ;;
        esac
    done
}}
for plan in "$plans/$(verb_of "$@")".*; do
    taken="$plans/taken/${{plan##*/}}"
    mv "$plan" "$taken" 2>/dev/null || continue
    read -r action seconds <"$taken"
    case "$action" in
        lose) "$real" "$@" >/dev/null 2>&1; exit 125 ;;
        delay) sleep "$seconds"; exec "$real" "$@" ;;
        500) echo "Error response from daemon: something went wrong on our side" >&2; exit 1 ;;
        garbage) "$real" "$@" >/dev/null 2>&1; echo "<html>502</html>"; exit 0 ;;
    esac
done
exec "$real" "$@"
"""

_numbers = itertools.count(1)


class DockerShim:
    """The shim and its plans.

    Args:
        folder: a new one.
        real: the client that it stands before; the machine's own by default.
    """

    def __init__(self, folder: Path, real: str | None = None) -> None:
        real = real or shutil.which("docker")
        assert real is not None
        self._plans = folder / "plans"
        self._bin = folder / "bin"
        (self._plans / "taken").mkdir(parents=True)
        self._bin.mkdir()
        program = self._bin / "docker"
        program.write_text(textwrap.dedent(_SCRIPT).format(real=real, plans=self._plans))
        program.chmod(0o755)

    @property
    def path(self) -> str:
        """PATH with the shim in front."""
        return f"{self._bin}:{os.environ['PATH']}"

    def plan(self, command: str, *actions: str) -> None:
        """Let the next calls of a command, `container create` for example, meet an action each."""
        for action in actions:
            name = f"{_file_of(command)}{next(_numbers):06}"
            draft = self._plans / "taken" / f"{name}.draft"
            draft.write_text(f"{action}\n")
            # A plan is there whole or not at all.
            draft.rename(self._plans / name)

    def left(self, command: str | None = None) -> list[str]:
        """Return the plans that nobody has met, of one command or of all."""
        begin = "" if command is None else _file_of(command)
        names = (path.name for path in self._plans.iterdir() if path.is_file())
        return sorted(name for name in names if name.startswith(begin))


def _file_of(command: str) -> str:
    return f"{command.replace(' ', '-')}."
