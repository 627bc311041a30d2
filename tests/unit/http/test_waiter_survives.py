"""The one task that serves every waiter outlives what nobody foresaw."""

import asyncio
import threading
from collections.abc import Collection, Sequence
from typing import cast

from application.ports import Reader
from application.views import Progress
from entrypoints.http.outcome_waiter import OutcomeWaiter, Verdict


class BrokenReader:
    """Fails as nobody foresaw until it is mended; then everything is gone, as was waited for."""

    def __init__(self) -> None:
        self.mended = False
        self.asked = threading.Event()

    def progress_of_images(self, ids: Collection[int]) -> Sequence[Progress]:
        self.asked.set()
        if not self.mended:
            raise RuntimeError("nobody foresaw this")
        return []


def test_an_error_that_nobody_foresaw_ends_no_wait() -> None:
    reader = BrokenReader()
    waiter = OutcomeWaiter(cast(Reader, reader))

    async def scenario() -> Verdict:
        serving = asyncio.create_task(waiter.run())
        wait = asyncio.create_task(waiter.image_deletion(1, 10))
        assert await asyncio.to_thread(reader.asked.wait, 5)
        reader.mended = True
        waiter.wake()
        verdict = await wait
        assert not serving.done()
        serving.cancel()
        return verdict

    assert asyncio.run(scenario()) is Verdict.CARRIED_OUT
