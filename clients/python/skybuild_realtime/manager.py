"""The managers: what a back end calls.  ``Manager`` for asyncio, ``SyncManager`` for the rest.

Both are views of one core with its settings and connections.  A call is put together by
``_calls``, carried out by ``_attempts`` over ``_connection``, and waited for by ``_waits``.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import copy
import math
import threading
import uuid
from typing import Any, Dict, Mapping, Optional, Tuple, TypeVar

from . import _attempts, _calls, _connection, _settings
from ._attempts import Patience
from ._calls import AnyId, Call, Connections, Disconnected, Presence, Sent, TextId
from ._http1 import Answer
from ._pool import Pool
from ._waits import Steps, run_blocking, run_in_loop

POOL_SIZE = 10
KEY_MAX = 128  # characters that the server takes as Idempotency-Key


class _Core:
    """Settings, made on first use, and the connections of a manager and its twin."""

    def __init__(
        self, url: Optional[str], api_key: Optional[str], ca_file: Optional[str], patience: Patience, pool_size: int
    ) -> None:
        if url is not None:
            _settings.read_url(url)
        if api_key is not None:
            _settings.check_key(api_key, "api_key")
        for name, value in (("timeout", patience.timeout), ("deadline", patience.deadline)):
            if not 0 < value < math.inf:
                raise _settings.bad(f"{name}={value} is not a number of seconds above 0")
        if patience.retries < 0 or pool_size < 1:
            raise _settings.bad(f"retries={patience.retries} must be 0 or more, pool_size={pool_size} 1 or more")
        self.given = (url, api_key, ca_file)
        self.patience = patience
        self.pool = Pool(pool_size)
        self._ready: Optional[Tuple[_settings.Settings, str]] = None
        self._lock = threading.Lock()

    def ready(self) -> Tuple[_settings.Settings, str]:
        """The settings, and the head of every request with them.  Raises Misconfigured."""
        with self._lock:
            if self._ready is None:
                settings = _settings.make(*self.given)
                self._ready = (settings, _attempts.head_of(settings))
            return self._ready

    def steps(self, call: Call, key: Optional[str]) -> Steps[Dict[str, Any]]:
        settings, head = self.ready()
        request = _attempts.request_of(call, settings.path, head, key or str(uuid.uuid4()))

        def ask(timeout: float, ends: float) -> Steps[Answer]:
            return _connection.ask(self.pool, settings, request, timeout, ends)

        return _attempts.perform(call, ask, self.patience)


V = TypeVar("V", bound="_View")


class _View:
    """What both managers have in common: making one, keys of one's own, closing."""

    def __init__(
        self,
        url: Optional[str] = None,
        api_key: Optional[str] = None,
        timeout: float = Patience().timeout,
        retries: int = Patience().retries,
        *,
        deadline: float = Patience().deadline,
        pool_size: int = POOL_SIZE,
        ca_file: Optional[str] = None,
    ) -> None:
        """
        url: the server, ``http://HOST[:PORT]`` or ``https://...``; a path in front of ``/api`` may
            follow.  Not given: SKYBUILD_URL, else ``http://127.0.0.1:8000``.
        api_key: the server's SERVICE_API_KEY.  Not given: SERVICE_API_KEY, or the content of the
            file that SERVICE_API_KEY_FILE names.
        timeout: seconds for one attempt, from a free connection to the whole answer.
        retries: how often a failed attempt is tried again.
        deadline: seconds for a call with all its retries and waits.
        pool_size: connections, and so requests at once, over all loops and threads; further calls wait.
        ca_file: PEM file of the authorities to trust for https, instead of the system's.

        What is given is checked here, the environment on the first call.  Raises Misconfigured.
        """
        self._core = _Core(url, api_key, ca_file, Patience(timeout, retries, deadline), pool_size)
        self._key: Optional[str] = None

    def __repr__(self) -> str:
        url = self._core.given[0]
        return f"<{type(self).__name__} {'of the environment' if url is None else url}>"

    def with_key(self: V, key: str) -> V:
        """The same manager, whose next call carries ``key`` as its Idempotency-Key instead of a new one.

        For calls that are repeated by something else, such as a task queue: with the task's id as
        key the event is made once, however often the task runs (within 24 hours).  A key belongs to
        one call; the server refuses it for another (``Refused``, code ``refused``).  Raises ValueError
        for a key that is not 1 to 128 printable ASCII characters.
        """
        if not 1 <= len(key) <= KEY_MAX or not all(" " <= c <= "~" for c in key) or key != key.strip():
            raise ValueError(f"an idempotency key is 1 to {KEY_MAX} printable ASCII characters")
        view = copy.copy(self)
        view._key = key
        return view

    def close(self) -> None:
        """Close the connections that are kept.  Does not wait; a later call opens new ones."""
        self._core.pool.close()


class Manager(_View):
    """Sends events to connected users, from coroutines.

    May be used from several event loops and threads at once.  A cancelled call ends at once; its
    event may have been sent or not.  Every method raises ``Refused``, ``NotAllowed`` or
    ``Unavailable`` (see ``errors``) when the call was not done, and TypeError or ValueError for
    data that is no JSON.
    """

    @property
    def sync(self) -> SyncManager:
        """The blocking twin, on the same connections."""
        twin = object.__new__(SyncManager)
        twin._core, twin._key = self._core, self._key
        return twin

    async def __aenter__(self) -> Manager:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _do(self, call: Call) -> Dict[str, Any]:
        return await run_in_loop(self._core.steps(call, self._key))

    async def broadcast_boq_update(
        self, project_id: TextId, item_id: AnyId, updates: Mapping[str, Any], user_id: TextId
    ) -> Sent:
        """Tell a project that a BoQ item was changed.

        Its members get ``boq:item:updated {project_id, item_id, updates, updated_by}``, where
        ``updated_by`` is ``user_id``.  Returns once the event is in the server's database.
        """
        return _calls.sent(await self._do(_calls.boq_update(project_id, item_id, updates, user_id)))

    async def broadcast_boq_bulk_update(self, project_id: TextId, summary: Mapping[str, Any], user_id: TextId) -> Sent:
        """Tell a project that many BoQ items were changed at once.

        Its members get ``boq:bulk:updated {project_id, summary, updated_by}``; the guide's summary
        is ``{total, updated, skipped}``.  Returns once the event is in the server's database.
        """
        return _calls.sent(await self._do(_calls.boq_bulk_update(project_id, summary, user_id)))

    async def broadcast_task_update(
        self, project_id: TextId, task_id: AnyId, updates: Mapping[str, Any], user_id: TextId
    ) -> Sent:
        """Tell a project that a task was changed.

        Its members get ``task:updated {project_id, task_id, updates, updated_by}``.  Returns once the
        event is in the server's database.
        """
        return _calls.sent(await self._do(_calls.task_update(project_id, task_id, updates, user_id)))

    async def broadcast_comment(self, project_id: TextId, comment_id: AnyId, comment_data: Mapping[str, Any]) -> Sent:
        """Tell a project of a new comment.

        Its members get ``comment:created {project_id, comment_id, comment}``, where ``comment`` is
        ``comment_data``.  Returns once the event is in the server's database.
        """
        return _calls.sent(await self._do(_calls.comment(project_id, comment_id, comment_data)))

    async def notify_user(self, user_id: TextId, notification_data: Mapping[str, Any]) -> Sent:
        """Notify one user.

        Every connection of the user gets ``notification:new`` with ``notification_data`` itself, in
        whatever project it is.  Returns once the notification is in the server's database.
        """
        return _calls.sent(await self._do(_calls.notify(user_id, notification_data)))

    async def emit(
        self, room: str, event: str, data: Any, except_sid: Optional[str] = None, volatile: bool = False
    ) -> Sent:
        """Send any event to a room: ``project:<id>``, ``user:<id>`` or another.

        Its members, but not the connection ``except_sid``, get ``event`` with ``data`` (any JSON) as
        its one argument.  Returns once the event is in the server's database.

        A ``volatile`` event is not stored, may be dropped for receivers that lag, and goes out at
        most once: it is not tried again when the first attempt may have reached the server.
        """
        return _calls.sent(await self._do(_calls.emit(room, event, data, except_sid, volatile)))

    async def presence(self, project_id: TextId) -> Presence:
        """Who is in a project now: ``{project_id, users: [{user_id, name, connections, joined_at,
        state?}], missing_nodes}``."""
        return _calls.as_presence(await self._do(_calls.presence(project_id)))

    async def connections(self, user_id: TextId) -> Connections:
        """The connections of a user: ``{user_id, connections, sockets: [{sid, connected_at,
        projects}], missing_nodes}``."""
        return _calls.as_connections(await self._do(_calls.connections(user_id)))

    async def disconnect(self, user_id: TextId) -> Disconnected:
        """Close every connection of a user: ``{user_id, disconnected, missing_nodes}``.

        The stock client does not come back by itself.  A retry closes what has come since, and
        counts only that."""
        return _calls.as_disconnected(await self._do(_calls.disconnect(user_id)))


class SyncManager(_View):
    """The same calls for code without an event loop: each method blocks until it is done.

    May be used from several threads at once.  Do not call it in a coroutine: it would stop the loop.
    """

    def __enter__(self) -> SyncManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, call: Call) -> Dict[str, Any]:
        return run_blocking(self._core.steps(call, self._key))

    def broadcast_boq_update(
        self, project_id: TextId, item_id: AnyId, updates: Mapping[str, Any], user_id: TextId
    ) -> Sent:
        """See Manager.broadcast_boq_update."""
        return _calls.sent(self._do(_calls.boq_update(project_id, item_id, updates, user_id)))

    def broadcast_boq_bulk_update(self, project_id: TextId, summary: Mapping[str, Any], user_id: TextId) -> Sent:
        """See Manager.broadcast_boq_bulk_update."""
        return _calls.sent(self._do(_calls.boq_bulk_update(project_id, summary, user_id)))

    def broadcast_task_update(
        self, project_id: TextId, task_id: AnyId, updates: Mapping[str, Any], user_id: TextId
    ) -> Sent:
        """See Manager.broadcast_task_update."""
        return _calls.sent(self._do(_calls.task_update(project_id, task_id, updates, user_id)))

    def broadcast_comment(self, project_id: TextId, comment_id: AnyId, comment_data: Mapping[str, Any]) -> Sent:
        """See Manager.broadcast_comment."""
        return _calls.sent(self._do(_calls.comment(project_id, comment_id, comment_data)))

    def notify_user(self, user_id: TextId, notification_data: Mapping[str, Any]) -> Sent:
        """See Manager.notify_user."""
        return _calls.sent(self._do(_calls.notify(user_id, notification_data)))

    def emit(self, room: str, event: str, data: Any, except_sid: Optional[str] = None, volatile: bool = False) -> Sent:
        """See Manager.emit."""
        return _calls.sent(self._do(_calls.emit(room, event, data, except_sid, volatile)))

    def presence(self, project_id: TextId) -> Presence:
        """See Manager.presence."""
        return _calls.as_presence(self._do(_calls.presence(project_id)))

    def connections(self, user_id: TextId) -> Connections:
        """See Manager.connections."""
        return _calls.as_connections(self._do(_calls.connections(user_id)))

    def disconnect(self, user_id: TextId) -> Disconnected:
        """See Manager.disconnect."""
        return _calls.as_disconnected(self._do(_calls.disconnect(user_id)))
