"""The package as it is delivered: built without a network, typed, standard library only, its README true.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import ast
import asyncio
import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import skybuild_realtime

from .support import KEY, PACKAGE_DIR, ROOT, Listener, Skybuild

SOURCES = sorted((PACKAGE_DIR / "skybuild_realtime").glob("*.py"))
OLDEST = (3, 9)

TYPED_USER = '''
from decimal import Decimal
from skybuild_realtime import Manager, Sent, SyncManager, websocket_manager

async def good() -> str:
    sent: Sent = await websocket_manager.broadcast_boq_update("p", 1, {"qty": Decimal(1)}, "u")
    users = (await Manager("http://h", "k").presence("p"))["users"]
    other: Sent = websocket_manager.sync.with_key("k").emit("r", "e", None, volatile=True)
    with SyncManager() as manager:
        manager.notify_user("u", {})
    return sent.id + users[0]["name"] + str(other.recipients)
'''
TYPED_MISTAKES = [
    'websocket_manager.sync.broadcast_comment("p", 1)',
    'websocket_manager.sync.broadcast_comment("p", 1, "no mapping")',
    'websocket_manager.sync.emit("r", "e", 1, volatile="yes")',
    'websocket_manager.sync.presence("p")["user"]',
    "websocket_manager.sync.connections(None)",
]


class Sources(unittest.TestCase):
    def test_they_are_python_3_9_and_import_the_standard_library_alone(self):
        self.assertGreater(len(SOURCES), 8)
        for path in SOURCES:
            tree = ast.parse(path.read_text(), str(path), feature_version=OLDEST)
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                for name in names:
                    self.assertIn(name.split(".")[0], {*sys.stdlib_module_names, "__future__"}, path)

    def test_each_says_what_it_is_and_whose(self):
        for path in [*SOURCES, *(PACKAGE_DIR / "tests").glob("*.py")]:
            if path.name == "__init__.py" and path.parent.name == "tests":
                continue
            doc = ast.get_docstring(ast.parse(path.read_text())) or ""
            self.assertIn("SPDX-License-Identifier: Apache-2.0", doc, path)

    def test_the_version_is_the_servers(self):
        found = re.search(r"project\(skybuild VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
        self.assertEqual(skybuild_realtime.__version__, found[1])

    @unittest.skipUnless(shutil.which("mypy"), "mypy is not installed (scripts/setup test)")
    def test_types_hold_and_tell_mistakes(self):
        with tempfile.TemporaryDirectory() as folder:

            def mypy(*args):
                command = ["mypy", "--strict", f"--python-version={OLDEST[0]}.{OLDEST[1]}", f"--cache-dir={folder}/cache", *args]
                env = {**os.environ, "MYPYPATH": str(PACKAGE_DIR)}
                return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder).stdout

            self.assertIn("Success", mypy(str(PACKAGE_DIR / "skybuild_realtime")))
            good, bad = Path(folder, "good.py"), Path(folder, "bad.py")
            good.write_text(TYPED_USER)
            self.assertIn("Success", mypy(str(good)))
            bad.write_text("\n".join(["from skybuild_realtime import websocket_manager", *TYPED_MISTAKES]))
            told = {int(line) for line in re.findall(r"^bad\.py:(\d+): error", mypy(str(bad)), re.M)}
            self.assertEqual(told, set(range(2, 2 + len(TYPED_MISTAKES))))


@unittest.skipUnless(
    importlib.util.find_spec("setuptools") and importlib.util.find_spec("wheel"),
    "python3-setuptools and python3-wheel are not installed (scripts/setup test)",
)
class Wheel(unittest.TestCase):
    def test_it_is_built_without_a_network_and_works_from_where_it_is_put(self):
        with tempfile.TemporaryDirectory() as folder:
            source, site = Path(folder, "source"), Path(folder, "site")
            shutil.copytree(PACKAGE_DIR, source, ignore=shutil.ignore_patterns("__pycache__", "tests", "build", "*.egg-info"))
            # What a build front end calls, with the settings of pyproject.toml alone.
            build = "import setuptools.build_meta as backend; print(backend.build_wheel('dist'))"
            env = {"PATH": os.environ["PATH"], "HTTPS_PROXY": "http://127.0.0.1:1", "PIP_NO_INDEX": "1"}
            done = subprocess.run([sys.executable, "-c", build], cwd=source, env=env, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            wheel = source / "dist" / done.stdout.split()[-1]
            self.assertEqual(wheel.name, f"skybuild_realtime-{skybuild_realtime.__version__}-py3-none-any.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = archive.namelist()
                metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
                archive.extractall(site)
            mine = {f"skybuild_realtime/{path.name}" for path in SOURCES} | {"skybuild_realtime/py.typed"}
            self.assertEqual({name for name in names if ".dist-info/" not in name}, mine)
            self.assertIn("Requires-Python: >=3.9", metadata)
            self.assertNotIn("Requires-Dist", metadata)
            code = "import skybuild_realtime as s; print(s.__file__, s.websocket_manager)"
            done = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"], capture_output=True, text=True)
            self.assertIn(str(site), done.stdout, done.stderr)


class FakeFastAPI:
    """As much of FastAPI as the README's example touches: it keeps the routes."""

    def __init__(self, lifespan):
        self.lifespan = lifespan
        self.routes = {}

    def patch(self, path):
        return lambda function: self.routes.setdefault(path, function)


class FakeCelery:
    """As much of Celery: a task that is run again when it raises what autoretry_for names."""

    def __init__(self, name):
        self.name = name

    def task(self, bind, autoretry_for, retry_backoff, max_retries):
        assert bind and issubclass(autoretry_for[0], Exception)

        def decorate(function):
            request = types.SimpleNamespace(id="9b4c2b1e-task")
            return lambda *args: function(types.SimpleNamespace(request=request), *args)

        return decorate


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Skybuild().start()
        cls.addClassCleanup(cls.server.stop)
        cls.examples = re.findall(r"```python\n(.*?)```", (PACKAGE_DIR / "README.md").read_text(), re.S)

    def listen(self):
        listener = Listener(self.server, "anna")
        self.addCleanup(listener.close)
        return listener

    def run_example(self, part, **modules):
        (code,) = [code for code in self.examples if part in code]
        code = code.replace("http://127.0.0.1:8000", self.server.url).replace("sixteen-bytes-or-more", KEY)
        fakes = {name: types.SimpleNamespace(**members) for name, members in modules.items()}
        manager = skybuild_realtime.Manager(self.server.url, KEY)
        self.addCleanup(manager.close)
        names, out = {"__name__": "example"}, io.StringIO()
        with mock.patch.dict(sys.modules, fakes), mock.patch.object(skybuild_realtime, "websocket_manager", manager):
            with contextlib.redirect_stdout(out):
                exec(compile(code, "README.md", "exec"), names)
        return names, out.getvalue()

    def test_the_first(self):
        anna = self.listen()
        names, _ = self.run_example("item_was_changed")
        asyncio.run(names["item_was_changed"]())
        self.assertEqual(anna.wait_for("boq:item:updated")["updates"], {"qty": 150, "unit_price": 45.5})

    def test_the_fastapi_service(self):
        anna = self.listen()
        names, _ = self.run_example("FastAPI", fastapi={"FastAPI": FakeFastAPI})

        async def main():
            app = names["app"]
            async with app.lifespan(app):
                return await app.routes["/projects/{project_id}/boq/{item_id}"]("proj-123", "item-1", {"qty": 2})

        self.assertEqual(asyncio.run(main()), {"item_id": "item-1", "qty": 2})
        self.assertEqual(anna.wait_for("boq:item:updated")["updates"], {"qty": 2})

    def test_the_celery_task_makes_one_event_however_often_it_runs(self):
        names, _ = self.run_example("Celery", celery={"Celery": FakeCelery})
        ids = {names["tell_import_done"]("celery", {"total": 1}, "user-1") for _ in range(3)}
        self.assertEqual(len(ids), 1)
        self.assertEqual(len(self.server.events("celery")), 1)

    def test_the_plain_script(self):
        _, out = self.run_example("SyncManager(")
        self.assertRegex(out, r"^0 connections got event proj-riverside:\d+\n$")

    def test_none_was_forgotten(self):
        self.assertEqual(len(self.examples), 4)


if __name__ == "__main__":
    unittest.main()
