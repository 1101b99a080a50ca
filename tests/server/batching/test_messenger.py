"""The messenger brings word in order, and its thread ends when nobody can leave any more."""

from __future__ import annotations

import asyncio
import gc
import threading

from audotics.server.batching.messenger import Messenger
from tests.server.batching.doubling import WAIT_S


def new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before]


async def test_word_comes_in_order_to_the_loop() -> None:
    messenger, loop, here = Messenger(), asyncio.get_running_loop(), threading.get_ident()
    heard: list[tuple[int, bool]] = []
    last = asyncio.Event()
    for number in range(100):
        messenger.tell(loop, lambda number=number: heard.append((number, threading.get_ident() == here)))
    messenger.tell(loop, last.set)
    messenger.close()
    await asyncio.wait_for(last.wait(), WAIT_S)
    assert heard == [(number, True) for number in range(100)]


def test_a_loop_that_is_closed_does_not_matter() -> None:
    async def hear() -> None:
        heard = asyncio.Event()
        messenger.tell(asyncio.get_running_loop(), heard.set)
        await asyncio.wait_for(heard.wait(), WAIT_S)

    messenger, closed = Messenger(), asyncio.new_event_loop()
    closed.close()
    messenger.tell(closed, lambda: None)
    asyncio.run(hear())
    messenger.close()


def test_the_thread_ends_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    messenger = Messenger()
    (thread,) = new_threads(before)
    messenger.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_the_thread_ends_when_nobody_has_the_messenger() -> None:
    before = set(threading.enumerate())
    messenger = Messenger()
    (thread,) = new_threads(before)
    del messenger
    gc.collect()
    thread.join(WAIT_S)
    assert not thread.is_alive()
