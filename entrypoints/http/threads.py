"""Blocking calls that a cancelled request does not abandon.

A thread cannot be cancelled. A request that went on without it would clear up while the thread
still writes, and a process that ends would leave behind what the thread was about to remove.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

T = TypeVar("T")


async def run_to_its_end(
    call: Callable[[], T],
    *,
    limiter: CapacityLimiter | None = None,
    hurry: Callable[[], None] | None = None,
) -> T:
    """Run `call` in a thread; at a cancellation wait for its end first.

    Args:
        call: what blocks.
        limiter: how many such calls run at once; that of all threads without it.
        hurry: called at a cancellation, to bring the end of `call` about.

    Raises:
        CancelledError: the request was cancelled; what `call` returned or raised is dropped.
    """
    thread = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=limiter))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        if hurry is not None:
            hurry()
        await asyncio.wait([thread])
        if not thread.cancelled():
            # Looked at, or the loop would report an error that nobody took.
            thread.exception()
        raise
