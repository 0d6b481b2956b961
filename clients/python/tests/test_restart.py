"""kill -9 of a real server in the middle of calls: each call is done, each event is there once.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import asyncio
import collections
import random
import threading
import time
import unittest

from skybuild_realtime import Manager, SyncManager, Unavailable

from .support import KEY, PATIENCE_S, Relay, Skybuild

# Sanitizer builds take their time to start.
PATIENT = {"retries": 1000, "deadline": 4 * PATIENCE_S}


class Restart(unittest.TestCase):
    def setUp(self):
        self.server = Skybuild()
        self.addCleanup(self.server.stop)
        self.server.start()

    def both_ways(self, url):
        """The same call, as (name, function) of each kind."""

        async def coroutine(project):
            async with Manager(url, KEY, **PATIENT) as manager:
                return await manager.broadcast_boq_update(project, "item-1", {"qty": 150}, "user-1")

        def blocking(project):
            with SyncManager(url, KEY, **PATIENT) as manager:
                return manager.broadcast_boq_update(project, "item-1", {"qty": 150}, "user-1")

        return [("coroutine", lambda project: asyncio.run(coroutine(project))), ("blocking", blocking)]

    def test_killed_after_the_commit_and_before_the_answer(self):
        def kill_before_the_first_answer(data):
            if kills:
                return True
            kills.append(data)
            self.server.kill()
            self.server.start()
            return False

        with Relay(self.server, kill_before_the_first_answer) as relay:
            for name, call in self.both_ways(relay.url):
                with self.subTest(name):
                    kills = []
                    relay.requests.clear()
                    sent = call(name)
                    self.assertIn(b" 202 ", kills[0])  # it was recorded before the kill
                    self.assertEqual((len(relay.requests), relay.requests[0]), (2, relay.requests[1]))
                    self.assertTrue(sent.repeated)
                    events = self.server.events(name)
                    self.assertEqual([event for event, _ in events], ["boq:item:updated"])
                    self.assertEqual(sent.id, f"{name}:1")

    def test_killed_before_the_request_arrives(self):
        for name, call in self.both_ways(self.server.url):
            with self.subTest(name):
                self.server.kill()
                late = threading.Timer(1.0, self.server.start)
                late.start()
                sent = call(name)
                late.join()
                self.assertFalse(sent.repeated)
                self.assertEqual(len(self.server.events(name)), 1)

    def test_killed_again_and_again_under_load(self):
        done, failed = [], []
        is_over = threading.Event()

        def send(manager, worker):
            n = 0
            while not is_over.is_set():
                n += 1
                try:
                    done.append((worker, n, manager.broadcast_task_update("storm", f"{worker}-{n}", {}, "u")))
                except Exception as error:
                    failed.append(error)

        with SyncManager(self.server.url, KEY, **PATIENT) as manager:
            workers = [threading.Thread(target=send, args=(manager, worker)) for worker in range(4)]
            for worker in workers:
                worker.start()
            chance = random.Random(20261127)
            for _ in range(5):
                before = len(done)
                ends = time.monotonic() + PATIENCE_S
                while len(done) < before + 20 and time.monotonic() < ends:
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.01)
                self.server.kill()
                self.server.start()
            is_over.set()
            for worker in workers:
                worker.join()
        self.assertEqual(failed, [])
        self.assertGreaterEqual(len(done), 100)
        counts = collections.Counter(payload["task_id"] for _, payload in self.server.events("storm"))
        self.assertEqual(set(counts.values()), {1})
        self.assertEqual(set(counts), {f"{worker}-{n}" for worker, n, _ in done})
        # Each worker's events are in the order in which it sent them.
        for worker in range(4):
            mine = [int(payload["task_id"].split("-")[1]) for _, payload in self.server.events("storm") if payload["task_id"].startswith(f"{worker}-")]
            self.assertEqual(mine, sorted(mine))

    def test_a_server_that_stays_away(self):
        self.server.kill()
        began = time.monotonic()
        with self.assertRaises(Unavailable) as caught:
            SyncManager(self.server.url, KEY, deadline=1.0).emit("project:x", "y", 1)
        self.assertEqual(caught.exception.code, "unreachable")
        self.assertGreater(caught.exception.attempts, 2)
        self.assertLess(time.monotonic() - began, 5)


if __name__ == "__main__":
    unittest.main()
