"""What the Python client sees when it is refused."""
import os

import socketio
from common import TRANSPORTS, URL, Watched, run


def refused(auth):
    sio = Watched("connect_error")
    try:
        sio.connect(URL, socketio_path="/socket.io", auth=auth, transports=TRANSPORTS)
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError("it was let in")
    return sio.wait_for("connect_error")


def no_token():
    error = refused({})
    assert error == {"message": "Authentication required", "data": {"code": "token_missing"}}, error


def bad_token():
    error = refused({"token": "abc"})
    assert error == {"message": "Authentication required", "data": {"code": "token_invalid"}}, error


def expired_token():
    error = refused({"token": os.environ["TOKEN_OLD"]})
    assert error == {"message": "Authentication required", "data": {"code": "token_expired"}}, error


def no_access():
    sio = Watched("error", "joined_project").enter("DORA")
    sio.emit("join_project", {"project_id": "proj-123"})
    error = sio.wait_for("error")
    assert error["message"] == "Access denied to project", error
    assert error["code"] == "access_denied", error
    sio.disconnect()


run(no_token, bad_token, expired_token, no_access)
