"""Where the settings come from, and what is refused of them.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import os
import tempfile
import unittest
from unittest import mock

from skybuild_realtime import Manager, Misconfigured, SkybuildError, SyncManager, _settings
from skybuild_realtime._settings import make, read_url

KEY = "a-service-key"


class Settings(unittest.TestCase):
    def refused(self, part, *args, **more):
        with self.assertRaisesRegex(Misconfigured, part) as caught:
            make(*args, **more)
        return caught.exception

    def test_arguments_win_over_the_environment(self):
        env = {"SKYBUILD_URL": "https://theirs:444/x", "SERVICE_API_KEY": "their-key"}
        found = make("http://mine", "my-key", None, env)
        self.assertEqual((found.origin, found.api_key), ("http://mine", "my-key"))
        found = make(None, None, None, env)
        self.assertEqual((found.origin, found.path, found.api_key), ("https://theirs:444", "/x", "their-key"))
        self.assertEqual(make(None, KEY, None, {}).origin, "http://127.0.0.1:8000")
        self.assertEqual(make(None, KEY, None, {"SKYBUILD_URL": ""}).origin, "http://127.0.0.1:8000")

    def test_urls(self):
        for text, expected in [
            ("http://h", (False, "h", 80, "")),
            ("https://h/", (True, "h", 443, "")),
            ("http://H.example:8000/realtime/", (False, "h.example", 8000, "/realtime")),
            ("http://[::1]:8000", (False, "::1", 8000, "")),
            ("https://b\u00fccher.example", (True, "xn--bcher-kva.example", 443, "")),
        ]:
            self.assertEqual(read_url(text), expected)
        self.assertEqual(make("http://[::1]:8000", KEY, None, {}).authority, "[::1]:8000")
        self.assertEqual(make("https://h", KEY, None, {}).authority, "h")

    def test_urls_that_are_refused(self):
        for text in (
            "", "h", "h:8000", "ftp://h", "http://", "http:///x", "http://h:x", "http://h:99999", "http://[::1", "http://h/?a=1",
            "http://h/#a", "http://h/a b", "http://h/\u00e4", "http://a b/", "http://h\r\nX: y", "ws://h",
        ):  # fmt: skip
            with self.subTest(url=text):
                self.refused("URL|url", text, KEY, None, {})
                if text:
                    with self.assertRaises(Misconfigured):
                        Manager(text, KEY)
        error = self.refused("password", "http://user:hunter2@h", KEY, None, {})
        self.assertNotIn("hunter2", str(error))

    def test_the_key_may_come_from_a_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".key") as file:
            file.write("from-a-file\r\n")
            file.flush()
            self.assertEqual(make(None, None, None, {"SERVICE_API_KEY_FILE": file.name}).api_key, "from-a-file")
            self.refused("both set", None, None, None, {"SERVICE_API_KEY_FILE": file.name, "SERVICE_API_KEY": KEY})
            file.seek(0)
            file.write("two\nlines\n")
            file.flush()
            error = self.refused("line end", None, None, None, {"SERVICE_API_KEY_FILE": file.name})
            self.assertNotIn("lines\n", str(error))
            file.truncate(0)
            self.refused("empty", None, None, None, {"SERVICE_API_KEY_FILE": file.name})
        self.refused("No such file", None, None, None, {"SERVICE_API_KEY_FILE": "/nowhere/key"})

    def test_keys_that_are_refused(self):
        self.refused("no service key", None, None, None, {})
        self.refused("no service key", None, None, None, {"SERVICE_API_KEY": ""})
        for key in ("", "with blank", "line\r\nX-Header: y", "k\u00e4y"):
            error = self.refused("api_key", None, key, None, {})
            if key:
                self.assertNotIn(key, str(error))

    def test_a_ca_file_that_is_none(self):
        self.refused("CA file /nowhere", "https://h", KEY, "/nowhere/ca.pem", {})
        self.refused("CA file", "https://h", KEY, __file__, {})

    def test_numbers_that_are_refused(self):
        nan = float("nan")
        for bad in (
            {"timeout": 0}, {"timeout": -1}, {"timeout": nan}, {"timeout": float("inf")}, {"deadline": 0}, {"deadline": nan},
            {"retries": -1}, {"pool_size": 0},
        ):  # fmt: skip
            with self.subTest(**bad), self.assertRaisesRegex(Misconfigured, next(iter(bad))):
                Manager("http://h", KEY, **bad)

    def test_the_key_is_in_no_text(self):
        manager = SyncManager("http://h", KEY)
        settings = make("http://h", KEY, None, {})
        for text in (repr(manager), str(manager), repr(manager.with_key("x")), repr(settings), str(settings)):
            self.assertNotIn(KEY, text)

    def test_the_environment_is_read_once_at_the_first_call(self):
        with mock.patch.dict(os.environ, {"SKYBUILD_URL": "http://127.0.0.1:1", "SERVICE_API_KEY": KEY}):
            manager = SyncManager(retries=0)
            with mock.patch.dict(os.environ, {"SKYBUILD_URL": "http://127.0.0.1:2"}):
                self.assertEqual(manager._core.ready()[0].port, 2)
            self.assertEqual(manager._core.ready()[0].port, 2)

    def test_both_bases(self):
        error = _settings.bad("x")
        self.assertIsInstance(error, SkybuildError)
        self.assertIsInstance(error, ValueError)


if __name__ == "__main__":
    unittest.main()
