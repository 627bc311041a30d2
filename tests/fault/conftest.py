"""The seed of a run, and figures that are printed at its end, with or without -s."""

import os
import random
from typing import Protocol

import pytest

_FIGURES = pytest.StashKey[list[str]]()
_SEED = pytest.StashKey[int]()


class Note(Protocol):
    """Keeps a figure for the end of the run."""

    def __call__(self, figure: str) -> None: ...


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Keep figures of this test: what was measured, in one line each."""
    figures = request.config.stash.setdefault(_FIGURES, [])

    def keep(figure: str) -> None:
        figures.append(f"{request.node.name}: {figure}")

    return keep


@pytest.fixture(scope="session")
def run_seed(pytestconfig: pytest.Config) -> int:
    """What everything random in this run is drawn from: FAULT_SEED, or a new one."""
    given = os.environ.get("FAULT_SEED")
    seed = int(given) if given else random.SystemRandom().getrandbits(32)
    pytestconfig.stash[_SEED] = seed
    return seed


@pytest.fixture
def rng(run_seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test alone, the same whichever other tests run."""
    return random.Random(f"{run_seed}/{request.node.name}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures, seed = config.stash.get(_FIGURES, []), config.stash.get(_SEED, None)
    if not figures and seed is None:
        return
    terminalreporter.section("fault suite")
    if seed is not None:
        terminalreporter.write_line(f"seed {seed}: FAULT_SEED={seed} draws the same again")
    for figure in figures:
        terminalreporter.write_line(figure)
