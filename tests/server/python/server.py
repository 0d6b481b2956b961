"""A Socket.IO server of Debian's python-socketio that shares a Redis with others.

Arguments: AsyncRedisManager or RedisManager, and the URL of Redis.  Says "port N" when it listens, and runs until its
standard input ends.  Its clients may join a room ("join", room) and send to one ("say", room, event, argument).

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors"""
import asyncio
import os
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import socketio

KIND, URL = sys.argv[1:3]


def tell(port):
    print("port", port, flush=True)


def async_main():
    from aiohttp import web

    sio = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(URL))

    @sio.event
    async def join(sid, room):
        sio.enter_room(sid, room)
        return room

    @sio.event
    async def say(sid, room, event, argument):
        await sio.emit(event, argument, room=room)

    async def main():
        app = web.Application()
        sio.attach(app)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        tell(site._server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(main())


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def threads_main():
    sio = socketio.Server(async_mode="threading", client_manager=socketio.RedisManager(URL))

    @sio.event
    def join(sid, room):
        sio.enter_room(sid, room)
        return room

    @sio.event
    def say(sid, room, event, argument):
        sio.emit(event, argument, room=room)

    http = make_server("127.0.0.1", 0, socketio.WSGIApp(sio), Threaded, Quiet)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    tell(http.server_port)
    sys.stdin.read()


async_main() if KIND == "AsyncRedisManager" else threads_main()
os._exit(0)
