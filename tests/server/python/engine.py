"""Debian's python-engineio client against examples/engine_echo; run by engine.test.mjs."""
import os
import queue

from inorder import EngineClient

URL = os.environ["ENGINE_URL"]
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}[os.environ["ENGINE_TRANSPORT"]]
client = EngineClient()
heard = queue.Queue()
client.on("message", heard.put)
client.on("disconnect", lambda *reason: heard.put("end"))
client.connect(URL, transports=TRANSPORTS, engineio_path="engine.io")
expected = "polling" if os.environ["ENGINE_TRANSPORT"] == "polling" else "websocket"
assert client.transport() == expected, client.transport()
# This client cannot POST what Latin-1 has no letter for, and takes 16 packets of a payload.
text = "hello" if expected == "polling" else "ñ€😀"
sent = [text, b"\x00\x01\xff", "", b""] + [str(i) for i in range(10)]
for message in sent:
    client.send(message)
for message in sent:
    got = heard.get(timeout=10)
    assert got == message or (message == "" and got in ("", None)), (message, got)
client.disconnect()
print("ok")
