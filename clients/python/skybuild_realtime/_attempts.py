"""One call with its retries, as steps: when to try again, when to give up, what to raise.

Every attempt carries the same Idempotency-Key, so that the server makes one event of however
many arrive.  Tried again are: no connection, no answer, 502, 503, 504.  Any other answer stands.
Time and chance come from outside (``now``, ``chance``), so that a test can count in numbers.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""
from __future__ import annotations

import email.utils
import json
import logging
import random
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Type

from . import _waits
from ._calls import Call
from ._connection import Lost
from ._http1 import Answer, request_bytes
from ._settings import Settings
from ._version import VERSION
from ._waits import Sleep, Steps
from .errors import NotAllowed, Refused, SkybuildError, Unavailable

log = logging.getLogger("skybuild_realtime")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
_RETRIED = (502, 503, 504)

# One attempt: within so many seconds, but not beyond that time.
Ask = Callable[[float, float], Steps[Answer]]


class Patience(NamedTuple):
    """How long and how often; all times in seconds."""

    timeout: float = 5.0  # of one attempt
    retries: int = 8  # attempts after the first
    deadline: float = 30.0  # of the whole call


class Fault(NamedTuple):
    """An attempt that failed."""

    error: SkybuildError
    may_retry: bool


# ---- judging one attempt --------------------------------------------------------------------


def _json_object(body: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _retry_after(answer: Answer) -> Optional[float]:
    """Seconds of the Retry-After header, which holds a number or a date."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _error_class(status: int) -> Type[SkybuildError]:
    if status in (401, 403):
        return NotAllowed
    return Refused if 400 <= status < 500 else Unavailable


def judge_answer(answer: Answer, call: Call) -> Tuple[Dict[str, Any], Optional[Fault]]:
    """(the object of the answer, None), or ({}, what is wrong with it)."""
    value = _json_object(answer.body)
    if 200 <= answer.status < 300 and value is not None and all(name in value for name in call.expects):
        return value, None
    if answer.status < 400:
        detail = f"{call.method} {call.path} was answered {answer.status}, but not by a skybuild server; is the URL right?"
        return {}, Fault(Unavailable("bad_answer", detail, answer.status), False)
    problem = value or {}
    code = problem.get("code", f"http_{answer.status}")
    detail = problem.get("detail", f"{call.method} {call.path} was answered {answer.status}")
    error = _error_class(answer.status)(str(code), str(detail), answer.status, problem, _retry_after(answer))
    # 502 and 504 come from a proxy, behind which a volatile event may have been sent.
    return {}, Fault(error, answer.status == 503 or answer.status in _RETRIED and not call.is_volatile)


def judge_lost(lost: Lost, call: Call) -> Fault:
    return Fault(Unavailable(lost.code, lost.detail), lost.may_retry and not (call.is_volatile and lost.is_sent))


# ---- the call -------------------------------------------------------------------------------


def wait_before(attempt: int, retry_after: Optional[float], chance: Callable[[], float]) -> float:
    """Seconds before the attempt of that number (1 is the first retry).  Grows, with jitter, so that
    callers who failed together do not come back together; never less than the server asked for."""
    grown = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
    if retry_after is not None and retry_after > grown / 2:
        return retry_after + FIRST_WAIT_S * chance()
    return grown * (1.0 + chance()) / 2


def head_of(settings: Settings) -> str:
    """The header lines that every request to this server has."""
    lines = [f"Host: {settings.authority}", f"Authorization: Bearer {settings.api_key}", "Accept: application/json"]
    return "".join(f"{line}\r\n" for line in [*lines, f"User-Agent: skybuild-realtime-python/{VERSION}"])


def request_of(call: Call, path: str, head: str, key: str) -> bytes:
    head = f"{head}Idempotency-Key: {key}\r\n"
    if call.body:
        head += "Content-Type: application/json\r\n"
    return request_bytes(call.method, path + call.path, head, call.body)


def perform(
    call: Call,
    ask: Ask,
    patience: Patience,
    now: Callable[[], float] = _waits.now,
    chance: Callable[[], float] = random.random,
) -> Steps[Dict[str, Any]]:
    """The object that the server answers.  Raises SkybuildError."""
    ends = now() + patience.deadline
    attempt = 0
    while True:
        attempt += 1
        try:
            value, fault = judge_answer((yield from ask(patience.timeout, ends)), call)
        except Lost as lost:
            value, fault = {}, judge_lost(lost, call)
        if fault is None:
            return value
        error = fault.error
        error.attempts = attempt
        wait = wait_before(attempt, error.retry_after, chance)
        if not fault.may_retry or attempt > patience.retries or now() + wait >= ends:
            raise error
        log.info("%s %s: %s; attempt %d in %.2f s", call.method, call.path, error.code, attempt + 1, wait)
        yield Sleep(wait)
