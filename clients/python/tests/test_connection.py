"""Sockets: keep-alive, the bounded pool, loops, threads, forks, cancelling, servers that misbehave.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import asyncio
import gc
import os
import socket
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from skybuild_realtime import Manager, SyncManager, Unavailable, _pool

from .support import KEY, PATIENCE_S, Scripted, answer

OK = answer(202)


def call(manager):
    """One call of a SyncManager, or the coroutine of one of a Manager."""
    return manager.emit("project:p", "x", 1)


def twin(sync):
    """The Manager on the connections of a SyncManager."""
    manager = Manager()
    manager._core = sync._core
    return manager


def by_task(make):
    async def main():
        return await make()

    return asyncio.run(main())


class KeepAlive(unittest.TestCase):
    def test_one_connection_serves_calls_of_threads_and_loops_one_after_the_other(self):
        with Scripted(OK) as server, SyncManager(server.url, KEY) as sync:
            manager = twin(sync)
            for _ in range(3):
                call(sync)
                by_task(lambda: call(manager))
            thread = threading.Thread(target=call, args=(sync,))
            thread.start()
            thread.join()
            self.assertEqual((len(server.requests), server.connections_n), (7, 1))

    def test_a_connection_that_the_server_closed_is_not_used(self):
        with Scripted(answer(202, b'{"id":"1","recipients":0}', "Connection: close"), OK, "close", OK) as server:
            with SyncManager(server.url, KEY, retries=0) as sync:
                call(sync)
                call(sync)
                with self.assertRaises(Unavailable):
                    call(sync)
                call(sync)
            self.assertEqual(server.connections_n, 3)

    def test_a_connection_that_was_closed_while_it_was_idle_is_not_used(self):
        with Scripted(OK) as server, SyncManager(server.url, KEY, retries=0) as sync:
            call(sync)
            kept = sync._core.pool._idle[0]
            kept.sock.shutdown(socket.SHUT_RDWR)
            call(sync)
            self.assertEqual(server.connections_n, 2)

    def test_bytes_that_nobody_asked_for_make_a_connection_useless(self):
        with Scripted(OK + b"HTTP/1.1 200 OK\r\n", OK) as server, SyncManager(server.url, KEY, retries=0) as sync:
            call(sync)
            call(sync)
            self.assertEqual(server.connections_n, 2)

    def test_an_idle_connection_is_kept_for_a_limited_time(self):
        with Scripted(OK) as server, SyncManager(server.url, KEY, retries=0) as sync:
            with mock.patch.object(_pool, "IDLE_S", 0.05):
                call(sync)
                time.sleep(0.1)
                call(sync)
            self.assertEqual(server.connections_n, 2)
            self.assertLess(_pool.IDLE_S, 60)  # the server closes after that

    def test_close_closes_and_a_later_call_opens_anew(self):
        with Scripted(OK) as server, SyncManager(server.url, KEY) as sync:
            call(sync)
            sync.close()
            self.assertEqual(sync._core.pool._idle, [])
            call(sync)
            self.assertEqual(server.connections_n, 2)

    def test_a_manager_that_is_dropped_leaves_no_socket(self):
        with Scripted(OK) as server:
            sync = SyncManager(server.url, KEY)
            call(sync)
            sock = sync._core.pool._idle[0].sock
            del sync
            gc.collect()
            self.assertEqual(sock.fileno(), -1)


class Bounded(unittest.TestCase):
    def slow(self, server):
        # Each request: wait, then answer.
        server.script = [0.02, OK] * 1000
        return server

    def test_many_calls_of_one_loop_use_no_more_than_pool_size(self):
        with self.slow(Scripted(OK)) as server, SyncManager(server.url, KEY, pool_size=3) as sync:
            manager = twin(sync)

            async def main():
                await asyncio.gather(*[call(manager) for _ in range(30)])

            asyncio.run(main())
            self.assertEqual((len(server.requests), server.most_open), (30, 3))
            self.assertEqual((sync._core.pool._free, len(sync._core.pool._waiters)), (3, 0))

    def test_loops_in_several_threads_and_blocking_calls_at_once(self):
        with self.slow(Scripted(OK)) as server, SyncManager(server.url, KEY, pool_size=4) as sync:
            manager = twin(sync)

            async def main():
                for _ in range(3):
                    await asyncio.gather(*[call(manager) for _ in range(5)])

            with ThreadPoolExecutor(12) as threads:
                loops = [threads.submit(asyncio.run, main()) for _ in range(4)]
                plain = [threads.submit(call, sync) for _ in range(40)]
                for future in loops + plain:
                    future.result(PATIENCE_S)
            self.assertEqual(len(server.requests), 4 * 15 + 40)
            self.assertLessEqual(server.most_open, 4)
            self.assertEqual((sync._core.pool._free, len(sync._core.pool._waiters)), (4, 0))

    def test_a_call_that_gets_no_turn_says_so(self):
        with Scripted("silence") as server:
            sync = SyncManager(server.url, KEY, timeout=PATIENCE_S, deadline=1.0, pool_size=1, retries=0)
            other = threading.Thread(target=self.assertRaises, args=(Unavailable, call, sync))
            other.start()
            server.await_request()
            late = SyncManager(server.url, KEY, deadline=0.1)
            late._core.pool = sync._core.pool
            with self.assertRaises(Unavailable) as caught:
                call(late)
            self.assertEqual(caught.exception.code, "busy")
            other.join()
            self.assertEqual(sync._core.pool._free, 1)


class Loop(unittest.TestCase):
    def longest_stop(self, server, **more):
        """Seconds for which a call stopped the loop that made it, and what it raised."""

        async def main():
            longest, last, raised = 0.0, time.monotonic(), None
            task = asyncio.ensure_future(call(Manager(server.url, KEY, retries=0, **more)))
            while not task.done():
                await asyncio.sleep(0.002)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            try:
                await task
            except Unavailable as error:
                raised = error.code
            return longest, raised

        return asyncio.run(main())

    def test_a_waiting_call_does_not_stop_the_loop(self):
        with Scripted(1.5, OK) as server:
            longest, raised = self.longest_stop(server)
        self.assertLess(longest, 1.0)
        self.assertIsNone(raised)

    def test_nor_does_one_that_sends_much_to_a_server_that_does_not_read(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        async def main():
            manager = Manager("http://127.0.0.1:%d" % listener.getsockname()[1], KEY, timeout=1.5, retries=0)
            task = asyncio.ensure_future(manager.emit("r", "x", "y" * 10_000_000))
            await asyncio.sleep(0)  # making JSON of it takes the time that it takes
            longest, last = 0.0, time.monotonic()
            while not task.done():
                await asyncio.sleep(0.002)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            return longest, task.exception().code

        longest, code = asyncio.run(main())
        self.assertLess(longest, 1.0)
        self.assertEqual(code, "timeout")

    def test_a_loop_that_cannot_watch_sockets_is_served_by_a_thread(self):
        # As the default loop of Windows is.
        class Bare(asyncio.SelectorEventLoop):
            def add_reader(self, *_):
                raise NotImplementedError

        with Scripted(0.05, OK) as server, SyncManager(server.url, KEY) as sync:
            loop = Bare()
            try:
                self.assertEqual(loop.run_until_complete(call(twin(sync))).recipients, 0)
            finally:
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()

    def test_a_cancelled_call_ends_at_once_and_gives_all_back(self):
        with Scripted("silence") as server, SyncManager(server.url, KEY, pool_size=1) as sync:
            manager = twin(sync)

            async def main():
                tasks = [asyncio.ensure_future(call(manager)) for _ in range(3)]  # one asks, two wait for a turn
                await asyncio.get_running_loop().run_in_executor(None, server.await_request)
                began = time.monotonic()
                for task in tasks:
                    task.cancel()
                done = await asyncio.gather(*tasks, return_exceptions=True)
                return [type(one) for one in done], time.monotonic() - began

            kinds, took = asyncio.run(main())
            self.assertEqual(kinds, [asyncio.CancelledError] * 3)
            self.assertLess(took, 2)
            pool = sync._core.pool
            self.assertEqual((pool._free, pool._idle), (1, []))

    def test_a_time_out_of_the_callers_own(self):
        with Scripted("silence") as server:

            async def main():
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(call(Manager(server.url, KEY)), 0.1)

            asyncio.run(main())

    def test_a_call_whose_loop_has_ended_gives_its_turn_back(self):
        with Scripted("silence") as server:
            manager = Manager(server.url, KEY, pool_size=1)
            pool = manager._core.pool
            loop = asyncio.new_event_loop()
            coroutines = [call(manager), call(manager)]

            async def begin(coroutine):
                # By hand, as far as its first wait, so that no task of the loop looks after it.
                coroutine.send(None)

            for coroutine in coroutines:
                loop.run_until_complete(begin(coroutine))
            loop.close()
            self.assertEqual((pool._free, len(pool._waiters)), (0, 1))
            for coroutine in coroutines:
                coroutine.close()
            self.assertEqual(pool._free, 1)


@unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
class Fork(unittest.TestCase):
    def test_a_child_opens_connections_of_its_own(self):
        with Scripted(OK) as server, SyncManager(server.url, KEY, retries=0) as sync:
            call(sync)
            sync._core.pool._lock.acquire()  # as if another thread were at it
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    call(sync)
                    code = 0 if server.port else 1
                finally:
                    os._exit(code)
            sync._core.pool._lock.release()
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            call(sync)
            self.assertEqual((len(server.requests), server.connections_n), (3, 2))


class Misbehaving(unittest.TestCase):
    def codes(self, *script, **more):
        with Scripted(*script) as server:
            with self.assertRaises(Unavailable) as caught:
                call(SyncManager(server.url, KEY, timeout=0.2, retries=0, **more))
            blocking = caught.exception.code
        with Scripted(*script) as server:
            with self.assertRaises(Unavailable) as caught:
                by_task(lambda: call(Manager(server.url, KEY, timeout=0.2, retries=0, **more)))
            self.assertEqual(caught.exception.code, blocking)
        return blocking

    def test_each_has_its_code(self):
        self.assertEqual(self.codes("close"), "connection_lost")
        self.assertEqual(self.codes("reset"), "connection_lost")
        self.assertEqual(self.codes("silence"), "timeout")
        self.assertEqual(self.codes(b"SSH-2.0-x\r\n"), "bad_answer")
        self.assertEqual(self.codes(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\n{}"), "timeout")
        self.assertEqual(self.codes(answer(202)[:-3], deadline=0.15), "timeout")

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", "http://nowhere.invalid"):
            for attempt in (
                lambda: call(SyncManager(url, KEY, retries=0)),
                lambda: by_task(lambda: call(Manager(url, KEY, retries=0))),
            ):
                with self.assertRaises(Unavailable) as caught:
                    attempt()
                self.assertEqual(caught.exception.code, "unreachable")
                self.assertIn(url, caught.exception.detail)

    def test_an_address_that_does_not_answer_leaves_time_for_the_next(self):
        with Scripted(OK) as server:
            full = socket.socket()  # a listener whose queue is full: connecting to it gets no answer
            self.addCleanup(full.close)
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = []
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
                self.addCleanup(filler.close)
            both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in (full.getsockname(), ("127.0.0.1", server.port))]
            with mock.patch("socket.getaddrinfo", return_value=both):
                call(SyncManager("http://two.example", KEY, timeout=1.0, retries=0))
            self.assertEqual(len(server.requests), 1)

    def test_the_key_of_a_call_stays_the_same_over_its_retries_and_is_new_for_the_next(self):
        script = ("close", answer(503, b"{}", "Retry-After: 0"), "reset", answer(502, b"<html>"), answer(504, b""), OK)
        for run in (
            lambda url: call(SyncManager(url, KEY)),
            lambda url: by_task(lambda: call(Manager(url, KEY))),
        ):
            with Scripted(*script) as server:
                run(server.url)
                run(server.url)
                self.assertEqual(len(server.requests), 7)
                keys = [headers["idempotency-key"] for _, headers, _ in server.requests]
                self.assertEqual(len(set(keys[:6])), 1)
                self.assertNotEqual(keys[6], keys[0])
                self.assertRegex(keys[0], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
                self.assertEqual(len({body for _, _, body in server.requests}), 1)

    def test_what_a_request_says(self):
        with Scripted(OK) as server:
            call(SyncManager(server.url + "/behind/a/proxy", KEY))
            line, headers, body = server.requests[0]
            self.assertEqual(line, "POST /behind/a/proxy/api/broadcast/emit HTTP/1.1")
            self.assertEqual(headers["host"], f"127.0.0.1:{server.port}")
            self.assertEqual(headers["authorization"], f"Bearer {KEY}")
            self.assertEqual(headers["content-type"], "application/json")
            self.assertEqual(body, b'{"room":"project:p","event":"x","data":1}')

    def test_a_redirect_is_not_followed(self):
        # The key would go to wherever it points.
        with Scripted(OK) as elsewhere, Scripted(answer(307, b"", f"Location: {elsewhere.url}/api/broadcast/emit")) as server:
            with self.assertRaises(Unavailable) as caught:
                call(SyncManager(server.url, KEY))
            self.assertEqual((caught.exception.code, caught.exception.status), ("bad_answer", 307))
            self.assertEqual(elsewhere.requests, [])


if __name__ == "__main__":
    unittest.main()
