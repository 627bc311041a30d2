"""One example: an installation, what is done to it step by step, and the model beside it.

Each step looks at the api before and after; `settle` waits until everything that was wished is
carried out, and holds all of it together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from tests.fault.lifecycle.agreement import stray_files
from tests.fault.lifecycle.answers import ACCEPTED, Allowed
from tests.fault.lifecycle.caller import Answer, Caller
from tests.fault.lifecycle.kills import Kill, Victim
from tests.fault.lifecycle.model import Model
from tests.fault.lifecycle.processes import Processes
from tests.fault.lifecycle.settled import (
    cannot_run,
    disagreements,
    note_settled,
    why_it_is_not_told,
)
from tests.fault.lifecycle.sight import Sight, take_in
from tests.fault.lifecycle.stage import Stage
from tests.fault.lifecycle.wishes import Container, Image, Request, What

SETTLED_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.25
# A kill waits for its moment, and not for ever: there may be nothing to do.
_MOMENT_SECONDS = 1.0


class Trial:
    """Drives one installation.

    Attributes:
        killed: how often something was killed.
        unsettled: how many requests and kills there were since everything was settled.
    """

    def __init__(self, stage: Stage, processes: Processes) -> None:
        self.model = Model()
        self.processes = processes
        self.killed = self.unsettled = 0
        self._stage = stage
        self._caller = Caller(processes, stage.archives)
        self._lost_uploads = 0
        self._last_change = time.monotonic()

    def ask(self, request: Request, amid: Kill | None = None) -> None:
        """Send a request, kill something meanwhile, and judge the answer."""
        allowed = Allowed(self.model, self.look()).to(request)
        answer = self._sent(request, amid)
        name = answer.name if answer is not None else "lost"
        self._stage.answers[name] += 1
        self._changed(f"{request}: {name}, allowed {sorted(allowed)}")
        if answer is None:
            assert amid is not None, f"{request}: nobody lost that answer"
            assert amid.victim.loses_answers, f"{request}: {amid} lost that answer"
            self._lost_uploads += request.what is What.UPLOAD
            self.model.doubt(request)
        else:
            assert name in allowed, f"{request}: {answer}, allowed is {sorted(allowed)}"
            if name in ACCEPTED:
                self.model.accept(request, answer.rows)
        self.look()

    def look(self) -> Sight:
        """Hold what the api shows against the model."""
        self.processes.start_api()
        self.processes.expect_alive()
        sight = self._caller.look()
        self.model.learn(sight.images.values(), sight.containers.values())
        wrong = take_in(self.model, sight)
        assert not wrong, wrong
        return sight

    def get(self, image: Image) -> None:
        """An image and its containers are there, one by one, or gone as they should be."""
        expected = {"404 not-found"} if image.gone else {"200"}
        name = self._caller.get(f"/api/images/{image.id}").name
        assert name in expected | ({"404 not-found"} if image.wished_gone else set()), name
        for each in self.model.of(image):
            may_go = each.may_go or each.desired == "deleted"
            name = self._caller.get(f"/api/containers/{each.id}").name
            assert name == "200" or (may_go and name == "404 not-found"), (each.name, name)

    def kill(self, kill: Kill) -> None:
        """Kill something, if not at once then with work in hand; the api is back afterwards."""
        if not kill.at_once:
            self._await(self.processes.holds_anything)
        self._kill(kill.victim)
        self.look()

    def disturb(self, each: Container, how: str, code: int | None = None) -> None:
        """Note that a container met with something behind the service's back.

        Args:
            code: with which it ended; None if it was removed.
        """
        self._stage.kills[f"container {how}"] += 1
        self._changed(f"{each.name} {how} behind the service's back")
        each.disturbed = each.disturbed or not each.came_up
        if code is None:
            each.removed = each.came_up
        else:
            each.ends.add(code)

    def settle(self) -> None:
        """Wait until everything that was wished is carried out, and hold all of it together."""
        if self.processes.bring_back():
            self._changed("everything is back")
        self._until(self._building)
        for image in [each for each in self.model.living() if cannot_run(each)]:
            # What tries for ever never settles: see that it is told, and let it be.
            self._until(partial(self._not_told_as_short, image))
            self.ask(Request(What.PATCH, image, fields={"min_instances": 0}))
        sight = self._until_agreed()
        took = time.monotonic() - self._last_change
        for image in self.model.images:
            self.get(image)
        self._stage.recoveries.append(took)
        self.unsettled = 0
        note_settled(self.model, sight, self.processes)
        audit = self.processes.audit()
        assert audit.returncode == 0, audit.stdout + audit.stderr
        self.processes.tell(f"settled after {took:.1f} s")

    def end(self) -> None:
        """Settle, delete everything, and see that nothing is left of it."""
        self.settle()
        for image in self.model.living():
            self.ask(Request(What.DELETE_IMAGE, image, fields={"force": True}))
        self.settle()
        left = self.processes.engine.snapshot()
        assert not left.containers, left.containers
        assert not left.tags, left.tags
        held = self.processes.rows("SELECT port FROM host_ports WHERE container_id IS NOT NULL")
        assert not held, held
        strays = stray_files(self.processes, self.processes.volume)
        # What was received, and what was extracted of it.
        assert len(strays) <= 2 * self._lost_uploads, strays
        self._stage.examples += 1

    # ---- detail ----------------------------------------------------------------------------

    def _sent(self, request: Request, amid: Kill | None) -> Answer | None:
        moves = self.processes.until_next_step()
        answers: list[Answer | BaseException | None] = []
        sender = threading.Thread(target=lambda: answers.append(_outcome(self._caller, request)))
        sender.start()
        if amid is not None:
            if not amid.at_once:
                self._await(moves)
            self._kill(amid.victim)
        sender.join()
        (answer,) = answers
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _kill(self, victim: Victim) -> None:
        self.processes.kill(victim)
        self.killed += 1
        self._stage.kills[victim.value] += 1
        self._changed(f"kill {victim.value}")
        for image in self.model.images:
            image.kills += 1

    def _await(self, moment: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _MOMENT_SECONDS
        while not moment() and time.monotonic() < deadline:
            pass

    def _building(self) -> list[str]:
        rows = self.look().images.values()
        return [f"{row['name']} is building" for row in rows if row["status"] == "building"]

    def _not_told_as_short(self, image: Image) -> list[str]:
        return why_it_is_not_told(image, self.look())

    def _until_agreed(self) -> Sight:
        found: list[Sight] = []

        def looked() -> list[str]:
            found[:] = [self.look()]
            seen = self.processes.engine.snapshot()
            wrong = disagreements(self.model, found[0], self.processes, seen)
            # Not read at one moment: what moved meanwhile agrees with nothing.
            return wrong or ([] if self.look() == found[0] else ["something still moves"])

        self._until(looked)
        return found[0]

    def _until(self, looked: Callable[[], list[str]]) -> None:
        deadline = self._last_change + SETTLED_SECONDS
        while wrong := looked():
            late = time.monotonic() > deadline
            assert not late, f"not settled after {SETTLED_SECONDS:g} s: {wrong}"
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _changed(self, line: str) -> None:
        self.unsettled += 1
        self._last_change = time.monotonic()
        self.processes.tell(line)


def _outcome(caller: Caller, request: Request) -> Answer | BaseException | None:
    try:
        return caller.send(request)
    except BaseException as exc:  # noqa: BLE001 - raised where it is waited for
        return exc
