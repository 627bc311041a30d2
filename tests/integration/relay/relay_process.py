"""A relay as a process of its own, and waiting for what it does."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

DEADLINE_SECONDS = 30.0


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Ask again and again until the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        pause.wait(0.05)


class RelayUnderTest:
    """``python -m relay``, its log lines parsed as they come; killed at the end."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "relay"],
            cwd=Path(__file__).parents[3],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether a SIGSTOP, ours or that of a failpoint, holds the process."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except FileNotFoundError:
            return False
        # The name before the state may hold anything, even a bracket.
        return stat.rpartition(")")[2].split()[0] == "T"

    @property
    def cpu_seconds(self) -> float:
        """How long the process has computed until now."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    @property
    def holds(self) -> tuple[int, int]:
        """How many threads and how many open files it has."""
        own = Path(f"/proc/{self._process.pid}")
        return len(list((own / "task").iterdir())), len(list((own / "fd").iterdir()))

    def wait_for(
        self, event: str, *, after: int = 0, seconds: float = DEADLINE_SECONDS
    ) -> dict[str, Any]:
        """Return the first log line of this name beyond the first ``after`` lines."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found.extend(line for line in self.lines[after:] if line["event"] == event)
            return bool(found)

        wait_until(seen, f"the relay logs {event!r}", seconds)
        return found[0]

    def get(self, path: str) -> tuple[int, str]:
        port = self.wait_for("relay started")["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def metric(self, name: str) -> float:
        """Return the sum of a series over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        values = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in values)

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def wait_until_told(self, text: str) -> tuple[int, str]:
        """Return the first answer about readiness that holds the text.

        To ask once more is another answer: what was told may be over.
        """
        answers: list[tuple[int, str]] = []

        def told() -> bool:
            answers.append(self.get("/readyz"))
            return text in answers[-1][1]

        wait_until(told, f"readiness tells {text!r}")
        return answers[-1]

    def kill(self) -> None:
        """SIGKILL, which ends a paused process too."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: the kernel keeps its connections open and answers for it."""
        self._process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.paused, "the relay is stopped")

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and how many seconds it took.

        One that is paused goes on, and the signal is there already.
        """
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)
        code = self._process.wait(DEADLINE_SECONDS)
        return code, time.monotonic() - started

    def wait_until_killed(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait for the end that a failpoint brings; fail if it is any other end."""
        code = self._process.wait(seconds)
        assert code == -signal.SIGKILL, f"the relay ended with {code}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(json.loads(line))
