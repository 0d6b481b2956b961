"""The guide's "Backend Broadcasting", run as it is printed there.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import asyncio
import inspect
import os
import textwrap
import unittest
from unittest import mock

import skybuild_realtime
from skybuild_realtime import Manager, SyncManager, websocket_manager

from .support import Listener, Skybuild

# A copy of the guide's text, from its heading to the next one.
GUIDE = '''
## Backend Broadcasting

### From Service Layer

The BoQ service automatically broadcasts updates:

```python
from app.services.websocket import websocket_manager

# Broadcast BoQ update
await websocket_manager.broadcast_boq_update(
    project_id='proj-123',
    item_id='item-789',
    updates={'qty': 150, 'unit_price': 45.5},
    user_id='user-456'
)

# Broadcast task update
await websocket_manager.broadcast_task_update(
    project_id='proj-123',
    task_id=42,
    updates={'status': 'done'},
    user_id='user-456'
)

# Broadcast comment
await websocket_manager.broadcast_comment(
    project_id='proj-123',
    comment_id=15,
    comment_data={'text': 'Great work!', 'author_id': 'user-456'}
)

# Notify specific user
await websocket_manager.notify_user(
    user_id='user-789',
    notification_data={'message': 'You were assigned a task'}
)
```
'''
THEIR_IMPORT = "from app.services.websocket import websocket_manager"
OUR_IMPORT = "from skybuild_realtime import websocket_manager"

EXPECTED = [
    (
        "boq:item:updated",
        {
            "project_id": "proj-123",
            "item_id": "item-789",
            "updates": {"qty": 150, "unit_price": 45.5},
            "updated_by": "user-456",
        },
    ),
    (
        "task:updated",
        {"project_id": "proj-123", "task_id": 42, "updates": {"status": "done"}, "updated_by": "user-456"},
    ),
    (
        "comment:created",
        {"project_id": "proj-123", "comment_id": 15, "comment": {"text": "Great work!", "author_id": "user-456"}},
    ),
]


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Skybuild()
        cls.addClassCleanup(cls.server.stop)
        cls.server.cli("user", "add", "user-789", "--name", "Seven")
        cls.server.start()

    def snippet(self):
        code = GUIDE.partition("```python\n")[2].partition("```")[0]
        self.assertEqual(code.count(THEIR_IMPORT), 1)
        return code.replace(THEIR_IMPORT, OUR_IMPORT)

    def listen(self):
        both = Listener(self.server, "anna"), Listener(self.server, "user-789", project=None)
        for listener in both:
            self.addCleanup(listener.close)
        return both

    def check(self, anna, seven):
        for event, payload in EXPECTED:
            self.assertEqual(anna.wait_for_durable(event), payload)
        notification = seven.wait_for("notification:new")
        self.assertGreater(notification.pop("id"), 0)
        self.assertEqual(notification, {"message": "You were assigned a task"})
        self.assertFalse(anna.has("notification:new"))

    def test_the_snippet_runs_as_printed_but_for_its_import(self):
        anna, seven = self.listen()
        program = "async def main():\n" + textwrap.indent(self.snippet(), "    ")
        names = {}
        exec(compile(program, "guide.md", "exec"), names)
        with mock.patch.dict(os.environ, self.server.environment()):
            asyncio.run(names["main"]())
        self.check(anna, seven)

    def test_its_blocking_twin_sends_the_same(self):
        anna, seven = self.listen()
        program = self.snippet().replace("await websocket_manager.", "websocket_manager.sync.")
        with mock.patch.dict(os.environ, self.server.environment()):
            exec(compile(program, "guide.md", "exec"), {})
        self.check(anna, seven)

    def test_names_parameters_and_defaults_are_the_guides(self):
        empty = inspect.Parameter.empty
        for name, parameters in [
            ("broadcast_boq_update", [("project_id", empty), ("item_id", empty), ("updates", empty), ("user_id", empty)]),
            ("broadcast_task_update", [("project_id", empty), ("task_id", empty), ("updates", empty), ("user_id", empty)]),
            ("broadcast_comment", [("project_id", empty), ("comment_id", empty), ("comment_data", empty)]),
            ("notify_user", [("user_id", empty), ("notification_data", empty)]),
            ("broadcast_boq_bulk_update", [("project_id", empty), ("summary", empty), ("user_id", empty)]),
            ("emit", [("room", empty), ("event", empty), ("data", empty), ("except_sid", None), ("volatile", False)]),
            ("presence", [("project_id", empty)]),
            ("connections", [("user_id", empty)]),
            ("disconnect", [("user_id", empty)]),
        ]:
            for manager, is_async in ((websocket_manager, True), (websocket_manager.sync, False)):
                with self.subTest(name=name, is_async=is_async):
                    method = getattr(manager, name)
                    found = inspect.signature(method).parameters.values()
                    self.assertEqual([(p.name, p.default) for p in found], parameters)
                    self.assertEqual(inspect.iscoroutinefunction(method), is_async)

    def test_every_public_name_says_what_it_is(self):
        for name in skybuild_realtime.__all__:
            thing = getattr(skybuild_realtime, name)
            if inspect.isclass(thing):
                self.assertTrue(inspect.getdoc(thing), name)
        for manager in (Manager, SyncManager):
            for name, method in inspect.getmembers(manager, callable):
                if not name.startswith("_"):
                    self.assertGreater(len(inspect.getdoc(method) or ""), 10, name)

    def test_importing_reads_no_setting(self):
        # A program may load its settings after the import: nothing is asked of the environment before the first call.
        with mock.patch.dict(os.environ, {"SERVICE_API_KEY": "", "SERVICE_API_KEY_FILE": "", "SKYBUILD_URL": "nonsense"}):
            self.assertIn("Manager", repr(Manager()))
            with self.assertRaises(skybuild_realtime.Misconfigured):
                Manager().sync.presence("proj-123")


if __name__ == "__main__":
    unittest.main()
