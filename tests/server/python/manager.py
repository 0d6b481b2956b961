"""A process that only publishes, by Debian's python-socketio: what its write-only managers send.

Arguments: the URL of Redis, and calls as JSON, one a line on standard input: [method, [args], {kwargs}].
{"b64": ...} is bytes, {"tuple": [...]} a tuple.  After the last line, "ok" and the end.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors"""
import asyncio
import base64
import inspect
import json
import sys

import socketio


def plain(value):
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    if isinstance(value, dict) and set(value) == {"tuple"}:
        return tuple(plain(v) for v in value["tuple"])
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


async def main(kind, url):
    manager = getattr(socketio, kind)(url, write_only=True)
    for line in sys.stdin:
        method, args, kwargs = json.loads(line)
        got = getattr(manager, method)(*plain(args), **plain(kwargs))
        if inspect.isawaitable(got):
            await got
    print("ok")


asyncio.run(main(sys.argv[1], sys.argv[2]))
