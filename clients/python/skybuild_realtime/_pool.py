"""Connections that are kept for the next call, and how many calls may run at once.

One pool serves every loop and thread of a process: a kept connection is a plain socket that
belongs to none of them.  A call first takes a turn (there are ``size`` of them), then a kept
connection if there is one; both come back when it ends, in whatever way.  A child process starts
with an empty pool: two processes must not write to one connection.  Opens no connection itself.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import collections
import concurrent.futures
import os
import socket
import threading
import weakref
from typing import Deque, List, Optional

from ._waits import Steps, Turn, now

# Less than the 60 s after which the server closes a silent connection.
IDLE_S = 30.0


class Connection:
    """An open connection that is not in use, or used by one call."""

    __slots__ = ("sock", "idle_since")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.idle_since = 0.0

    def close(self) -> None:
        self.sock.close()

    def is_good(self) -> bool:
        """Is it fresh and silent?  Bytes, or an end, that nobody waits for make it useless."""
        if now() - self.idle_since > IDLE_S:
            return False
        try:
            # The descriptor itself is asked, also below TLS.
            socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class Pool:
    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: List[Connection] = []
        self._reset()
        _pools.add(self)
        weakref.finalize(self, _close_all, self._idle)

    def _reset(self) -> None:
        # Reentrant: the garbage collector may end an abandoned call, which gives its turn back, at any
        # point of this file.  So every change ends in _serve, which looks at the whole anew.
        self._lock = threading.RLock()
        self._free = self.size
        self._waiters: "Deque[concurrent.futures.Future[None]]" = collections.deque()

    def take(self, until: float) -> Steps[bool]:
        """Wait for a turn.  False: none came in time.  Each that came is given back once."""
        with self._lock:
            if self._free > 0 and not self._waiters:
                self._free -= 1
                return True
            turn: "concurrent.futures.Future[None]" = concurrent.futures.Future()
            self._waiters.append(turn)
            self._serve()
        try:
            yield Turn(turn, until)
            # Taking it back fails when it was given after all, at the last moment.
            return not turn.cancel()
        except BaseException:
            if not turn.cancel():
                self.give_back(None)
            raise

    def kept(self) -> Optional[Connection]:
        """A connection that is ready for a request, the one used last; None: open one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or connection.is_good():
                return connection
            connection.close()

    def give_back(self, connection: Optional[Connection]) -> None:
        """The turn, and the connection if it can be used again."""
        with self._lock:
            if connection is not None:
                connection.idle_since = now()
                self._idle.append(connection)
            self._free += 1
            self._serve()

    def close(self) -> None:
        """Close what is kept.  Calls under way go on, and later ones open connections anew."""
        with self._lock:
            _close_all(self._idle)

    def _serve(self) -> None:
        while self._free > 0 and self._waiters:
            turn = self._waiters.popleft()
            if turn.set_running_or_notify_cancel():
                self._free -= 1
                turn.set_result(None)


def _close_all(idle: List[Connection]) -> None:
    while idle:
        idle.pop().close()


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        _close_all(pool._idle)  # this process' descriptors alone
        pool._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
