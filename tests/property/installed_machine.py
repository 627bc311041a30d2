"""What machines over a real installation share: an empty one each time, and outcomes."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from application.container_outcomes import ContainerOutcomes
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.observations import ended, seen


class InstalledMachine(RuleBasedStateMachine):
    """A machine over one database that is emptied for each example.

    Attributes:
        runs: how many outcomes were recorded; each is of another run.
    """

    installation: Installation

    def __init__(self) -> None:
        super().__init__()
        self.installation.empty()
        self.runs = 0

    @classmethod
    def run_over(cls, installation: Installation, length: settings) -> None:
        """Run so many examples of so many steps."""
        machine = type(cls.__name__, (cls,), {"installation": installation})
        run_state_machine_as_test(machine, settings=length)


def acts(outcomes: ContainerOutcomes, container_id: int, run: int) -> dict[str, Callable[[], None]]:
    """What a worker may record of a container in its run number `run`, by names."""
    over = ended(container_id, run)
    return {
        "running": lambda: outcomes.running(seen(container_id, run)),
        "exited": lambda: outcomes.exited(over),
        "crashed": lambda: outcomes.exited(ended(container_id, run, exit_code=1)),
        "stopped": lambda: outcomes.stopped(over),
        "run_ended": lambda: outcomes.run_ended(over),
        "failed": lambda: outcomes.failed("reason", "logs", over),
        "failed_before_it_was": lambda: outcomes.failed("reason", "", None),
        "failed_start": lambda: outcomes.failed_start("reason", "logs", over),
        "deleted": outcomes.deleted,
        "looked": outcomes.looked,
    }
