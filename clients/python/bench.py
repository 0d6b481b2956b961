#!/usr/bin/python3
"""Requests a second, and CPU time of the client for each, beside two other ways to do the same.

    SERVICE_API_KEY=sixteen-bytes-or-more LOG_LEVEL=warning build/release/skybuild serve &
    SERVICE_API_KEY=sixteen-bytes-or-more clients/python/bench.py [--runs 5] [--requests 4000] [--durable]

The others are what this package could have been: asyncio streams (one set of connections for each
loop, nothing for threads), and http.client in a pool of threads.  All keep their connections, read
Content-Length, parse the JSON and bound each request with a time-out.  Runs alternate; the medians
are printed.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import argparse
import asyncio
import http.client
import json
import os
import statistics
import sys
import threading
import time
import urllib.parse
import uuid
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from skybuild_realtime import Manager, SyncManager  # noqa: E402

URL = os.environ.get("SKYBUILD_URL", "http://127.0.0.1:8000")
KEY = os.environ["SERVICE_API_KEY"]
PARALLEL = 8


async def in_workers(each, n):
    async def worker():
        for _ in range(n // PARALLEL):
            await each()

    await asyncio.gather(*[worker() for _ in range(PARALLEL)])


async def this_package(n, volatile):
    async with Manager(URL, KEY, pool_size=PARALLEL) as manager:
        await in_workers(lambda: manager.emit("project:bench", "bench", {"qty": 150}, volatile=volatile), n)


async def streams(n, volatile):
    where = urllib.parse.urlsplit(URL)
    body = json.dumps({"room": "project:bench", "event": "bench", "data": {"qty": 150}, "volatile": volatile}).encode()

    async def ask(reader, writer):
        head = f"POST /api/broadcast/emit HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
        head += f"Content-Type: application/json\r\nIdempotency-Key: {uuid.uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:"))
        assert head.startswith("http/1.1 202"), head
        return json.loads(await reader.readexactly(length))

    async def worker():
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        for _ in range(n // PARALLEL):
            await asyncio.wait_for(ask(reader, writer), 5)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*[worker() for _ in range(PARALLEL)])


async def threads(n, volatile):
    where = urllib.parse.urlsplit(URL)
    body = json.dumps({"room": "project:bench", "event": "bench", "data": {"qty": 150}, "volatile": volatile})
    mine = threading.local()

    def ask():
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        mine.connection.request("POST", "/api/broadcast/emit", body, headers)
        answer = mine.connection.getresponse()
        assert answer.status == 202
        return json.loads(answer.read())

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(PARALLEL) as pool:
        await in_workers(lambda: loop.run_in_executor(pool, ask), n)


def blocking(n, volatile):
    with SyncManager(URL, KEY) as manager:
        for _ in range(n):
            manager.emit("project:bench", "bench", {"qty": 150}, volatile=volatile)


WAYS = {
    "this package, coroutines": lambda n, volatile: asyncio.run(this_package(n, volatile)),
    "asyncio streams": lambda n, volatile: asyncio.run(streams(n, volatile)),
    "http.client in threads": lambda n, volatile: asyncio.run(threads(n, volatile)),
    "this package, blocking": blocking,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--durable", action="store_true")
    options = parser.parse_args()
    found = {name: [] for name in WAYS}
    for _ in range(options.runs):
        for name, way in WAYS.items():
            began, cpu = time.perf_counter(), time.process_time()
            way(options.requests, not options.durable)
            took = time.perf_counter() - began
            found[name].append((options.requests / took, (time.process_time() - cpu) / options.requests * 1e6))
    for name, runs in found.items():
        rates, costs = zip(*runs)
        print(
            f"{name:26} {statistics.median(rates):7.0f} requests/s   {statistics.median(costs):5.0f} us of CPU each"
            f" ({min(costs):.0f} to {max(costs):.0f})"
        )


if __name__ == "__main__":
    main()
