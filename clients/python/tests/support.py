"""What the tests share: a real server, a client that listens, servers that misbehave.

Standard library only.  The server under test is build/release/skybuild, or the one that the
environment names by SKYBUILD.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import http.client
import json
import os
import queue
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent.parent
ROOT = PACKAGE_DIR.parent.parent
SKYBUILD = str((ROOT / os.environ.get("SKYBUILD", "build/release/skybuild")).resolve())
PATIENCE_S = float(os.environ.get("TEST_PATIENCE", "20000")) / 1000
KEY = "a-service-key-of-the-tests"

_SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99",
}
_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|LeakSanitizer has encountered|Assertion .* failed")


class Skybuild:
    """A server in a folder and a store of its own: anna owns proj-123, ben edits it, dora is no member."""

    def __init__(self, key=KEY, **env):
        self.dir = tempfile.mkdtemp(prefix="skybuild-py-")
        self.key = key
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            **_SANITIZERS,
            "HOST": "127.0.0.1",
            "PORT": "0",
            "DATABASE_URL": f"sqlite:///{self.dir}/skybuild.db",
            "JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough",
            "SHUTDOWN_TIMEOUT": "5",
            **({"SERVICE_API_KEY": key} if key else {}),
            **env,
        }
        self.process = None
        self.port = 0
        self.lines = []
        for user in ("anna", "ben", "dora"):
            self.cli("user", "add", user, "--name", user.title())
        self.cli("project", "add", "proj-123", "--name", "Riverside Tower", "--owner", "anna")
        self.cli("project", "share", "proj-123", "ben", "editor")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def cli(self, *args):
        done = subprocess.run([SKYBUILD, *args], env=self.env, cwd=self.dir, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"skybuild {' '.join(args)}: {done.stderr}")
        return done.stdout.strip()

    def token(self, user):
        return self.cli("token", user)

    def start(self):
        """Start it, on the port that it had before if it had one."""
        env = {**self.env, "PORT": str(self.port)}
        self.process = subprocess.Popen(
            [SKYBUILD, "serve"], env=env, cwd=self.dir, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr, listening), daemon=True)
        self._reader.start()
        if not listening.wait(PATIENCE_S):
            self.process.kill()
            raise AssertionError("skybuild did not start:\n" + "\n".join(self.lines[-20:]))
        return self

    def _read(self, stream, listening):
        with stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))
                found = re.search(r"Listening on http://[^\s]*:(\d+)", line)
                if found:
                    self.port = int(found[1])
                    listening.set()

    def kill(self):
        """kill -9: no time to put anything in order."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def stop(self):
        """End it and its folder; an unclean end fails the test."""
        try:
            if self.process and self.process.poll() is None:
                self.process.terminate()
                code = self.process.wait(PATIENCE_S)
                self._reader.join()
                report = [line for line in self.lines if _REPORT.search(line)]
                if code != 0 or report:
                    raise AssertionError(f"skybuild ended with {code}:\n" + "\n".join(report or self.lines[-20:]))
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def events(self, stream="proj-123", **loads):
        """[(event, payload without its number)] of the database, oldest first."""
        db = sqlite3.connect(f"file:{self.dir}/skybuild.db?mode=ro", uri=True)
        try:
            rows = db.execute("SELECT type, data, seq FROM events WHERE project = ? ORDER BY seq", (stream,)).fetchall()
        finally:
            db.close()
        events = [(event, json.loads(data, **loads), seq) for event, data, seq in rows]
        for _, payload, seq in events:
            assert not isinstance(payload, dict) or payload.pop("seq", seq) == seq, payload
        return [(event, payload) for event, payload, _ in events]

    def environment(self):
        """What a back end of this server has in its environment."""
        return {"SKYBUILD_URL": self.url, "SERVICE_API_KEY": self.key}


class Listener:
    """A Socket.IO client by long-polling, as small as it can be; keeps every event that comes."""

    def __init__(self, server, user, project="proj-123"):
        self.inbox = queue.Queue()
        self.earlier = []
        self.port = server.port
        self.path = "/socket.io/?EIO=4&transport=polling"
        self.path += "&sid=" + json.loads(self._request("GET")[1:])["sid"]
        self._request("POST", "40" + json.dumps({"token": server.token(user), "projects": [project]}))
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        self.seq = self.wait_for("joined_project" if project else "connected").get("seq", 0)

    def close(self):
        """Leave, and be gone from the server's counts."""
        try:
            self._request("POST", "1")
        except (AssertionError, OSError, http.client.HTTPException):
            pass  # it has ended already
        self._thread.join(PATIENCE_S)

    def _request(self, method, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, self.path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, text
            return text
        finally:
            connection.close()

    def _poll(self):
        try:
            while True:
                for packet in self._request("GET").split("\x1e"):
                    if packet == "2":
                        self._request("POST", "3")
                    elif packet.startswith("40"):
                        self.sid = json.loads(packet[2:])["sid"]
                    elif packet.startswith("42"):
                        self.inbox.put(tuple(json.loads(packet[2:])[:2]))  # a durable event has its offset behind
                    elif packet in ("1", "41"):
                        return self.inbox.put(("disconnect", None))
        except (AssertionError, OSError, http.client.HTTPException):
            self.inbox.put(("disconnect", None))

    def wait_for(self, event):
        """The payload of the next event of that name."""
        for i, (name, data) in enumerate(self.earlier):
            if name == event:
                del self.earlier[i]
                return data
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                name, data = self.inbox.get(timeout=max(0, ends - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the event {event} did not come") from None
            if name == event:
                return data
            self.earlier.append((name, data))

    def wait_for_durable(self, event):
        """The same of an event that is stored, without the number that it has for it."""
        payload = self.wait_for(event)
        before, self.seq = self.seq, payload.pop("seq")
        assert self.seq > before, (self.seq, before)
        return payload

    def has(self, event):
        """Did one come so far that nobody took?"""
        while not self.inbox.empty():
            self.earlier.append(self.inbox.get())
        return any(name == event for name, _ in self.earlier)


# ---- servers that misbehave -----------------------------------------------------------------


def answer(status, body=b'{"id":"x:1","recipients":0}', *headers):
    """The bytes of an answer."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Scripted:
    """A server that follows a script: each request gets the next line of it.

    A line is bytes to answer, "close" to close without a word, "reset" to close with RST, "silence"
    to never answer, or a float to wait before the next line.  At the end of the script the last line
    stays in force.  Keeps what was asked.
    """

    def __init__(self, *script, context=None):
        self.script = list(script)
        self.requests = []  # (request line, headers, body)
        self.connections_n = 0
        self.now_open = 0
        self.most_open = 0
        self._context = context
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._listener.close()

    def await_request(self):
        """Wait until somebody has asked something."""
        ends = time.monotonic() + PATIENCE_S
        while not self.requests:
            if time.monotonic() > ends:
                raise AssertionError(f"nobody has asked within {PATIENCE_S:g} s")
            time.sleep(0.01)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self._lock:
            self.connections_n += 1
            self.now_open += 1
            self.most_open = max(self.most_open, self.now_open)
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                while self._one(sock, stream):
                    pass
        except OSError:
            sock.close()
        finally:
            with self._lock:
                self.now_open -= 1

    def _next(self):
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _one(self, sock, stream):
        """Read a request and follow the script.  False: the connection is done."""
        line = stream.readline().decode("latin-1").strip()
        if not line:
            return False
        headers = {}
        while True:
            name, colon, value = stream.readline().decode("latin-1").strip().partition(": ")
            if not colon:
                break
            headers[name.lower()] = value
        request = (line, headers, stream.read(int(headers.get("content-length", 0))))
        with self._lock:
            self.requests.append(request)
        todo = self._next()
        while isinstance(todo, float):
            self._closed.wait(todo)
            todo = self._next()
        if todo == "silence":
            self._closed.wait()
        if todo == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        if isinstance(todo, bytes):
            sock.sendall(todo)
        return isinstance(todo, bytes)


class Relay:
    """Stands between a client and a server, and sees each answer before the client does.

    ``on_answer(bytes)`` may keep it back: True passes it on, False closes the client's connection.
    """

    def __init__(self, server, on_answer):
        self.server = server
        self.on_answer = on_answer
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                with socket.create_connection(("127.0.0.1", self.server.port)) as up:
                    while True:
                        request = sock.recv(65536)  # the tests' requests are small: one read is one request
                        if not request:
                            return
                        self.requests.append(request)
                        up.sendall(request)
                        data = up.recv(65536)
                        if not data or not self.on_answer(data):
                            return
                        sock.sendall(data)
            except OSError:
                return
