"""The database's side of a term: takes away what was acknowledged, brings what comes next."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import psycopg
import structlog
from psycopg import errors

from relay.backlogs import Backlogs
from relay.blocked import block_stream
from relay.deletion import delete_acknowledged, delete_unlocked
from relay.failpoints import Failpoint, reach
from relay.floor import Floor, Window
from relay.metrics import Metrics
from relay.ordering import Offence, StreamOrder
from relay.outbox import Request, Returning
from relay.pending_event import PendingEvent
from relay.survey import Survey

# The floor is proven, and checked all the same: this often a fetch looks at everything. Where that
# takes long, because very many dead rows are in its way, it is done the more seldom.
_LOOK_BELOW_SECONDS = 30.0
_LOOK_BELOW_SHARE = 0.05
# How often one looks for what streams have that are trusted again, while others are not yet.
_TRUSTED_SECONDS = 1.0
# How often the deletion of a row that somebody has locked is tried.
_LOCKED_SECONDS = 1.0
# Of a bigint.
_LAST_ID = 2**63 - 1


class Intake:
    """Made anew for every term, on the leader's session."""

    def __init__(self, session: psycopg.Connection, batch_size: int, metrics: Metrics) -> None:
        self._session = session
        self._batch_size = batch_size
        self._metrics = metrics
        self._log = structlog.get_logger()
        self._survey = Survey(session, metrics)
        self._floor = Floor()
        self._order = StreamOrder()
        self._set_aside: frozenset[str] = frozenset()
        # Of each an event is to be tried alone; no operator knows of it.
        self._suspected: frozenset[str] = frozenset()
        self._look_below_at = 0.0
        # Whether any stream is trusted whose rows were passed over, and when to look for them.
        self._trusted = False
        self._look_for_trusted_at = 0.0
        self._released = False
        self._backlogs = Backlogs()
        # Published rows that somebody has locked: not to be sent again, to be deleted later.
        self._locked: frozenset[int] = frozenset()
        self._locked_tried_at = 0.0
        self._request: tuple[Request, Window, Returning, Sequence[PendingEvent]] | None = None
        self.found_nothing = False
        # Up to this id all that is pending was returned or passed over since the last start.
        self.reached = 0

    def look_around(self) -> None:
        """Keep the frontiers, the horizon and the blocked streams up to date; a sign of life.

        Raises:
            psycopg.Error: The session is lost.
        """
        self._survey.take_if_due()
        self._released = not self._set_aside - self._suspected <= self._survey.blocked
        self._set_aside |= self._survey.blocked

    def start_over(self, suspected: Iterable[str] = ()) -> None:
        """Expect everything that is pending again, also what was returned and not deleted.

        Args:
            suspected: Streams to leave alone, until each is blocked or trusted.
        """
        self._suspected = frozenset(suspected)
        self._order.forget_sent()
        self._backlogs.clear()
        self._look_below()
        self.reached = 0

    def trust(self, stream: str) -> None:
        """Leave a stream alone no longer that was suspected: what is pending of it comes again.

        With that of others, about a second later at most: each time the lowest rows are read anew.
        """
        self._suspected -= {stream}
        self._trusted = True

    @property
    def spread(self) -> int:
        """How many events were returned and not deleted; a stream that is left out counts once."""
        return self._backlogs.spread

    @property
    def held(self) -> int:
        """How many events were returned and not deleted."""
        return self._backlogs.held

    @property
    def leaves_out(self) -> bool:
        """Whether a stream has more pending than is looked for."""
        return bool(self._backlogs.left_out)

    def request(self, acknowledged: Sequence[PendingEvent]) -> None:
        """Ask for the next batch and delete what was acknowledged; ``result`` must follow.

        Raises:
            psycopg.Error: The session is lost.
        """
        if acknowledged:
            reach(Failpoint.AFTER_ACKS)
        reach(Failpoint.BEFORE_FETCH)
        if self._locked and time.monotonic() - self._locked_tried_at >= _LOCKED_SECONDS:
            self._try_locked(self._locked)
        if self._released or self._is_look_due():
            self._look_below()
        self._backlogs.drop(self._set_aside)
        window = self._floor.window(self._survey.decided)
        returning = self._backlogs.returning(self._batch_size)
        left_out = self._set_aside | self._backlogs.left_out.keys()
        ids = [event.id for event in acknowledged]
        request = Request(self._session, ids, window, left_out, self._batch_size, returning)
        self._request = (request, window, returning, acknowledged)

    def receive(self) -> None:
        """Take what is there of the answer to ``request``.

        Raises:
            psycopg.Error: The session is lost.
        """
        if self._request is not None:
            self._request[0].receive()

    def result(self, missing: Callable[[Collection[str]], Collection[str]]) -> list[PendingEvent]:
        """Return what may be sent next, in id order; what may not blocks its stream.

        Args:
            missing: Told which topics there are events for, returns those that are missing.

        Raises:
            BrokerTrouble: Raised by ``missing``: start over.
            psycopg.Error: The session is lost or a statement failed.
        """
        if self._request is None:
            raise RuntimeError("nothing was requested")
        (request, window, returning, acknowledged), self._request = self._request, None
        try:
            fetched = request.result()
        except errors.LockNotAvailable:
            if not acknowledged:
                raise
            # Neither happened. What was acknowledged is not sent again because of one row.
            self._delete_unlocked(acknowledged)
            self.found_nothing = False
            return []
        if acknowledged:
            self._note_deleted(acknowledged, request.deleted)
        reach(Failpoint.AFTER_FETCH)
        self._put_off_looking_below(window, time.monotonic() - request.sent_at)
        ids = [event.id for event in fetched if event.stream not in returning]
        whole = len(ids) < self._batch_size
        self._floor.note(window, ids, whole=whole)
        self.reached = max(self.reached, _LAST_ID if whole else ids[-1])
        unpublished = [event for event in fetched if event.id not in self._locked]
        self.found_nothing = not unpublished
        chosen = self._backlogs.choose(unpublished)
        missing_topics = missing({event.topic for event in chosen if event.defect is None})
        sendable, offences = self._order.vet(chosen, missing_topics)
        self._backlogs.take(sendable)
        self._backlogs.let_in(returning, fetched)
        for offence in offences:
            self.block(offence)
        return sendable

    def delete(self, acknowledged: Sequence[PendingEvent]) -> None:
        """Delete what was acknowledged, without a fetch.

        Raises:
            psycopg.Error: The session is lost; the rows will be sent again.
        """
        if acknowledged:
            reach(Failpoint.AFTER_ACKS)
            ids = [event.id for event in acknowledged]
            try:
                self._note_deleted(acknowledged, delete_acknowledged(self._session, ids))
            except errors.LockNotAvailable:
                self._delete_unlocked(acknowledged)

    def block(self, offence: Offence) -> None:
        """Let a stream wait for an operator.

        Raises:
            psycopg.Error: The session is lost; the stream will be blocked by who leads next.
        """
        event = offence.event
        block_stream(self._session, event, offence.code, offence.detail)
        self._set_aside |= {event.stream}
        # From now on an operator knows of it, and may release it.
        self._suspected -= {event.stream}
        self._survey.look_again()
        self._log.error(
            "stream blocked",
            stream=event.stream,
            sequence=event.sequence,
            event_id=event.event_id,
            code=offence.code,
            detail=offence.detail,
        )

    def _delete_unlocked(self, acknowledged: Sequence[PendingEvent]) -> None:
        self._try_locked(self._locked.union(event.id for event in acknowledged))
        self._log.warning("outbox rows are locked", rows=len(self._locked))
        self._note_deleted(acknowledged, len(acknowledged))

    def _try_locked(self, ids: frozenset[int]) -> None:
        self._locked = delete_unlocked(self._session, ids)
        self._locked_tried_at = time.monotonic()

    def _note_deleted(self, events: Sequence[PendingEvent], deleted: int) -> None:
        reach(Failpoint.AFTER_DELETE)
        if deleted != len(events):
            self._log.warning("outbox rows were gone already", missing=len(events) - deleted)
        self._order.note_published(events)
        self._backlogs.settle(events)
        for topic, number in Counter(event.topic for event in events).items():
            self._metrics.published.labels(topic).inc(number)

    def _is_look_due(self) -> bool:
        now = time.monotonic()
        if self._trusted and (not self._suspected or now >= self._look_for_trusted_at):
            return True
        return now >= self._look_below_at

    def _look_below(self) -> None:
        """Let the next fetch look at everything; what was returned and not deleted is known."""
        self._floor.look_below()
        self._backlogs.let_all_in()
        self.found_nothing = False
        self._set_aside = self._suspected | self._survey.blocked
        self._released = False
        self._trusted = False
        now = time.monotonic()
        self._look_for_trusted_at = now + _TRUSTED_SECONDS
        self._look_below_at = now + _LOOK_BELOW_SECONDS

    def _put_off_looking_below(self, window: Window, took: float) -> None:
        if window.above == 0:
            now, pause = time.monotonic(), took / _LOOK_BELOW_SHARE
            self._look_below_at = now + max(_LOOK_BELOW_SECONDS, pause)
            self._look_for_trusted_at = now + max(_TRUSTED_SECONDS, pause)
