"""No row is passed over, whatever commits when: floor and frontier against a model of PostgreSQL.

The model deals out ids in rising order to transactions that stay open, commit or roll back in any
order; what a snapshot sees is what had committed. The follower is the relay's: it reads frontiers,
fetches a window, notes what came, leaves streams out of which it has enough, looks below at times,
and at times starts over. Whoever writes to a stream holds it until the transaction is over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from relay.backlogs import Backlogs
from relay.floor import Floor, Window
from relay.frontier import Frontier, Reading
from relay.outbox import Returning
from relay.pending_event import PendingEvent


@dataclass
class Transaction:
    """One that writes: its ids are visible only once it has committed."""

    name: str
    ids: list[int] = field(default_factory=list)
    streams: set[str] = field(default_factory=set)


_STREAMS = st.sampled_from("abc")


class FloorMachine(RuleBasedStateMachine):
    """Writers, a follower with a floor, and a restart now and then."""

    transactions = Bundle("transactions")
    windows = Bundle("windows")

    @initialize(
        most_late=st.integers(0, 4), limit=st.integers(1, 4), most_waiting=st.integers(1, 4)
    )
    def begin(self, most_late: int, limit: int, most_waiting: int) -> None:
        self.last_id = 0
        self.names = 0
        self.open: dict[str, Transaction] = {}
        self.outbox: set[int] = set()
        self.ever_committed: set[int] = set()
        self.stream_of: dict[int, str] = {}
        self.backlogs = Backlogs(most_waiting)
        self.in_flight: list[int] = []
        self.published: set[int] = set()
        self.limit = limit
        self.most_waiting = most_waiting
        self.frontier = Frontier()
        self.floor = Floor(most_late)

    # ---- writers ---------------------------------------------------------------------------

    @rule(target=transactions, number=st.integers(1, 3), stream=_STREAMS)
    def write(self, number: int, stream: str) -> Transaction:
        self.names += 1
        transaction = Transaction(f"3/{self.names}")
        self.open[transaction.name] = transaction
        self._draw(transaction, number, stream)
        return transaction

    @rule(transaction=transactions, number=st.integers(1, 3), stream=_STREAMS)
    def write_more(self, transaction: Transaction, number: int, stream: str) -> None:
        if transaction.name in self.open:
            self._draw(transaction, number, stream)

    @rule(transaction=consumes(transactions))
    def commit(self, transaction: Transaction) -> None:
        self._end(transaction)
        self.outbox |= set(transaction.ids)
        self.ever_committed |= set(transaction.ids)
        assert all(id_ > self.frontier.decided for id_ in transaction.ids)

    @rule(transaction=consumes(transactions))
    def roll_back(self, transaction: Transaction) -> None:
        self._end(transaction)

    @rule(transaction=consumes(transactions), target=transactions)
    def prepare(self, transaction: Transaction) -> Transaction:
        """Its locks go to a name that nobody saw before."""
        self._end(transaction)
        self.names += 1
        prepared = Transaction(f"-1/{self.names}", transaction.ids, transaction.streams)
        self.open[prepared.name] = prepared
        return prepared

    # ---- the follower ----------------------------------------------------------------------

    @rule(between=st.integers(0, 2))
    def observe(self, between: int) -> None:
        """Read the last id, and only then who holds the lock; somebody may write in between."""
        last_id = self.last_id
        for _ in range(between):
            self.write_and_commit()
        self.frontier.observe(Reading(last_id, frozenset(self.open)))

    @rule(number=st.integers(1, 6), stream=_STREAMS)
    def write_and_commit(self, number: int = 1, stream: str = "a") -> None:
        transaction = Transaction("committed")
        self._draw(transaction, number, stream)
        self.outbox |= set(transaction.ids)
        self.ever_committed |= set(transaction.ids)

    @rule()
    def fetch(self) -> None:
        window = self.floor.window(self.frontier.decided)
        returning = self.backlogs.returning(self.limit)
        found = self._visible(window)
        ids = found[: self.limit]
        assert len(ids) == len(set(ids)), "a row comes twice in one fetch"
        beside = self._visible_beside(returning)
        assert len(beside) <= self.limit
        self.floor.note(window, ids, whole=len(ids) < self.limit)
        taken = self.backlogs.choose(self._event(id_) for id_ in sorted(ids + beside))
        assert not {event.id for event in taken} & set(self.in_flight)
        self.backlogs.take(taken)
        self.backlogs.let_in(returning, [self._event(id_) for id_ in ids + beside])
        self.in_flight += [event.id for event in taken]

    @rule(number=st.integers(1, 8))
    def publish(self, number: int) -> None:
        done, self.in_flight = self.in_flight[:number], self.in_flight[number:]
        assert not self.published & set(done)
        self.published |= set(done)
        self.outbox -= set(done)
        self.backlogs.settle(self._event(id_) for id_ in done)

    @rule()
    def look_below(self) -> None:
        """As the relay does right before a fetch."""
        self.floor.look_below()
        self.backlogs.let_all_in()
        self.fetch()

    @rule()
    def fail(self) -> None:
        """Give up what is in flight, and expect it again."""
        self.in_flight = []
        self.floor.look_below()
        self.backlogs.clear()
        self.fetch()

    @rule(transaction=consumes(transactions))
    def commit_late(self, transaction: Transaction) -> None:
        """Others commit behind it and are seen, it comes to light, and all is looked at again."""
        self.write_and_commit()
        self.fetch()
        self.commit(transaction)
        self.look_below()

    @invariant()
    def no_row_is_passed_over(self) -> None:
        window = self.floor.window(self.frontier.decided)
        waiting = self.outbox - set(self.in_flight)
        to_come = {id_ for transaction in self.open.values() for id_ in transaction.ids}
        left_out = self.backlogs.left_out
        for id_ in waiting | to_come:
            last_taken = left_out.get(self.stream_of[id_])
            if last_taken is None:
                assert id_ > window.above or id_ in window.late
            else:
                assert id_ > last_taken

    @invariant()
    def of_no_stream_is_more_taken_than_allowed(self) -> None:
        taken = Counter(self.stream_of[id_] for id_ in self.in_flight)
        left_out = self.backlogs.left_out
        assert all(number <= self.most_waiting for number in taken.values())
        crowded = sum(taken[stream] for stream in left_out)
        foremost = len(taken.keys() & left_out.keys())
        assert self.backlogs.spread == len(self.in_flight) - crowded + foremost

    def teardown(self) -> None:
        """Let everybody finish: all that was committed is published, and the floor has risen."""
        if not hasattr(self, "outbox"):
            return
        for transaction in list(self.open.values()):
            self.commit(transaction)
        for _ in range(2):
            self.observe(0)
        for _ in range(2 * len(self.outbox) + 4):
            self.publish(len(self.in_flight) or 1)
            self.fetch()
        assert self.published == self.ever_committed
        window = self.floor.window(self.frontier.decided)
        assert (window.above, window.late) == (self.last_id, frozenset())

    def _draw(self, transaction: Transaction, number: int, stream: str) -> None:
        others = (each for each in self.open.values() if each is not transaction)
        if any(stream in other.streams for other in others):
            stream = f"{stream} of {transaction.name} {self.last_id}"
        transaction.streams.add(stream)
        for _ in range(number):
            self.last_id += 1
            self.stream_of[self.last_id] = stream
            transaction.ids.append(self.last_id)

    def _event(self, id_: int) -> PendingEvent:
        return PendingEvent(id_, "", "", "", self.stream_of[id_], id_, b"", [], 0.0, None)

    def _end(self, transaction: Transaction) -> None:
        self.open.pop(transaction.name, None)

    def _visible(self, window: Window) -> list[int]:
        # Two searches, as the relay's statement makes them: what both find comes twice.
        above = [id_ for id_ in self.outbox if id_ > window.above]
        late = [id_ for id_ in self.outbox if id_ in window.late]
        left_out = self.backlogs.left_out
        return sorted(id_ for id_ in above + late if self.stream_of[id_] not in left_out)

    def _visible_beside(self, returning: Returning) -> list[int]:
        # Sequences are ids here.
        beside = []
        for stream, wanted in returning.items():
            rows = (id_ for id_ in self.outbox if self.stream_of[id_] == stream)
            beside += sorted(id_ for id_ in rows if id_ > wanted.behind)[: wanted.at_most]
        return beside


TestFloor = FloorMachine.TestCase


def test_transactions_that_stay_open_cost_their_own_ids_and_no_more() -> None:
    frontier, floor = Frontier(), Floor()
    stuck, others = [3, 7], [id_ for id_ in range(1, 10_001) if id_ not in {3, 7}]
    frontier.observe(Reading(10_000, frozenset({"4/1"})))
    for start in range(0, len(others), 500):
        batch = others[start : start + 500]
        floor.note(floor.window(frontier.decided), batch, whole=False)

    window = floor.window(frontier.decided)

    assert (window.above, window.late) == (10_000, frozenset(stuck))


def test_a_look_below_the_floor_leaves_it_where_it_was() -> None:
    frontier, floor = Frontier(), Floor()
    frontier.observe(Reading(10_000, frozenset({"4/1"})))
    published = [id_ for id_ in range(1, 10_001) if id_ != 3]
    floor.note(floor.window(frontier.decided), published, whole=True)

    floor.look_below()
    walking = floor.window(frontier.decided)
    floor.note(walking, [6_000, 7_000], whole=False)
    further = floor.window(frontier.decided)
    floor.note(further, [9_000], whole=True)

    window = floor.window(frontier.decided)
    assert (walking.above, further.above) == (0, 7_000)
    # Ahead of a walk it would be found twice.
    assert (walking.late, further.late) == (frozenset(), frozenset({3}))
    assert (window.above, window.late) == (10_000, frozenset({3}))


def test_a_reading_of_an_empty_table_decides_what_it_saw() -> None:
    frontier = Frontier()

    frontier.observe(Reading(41, frozenset()))

    assert frontier.decided == 41
