"""The calls of the server's back-end API: arguments to a request, an answer to a result.

One function for each call, used by both managers.  Knows the server's addresses and member
names (docs/client.md, "For back ends"), and how Python's values become JSON.  No connection here.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import datetime
import decimal
import json
import re
import urllib.parse
import uuid
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, TypedDict, Union, cast

# Projects and users are named by text; numbers and UUIDs are taken as their text.
TextId = Union[str, int, uuid.UUID]
# Items, tasks and comments may have numbers as ids, which stay numbers.
AnyId = Union[str, int, uuid.UUID]


class Call(NamedTuple):
    """One request, not sent yet."""

    method: str
    path: str
    body: bytes
    expects: Tuple[str, ...]  # members that the answer has
    is_volatile: bool = False  # the server keeps no record of it, so a repeat would be a second event


class Sent(NamedTuple):
    """What the server says about an event.

    ``id`` names the event (``proj-123:17``; random for a volatile one).  ``recipients`` is the
    number of connections it went to.  ``repeated`` is true when the server had this request
    already, by its idempotency key: the event was recorded before, and nothing was sent now.
    """

    id: str
    recipients: int
    repeated: bool


class _PresentUser(TypedDict):
    user_id: str
    name: str
    connections: int
    joined_at: str


class PresentUser(_PresentUser, total=False):
    """A user who is in a project; ``state`` is what the client last told with presence:update."""

    state: Any


class Presence(TypedDict):
    """Who is in a project.  ``missing_nodes`` names servers that did not answer in time."""

    project_id: str
    users: List[PresentUser]
    missing_nodes: List[str]


class Socket(TypedDict):
    """One connection of a user."""

    sid: str
    connected_at: str
    projects: List[str]


class Connections(TypedDict):
    """The connections of a user."""

    user_id: str
    connections: int
    sockets: List[Socket]
    missing_nodes: List[str]


class Disconnected(TypedDict):
    """How many connections of a user were closed."""

    user_id: str
    disconnected: int
    missing_nodes: List[str]


# ---- JSON -----------------------------------------------------------------------------------

# Stands in front of a decimal number's text until it is put in without quotes.  Random, so that
# no text of a caller can look like it.
_MARK = uuid.uuid4().hex
_MARKED = re.compile(f'"{_MARK}:([^"]*)"')


def _other(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON number")
        return f"{_MARK}:{value}"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_other)


def encode(value: Any) -> bytes:
    """A value as JSON text.  Decimal becomes a number, digit for digit; dates and times ISO 8601;
    UUID its text.  Raises TypeError for other types, ValueError for NaN, infinity and broken text."""
    text = _encoder.encode(value)
    return (_MARKED.sub(r"\1", text) if _MARK in text else text).encode("utf-8")


# ---- requests -------------------------------------------------------------------------------


def _text_id(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, uuid.UUID) else value


def _in_path(value: Any, name: str) -> str:
    text = _text_id(value)
    if not isinstance(text, str) or not text:
        raise ValueError(f"{name} must be an id, not {value!r}")
    return urllib.parse.quote(text, safe="")


def _broadcast(what: str, **members: Any) -> Call:
    return Call("POST", f"/api/broadcast/{what}", encode(members), ("id", "recipients"))


def boq_update(project_id: TextId, item_id: AnyId, updates: Mapping[str, Any], user_id: TextId) -> Call:
    return _broadcast(
        "boq-update", project_id=_text_id(project_id), item_id=item_id, updates=updates, user_id=_text_id(user_id)
    )


def boq_bulk_update(project_id: TextId, summary: Mapping[str, Any], user_id: TextId) -> Call:
    return _broadcast("boq-bulk-update", project_id=_text_id(project_id), summary=summary, user_id=_text_id(user_id))


def task_update(project_id: TextId, task_id: AnyId, updates: Mapping[str, Any], user_id: TextId) -> Call:
    return _broadcast(
        "task-update", project_id=_text_id(project_id), task_id=task_id, updates=updates, user_id=_text_id(user_id)
    )


def comment(project_id: TextId, comment_id: AnyId, comment_data: Mapping[str, Any]) -> Call:
    return _broadcast("comment", project_id=_text_id(project_id), comment_id=comment_id, comment_data=comment_data)


def notify(user_id: TextId, notification_data: Mapping[str, Any]) -> Call:
    return _broadcast("notify", user_id=_text_id(user_id), notification_data=notification_data)


def emit(room: str, event: str, data: Any, except_sid: Optional[str], volatile: bool) -> Call:
    members: Dict[str, Any] = {"room": room, "event": event, "data": data}
    if except_sid is not None:
        members["except_sid"] = except_sid
    if volatile:
        members["volatile"] = True
    return _broadcast("emit", **members)._replace(is_volatile=volatile)


def presence(project_id: TextId) -> Call:
    return Call("GET", f"/api/projects/{_in_path(project_id, 'project_id')}/presence", b"", ("users", "missing_nodes"))


def connections(user_id: TextId) -> Call:
    return Call("GET", f"/api/users/{_in_path(user_id, 'user_id')}/connections", b"", ("sockets", "missing_nodes"))


def disconnect(user_id: TextId) -> Call:
    return Call("POST", f"/api/users/{_in_path(user_id, 'user_id')}/disconnect", b"", ("disconnected",))


# ---- results --------------------------------------------------------------------------------


def sent(answer: Dict[str, Any]) -> Sent:
    return Sent(str(answer["id"]), int(answer["recipients"]), bool(answer.get("repeated", False)))


def as_presence(answer: Dict[str, Any]) -> Presence:
    return cast(Presence, answer)


def as_connections(answer: Dict[str, Any]) -> Connections:
    return cast(Connections, answer)


def as_disconnected(answer: Dict[str, Any]) -> Disconnected:
    return cast(Disconnected, answer)
