# pgserver -- a PostgreSQL of a measurement's own: Debian's server with its own settings
# (fsync on), a new cluster in a temporary folder, a Unix socket there and no port.
#
# SPDX-License-Identifier: Apache-2.0
# Copyright the SkyBuild Realtime authors
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4]))
    if not found:
        sys.exit("no PostgreSQL in /usr/lib/postgresql: install the package postgresql")
    return found[-1].parent


class Postgres:
    def __init__(self):
        self.bin = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skybuild-pg-"))
        self.data = self.folder / "data"
        self.drop = []
        if os.geteuid() == 0:  # the server refuses root
            shutil.chown(self.folder, "postgres", "postgres")
            self.drop = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions")
        self.server = subprocess.Popen(["setpriv", *self.drop, "--pdeathsig", "QUIT", self.bin / "postgres", "-D", self.data, "-c", "listen_addresses=",
                                        "-c", f"unix_socket_directories={self.folder}"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        self.url = f"postgresql://postgres@/postgres?host={str(self.folder).replace('/', '%2F')}"
        for _ in range(500):
            if subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode == 0:
                return
            time.sleep(0.02)
        sys.exit("postgres does not answer")

    def _run(self, name, *args):
        subprocess.run(["setpriv", *self.drop, self.bin / name, *args], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    # Transactions a second of a pgbench script, one connection.
    def plain(self, script, seconds):
        path = self.folder / "plain.sql"
        path.write_text(script)
        out = subprocess.run([self.bin / "pgbench", "-h", self.folder, "-U", "postgres", "-n", "-c", "1", "-M", "prepared", "-T", str(seconds), "-f", path,
                              "postgres"], stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout
        return float(re.search(r"tps = ([\d.]+)", out).group(1))

    def close(self):
        self.server.terminate()  # waits for clients to end: there are none any more
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
