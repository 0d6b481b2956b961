"""What a call may have to wait for, and both ways to wait: in an event loop, and blocking.

Everything above this file is written once, as generators ("steps") that yield a wait and are
sent its result.  ``run_in_loop`` and ``run_blocking`` drive such steps.  A wait that is given up
(a task is cancelled) closes the steps, whose ``finally`` clauses put things in order.  No thread
is made, and no wait belongs to a loop for longer than it lasts, so that steps of any loop and
thread can share sockets.  Knows no HTTP.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
import socket
import time
from typing import Any, Generator, List, TypeVar

T = TypeVar("T")
now = time.monotonic  # seconds; every "until" is a time by it

# poll has no limit of descriptors; not every system has it.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Wait:
    """One thing to wait for.  Both ways give the same result."""

    __slots__ = ()

    async def in_loop(self, loop: asyncio.AbstractEventLoop) -> Any:
        raise NotImplementedError

    def blocking(self) -> Any:
        raise NotImplementedError


Steps = Generator[Wait, Any, T]


def _wake(future: "asyncio.Future[bool]", result: bool) -> None:
    if not future.done():
        future.set_result(result)


class Ready(Wait):
    """Until the socket can be read (or written).  False: the time was up first."""

    __slots__ = ("sock", "is_write", "until")

    def __init__(self, sock: socket.socket, is_write: bool, until: float) -> None:
        self.sock = sock
        self.is_write = is_write
        self.until = until

    async def in_loop(self, loop: asyncio.AbstractEventLoop) -> bool:
        fd = self.sock.fileno()
        future: asyncio.Future[bool] = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if self.is_write else (loop.add_reader, loop.remove_reader)
        try:
            add(fd, _wake, future, True)
        except NotImplementedError:  # the default loop of Windows
            return await loop.run_in_executor(None, self.blocking)
        timer = loop.call_later(max(0.0, self.until - now()), _wake, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            remove(fd)

    def blocking(self) -> bool:
        with _Selector() as selector:
            selector.register(self.sock, selectors.EVENT_WRITE if self.is_write else selectors.EVENT_READ)
            return bool(selector.select(max(0.0, self.until - now())))


class Sleep(Wait):
    """For that many seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def in_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        await asyncio.sleep(self.seconds)

    def blocking(self) -> None:
        time.sleep(self.seconds)


class Turn(Wait):
    """Until the future is done, by whichever thread.  False: the time was up first."""

    __slots__ = ("future", "until")

    def __init__(self, future: "concurrent.futures.Future[None]", until: float) -> None:
        self.future = future
        self.until = until

    async def in_loop(self, loop: asyncio.AbstractEventLoop) -> bool:
        mine = asyncio.wrap_future(self.future, loop=loop)
        done, _ = await asyncio.wait([mine], timeout=max(0.0, self.until - now()))
        return bool(done)

    def blocking(self) -> bool:
        done, _ = concurrent.futures.wait([self.future], timeout=max(0.0, self.until - now()))
        return bool(done)


class Lookup(Wait):
    """The addresses of a host, as socket.getaddrinfo gives them.  Raises OSError.

    A blocking look-up takes as long as the system's resolver does; it knows no time-out."""

    __slots__ = ("host", "port", "until")

    def __init__(self, host: str, port: int, until: float) -> None:
        self.host = host
        self.port = port
        self.until = until

    async def in_loop(self, loop: asyncio.AbstractEventLoop) -> List[Any]:
        asked = loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        try:
            return await asyncio.wait_for(asked, max(0.0, self.until - now()))
        except asyncio.TimeoutError:
            raise TimeoutError(f"the address of {self.host} was not found in time") from None

    def blocking(self) -> List[Any]:
        return socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)


async def run_in_loop(steps: Steps[T]) -> T:
    """Drive the steps in the running loop to their result."""
    loop = asyncio.get_running_loop()
    try:
        wait = next(steps)
        while True:
            try:
                got = await wait.in_loop(loop)
            except OSError as error:
                wait = steps.throw(error)
            else:
                wait = steps.send(got)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def run_blocking(steps: Steps[T]) -> T:
    """Drive the steps in this thread to their result."""
    try:
        wait = next(steps)
        while True:
            try:
                got = wait.blocking()
            except OSError as error:
                wait = steps.throw(error)
            else:
                wait = steps.send(got)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()
