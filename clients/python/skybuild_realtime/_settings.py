"""Where the server is, with which key, and how patient a call is.

Arguments are checked when they are given; what is not given is looked up in the environment
when it is first needed, so that a program may load its settings after the import.  The key is
never shown.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import os
import ssl
import urllib.parse
from typing import Mapping, NamedTuple, Optional, Tuple

from .errors import Misconfigured

URL_DEFAULT = "http://127.0.0.1:8000"  # where skybuild serve listens by itself
KEY_FILE_MAX_BYTES = 65536


class Settings(NamedTuple):
    """All of it, checked.  No key in its text."""

    is_https: bool
    host: str  # as a look-up wants it: no brackets
    port: int
    path: str  # in front of /api; "" unless a proxy wants one
    api_key: str
    tls: Optional[ssl.SSLContext]

    @property
    def authority(self) -> str:
        """host[:port] for the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_https else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{'https' if self.is_https else 'http'}://{self.authority}"

    def __repr__(self) -> str:
        return f"<Settings of {self.origin}{self.path}>"


def bad(detail: str) -> Misconfigured:
    return Misconfigured("misconfigured", detail)


def read_url(text: str) -> Tuple[bool, str, int, str]:
    """(is_https, host, port, path).  Raises Misconfigured."""
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        raise bad(f"the URL {text!r} cannot be used: {error}") from None
    if "@" in parts.netloc:
        raise bad("the URL holds a user or a password; the key goes into api_key or SERVICE_API_KEY")
    if parts.scheme not in ("http", "https") or not host:
        raise bad(f"the URL {text!r} is not http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.query or parts.fragment or not all("!" <= c <= "~" for c in parts.path):
        raise bad(f"the URL {text!r} may have a plain path behind the host, and nothing else")
    if not all("!" <= c <= "~" for c in host):
        raise bad(f"the host of the URL {text!r} holds a character that no host may have")
    is_https = parts.scheme == "https"
    return is_https, host, port or (443 if is_https else 80), parts.path.rstrip("/")


def check_key(key: str, origin: str) -> str:
    """The key itself.  Raises Misconfigured, without showing it."""
    if not key:
        raise bad(f"{origin} is empty")
    if not all("!" <= c <= "~" for c in key):
        raise bad(f"{origin} holds a blank, a line end or a character that is not ASCII")
    return key


def find_url(env: Mapping[str, str]) -> str:
    return env.get("SKYBUILD_URL") or URL_DEFAULT


def find_key(env: Mapping[str, str]) -> str:
    """SERVICE_API_KEY, or the content of the file SERVICE_API_KEY_FILE.  Raises Misconfigured."""
    key, path = env.get("SERVICE_API_KEY"), env.get("SERVICE_API_KEY_FILE")
    if key and path:
        raise bad("SERVICE_API_KEY and SERVICE_API_KEY_FILE are both set; set one of them")
    if key:
        return check_key(key, "SERVICE_API_KEY")
    if not path:
        raise bad(
            "there is no service key: set SERVICE_API_KEY or SERVICE_API_KEY_FILE to that of the server, or pass api_key"
        )
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(KEY_FILE_MAX_BYTES)
    except (OSError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
        raise bad(f"SERVICE_API_KEY_FILE={path} cannot be used: {why}") from None
    return check_key(text.rstrip("\r\n"), f"the file {path} of SERVICE_API_KEY_FILE")


def tls_context(ca_file: Optional[str]) -> ssl.SSLContext:
    """The ssl module's defaults, with the authorities of ca_file in place of the system's if given."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise bad(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from None


def make(url: Optional[str], api_key: Optional[str], ca_file: Optional[str], env: Optional[Mapping[str, str]] = None) -> Settings:
    """Settings of what was given and, for the rest, of the environment.  Raises Misconfigured."""
    env = os.environ if env is None else env
    is_https, host, port, path = read_url(find_url(env) if url is None else url)
    key = find_key(env) if api_key is None else check_key(api_key, "api_key")
    return Settings(is_https, host, port, path, key, tls_context(ca_file) if is_https else None)
