"""What may go wrong with a call, as exceptions.

One class for each thing a caller does about it: ``Refused`` (mend the request), ``NotAllowed``
(mend the key), ``Unavailable`` (try again later), ``Misconfigured`` (mend the settings).  Knows
nothing of HTTP beyond the status number.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

__all__ = ["Misconfigured", "NotAllowed", "Refused", "SkybuildError", "Unavailable"]


class SkybuildError(Exception):
    """Anything that keeps a call from being done.

    ``code`` is stable and meant for programs: the server's (``service_key_wrong``, ``invalid``,
    ``store_busy`` ...; docs/client.md lists them), or one of this package's own (``unreachable``,
    ``timeout``, ``connection_lost``, ``certificate``, ``bad_answer``, ``busy``, ``misconfigured``),
    or ``http_<status>`` for an answer that names none, as proxies give.
    ``status`` is the HTTP status, ``None`` when there was no answer.
    ``detail`` is a sentence for a person.
    ``problem`` is the whole answer (RFC 9457), empty when there was none.
    ``retry_after`` is what the server asked to wait, in seconds, or ``None``.
    ``attempts`` is how often the request was tried.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        status: Optional[int] = None,
        problem: Optional[Dict[str, Any]] = None,
        retry_after: Optional[float] = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.problem: Dict[str, Any] = problem or {}
        self.retry_after = retry_after
        self.attempts = attempts

    @property
    def field(self) -> Optional[str]:
        """The member of the request that is at fault, when the server named one."""
        name = self.problem.get("field")
        return name if isinstance(name, str) else None

    def __str__(self) -> str:
        status = f"{self.status} " if self.status is not None else ""
        tried = f" (tried {self.attempts} times)" if self.attempts > 1 else ""
        return f"{status}{self.code}: {self.detail}{tried}"

    def __reduce__(self) -> Tuple[Any, ...]:
        # Task queues carry exceptions from process to process by pickle.
        return type(self), (self.code, self.detail, self.status, self.problem, self.retry_after, self.attempts)


class Refused(SkybuildError):
    """The server does not do what was asked (4xx): the same request again is refused again."""


class NotAllowed(SkybuildError):
    """The service key is missing, wrong, or the server has none (401, 403)."""


class Unavailable(SkybuildError):
    """No server, no answer in time, or one that cannot now (5xx), after all retries."""


class Misconfigured(SkybuildError, ValueError):
    """A setting of this package is missing or makes no sense."""
