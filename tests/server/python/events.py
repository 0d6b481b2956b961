"""Two Python clients in one project."""
from common import Watched, broadcast, run


def joined(user, *events):
    sio = Watched("joined_project", *events).enter(user)
    sio.emit("join_project", {"project_id": "proj-123"})
    sio.wait_for("joined_project")
    return sio


def presence_and_cursor():
    anna = joined("ANNA", "user:joined", "user:left", "cursor:moved")
    ben = joined("BEN")
    assert anna.wait_for("user:joined") == {"user_id": "ben", "project_id": "proj-123"}
    ben.emit("cursor:move", {"project_id": "proj-123", "cursor": {"x": 1, "y": "ñ€😀"}})
    assert anna.wait_for("cursor:moved") == {"project_id": "proj-123", "user_id": "ben", "cursor": {"x": 1, "y": "ñ€😀"}}
    # A disconnect() of this client on polling tells the server nothing, so leave first.
    assert ben.call("leave_project", {"project_id": "proj-123"})["ok"] is True
    assert anna.wait_for("user:left") == {"user_id": "ben", "project_id": "proj-123"}
    ben.disconnect()
    anna.disconnect()


def acknowledgement():
    anna = joined("ANNA")
    answer = anna.call("presence:list", {"project_id": "proj-123"})
    assert answer["ok"] is True, answer
    assert anna.call("join_project", {"project_id": "proj-999"})["ok"] is False
    anna.disconnect()


def many_in_order():
    anna = joined("ANNA", "site:tick")
    for i in range(60):
        broadcast("emit", {"room": "project:proj-123", "event": "site:tick", "data": i})
    assert [anna.wait_for("site:tick") for _ in range(60)] == list(range(60))
    anna.disconnect()


run(presence_and_cursor, acknowledgement, many_in_order)
