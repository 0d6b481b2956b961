"""SkyBuild Realtime for back ends: send events to connected users.

    from skybuild_realtime import websocket_manager

    await websocket_manager.broadcast_boq_update(
        project_id='proj-123', item_id='item-789', updates={'qty': 150}, user_id='user-456')

``websocket_manager`` takes its settings from the environment (SKYBUILD_URL, SERVICE_API_KEY or
SERVICE_API_KEY_FILE) on its first call; ``Manager(url, api_key)`` makes another.
``websocket_manager.sync`` and ``SyncManager`` are for code without an event loop.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from ._calls import Connections, Disconnected, Presence, PresentUser, Sent, Socket
from ._version import VERSION as __version__
from .errors import Misconfigured, NotAllowed, Refused, SkybuildError, Unavailable
from .manager import Manager, SyncManager

__all__ = [
    "Connections",
    "Disconnected",
    "Manager",
    "Misconfigured",
    "NotAllowed",
    "Presence",
    "PresentUser",
    "Refused",
    "Sent",
    "SkybuildError",
    "Socket",
    "SyncManager",
    "Unavailable",
    "__version__",
    "websocket_manager",
]

websocket_manager = Manager()
