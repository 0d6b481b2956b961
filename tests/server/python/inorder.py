"""The stock clients, but what comes in is handled in the order in which it came.

python-engineio has each message handled by a thread of its own: then nobody can tell what came first.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors"""
import engineio
import socketio


class EngineClient(engineio.Client):
    def _trigger_event(self, event, *args, run_async=False, **kwargs):
        return super()._trigger_event(event, *args, run_async=False, **kwargs)


class SocketClient(socketio.Client):
    def _engineio_client_class(self):
        return EngineClient
