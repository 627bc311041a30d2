"""Any sequence of requests and kills: a state machine for Hypothesis over the real HTTP api.

Each example has a database, an engine, an api and a worker of its own. A kill falls between two
requests or amid one; what was killed comes back at once or stays away for a while. There is one
rule for all moves: of several Hypothesis would leave out some in each example, which is good for
machines whose examples cost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.fault.lifecycle.apps import BAD_END, GOOD_END, Kind
from tests.fault.lifecycle.kills import Kill, Victim
from tests.fault.lifecycle.stage import Stage
from tests.fault.lifecycle.trial import Trial
from tests.fault.lifecycle.wishes import Container, Image, Request, What

_MOST_IMAGES = 3
# A pass that misses more at once takes the engine for another one.
_MOST_REMOVED = 3
_KILLED_CODE = 137
# So many requests and kills come between two times that everything is waited for.
_STEPS_TO_SETTLE = 3

# Which one, of those that there are by then.
_PICKS = st.integers(0, 11)
_WAITS = st.sampled_from([0.0, 0.0, 0.3, 2.0])
_KINDS = st.sampled_from([Kind.SERVES, Kind.SERVES, Kind.SLOW, Kind.EXITS, Kind.UNBUILDABLE])
_POLICIES = st.sampled_from(["on-failure", "always", "never"])
_KILLS = st.builds(Kill, st.sampled_from([Victim.WORKER, *Victim]), st.booleans())
_AMID = st.none() | _KILLS
_MINIMUMS = st.integers(0, 2)
_OF_IMAGES = st.sampled_from(
    [*[What.PATCH] * 3, *[What.REBUILD] * 2, *[What.CANCEL] * 2, What.DELETE_IMAGE]
)
_OF_CONTAINERS = st.sampled_from([What.STOP, What.START, What.DELETE])
_VALUES: Mapping[str, list[Any]] = {
    "min_instances": [0, 1, 2],
    "max_instances": [2, 3, 4, 1],
    "restart_policy": ["on-failure", "always", "never"],
    "memory_limit": ["64m", "48m"],
}
_FIELDS: Mapping[What, st.SearchStrategy[dict[str, Any]]] = {
    What.PATCH: st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in _VALUES.items()}
    ).filter(bool),
    What.DELETE_IMAGE: st.fixed_dictionaries({"force": st.booleans()}),
}
# As often as each stands here.
_MOVES = st.sampled_from(
    [
        *["change a container"] * 4,
        *["kill"] * 4,
        *["change an image"] * 4,
        *["create"] * 3,
        *["behind"] * 3,
        *["upload"] * 2,
        "workers",
        "settle",
    ]
)


class Behind(Enum):
    """What somebody does to a container behind the service's back."""

    KILL = "docker kill"
    REMOVE = "docker rm --force"
    CRASH = "its app crashes"
    STOP = "docker stop"
    EXIT = "its app ends"


class LifecycleMachine(RuleBasedStateMachine):
    """A user, whoever reaches behind the service's back, and whoever kills."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._open = ExitStack()
        self._begun: Trial | None = None
        self._named = 0

    @initialize(salt=st.integers(0, 2**16), minimum=_MINIMUMS, policy=_POLICIES)
    def begin(self, salt: int, minimum: int, policy: str) -> None:
        """Have one image that works, and a container to wish something of."""
        # Hypothesis begins with an example that is all zeros: nothing to start processes for.
        if not salt:
            reject()
        self._begun = Trial(self._stage, self._open.enter_context(self._stage.new_processes()))
        self.upload(Kind.SERVES, minimum, 3, policy)
        self._trial.settle()
        self.create(pick=0, count=1, wait=2.0)

    @rule(data=st.data(), move=_MOVES)
    def step(self, data: st.DataObject, move: str) -> None:
        """Make one move."""
        model, draw = self._trial.model, data.draw
        if not any(image.kind.comes_up for image in model.living()):
            self.upload(Kind.SERVES, draw(_MINIMUMS), 3, draw(_POLICIES), draw(_AMID))
        elif move == "upload" and len(model.living()) < _MOST_IMAGES:
            minimum = draw(_MINIMUMS)
            maximum = max(minimum + draw(st.integers(0, 2)), 1)
            self.upload(draw(_KINDS), minimum, maximum, draw(_POLICIES), draw(_AMID))
        elif move == "change an image":
            what, pick, fields = draw(_OF_IMAGES), draw(_PICKS), {}
            if what in _FIELDS:
                fields = draw(_FIELDS[what])
            self.change_an_image(pick, what, fields, draw(_WAITS), draw(_AMID))
        elif move == "change a container":
            self.change_a_container(draw(_PICKS), draw(_OF_CONTAINERS), draw(_WAITS), draw(_AMID))
        elif move == "behind":
            self.behind(draw(_PICKS), draw(st.sampled_from(Behind)))
        elif move == "kill":
            self.kill(draw(_KILLS), back=draw(st.booleans()))
        elif move == "workers":
            self.workers_come_and_go()
        elif move == "settle" and self._trial.unsettled > _STEPS_TO_SETTLE:
            self._trial.settle()
        else:
            self.create(draw(_PICKS), draw(st.integers(1, 3)), draw(_WAITS), draw(_AMID))

    # ---- users -----------------------------------------------------------------------------

    def upload(
        self, kind: Kind, minimum: int, maximum: int, policy: str, amid: Kill | None = None
    ) -> None:
        limits = {
            "min_instances": minimum,
            "max_instances": maximum,
            "restart_policy": policy,
            "memory_limit": "64m",
            "cpu_limit": 0.25,
        }
        self._trial.ask(Request(What.UPLOAD, Image(self._new_name("i"), kind, limits)), amid)

    def create(self, pick: int, count: int, wait: float, amid: Kill | None = None) -> None:
        fields = {"name": self._new_name("c"), "count": count}
        self._trial.ask(Request(What.CREATE, self._image(pick), fields=fields, wait=wait), amid)

    def change_a_container(
        self, pick: int, what: What, wait: float, amid: Kill | None = None
    ) -> None:
        container = self._container(pick)
        self._trial.ask(Request(what, container.image, container, wait=wait), amid)

    def change_an_image(
        self,
        pick: int,
        what: What,
        fields: Mapping[str, Any],
        wait: float = 0.0,
        amid: Kill | None = None,
    ) -> None:
        self._trial.ask(Request(what, self._image(pick), fields=fields, wait=wait), amid)

    # ---- behind the service's back ---------------------------------------------------------

    def behind(self, pick: int, how: Behind) -> None:
        """Do something to a container behind the service's back."""
        each, engine = self._container(pick), self._trial.processes.engine
        name = each.name
        if how is Behind.KILL and engine.kill_container(name):
            self._trial.disturb(each, "killed", _KILLED_CODE)
        elif how is Behind.STOP and engine.stop_container(name):
            self._trial.disturb(each, "stopped", _KILLED_CODE)
        elif how is Behind.CRASH and engine.end_app(name, BAD_END):
            self._trial.disturb(each, "crashed", BAD_END)
        elif how is Behind.EXIT and engine.end_app(name, GOOD_END):
            self._trial.disturb(each, "ended", GOOD_END)
        elif how is Behind.REMOVE and self._may_remove and engine.remove_container(name):
            self._trial.disturb(each, "removed")

    # ---- processes -------------------------------------------------------------------------

    def kill(self, kill: Kill, *, back: bool) -> None:
        """Kill something; worker and engine may stay away."""
        self._trial.kill(kill)
        if back:
            self._trial.processes.bring_back()

    def workers_come_and_go(self) -> None:
        """Let one join where there is one or none, and the older one of two leave."""
        processes = self._trial.processes
        if processes.workers > 1:
            processes.end_worker()
        else:
            processes.start_worker()
        processes.tell(f"{processes.workers} workers")
        self._trial.look()

    def teardown(self) -> None:
        with self._open:
            if self._begun is None:
                return
            try:
                # If a step has failed there is nothing more to be seen.
                if sys.exc_info()[1] is None:
                    self._end(self._begun)
            except BaseException as exc:
                exc.add_note(self._begun.processes.last_words())
                raise
            if (failure := sys.exc_info()[1]) is not None:
                failure.add_note(self._begun.processes.last_words())

    def _end(self, trial: Trial) -> None:
        if not trial.killed:
            self.kill(Kill(Victim.WORKER), back=True)
        trial.end()

    # ---- detail ----------------------------------------------------------------------------

    @property
    def _trial(self) -> Trial:
        assert self._begun is not None
        return self._begun

    @property
    def _may_remove(self) -> bool:
        return sum(each.removed for each in self._trial.model.containers) < _MOST_REMOVED

    def _image(self, pick: int) -> Image:
        """Pick an image, mostly one that lives."""
        living, images = self._trial.model.living(), self._trial.model.images
        candidates = living if living and pick else images
        return candidates[pick % len(candidates)]

    def _container(self, pick: int) -> Container:
        """Pick a container, mostly one that is there."""
        containers = self._trial.model.containers
        there = [each for each in containers if not each.gone]
        candidates = there if there and pick else containers
        return candidates[pick % len(candidates)]

    def _new_name(self, letter: str) -> str:
        self._named += 1
        return f"{letter}{self._named}"
