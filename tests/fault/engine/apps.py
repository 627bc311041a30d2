"""One image for all: what its containers do is told to each of them in MODE."""

from pathlib import Path

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_context

# A process 1 without a handler ignores SIGTERM, so the image asks for SIGKILL where that is wanted.
_SCRIPT = """\
case "$MODE" in
    exits) echo "last words"; exit 3 ;;
    never-listens) exec sleep 1000000 ;;
    eats)
        httpd -p "$PORT"
        while [ ! -e /eat ]; do sleep 0.1; done
        everything=x
        while :; do everything=$everything$everything; done ;;
    *) exec httpd -f -p "$PORT" ;;
esac
"""


def app_archive(folder: Path) -> bytes:
    """Return the archive of a context whose container serves, unless MODE says otherwise."""
    program = ["/bin/busybox", "sh", "-c", f"/bin/busybox --install /bin; {_SCRIPT}"]
    return archive(make_context(folder, program))
