"""Bytes to answers: whole and byte by byte, and what is refused.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import unittest

from skybuild_realtime import _http1
from skybuild_realtime._http1 import AnswerReader, CutShort, Malformed, request_bytes

END = object()  # the peer closes


def read(*pieces):
    """(status, body, keeps_alive), or the name of what was raised, or "unfinished"."""
    reader = AnswerReader()
    try:
        for piece in pieces:
            reader.feed(b"" if piece is END else piece)
    except (Malformed, CutShort) as error:
        return type(error).__name__
    found = reader.answer
    return (found.status, found.body, found.keeps_alive) if found else "unfinished"


class Reading(unittest.TestCase):
    def check(self, wire, expected, ends=False):
        end = [END] if ends else []
        self.assertEqual(read(wire, *end), expected, "whole")
        self.assertEqual(read(*[wire[i : i + 1] for i in range(len(wire))], *end), expected, "byte by byte")

    def test_a_length(self):
        self.check(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", (202, b"{}", True))
        self.check(b"HTTP/1.1 204 \r\n\r\n", (204, b"", True))
        self.check(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab", (200, b"ab", True))

    def test_chunks(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.check(head + b"3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n", (200, b"abc0123456789", True))
        for bad in (b"\r\n", b"x\r\n", b"-1\r\n", b"123456789\r\n", b"1\r\nab\r\n", b"0x1\r\na\r\n"):
            self.check(head + bad + b"0\r\n\r\n", "Malformed")

    def test_the_end_of_the_connection_may_be_the_end_of_the_answer(self):
        self.check(b"HTTP/1.1 200 OK\r\n\r\nabc", (200, b"abc", False), ends=True)
        self.check(b"HTTP/1.1 200 OK\r\n\r\nabc", "unfinished")

    def test_what_ends_too_early(self):
        for wire in (b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", b"HTTP/1.1 100 Continue\r\n\r\n"):
            self.check(wire, "CutShort", ends=True)

    def test_interim_answers_are_passed_over(self):
        self.check(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n", (204, b"", True))

    def test_whether_the_connection_can_be_used_again(self):
        self.check(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", (200, b"", False))
        self.check(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n", (200, b"", False))
        self.check(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"", False))
        self.assertEqual(read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore"), (200, b"", False))

    def test_what_is_no_answer(self):
        for wire in (
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n Folded: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        ):
            with self.subTest(wire=wire):
                self.check(wire, "Malformed")

    def test_the_limits(self):
        most = _http1.HEAD_MAX_BYTES
        head = b"HTTP/1.1 204 x\r\nA: "
        fits = head + b"a" * (most - len(head) - 4) + b"\r\n\r\n"
        self.assertEqual(read(fits), (204, b"", True))
        self.assertEqual(read(head + b"a" * (most - len(head) - 3) + b"\r\n\r\n"), "Malformed")
        self.assertEqual(read(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * most), "Malformed")
        self.assertEqual(read(b"x" * most), "Malformed")
        size = _http1.BODY_MAX_BYTES
        self.assertEqual(read(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size), "unfinished")
        self.assertEqual(read(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size + 1)), "Malformed")
        self.assertEqual(read(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (size + 1)), "Malformed")
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(read(chunked, b"1\r\na\r\n", b"%x\r\n" % size), "Malformed")


class Writing(unittest.TestCase):
    def test_a_request(self):
        line = b"/a HTTP/1.1\r\nHost: h\r\n"
        self.assertEqual(request_bytes("POST", "/a", "Host: h\r\n", b"{}"), b"POST " + line + b"Content-Length: 2\r\n\r\n{}")
        self.assertEqual(request_bytes("GET", "/a", "Host: h\r\n", b""), b"GET " + line + b"\r\n")
        self.assertIn(b"Content-Length: 0", request_bytes("POST", "/a", "", b""))


if __name__ == "__main__":
    unittest.main()
