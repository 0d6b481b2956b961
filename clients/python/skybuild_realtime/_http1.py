"""HTTP/1.1 as a client needs it: a request to bytes, bytes to an answer.  No socket in here.

Reads what servers and proxies send: a length, chunks, or everything to the end.  Strict where
leniency would let two parties disagree about where an answer ends.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

from typing import Dict, Generator, List, Optional, Tuple

HEAD_MAX_BYTES = 65536  # of one answer: status line, headers, trailers, chunk heads
BODY_MAX_BYTES = 32 * 1024 * 1024

_PROTOCOL = b"HTTP/1."
_DIGITS = frozenset("0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Malformed(Exception):
    """What came is no HTTP/1.1 answer, or too large a one."""


class CutShort(Exception):
    """The connection ended before the answer did."""


def request_bytes(method: str, target: str, head: str, body: bytes) -> bytes:
    """A whole request.  ``head`` is its header lines, each with its line end."""
    if body or method == "POST":
        head += f"Content-Length: {len(body)}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


class Answer:
    """A complete answer.  Header names are in lower case; of several with a name, joined by commas."""

    __slots__ = ("status", "headers", "body", "keeps_alive")

    def __init__(self, status: int, headers: Dict[str, str], body: bytes, keeps_alive: bool) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.keeps_alive = keeps_alive


class AnswerReader:
    """Takes the bytes of one connection as they come; ``answer`` is there once they are complete."""

    def __init__(self) -> None:
        self.answer: Optional[Answer] = None
        self._bytes = bytearray()
        self._is_end = False
        self._head_left = HEAD_MAX_BYTES
        self._parser = self._parse()
        next(self._parser)

    def feed(self, data: bytes) -> None:
        """More bytes; none means that the peer has closed.  Raises Malformed, CutShort."""
        self._bytes += data
        self._is_end = not data
        try:
            next(self._parser)
        except StopIteration:
            # What follows an answer that nobody asked for is not to be trusted.
            if self._bytes and self.answer:
                self.answer.keeps_alive = False

    # ---- reading, each yielding for more bytes ----------------------------------------------

    def _more(self) -> Generator[None, None, None]:
        if self._is_end:
            raise CutShort
        yield

    def _until(self, mark: bytes) -> Generator[None, None, bytes]:
        """What stands before the mark; both are taken, and counted as head."""
        searched = 0
        while True:
            at = self._bytes.find(mark, searched)
            if (at if at >= 0 else len(self._bytes)) + len(mark) > self._head_left:
                raise Malformed(f"the head of the answer is larger than {HEAD_MAX_BYTES} bytes")
            if at >= 0:
                break
            searched = max(0, len(self._bytes) - len(mark) + 1)
            yield from self._more()
        taken = bytes(self._bytes[:at])
        del self._bytes[: at + len(mark)]
        self._head_left -= at + len(mark)
        return taken

    def _exactly(self, n: int) -> Generator[None, None, bytes]:
        while len(self._bytes) < n:
            yield from self._more()
        data = bytes(self._bytes[:n])
        del self._bytes[:n]
        return data

    def _parse(self) -> Generator[None, None, None]:
        yield  # for the first bytes
        status = 100
        while 100 <= status < 200:  # interim answers
            # Who speaks something else may never send an empty line.
            while not self._bytes.startswith(_PROTOCOL):
                if self._bytes != _PROTOCOL[: len(self._bytes)]:
                    raise Malformed("the answer is not HTTP/1.1")
                yield from self._more()
            lines = (yield from self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status, is_11 = _status_line(lines[0])
            headers = _headers(lines)
        body, is_framed = yield from self._body(status, headers)
        is_last = "close" in headers.get("connection", "").lower()
        self.answer = Answer(status, headers, body, is_framed and is_11 and not is_last)

    def _body(self, status: int, headers: Dict[str, str]) -> Generator[None, None, Tuple[bytes, bool]]:
        """The body, and whether its end was told (else it was the end of the connection)."""
        coding = headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length")
        if status in (204, 304):
            return b"", True
        if coding:
            if coding != "chunked" or length is not None:
                raise Malformed("the answer's Transfer-Encoding is not understood")
            return (yield from self._chunks()), True
        if length is not None:
            return (yield from self._exactly(_length(length))), True
        while not self._is_end:
            _check_size(len(self._bytes))
            yield
        _check_size(len(self._bytes))
        body = bytes(self._bytes)
        self._bytes.clear()
        return body, False

    def _chunks(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            digits = (yield from self._until(b"\r\n")).split(b";", 1)[0].strip()
            if not 0 < len(digits) <= 8 or not _HEX.issuperset(digits):
                raise Malformed("a chunk of the answer has no size")
            n = int(digits, 16)
            _check_size(len(body) + n)
            if n == 0:
                break
            body += yield from self._exactly(n)
            if (yield from self._until(b"\r\n")):
                raise Malformed("a chunk of the answer is longer than it says")
        while (yield from self._until(b"\r\n")):
            pass  # trailers, of no interest
        return bytes(body)


def _status_line(line: str) -> Tuple[int, bool]:
    parts = line.split(" ", 2)
    if len(parts) < 2 or parts[0] not in ("HTTP/1.1", "HTTP/1.0") or len(parts[1]) != 3 or not _DIGITS.issuperset(parts[1]):
        raise Malformed("the answer is not HTTP/1.1")
    return int(parts[1]), parts[0] == "HTTP/1.1"


def _headers(lines: List[str]) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line:
            raise Malformed("a header line of the answer has no name")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _length(text: str) -> int:
    # Twice the same length, as some proxies give it, is one length.
    texts = {part.strip() for part in text.split(",")}
    only = texts.pop()
    if texts or not 0 < len(only) <= 12 or not _DIGITS.issuperset(only):
        raise Malformed("the answer's Content-Length is no number")
    _check_size(int(only))
    return int(only)


def _check_size(n: int) -> None:
    if n > BODY_MAX_BYTES:
        raise Malformed(f"the answer is larger than {BODY_MAX_BYTES} bytes")
