"""One careful request to a gateway: timeouts, no redirects, a small answer, nothing secret in errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from portal.channels import Unavailable
from portal.channels.sms.reasons import reason
from portal.settings import is_loopback

SECONDS = (5, 15)
LARGEST = 64 * 1024
LONGEST_REST = timedelta(hours=1)
NOT_PROCESSED = (408, 425, 429, 503)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The object in it; an empty one where there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def base(host: str, port: int | None) -> str:
    """Where a gateway is: https, except on this machine."""
    scheme = "http" if is_loopback(host) else "https"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}" if port else f"{scheme}://{shown}"


def ask(method: str, url: str, **what: Any) -> Answer:
    """Raises Unavailable where no answer came; `may_be_taken` says that the request may have arrived."""
    import requests

    try:
        with requests.request(
            method, url, timeout=SECONDS, allow_redirects=False, stream=True, **what
        ) as answer:
            return Answer(answer.status_code, dict(answer.headers), limited(answer))
    except requests.RequestException as error:
        if never_left(error):
            raise Unavailable(reason("unreachable", type(error).__name__)) from error
        raise Unavailable(reason("unanswered", type(error).__name__), may_be_taken=True) from error


def limited(answer: Any) -> bytes:
    """The body, as far as it is one of ours: what goes on for ever is cut off."""
    body = b""
    for part in answer.iter_content(4096):
        body += part
        if len(body) > LARGEST:
            return b""
    return body


def never_left(error: Exception) -> bool:
    """Whether the other side cannot have seen the request: no line to it was made."""
    import requests
    from urllib3.exceptions import NewConnectionError

    kinds = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.InvalidURL)
    inner = error.args[0] if error.args else None
    return isinstance(error, kinds) or isinstance(getattr(inner, "reason", None), NewConnectionError)


def demand_open(answer: Answer) -> None:
    """Raise Unavailable where the gateway is busy, broken or does not know us."""
    if answer.status in (401, 403):
        raise Unavailable(reason("credentials", answer.status))
    if answer.status == 402:
        raise Unavailable(reason("account", answer.status))
    if answer.status in NOT_PROCESSED:
        raise Unavailable(reason("busy", answer.status), rest(answer.headers))
    if answer.status >= 500:
        raise Unavailable(reason("busy", answer.status), rest(answer.headers), may_be_taken=True)


def rest(headers: Mapping[str, str]) -> timedelta | None:
    """How long the gateway asks to be left alone: seconds, or a date; at most an hour."""
    wanted = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if wanted.isdigit():
        asked = timedelta(seconds=min(int(wanted), 86_400))
    else:
        try:
            asked = parsedate_to_datetime(wanted) - datetime.now(UTC)
        except (TypeError, ValueError):
            return None
    return max(timedelta(seconds=1), min(asked, LONGEST_REST))


def parts(url: str) -> Any:
    """An address split; its host is never missing."""
    found = urlsplit(url)
    return found if found.hostname else found._replace(netloc="localhost")
