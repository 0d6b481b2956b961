"""Debian's python-socketio client: joins a room of a server and prints what it hears, [event, argument ...] a line.

Arguments: the server's URL, the room.  Says ["joined"] first, and runs until its standard input ends.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors"""
import json
import os
import sys

from inorder import SocketClient

URL, ROOM = sys.argv[1:3]
client = SocketClient(reconnection=False)


def plain(value):
    return {"bytes": value.hex()} if isinstance(value, bytes) else repr(value)


@client.on("*")
def on_any(event, *args):
    print(json.dumps([event, *args], default=plain), flush=True)


client.connect(URL, transports=["polling"])
client.call("join", ROOM)
print('["joined"]', flush=True)
sys.stdin.read()
os._exit(0)
