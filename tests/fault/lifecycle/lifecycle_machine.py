"""Any sequence of requests and kills: a state machine for Hypothesis over the real HTTP api.

Each example has a database, an engine, an api and a worker of its own. A kill falls between two
requests or amid one; what was killed comes back at once or stays away for a while.

There is one rule for all moves, and each is drawn from one number: of several rules Hypothesis
would leave out some in each example, and it fills examples up with zeros, which is good for
machines whose examples cost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import Enum
from random import Random
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
_HALF = 0.5

# As often as each stands here.
_WAITS = (0.0, 0.0, 0.3, 2.0)
_KINDS = (Kind.SERVES, Kind.SERVES, Kind.SLOW, Kind.EXITS, Kind.UNBUILDABLE)
_POLICIES = ("on-failure", "always", "never")
_VICTIMS = (Victim.WORKER, *Victim)
_OF_IMAGES = (
    *(What.PATCH, What.PATCH, What.PATCH, What.REBUILD, What.REBUILD),
    *(What.CANCEL, What.CANCEL, What.DELETE_IMAGE),
)
_OF_CONTAINERS = (What.STOP, What.START, What.DELETE)
_PATCHES: Mapping[str, Sequence[Any]] = {
    "min_instances": (0, 1, 2),
    "max_instances": (1, 2, 3, 4),
    "restart_policy": _POLICIES,
    "memory_limit": ("48m", "64m"),
}
_MOVES = {
    "change a container": 4,
    "kill": 4,
    "change an image": 4,
    "create": 4,
    "behind": 4,
    "upload": 2,
    "workers": 1,
    "settle": 1,
}


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
        self._parts = ExitStack()
        self._begun: Trial | None = None
        self._draw = Random(0)
        self._salt = self._steps = self._named = 0

    @initialize(salt=st.integers(0, 2**32))
    def begin(self, salt: int) -> None:
        # Hypothesis begins with an example that is all zeros: nothing to start processes for.
        if not salt:
            reject()
        self._salt = salt
        self._draw = Random(salt)
        self.open(self._minimum(), self._draw.choice(_POLICIES))

    def open(self, minimum: int, policy: str) -> None:
        """Have one image that works, and a container to wish something of."""
        self._begun = Trial(self._stage, self._parts.enter_context(self._stage.new_processes()))
        self.upload(Kind.SERVES, minimum, 3, policy)
        self._trial.settle()
        self.create(pick=0, count=1, wait=2.0)

    @rule(number=st.integers(0, 2**32))
    def step(self, number: int) -> None:
        """Make one move, drawn from a number, its place, and the salt of the example."""
        self._steps += 1
        draw = self._draw = Random(f"{self._salt}/{self._steps}/{number}")
        model = self._trial.model
        (move,) = draw.choices(list(_MOVES), list(_MOVES.values()))
        if not any(image.kind.comes_up for image in model.living()):
            self.upload(Kind.SERVES, self._minimum(), 3, draw.choice(_POLICIES), self._amid())
        elif move == "upload" and len(model.living()) < _MOST_IMAGES:
            minimum = self._minimum()
            maximum = max(minimum + draw.randrange(3), 1)
            policy = draw.choice(_POLICIES)
            self.upload(draw.choice(_KINDS), minimum, maximum, policy, self._amid())
        elif move == "change an image":
            what = draw.choice(_OF_IMAGES)
            fields = self._fields(what)
            self.change_an_image(self._pick(), what, fields, draw.choice(_WAITS), self._amid())
        elif move == "change a container":
            what = draw.choice(_OF_CONTAINERS)
            self.change_a_container(self._pick(), what, draw.choice(_WAITS), self._amid())
        elif move == "behind":
            self.behind(self._pick(), draw.choice(list(Behind)))
        elif move == "kill":
            self.kill(self._kill(), back=draw.random() < _HALF)
        elif move == "workers":
            self.workers_come_and_go()
        elif move == "settle" and self._trial.unsettled > _STEPS_TO_SETTLE:
            self._trial.settle()
        else:
            count = draw.choice((1, 1, 2, 3))
            self.create(self._pick(), count, draw.choice(_WAITS), self._amid())

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
        with self._parts:
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

    def _pick(self) -> int:
        """Which one, of those that there are by then."""
        return self._draw.randrange(12)

    def _minimum(self) -> int:
        return self._draw.randrange(3)

    def _kill(self) -> Kill:
        return Kill(self._draw.choice(_VICTIMS), at_once=self._draw.random() < _HALF)

    def _amid(self) -> Kill | None:
        return self._kill() if self._draw.random() < _HALF else None

    def _fields(self, what: What) -> dict[str, Any]:
        if what is What.DELETE_IMAGE:
            return {"force": self._draw.random() < _HALF}
        if what is not What.PATCH:
            return {}
        names = self._draw.sample(sorted(_PATCHES), self._draw.choice((1, 1, 2)))
        return {name: self._draw.choice(_PATCHES[name]) for name in names}

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
