"""PostgreSQL for development and tests: a given server, else an embedded one.

The embedded server listens on a unix socket in a folder that only its user can enter, so it needs
neither a port nor a password. Any number of processes can connect. It survives `restart` with its
data and its URL, and ends with the process that started it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from entrypoints.dev.database_server import DatabaseServer
from entrypoints.dev.folders import runtime_folder
from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.home_folder import HomeFolder
from entrypoints.dev.postgres_programs import PostgresMissingError, postgres_programs

_DURABLE = {"max_connections": "200", "listen_addresses": ""}
# What a test forgives: a crash of the machine, never one of the server's processes.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_START_TIMEOUT_SECONDS = 60.0


class Postgres(DatabaseServer):
    """The embedded server. A context manager: started on entry, stopped on exit."""

    def __init__(self, name: str | None = None, *, durable: bool = False) -> None:
        """Describe a server; nothing runs yet.

        Args:
            name: Keep the data under this name from run to run, durably. Without one the server is
                for tests: as fast as it goes, and gone with all data when it stops.
            durable: Commit as a server with a name does, for a benchmark.
        """
        self._home = HomeFolder("postgres", name)
        self._durable = durable or self._home.kept
        self._data = self._home.path / "data"
        self._sockets = runtime_folder() / self._home.path.name
        self._process: GuardedProcess | None = None
        self._frozen: list[int] = []
        super().__init__(f"postgresql://postgres@/postgres?host={quote(str(self._sockets))}")

    @property
    def process(self) -> GuardedProcess | None:
        """What runs, or ended by itself; None before the start and after the stop."""
        return self._process

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when it answers; create its data the first time.

        Raises:
            PostgresMissingError: there are no programs to run, or no data could be made.
            FolderInUseError: the server of that name runs already.
            ServerStartError: it ended, or did not answer in 60 s.
        """
        programs = postgres_programs()
        self._home.take()
        for folder in (self._data, self._sockets):
            folder.mkdir(mode=0o700, exist_ok=True)
            if user := _user():
                shutil.chown(folder, user, _group())
        if not (self._data / "PG_VERSION").exists():
            self._initialise(programs)
        settings = _DURABLE | ({} if self._durable else _FAST)
        self._process = GuardedProcess.start(
            [
                *(str(programs / "postgres"), "-D", str(self._data), "-k", str(self._sockets)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            log=self._home.path / "log",
            stop_signal=signal.SIGINT,  # PostgreSQL's "fast shutdown": it ends the sessions
            user=_user(),
            group=_group(),
            then=() if self._home.kept else ("rm", "-rf", str(self._home.path), str(self._sockets)),
            claim=self._home.claim,
        )
        self._process.wait_until(self._answers, timeout_seconds=_START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop the server in order; the data of a nameless one is removed. Idempotent."""
        self.halt()
        if self._home.claim is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._home.release()

    def restart(self, *, crash: bool = False) -> None:
        """End the server and start it again on the same data and URL.

        Args:
            crash: End it at once and without a checkpoint, so that it has to recover.
        """
        self.halt(crash=crash)
        self.start()

    def halt(self, *, crash: bool = False) -> None:
        """End the server and keep everything for a later `start`."""
        if self._process is None:
            return
        self.thaw()  # frozen, it would not hear of it
        if crash:
            # Not SIGKILL, which would leave its workers and shared memory to themselves.
            os.kill(self._process.pid, signal.SIGQUIT)
        self._process.stop()
        self._process = None

    def freeze(self) -> None:
        """Stop all of its processes by SIGSTOP: connections stay open, and nobody is answered."""
        if self._process is None:
            return
        # Its parent first, or there would be more of them meanwhile.
        os.kill(self._process.pid, signal.SIGSTOP)
        self._frozen = [self._process.pid]
        for child in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                self._frozen.append(child)

    def thaw(self) -> None:
        """Let a frozen one go on. Idempotent."""
        for pid in reversed(self._frozen):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=5).close()
            return True
        return False

    def _initialise(self, programs: Path) -> None:
        for rest in self._data.iterdir():  # of an interrupted start
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        made = subprocess.run(  # noqa: S603 - PostgreSQL's own program and our own paths
            [
                *(programs / "initdb", "--pgdata", self._data, "--username", "postgres"),
                *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-instructions"),
                *(() if self._home.kept else ("--no-sync",)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=_user(),
            group=_group(),
            extra_groups=[] if _user() else None,
            text=True,
            check=False,
        )
        if made.returncode:
            raise PostgresMissingError(f"initdb failed: {made.stdout.strip().splitlines()[-1]}")


def database_server(
    name: str | None = None, *, durable: bool = False
) -> contextlib.AbstractContextManager[DatabaseServer]:
    """Return the server of `TEST_DATABASE_URL`, else an embedded one, as a context manager.

    Args:
        name: As for `Postgres`.
        durable: As for `Postgres`.

    Raises:
        PostgresMissingError: the given server is no use.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return contextlib.nullcontext(DatabaseServer.given(given))
    return Postgres(name, durable=durable)


@contextlib.contextmanager
def database_url(given: str | None = None, *, name: str | None = None) -> Iterator[str]:
    """Yield a DATABASE_URL: `given`, else as `database_server` finds or starts one."""
    if given:
        yield DatabaseServer.given(given).url
        return
    with database_server(name) as server:
        yield server.url


def _children(parent: int) -> list[int]:
    """Return the processes of this one, by what each process says of itself."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name before the state may hold anything, even a bracket.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _user() -> str | None:
    # PostgreSQL refuses to run as root.
    return "nobody" if os.geteuid() == 0 else None


def _group() -> int | None:
    user = _user()
    return pwd.getpwnam(user).pw_gid if user else None
