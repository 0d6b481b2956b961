"""https: the ssl module's defaults, and a CA file.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
import asyncio
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from skybuild_realtime import Manager, SyncManager, Unavailable

from .support import KEY, Scripted, answer

OK = answer(202)


def certificate(folder, name, *subject):
    """A self-signed certificate for the names: the path of a file with it and its key."""
    path = Path(folder, f"{name}.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(subject)}"]
    made = subprocess.run([*command, "-keyout", "-", "-out", "-"], capture_output=True, check=True)
    path.write_bytes(made.stdout)
    return str(path)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.ours = certificate(folder.name, "ours", "IP:127.0.0.1", "DNS:localhost")
        cls.other = certificate(folder.name, "other", "DNS:other.example")

    def server(self, path, *script):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server = Scripted(*script, context=context)
        self.addCleanup(server.__exit__)
        return server

    def test_both_ways_with_keep_alive_and_large_bodies(self):
        server = self.server(self.ours, OK)
        with SyncManager(server.url, KEY, ca_file=self.ours, retries=0) as sync:
            sync.emit("r", "x", "y" * 3_000_000)
            sync.emit("r", "x", 1)
            self.assertEqual(server.connections_n, 1)

        async def main():
            async with Manager(server.url, KEY, ca_file=self.ours, retries=0) as manager:
                await asyncio.gather(*[manager.emit("r", "x", "y" * 300_000) for _ in range(10)])
                await manager.emit("r", "x", 1)

        asyncio.run(main())
        self.assertEqual(len(server.requests), 13)
        self.assertLessEqual(server.connections_n, 11)

    def test_a_large_answer(self):
        body = b'{"users":[' + b"1," * 400_000 + b'1],"missing_nodes":[]}'
        server = self.server(self.ours, answer(200, body))
        with SyncManager(server.url, KEY, ca_file=self.ours) as sync:
            self.assertEqual(len(sync.presence("p")["users"]), 400_001)

    def test_a_certificate_of_nobody_we_know_is_refused_and_not_tried_again(self):
        server = self.server(self.ours, OK)
        for make in (
            lambda: SyncManager(server.url, KEY).emit("r", "x", 1),
            lambda: asyncio.run(Manager(server.url, KEY).emit("r", "x", 1)),
        ):
            with self.assertRaises(Unavailable) as caught:
                make()
            self.assertEqual((caught.exception.code, caught.exception.attempts), ("certificate", 1))
            self.assertIn("self-signed", caught.exception.detail)
        self.assertEqual(server.requests, [])

    def test_a_certificate_of_another_name_is_refused(self):
        server = self.server(self.other, OK)
        with self.assertRaises(Unavailable) as caught:
            SyncManager(server.url, KEY, ca_file=self.other).emit("r", "x", 1)
        self.assertEqual(caught.exception.code, "certificate")
        self.assertEqual(server.requests, [])

    def test_a_server_without_tls_never_sees_the_key(self):
        with Scripted(OK) as plain, self.assertRaises(Unavailable) as caught:
            SyncManager(plain.url.replace("http:", "https:"), KEY, retries=0, timeout=0.5).emit("r", "x", 1)
        self.assertEqual(caught.exception.code, "unreachable")
        self.assertNotIn(KEY, str(plain.requests))

    def test_a_connection_lost_in_the_middle(self):
        server = self.server(self.ours, "close", "reset", OK)
        with SyncManager(server.url, KEY, ca_file=self.ours) as sync:
            self.assertEqual(sync.emit("r", "x", 1).recipients, 0)
        self.assertEqual(len({headers["idempotency-key"] for _, headers, _ in server.requests}), 1)


if __name__ == "__main__":
    unittest.main()
