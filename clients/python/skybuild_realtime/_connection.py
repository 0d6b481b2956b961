"""One request on one connection: connecting, TLS, bytes out, an answer in, as steps.

Every failure is a ``Lost`` that says whether the request may have reached the server, and
whether another attempt can help.  Knows nothing of what is asked, nor of retries.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Any, Callable, List, Optional, TypeVar

from ._http1 import Answer, AnswerReader, CutShort, Malformed
from ._pool import Connection, Pool
from ._settings import Settings
from ._waits import Lookup, Ready, Steps, now

T = TypeVar("T")
READ_BYTES = 65536
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)


class Lost(Exception):
    """No answer came of it."""

    def __init__(self, code: str, detail: str, *, is_sent: bool = False, may_retry: bool = True) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.is_sent = is_sent
        self.may_retry = may_retry


def ask(pool: Pool, settings: Settings, request: bytes, timeout: float, ends: float) -> Steps[Answer]:
    """Send the request and wait for its answer: ``timeout`` seconds from its turn in the pool, but
    not beyond ``ends``.  Raises Lost."""
    if not (yield from pool.take(ends)):
        raise Lost("busy", f"all {pool.size} connections were in use for too long; see pool_size")
    until = min(now() + timeout, ends)
    keep = connection = None
    try:
        connection = pool.kept()
        if connection is None:
            connection = yield from _connect(settings, until)
        answer = yield from _exchange(connection.sock, request, until)
        if answer.keeps_alive:
            keep = connection
        return answer
    finally:
        if connection is not None and keep is None:
            connection.close()
        pool.give_back(keep)


# ---- connecting -----------------------------------------------------------------------------


def _connect(settings: Settings, until: float) -> Steps[Connection]:
    where = settings.origin
    try:
        addresses = yield from _addresses(settings, until)
        sock = yield from _connect_any(addresses, until)
    except TimeoutError:
        raise Lost("unreachable", f"{where} could not be reached in time") from None
    except OSError as error:
        raise Lost("unreachable", f"{where} cannot be reached: {error.strerror or error}") from None
    if settings.tls is None:
        return Connection(sock)
    try:
        return Connection((yield from _tls(settings.tls, sock, settings.host, until)))
    except ssl.SSLCertVerificationError as error:
        why = f"the certificate of {where} is not accepted: {error.verify_message}"
        raise Lost("certificate", why, may_retry=False) from None
    except TimeoutError:
        raise Lost("unreachable", f"{where} did not complete the TLS handshake in time") from None
    except OSError as error:
        raise Lost("unreachable", f"the TLS handshake with {where} failed: {error}") from None


def _addresses(settings: Settings, until: float) -> Steps[List[Any]]:
    try:  # a number needs no question, and so no thread
        return socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found: List[Any] = yield Lookup(settings.host, settings.port, until)
        return found


def _connect_any(addresses: List[Any], until: float) -> Steps[socket.socket]:
    """The first that takes the connection; each gets its share of the time."""
    failure: Optional[OSError] = None
    for i, (family, kind, protocol, _, address) in enumerate(addresses):
        share = now() + (until - now()) / (len(addresses) - i)
        try:
            return (yield from _connect_one(socket.socket(family, kind, protocol), address, share))
        except OSError as error:
            failure = error
    raise failure or OSError("it has no address")


def _connect_one(sock: socket.socket, address: Any, until: float) -> Steps[socket.socket]:
    is_open = False
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code in _IN_PROGRESS:
            if not (yield Ready(sock, True, until)):
                raise TimeoutError
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        is_open = True
        return sock
    finally:
        if not is_open:
            sock.close()


def _tls(context: ssl.SSLContext, sock: socket.socket, host: str, until: float) -> Steps[ssl.SSLSocket]:
    is_open = False
    secure = sock  # closed if there is none
    try:
        secure = tls = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        yield from _until_done(tls, tls.do_handshake, False, until)
        is_open = True
        return tls
    finally:
        if not is_open:
            secure.close()


# ---- bytes ----------------------------------------------------------------------------------


def _until_done(sock: socket.socket, operation: Callable[[], T], is_write: bool, until: float) -> Steps[T]:
    """Repeat a call on a socket until it need not wait any more.  Raises OSError, TimeoutError."""
    while True:
        try:
            return operation()
        except ssl.SSLWantReadError:
            wants_write = False
        except ssl.SSLWantWriteError:
            wants_write = True
        except BlockingIOError:
            wants_write = is_write
        if not (yield Ready(sock, wants_write, until)):
            raise TimeoutError


def _send(sock: socket.socket, request: bytes, until: float) -> Steps[None]:
    rest = memoryview(request)
    while rest:
        sent = yield from _until_done(sock, lambda: sock.send(rest), True, until)
        rest = rest[sent:]


def _exchange(sock: socket.socket, request: bytes, until: float) -> Steps[Answer]:
    reader = AnswerReader()
    try:
        try:
            yield from _send(sock, request, until)
        except ConnectionError:
            pass  # a server that refuses a large body early has answered already
        while reader.answer is None:
            data = yield from _until_done(sock, lambda: sock.recv(READ_BYTES), False, until)
            reader.feed(data)
        return reader.answer
    except TimeoutError:
        raise Lost("timeout", "the server did not answer in time", is_sent=True) from None
    except Malformed as error:
        raise Lost("bad_answer", str(error), is_sent=True, may_retry=False) from None
    except (CutShort, OSError):
        raise Lost("connection_lost", "the connection was lost before the answer came", is_sent=True) from None
