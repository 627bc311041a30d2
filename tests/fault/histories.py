"""Random histories of what is done and what dies, drawn by Hypothesis, lived through for real."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def live_through(
    new_machine: Callable[[], RuleBasedStateMachine], run_seed: int, *, examples: int, steps: int
) -> None:
    """Run a machine through so many histories of so many steps, the same ones for the same seed."""

    @seed(run_seed)
    def seeded() -> RuleBasedStateMachine:
        return new_machine()

    run_state_machine_as_test(
        seeded,  # type: ignore[arg-type]  # "a class or a function", says its docstring
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            derandomize=False,
            # Real processes: an example takes seconds, and one that failed is not made smaller.
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
