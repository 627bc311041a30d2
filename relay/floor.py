"""Where a fetch begins, so that it does not walk over the dead rows of what was published.

Deleted rows stay in the table and its index until vacuum may take them, which a snapshot held
anywhere in the cluster can put off for hours. A fetch from the lowest id would walk over all of
them, each time. So the leader remembers, in memory only, up to where it has seen everything: the
floor. It is never "the last id that was published" (ids commit out of order, and rows would be
lost): whatever below it may still come is remembered too, one by one.

The promise, which holds after every step: each row that is in the outbox now, or ever will be, and
that no fetch has returned, has an id above ``above``, or in ``late``.

Proof. At first ``above`` is zero, and all ids are above it. A fetch asks for every id above
``above`` and all of ``late``, and returns the lowest visible ones. Let R be the highest id up to
which it looked: the last one it returned, or, if it found no more than fit, the decided frontier
where that is higher. An id up to R that it did not return was not visible to its snapshot. If the
id is at or below the frontier that was decided before that snapshot, it never will be
(``frontier.py``) and is forgotten; else it is put into ``late``. So every id up to R is returned,
impossible or in ``late``, and ``above`` may become R. Ids above R are above ``above`` again.

Transactions that stay open for long leave as many ids in ``late`` as they drew, not as many as
others drew meanwhile; rows that are passed over count, too, until the frontier is beyond them.
Should ``late`` grow beyond its bound, ``above`` stays at the frontier and fetches walk further;
nothing is lost by it. The same holds for a leader that begins beside an open transaction that
writes: it does not know what was published before, until that one has ended.

Two things return to the outbox's lower part without a new id: the rows of a stream that was
released, and what a failed delivery left. Both need a ``look_below``: fetches begin at zero again
and walk, each from the last id that the one before returned, until one has come past ``above``.
Of ``late`` such a fetch asks only for the ids behind it, as it comes by the others. Neither
``above`` nor ``late`` changes by that, and need not: what is to come again is visible, so a walk
returns it; and what is not visible is still above ``above``, in ``late``, or impossible.

A stream may be left out of fetches for a while (``backlogs.py``): the promise then holds for all
others, and of this stream for no id. For it another one holds: each of its rows that is there or
will be, and was not taken, has a sequence above the last one taken of it, because the rows of a
stream come to light in the order of their sequences (``ordering.py``; one that breaks the rule is
found at the next reset, and blocks its stream). The promise holds for it again once a fetch has
looked beside the window for its next rows and found fewer than it asked for. A row of it that this
fetch's snapshot did not see has an id above the frontier that was decided before; if it is at or
below ``above`` it is in ``late``, which forgets only what is decided, left out or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# One index look-up each, at every fetch; more than this many ids are cheaper walked over.
_MOST_LATE = 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """What a fetch asks for, and the frontier that was decided before it.

    Attributes:
        above: All ids above this one; lower than the floor during a walk.
        late: And these, none of them above it: what both found would come twice.
        decided: No row at or below comes to light after the fetch's snapshot.
    """

    above: int
    late: frozenset[int]
    decided: int


class Floor:
    """The lower bound of fetches, and the exceptions below it."""

    def __init__(self, most_late: int = _MOST_LATE) -> None:
        self._most_late = most_late
        self._above = 0
        self._late: frozenset[int] = frozenset()
        # How far a walk below the floor has come; None if there is none.
        self._walked: int | None = None

    def look_below(self) -> None:
        """Let the next fetches look at everything: what is in flight comes a second time."""
        self._walked = 0

    def window(self, decided: int) -> Window:
        """Return what the next fetch has to ask for.

        Args:
            decided: The frontier as known before the fetch takes its snapshot.
        """
        if self._walked is None:
            return Window(self._above, self._late, decided)
        late = frozenset(id_ for id_ in self._late if id_ <= self._walked)
        return Window(self._walked, late, decided)

    def note(self, window: Window, ids: Sequence[int], *, whole: bool) -> None:
        """Take into account what a fetch of ``window`` returned.

        Args:
            window: What was asked for; no other fetch was noted meanwhile.
            ids: What came, ascending.
            whole: Whether that was all, rather than as many as were wanted.
        """
        last = ids[-1] if ids else 0
        above = self._above
        reached = max(last, above, window.decided) if whole else last
        returned = frozenset(ids)
        kept = {id_ for id_ in self._late - returned if id_ > window.decided or id_ > reached}
        if reached < above:
            self._walked, self._late = max(window.above, reached), frozenset(kept)
            return
        self._walked = None
        first = max(above, window.decided) + 1
        unseen = reached + 1 - first - sum(id_ >= first for id_ in ids)
        if len(kept) + unseen > self._most_late:
            # The rows above are returned again: whoever sends them has to know them.
            self._above = max(above, min(window.decided, reached))
            self._late = frozenset(kept)
            return
        if unseen > 0:
            kept.update(id_ for id_ in range(first, reached + 1) if id_ not in returned)
        self._above = reached
        self._late = frozenset(kept)
