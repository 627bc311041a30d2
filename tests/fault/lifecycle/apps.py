"""What is uploaded: four kinds of images, and how each is to turn out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_context

# Told to end by itself by a signal: with 0 as if its work were done, with 3 as if it had crashed.
GOOD_END, BAD_END = 0, 3
_SERVES = (
    f"good={GOOD_END} bad={BAD_END}; trap 'exit $good' USR1; trap 'exit $bad' USR2; "
    "httpd -f -p $PORT & wait"
)
SIGNALS = {GOOD_END: "USR1", BAD_END: "USR2"}


class Kind(StrEnum):
    """Kinds of images.

    SERVES and SLOW serve; building SLOW takes a while. EXITS builds, and its containers never come
    up. UNBUILDABLE does not build.
    """

    SERVES = "serves"
    SLOW = "slow"
    EXITS = "exits"
    UNBUILDABLE = "unbuildable"

    @property
    def builds(self) -> bool:
        return self is not Kind.UNBUILDABLE

    @property
    def comes_up(self) -> bool:
        return self in {Kind.SERVES, Kind.SLOW}


def archives(folder: Path) -> dict[Kind, bytes]:
    """Return an archive of each kind.

    Args:
        folder: where contexts may be made.
    """
    programs = {Kind.EXITS: f"echo last words; exit {BAD_END}"}
    steps = {Kind.SLOW: "sleep 2", Kind.UNBUILDABLE: "exit 7"}
    return {
        kind: archive(
            make_context(
                folder / kind,
                ["/bin/busybox", "sh", "-c", programs.get(kind, _SERVES)],
                run=steps.get(kind),
            )
        )
        for kind in Kind
    }
