"""Every call of the Docker CLI: bounded in time, ended with its worker, interruptible.

python-on-whales has no time limits and does not give the process away. So each call runs under a
wrapper in front of `docker`:

    setpriv   asks the kernel for SIGTERM when the thread that started it ends: a killed worker
              leaves no call behind
    sh        goes on only if that thread still lives and nobody has interrupted the call, and
              writes its pid, which is the pid of all that follow: each replaces the former
    timeout   ends the call at its limit, and kills it 5 s later; it leads a process group of its
              own and passes signals on to it, plugins such as buildx included
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from python_on_whales.client_config import ClientNotFoundError
from python_on_whales.exceptions import DockerException

from adapters.docker.cli_call import CliCall
from application.errors import EngineInterrupted

# ValueError: an answer that is not UTF-8.
_OF_THE_CLIENT = (DockerException, ClientNotFoundError, ValueError, OSError)


class CliCalls:
    """Makes calls and knows which of them run.

    Args:
        docker_host: where the engine is.
        scratch: a private folder for pid files; made if it is missing.
    """

    def __init__(self, docker_host: str, scratch: Path) -> None:
        self._docker_host = docker_host
        self._scratch = scratch
        self._lock = threading.Lock()
        self._running: set[CliCall] = set()
        self._closed = False

    @contextmanager
    def call(self, seconds: float, key: str | None = None) -> Iterator[CliCall]:
        """Yield a call that is to be made within this context and ends within `seconds`.

        Args:
            seconds: the time limit; up to 5 s pass until a call that ignores it is killed.
            key: under which `interrupt` finds it.

        Raises:
            EngineInterrupted: it was interrupted, or this worker ends.
            OutcomeUnknown: it was cut off by its limit, or by a stranger's signal.
            EngineError: what Docker said, classified.
        """
        call = CliCall(self._docker_host, self._scratch / uuid.uuid4().hex, seconds, key)
        with self._lock:
            if self._closed:
                raise EngineInterrupted("this worker ends")
            # A cleaner of temporary folders may have been here. Not once this worker ends: it has
            # removed the folder itself, and nobody would again.
            self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._running.add(call)
        try:
            yield call
        except _OF_THE_CLIENT as exc:
            meaning = call.meaning_of(exc)
            if isinstance(exc, DockerException):
                # It quotes the command and what users' programs wrote: nothing for our logs.
                exc.args = (f"the Docker client ended with code {exc.return_code}",)
            if call.interrupted:
                raise EngineInterrupted("the call was interrupted") from exc
            raise meaning from exc
        finally:
            call.finish()
            with self._lock:
                self._running.discard(call)

    def interrupt(self, key: str) -> None:
        """End a call; an unknown key is ignored."""
        with self._lock:
            calls = [call for call in self._running if call.key == key]
        for call in calls:
            call.interrupt()

    def interrupt_all(self) -> None:
        """End every call and refuse new ones."""
        with self._lock:
            self._closed = True
            calls = list(self._running)
        for call in calls:
            call.interrupt()
