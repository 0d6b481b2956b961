"""What the Python scripts share: where the server is, and waiting for events."""
import os
import queue
import sys

import requests

from inorder import SocketClient

URL = os.environ["SKYBUILD_URL"]
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}[os.environ["SKYBUILD_TRANSPORT"]]
PATIENCE = 10  # seconds, longest wait for anything


def broadcast(what, body):
    answer = requests.post(
        f"{URL}/api/broadcast/{what}",
        json=body,
        headers={"Authorization": f"Bearer {os.environ['SERVICE_API_KEY']}"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


class Watched(SocketClient):
    """A client that keeps what comes in, by event."""

    def __init__(self, *events):
        super().__init__(reconnection=False)
        self.inbox = {}
        for name in events:
            self.inbox[name] = queue.Queue()
            self.on(name, self.inbox[name].put)

    def wait_for(self, name):
        try:
            return self.inbox[name].get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"event {name} did not come") from None

    def enter(self, user):
        self.connect(URL, socketio_path="/socket.io", auth={"token": os.environ[f"TOKEN_{user}"]}, transports=TRANSPORTS)
        return self


def run(*tests):
    failed = 0
    for test in tests:
        try:
            test()
            print("ok", test.__name__, flush=True)
        except Exception as error:  # each one is told, then the next test runs
            failed += 1
            print(f"not ok {test.__name__}: {type(error).__name__}: {error}", flush=True)
    # The client's threads must not keep a finished script alive.
    sys.stdout.flush()
    os._exit(1 if failed else 0)
