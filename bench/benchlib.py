# benchlib.py -- what bench/run, bench/memory and bench/syscalls share: starting a
# server on core 0 and the load on core 1, a store filled with users and projects,
# tokens, and the facts about the machine.  Standard library only.
#
# SPDX-License-Identifier: Apache-2.0
# Copyright the SkyBuild Realtime authors
import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECRET = "benchmark-secret-benchmark-secret-0123456789"
SERVER_CORE, LOAD_CORE = "0", "1"
# The load is one program that plays a thousand people: no limits per person.
UNLIMITED = {"RATE_LIMIT_EVENTS": "0", "MAX_CONNECTIONS_PER_USER": "0"}


def arguments(about):
    p = argparse.ArgumentParser(description=about)
    p.add_argument("--build", default="build/release", help="build folder (build/release)")
    return p


def end(number, _frame):
    sys.exit(128 + number)


# Told to end, a bench leaves its with blocks, which stop what they have started.
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, end)


class Programs:
    """Where the programs of one build are; says what to do when one is missing."""

    def __init__(self, build):
        self.build = ROOT / build
        self.raw, self.load = self.build / "bench/raw", self.build / "bench/load"
        self.skybuild = self.build / "skybuild"

    def need(self, *names):
        for name in names:
            path = getattr(self, name)
            if not path.exists():
                sys.exit(f"{path.relative_to(ROOT)} is missing: build it with `make` first, or name a --build folder")


def on_core(core, command):
    """The command on that core; it ends with the bench, also with one that was killed."""
    pin = ["taskset", "-c", core] if shutil.which("taskset") and os.cpu_count() > 1 else []
    bound = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    return bound + pin + [str(x) for x in command]


def jwt(user, seconds=24 * 3600):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    head = part(b'{"alg":"HS256","typ":"JWT"}')
    body = part(json.dumps({"sub": user, "iat": now, "exp": now + seconds}).encode())
    signed = head + b"." + body
    return (signed + b"." + part(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest())).decode()


class Site:
    """A temporary folder with a store of users and projects and a file of tokens."""

    def __init__(self, programs, users=1000, projects=10, database=None):
        self.programs = programs
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skybuild-bench-"))
        self.tokens = self.folder / "tokens"
        self.tokens.write_text("".join(jwt(f"user-{i}") + "\n" for i in range(users)))
        self.env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TZ")}
        self.env |= {"JWT_SECRET": SECRET, "DATABASE_URL": database or f"sqlite:///{self.folder}/bench.db", "HOST": "127.0.0.1",
                     "PORT": "0", "WORKERS": "1", "LOG_LEVEL": "info", "LOG_FORMAT": "text"} | UNLIMITED
        subprocess.run([programs.skybuild, "demo", "--users", str(users), "--projects", str(projects)], cwd=self.folder,
                       env=self.env, check=True, stdout=subprocess.DEVNULL, timeout=300)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """A running server.  kind: raw-plain, raw-coalesce or skybuild."""

    def __init__(self, programs, kind, site=None, wrap=()):
        self.kind, self.log = kind, tempfile.NamedTemporaryFile("w+", prefix="bench-log-")
        if kind == "skybuild":
            command, cwd, env = [programs.skybuild, "serve"], site.folder, site.env
        else:
            command, cwd, env = [programs.raw, "--" + kind.removeprefix("raw-")], None, None
        began = time.perf_counter()
        self.process = subprocess.Popen(list(wrap) + on_core(SERVER_CORE, command), cwd=cwd, env=env, stdout=self.log,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.port = self._wait_port()
        self.start_ms = (time.perf_counter() - began) * 1000
        self.pid = self.process.pid

    def _wait_port(self):
        limit = time.monotonic() + 20
        while time.monotonic() < limit and self.process.poll() is None:
            found = re.search(r"Listening on https?://[^\s]*:(\d+)", pathlib.Path(self.log.name).read_text())
            if found:
                return int(found.group(1))
            time.sleep(0.0005)
        self.process.kill()
        sys.exit(f"{self.kind} did not start:\n{pathlib.Path(self.log.name).read_text()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


@contextlib.contextmanager
def serving(programs, kind, site=None, wrap=()):
    server = Server(programs, kind, site, wrap)
    try:
        yield server
    finally:
        server.stop()


def load_command(programs, server, site, options):
    command = [programs.load, "--port", server.port, "--pid", server.pid]
    if server.kind == "skybuild":
        command += ["--tokens", site.tokens]
    return on_core(LOAD_CORE, command + [str(o) for o in options])


def load(programs, server, site, options, timeout=300):
    """Run the load generator to its end; its line of JSON as a dict."""
    done = subprocess.run(load_command(programs, server, site, options), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        log = pathlib.Path(server.log.name).read_text()[-1500:]
        sys.exit(f"load against {server.kind} failed: {done.stderr}\nlast words of the server:\n{log}")
    return json.loads(done.stdout)


def first_line(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "?"


def facts():
    """The machine, in one line."""
    memory = int(first_line("/proc/meminfo", "MemTotal").split()[0]) / 1048576
    return (f"{first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}, load average {os.getloadavg()[0]:.2f}")
