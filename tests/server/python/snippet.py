"""The guide's Python client snippet as printed; only the address, the token and
the transport are filled in, and sio.wait() ends when the update has come."""
import os
import threading

import socketio
from common import PATIENCE, TRANSPORTS, URL, broadcast, run

printed = []
seen = threading.Condition()


def print(*args):  # noqa: A001 - the snippet prints; here that is looked at
    with seen:
        printed.append(args)
        seen.notify_all()


def wait_printed(label):
    with seen:
        assert seen.wait_for(lambda: any(p[0] == label for p in printed), PATIENCE), f"{label} was not printed"
        return next(p[1] for p in printed if p[0] == label)


# ---- as printed in the guide -------------------------------------------------
sio = socketio.Client()

@sio.event
def connected(data):
    print('Connected:', data)

@sio.event
def joined_project(data):
    print('Joined project:', data)

@sio.on('boq:item:updated')
def on_boq_update(data):
    print('BoQ updated:', data)
# ------------------------------------------------------------------------------


def python_snippet_of_the_guide():
    # Connect with JWT
    sio.connect(URL,
                socketio_path='/socket.io',
                auth={'token': os.environ['TOKEN_ANNA']},
                transports=TRANSPORTS)
    assert wait_printed('Connected:')['user_id'] == 'anna'

    # Join project
    sio.emit('join_project', {'project_id': 'proj-123'})
    assert wait_printed('Joined project:')['project_id'] == 'proj-123'

    update = {"project_id": "proj-123", "item_id": "item-789", "updates": {"qty": 150, "unit_price": 45.5}}
    broadcast("boq-update", {**update, "user_id": "user-456"})
    told = wait_printed('BoQ updated:')
    assert told.pop("seq") > 0
    assert told == {**update, "updated_by": "user-456"}

    # Keep connection alive
    waiting = threading.Thread(target=sio.wait, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive(), "sio.wait() keeps the connection alive"
    sio.disconnect()
    waiting.join(PATIENCE)
    assert not waiting.is_alive(), "sio.wait() ends with the connection"


run(python_snippet_of_the_guide)
