"""Every call against a real server: what users get, what comes back, and each refusal.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import asyncio
import datetime
import decimal
import pickle
import unittest
import uuid

from skybuild_realtime import Manager, NotAllowed, Refused, Sent, SkybuildError, SyncManager, Unavailable
from skybuild_realtime._calls import encode

from .support import KEY, Listener, Skybuild


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Skybuild().start()
        cls.addClassCleanup(cls.server.stop)
        cls.manager = SyncManager(cls.server.url, KEY)
        cls.addClassCleanup(cls.manager.close)

    def listen(self, user):
        listener = Listener(self.server, user)
        self.addCleanup(listener.close)
        return listener

    def test_each_broadcast_says_what_became_of_it(self):
        anna = self.listen("anna")
        sent = self.manager.broadcast_boq_update("proj-123", "item-1", {"qty": 1}, "user-1")
        self.assertIsInstance(sent, Sent)
        self.assertEqual((sent.recipients, sent.repeated), (1, False))
        self.assertRegex(sent.id, r"^proj-123:\d+$")
        self.assertEqual(anna.wait_for("boq:item:updated")["item_id"], "item-1")

    def test_bulk_update(self):
        anna = self.listen("anna")
        summary = {"total": 50, "updated": 48, "skipped": 2}
        self.manager.broadcast_boq_bulk_update("proj-123", summary, "user-456")
        self.assertEqual(
            anna.wait_for_durable("boq:bulk:updated"), {"project_id": "proj-123", "summary": summary, "updated_by": "user-456"}
        )

    def test_emit_goes_to_a_room_but_not_to_except_sid(self):
        anna, ben = self.listen("anna"), self.listen("ben")
        sent = self.manager.emit("project:proj-123", "site:weather", [1, "two", None], except_sid=ben.sid)
        self.assertEqual(sent.recipients, 1)
        self.assertEqual(anna.wait_for("site:weather"), [1, "two", None])
        self.manager.emit("user:ben", "site:only-ben", "here")
        self.assertEqual(ben.wait_for("site:only-ben"), "here")
        self.assertFalse(ben.has("site:weather"))

    def test_a_volatile_event_is_sent_and_not_stored(self):
        anna = self.listen("anna")
        while not anna.has("site:wind"):  # between two of its polls it may miss one
            self.assertEqual(self.manager.emit("project:proj-123", "site:wind", 12.5, volatile=True).recipients, 1)
        self.assertEqual(anna.wait_for("site:wind"), 12.5)
        self.assertNotIn("site:wind", [event for event, _ in self.server.events()])

    def test_presence_connections_disconnect(self):
        ben = self.listen("ben")
        there = self.manager.presence("proj-123")
        self.assertEqual((there["project_id"], there["missing_nodes"]), ("proj-123", []))
        mine = [user for user in there["users"] if user["user_id"] == "ben"]
        self.assertEqual((mine[0]["name"], mine[0]["connections"] >= 1), ("Ben", True))
        sockets = self.manager.connections("ben")["sockets"]
        self.assertIn(["proj-123"], [socket["projects"] for socket in sockets if socket["sid"] == ben.sid])
        gone = self.manager.disconnect("ben")
        self.assertEqual((gone["user_id"], gone["disconnected"]), ("ben", len(sockets)))
        ben.wait_for("disconnect")
        self.assertEqual(self.manager.connections("ben")["connections"], 0)

    def test_the_coroutines_do_the_same(self):
        anna = self.listen("anna")

        async def main():
            async with Manager(self.server.url, KEY) as manager:
                await manager.broadcast_boq_update("proj-123", 7, {"qty": 1}, "u")
                await manager.broadcast_boq_bulk_update("proj-123", {"total": 1}, "u")
                await manager.broadcast_task_update("proj-123", "t", {"status": "done"}, "u")
                await manager.broadcast_comment("proj-123", 15, {"text": "x"})
                await manager.notify_user("anna", {"message": "x"})
                await manager.emit("project:proj-123", "last:one", {})
                users = (await manager.presence("proj-123"))["users"]
                sockets = (await manager.connections("anna"))["sockets"]
                gone = (await manager.disconnect("anna"))["disconnected"]
                return [user["user_id"] for user in users], len(sockets), gone

        names, sockets_n, gone = asyncio.run(main())
        self.assertIn("anna", names)
        self.assertEqual(gone, sockets_n)
        for event in ("boq:item:updated", "boq:bulk:updated", "task:updated", "comment:created", "notification:new"):
            anna.wait_for(event)
        self.assertEqual(anna.wait_for_durable("last:one"), {})

    def test_ids_may_be_numbers_and_uuids(self):
        one = uuid.uuid4()
        self.manager.broadcast_boq_update(one, one, {}, 5)
        (event, payload), = self.server.events(str(one))
        self.assertEqual(payload, {"project_id": str(one), "item_id": str(one), "updates": {}, "updated_by": "5"})
        self.manager.broadcast_task_update(77, 42, {}, "u")
        self.assertEqual(self.server.events("77")[0][1]["task_id"], 42)
        self.assertEqual(self.manager.presence(77)["users"], [])

    def test_an_id_cannot_leave_its_place_in_the_path(self):
        for bad in ("../users/anna", "a/b", "a?x=1", "ä"):
            with self.assertRaises(Refused) as caught:
                self.manager.presence(bad)
            self.assertEqual(caught.exception.status, 404)
        for bad in ("", None, b"x", True):
            with self.assertRaises(ValueError):
                self.manager.presence(bad)

    def test_a_decimal_arrives_digit_for_digit(self):
        price = decimal.Decimal("12345678901234567890.10")
        self.manager.broadcast_boq_update("decimals", "i", {"price": price, "text": '"1.50" \u2028 \U0001f3d7'}, "u")
        updates = self.server.events("decimals", parse_float=decimal.Decimal)[0][1]["updates"]
        self.assertEqual(str(updates["price"]), "12345678901234567890.10")
        self.assertEqual(updates["text"], '"1.50" \u2028 \U0001f3d7')

    def test_with_key_makes_a_repeated_call_one_event(self):
        once = self.manager.with_key("task-4711")
        first = once.broadcast_comment("keys", 1, {"text": "once"})
        again = once.broadcast_comment("keys", 1, {"text": "once"})
        self.assertEqual((first.repeated, again.repeated, again.id), (False, True, first.id))
        self.assertEqual(len(self.server.events("keys")), 1)
        with self.assertRaises(Refused) as caught:
            once.broadcast_comment("keys", 2, {"text": "another"})
        self.assertEqual((caught.exception.status, caught.exception.code), (409, "refused"))
        for bad in ("", "x" * 129, "a\nb", "ä", " a"):
            with self.assertRaises(ValueError):
                self.manager.with_key(bad)

    def test_each_refusal_has_the_problems_code_status_and_detail(self):
        for call, status, code, field in [
            (lambda m: m.broadcast_boq_update("proj-123", "i", "no object", "u"), 422, "invalid", "updates"),
            (lambda m: m.broadcast_boq_update("no id!", "i", {}, "u"), 422, "invalid", "project_id"),
            (lambda m: m.emit("project:proj-123", "disconnect", {}), 400, "event_reserved", None),
            (lambda m: m.emit("project:proj-123", "x" * 2000, {}), 422, "invalid", "event"),
            (lambda m: m.notify_user("anna", {"text": "x" * 2_000_000}), 413, "too_large", None),
        ]:
            with self.subTest(code=code, field=field), self.assertRaises(Refused) as caught:
                call(self.manager)
            error = caught.exception
            self.assertEqual((error.status, error.code, error.field), (status, code, field), error)
            self.assertEqual(error.attempts, 1)
            self.assertGreater(len(error.detail), 10)

    def test_a_wrong_key_and_a_server_without_one(self):
        with self.assertRaises(NotAllowed) as caught:
            SyncManager(self.server.url, "another-key-than-theirs").presence("proj-123")
        self.assertEqual((caught.exception.status, caught.exception.code), (401, "service_key_wrong"))
        self.assertNotIn("another-key", str(caught.exception) + repr(caught.exception))
        bare = Skybuild(key=None)
        self.addCleanup(bare.stop)
        bare.start()
        with self.assertRaises(NotAllowed) as caught:
            SyncManager(bare.url, KEY).emit("project:x", "y", 1)
        self.assertEqual((caught.exception.status, caught.exception.code), (403, "service_key_unset"))

    def test_errors_travel_by_pickle(self):
        with self.assertRaises(SkybuildError) as caught:
            self.manager.broadcast_boq_update("proj-123", "i", 7, "u")
        other = pickle.loads(pickle.dumps(caught.exception))
        self.assertIs(type(other), Refused)
        self.assertEqual(vars(other), vars(caught.exception))
        self.assertEqual(str(other), str(caught.exception))
        gone = Unavailable("timeout", "x", attempts=3)
        self.assertIn("3 times", str(pickle.loads(pickle.dumps(gone))))


class Json(unittest.TestCase):
    def test_what_becomes_what(self):
        when = datetime.datetime(2026, 11, 27, 9, 30, tzinfo=datetime.timezone.utc)
        for value, text in [
            ({"a": 1, "b": [None, True, 1.5, "ä"]}, '{"a":1,"b":[null,true,1.5,"ä"]}'),
            (decimal.Decimal("45.50"), "45.50"),
            ([decimal.Decimal("-0.10"), decimal.Decimal("1E+3")], "[-0.10,1E+3]"),
            (when, '"2026-11-27T09:30:00+00:00"'),
            (when.date(), '"2026-11-27"'),
            (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ]:
            self.assertEqual(encode(value), text.encode())

    def test_what_is_no_json_is_refused_before_it_is_sent(self):
        for value in (float("nan"), float("inf"), decimal.Decimal("NaN"), "\ud800"):
            with self.assertRaises(ValueError):
                encode({"x": value})
        for value in (b"bytes", {1, 2}, object()):
            with self.assertRaises(TypeError):
                encode({"x": value})


if __name__ == "__main__":
    unittest.main()
