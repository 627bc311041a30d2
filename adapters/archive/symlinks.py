"""Symbolic links, checked against the tree as it will be, before any of them exists.

A link may point to what is not there yet (a build step may make it), but never outside: its
target is followed component by component, through other links too, as the kernel would.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.archive.entries import refused

# Linux gives up after so many (path_resolution(7)).
MAX_HOPS = 40


class LinkResolver:
    """Follows links inside of a root.

    Args:
        links: target by path; paths are joined by slashes.
        root: the components of the folder that no link may leave.
        steps: components that may be followed for all links together. Chains of links cost steps
            exponential in the archive's size otherwise.
    """

    def __init__(self, links: Mapping[str, str], root: tuple[str, ...], steps: int) -> None:
        self._links = links
        self._root = root
        self._steps = steps

    def check(self, path: str) -> None:
        """Follow the link at `path`, which must lie below the root.

        Raises:
            InvalidArchive: if it leads outside, in circles, or through too many links.
        """
        target = self._links[path]
        if target.startswith("/"):
            raise refused(path, "is a link with an absolute target")
        at = path.split("/")[:-1]
        ahead = target.split("/")[::-1]
        hops = 0
        while ahead:
            self._step(path)
            component = ahead.pop()
            if component in {"", "."}:
                continue
            if component == "..":
                if len(at) <= len(self._root):
                    raise refused(path, "is a link that leads out of the folder")
                at.pop()
                continue
            at.append(component)
            following = self._links.get("/".join(at))
            if following is not None:
                hops += 1
                if hops > MAX_HOPS or following.startswith("/"):
                    raise refused(path, "is a link that leads in circles or out of the folder")
                at.pop()
                ahead.extend(following.split("/")[::-1])

    def _step(self, path: str) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise refused(path, "is one link too many to follow")
