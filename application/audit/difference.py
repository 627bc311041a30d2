"""One difference, as an operator reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Something that does not agree with something else.

    Attributes:
        kind: which rule does not hold, in words joined by hyphens.
        about: what it is of: container, image, build, stream, event, port, hostname, docker, tag or
            path.
        which: the one it is of.
        detail: what is so, and what should be.
    """

    kind: str
    about: str
    which: str
    detail: str

    @property
    def line(self) -> str:
        return f"kind={self.kind} {self.about}={self.which} detail={self.detail}"
