"""An example image without a registry: `FROM scratch` with the machine's static busybox."""

import shutil
from pathlib import Path

_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))

# PORT is what the service injects. A process 1 without a handler ignores SIGTERM: with the default
# stop signal every stop would last its whole grace period.
_DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY index.html /www/index.html
STOPSIGNAL SIGKILL
CMD ["/bin/sh", "-c", "exec httpd -f -p ${PORT:-8080} -h /www"]
"""


class BusyboxMissingError(RuntimeError):
    """The machine has no static busybox; the message is one line that says what to install."""


def static_busybox() -> Path:
    """Return the machine's statically linked busybox.

    Raises:
        BusyboxMissingError: there is none, or only one that needs the machine's libraries.
    """
    for path in _PLACES:
        # A dynamic program names its loader in the file, a static one has none to name.
        if path.is_file() and b"/ld-linux" not in path.read_bytes():
            return path
    raise BusyboxMissingError("no static busybox: install the package busybox-static")


def write_scratch_context(folder: Path, *, page: str = "hello\n") -> Path:
    """Fill `folder` with a build context whose container serves `page` on `$PORT`, and return it.

    Raises:
        BusyboxMissingError: there is no busybox to put into the image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(static_busybox(), folder / "busybox")
    (folder / "index.html").write_text(page)
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    return folder
