"""The request to end, and how long what is in flight may still take."""

import threading
import time


class Shutdown:
    """Set once, from any thread; every wait of the relay is a wait on this."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._requested_at = 0.0

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def request(self) -> None:
        if not self._requested.is_set():
            self._requested_at = time.monotonic()
            self._requested.set()

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds``; return whether the end was requested."""
        return self._requested.wait(seconds)

    def allows(self, seconds: float) -> bool:
        """Return whether the end was not requested, or less than ``seconds`` ago."""
        return not self.requested or time.monotonic() - self._requested_at < seconds
