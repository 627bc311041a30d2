"""Build contexts without a registry whose container runs a given command, for any suite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from entrypoints.dev.scratch_image import static_busybox

SERVES = "exec httpd -f -p $PORT"


# A process 1 without a handler ignores SIGTERM: every stop would last its whole grace.
_AT_ONCE = "SIGKILL"


def make_busybox_context(
    folder: Path, command: str = SERVES, *, run: str | None = None, stop_signal: str = _AT_ONCE
) -> Path:
    """Fill `folder` with a context and return it.

    Args:
        command: what its container runs, for busybox's shell.
        run: a RUN step of the build, for the same shell.
        stop_signal: what asks its container to end.
    """
    program = ["/bin/busybox", "sh", "-c", command]
    return make_context(folder, program, run=run, stop_signal=stop_signal)


def make_context(
    folder: Path, program: list[str], *, run: str | None = None, stop_signal: str = _AT_ONCE
) -> Path:
    """Fill `folder` with a context whose container runs `program`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(static_busybox(), folder / "busybox")
    step = [] if run is None else [f"RUN {json.dumps(['/bin/busybox', 'sh', '-c', run])}"]
    lines = [
        "FROM scratch",
        "COPY busybox /bin/busybox",
        *step,
        f"STOPSIGNAL {stop_signal}",
        f"CMD {json.dumps(program)}",
    ]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return folder
