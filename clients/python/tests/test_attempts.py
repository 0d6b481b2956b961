"""When a call is tried again: time is a number here, and the network a list.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import email.utils
import time
import unittest

from skybuild_realtime import NotAllowed, Refused, Unavailable
from skybuild_realtime import _attempts
from skybuild_realtime._attempts import Patience, perform, wait_before
from skybuild_realtime._calls import Call
from skybuild_realtime._connection import Lost
from skybuild_realtime._http1 import Answer
from skybuild_realtime._waits import Sleep

CALL = Call("POST", "/api/broadcast/x", b"{}", ("id",))
VOLATILE = CALL._replace(is_volatile=True)
OK = Answer(202, {}, b'{"id":"p:1"}', True)


def problem(status, code="some_code", **headers):
    body = b'{"status":%d,"code":"%s","detail":"a sentence"}' % (status, code.encode())
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, True)


def lost(code="unreachable", **more):
    return Lost(code, "a sentence", **more)


class World:
    """A clock, a network that answers by a list, and what a call did with both."""

    def __init__(self, *outcomes, takes=0.01, chance=0.5):
        self.outcomes = list(outcomes)
        self.takes = takes
        self.chance = chance
        self.time = 1000.0
        self.asked = []
        self.slept = []

    def ask(self, timeout, ends):
        self.asked.append((self.time, timeout, ends))
        self.time += self.takes
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Lost):
            raise outcome
        return outcome
        yield  # a generator, as steps are

    def run(self, call=CALL, patience=Patience()):
        steps = perform(call, self.ask, patience, lambda: self.time, lambda: self.chance)
        try:
            wait = next(steps)
            while True:
                assert isinstance(wait, Sleep)
                self.slept.append(wait.seconds)
                self.time += wait.seconds
                wait = steps.send(None)
        except StopIteration as end:
            return end.value


class Attempts(unittest.TestCase):
    def fails(self, world, error, **more):
        with self.assertRaises(error) as caught:
            world.run(**more)
        self.assertIs(type(caught.exception), error)
        return caught.exception

    def test_what_is_tried_again(self):
        for outcome in (
            lost("unreachable"),
            lost("connection_lost", is_sent=True),
            lost("timeout", is_sent=True),
            lost("busy"),
            problem(502),
            problem(503),
            problem(504),
            Answer(502, {}, b"<html>no problem</html>", False),
        ):
            world = World(outcome, outcome, OK)
            self.assertEqual(world.run(), {"id": "p:1"})
            self.assertEqual((len(world.asked), len(world.slept)), (3, 2))

    def test_what_is_not(self):
        for status in (400, 404, 405, 408, 409, 413, 415, 422, 429):
            error = self.fails(World(problem(status), OK), Refused)
            self.assertEqual((error.status, error.code, error.detail, error.attempts), (status, "some_code", "a sentence", 1))
        for status in (401, 403):
            self.assertEqual(self.fails(World(problem(status), OK), NotAllowed).status, status)
        for status in (500, 501, 505, 507):
            self.assertEqual(self.fails(World(problem(status), OK), Unavailable).status, status)
        error = self.fails(World(lost("certificate", may_retry=False), OK), Unavailable)
        self.assertEqual((error.code, error.status), ("certificate", None))

    def test_an_answer_that_is_none_of_ours(self):
        for answer in (
            Answer(200, {}, b"<html>", True),
            Answer(200, {}, b'{"hello":1}', True),
            Answer(202, {}, b"[" * 100000, True),
            Answer(202, {}, b"[]", True),
            Answer(202, {}, b"\xff", True),
            Answer(204, {}, b"", True),
            Answer(301, {"location": "http://elsewhere"}, b"", True),
        ):
            error = self.fails(World(answer, OK), Unavailable)
            self.assertEqual((error.code, error.status), ("bad_answer", answer.status))
        error = self.fails(World(Answer(404, {}, b"<html>", True)), Refused)
        self.assertEqual((error.code, error.status), ("http_404", 404))

    def test_a_volatile_event_is_sent_at_most_once(self):
        for outcome in (lost("timeout", is_sent=True), lost("connection_lost", is_sent=True), problem(502), problem(504)):
            world = World(outcome, OK)
            self.fails(world, Unavailable, call=VOLATILE)
            self.assertEqual(len(world.asked), 1)
        for outcome in (lost("unreachable"), lost("busy"), problem(503)):
            self.assertEqual(World(outcome, OK).run(call=VOLATILE), {"id": "p:1"})

    def test_waits_grow_with_jitter_up_to_a_limit(self):
        for chance, factor in ((0.0, 0.5), (1.0, 1.0)):
            waits = [wait_before(attempt, None, lambda: chance) for attempt in range(1, 9)]
            expected = [factor * min(5.0, 0.1 * 2**i) for i in range(8)]
            for wait, want in zip(waits, expected):
                self.assertAlmostEqual(wait, want)
        self.assertEqual(wait_before(10**6, None, lambda: 1.0), _attempts.LONGEST_WAIT_S)
        world = World(problem(503), problem(503), OK)
        world.run()
        self.assertEqual([round(wait, 3) for wait in world.slept], [0.075, 0.15])

    def test_retry_after_is_honoured(self):
        for text, least in (("2", 2.0), (email.utils.formatdate(time.time() + 4, usegmt=True), 2.5)):
            world = World(problem(503, retry_after=text), OK)
            world.run()
            self.assertGreaterEqual(world.slept[0], least)
            self.assertLess(world.slept[0], least + 2)
        for text in ("soon", "-1", "1.5", "", "Wed, 99 Foo 2026 00:00:00 GMT", "\u00b2"):
            world = World(problem(503, retry_after=text), OK)
            world.run()
            self.assertLess(world.slept[0], 0.2)

    def test_retry_after_beyond_the_deadline_ends_the_call_at_once(self):
        world = World(problem(503, "draining", retry_after="60"), OK)
        error = self.fails(world, Unavailable)
        self.assertEqual((error.retry_after, error.code, world.slept), (60.0, "draining", []))

    def test_the_deadline_is_for_all_attempts_together(self):
        world = World(lost("timeout", is_sent=True), takes=5.0)
        error = self.fails(world, Unavailable, patience=Patience(timeout=5.0, retries=100, deadline=12.0))
        self.assertEqual((error.code, error.attempts), ("timeout", 3))
        self.assertTrue(all(ends == 1012.0 for _, _, ends in world.asked))
        self.assertLess(world.time, 1000 + 12 + 5)

    def test_the_number_of_retries(self):
        for retries in (0, 1, 8):
            world = World(problem(503))
            error = self.fails(world, Unavailable, patience=Patience(retries=retries))
            self.assertEqual((len(world.asked), error.attempts), (retries + 1, retries + 1))

    def test_the_default_patience_outlasts_a_restart_of_some_seconds(self):
        world = World(lost("unreachable"), chance=0.0, takes=0.0)
        self.fails(world, Unavailable)
        self.assertGreater(world.time - 1000.0, 8.0)


if __name__ == "__main__":
    unittest.main()
