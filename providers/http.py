"""One careful request to a provider: timeouts, no redirects, no hidden retries, a bounded answer.

What went wrong becomes one of providers/errors.py: who retries, and when, is for the caller. The log
gets method, path, status and the beginning of a refusal; addresses lose their query, and bodies and
headers of ours are never written down.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from providers.errors import NotConfigured, ProviderError, Refused, Throttled, Unavailable
from providers.interface import mark

CONNECT_S, READ_S = 5, 30
LARGEST_BYTES = 110_000_000
LONGEST_REST_S = 3600.0
BINARY = ("application/pdf", "application/octet-stream", "application/zip", "*/*")
BUSY_REST_S = 30.0  # after a 429 that does not say how long
UNREACHABLE = mark("%(provider)s could not be reached.")
UNANSWERED = mark("%(provider)s did not answer in time; what became of the request is not known yet.")
BROKEN = mark("%(provider)s answered with an error of its own (%(status)s).")
GARBLED = mark("%(provider)s sent an answer that cannot be read.")
BUSY = mark("%(provider)s asks to be called less often.")
REFUSED = mark("%(provider)s refused: %(reason)s")
NO_REASON = mark("%(provider)s refused without a reason (%(status)s).")
NOT_LET_IN = mark(
    "%(provider)s does not accept our credentials any more. An administrator connects the account again."
)
NOT_SAFE = mark("Only encrypted addresses (https) can be used, or http on this machine.")

log = logging.getLogger(__name__)


class Expired(ProviderError):
    """The credentials were not accepted (401). Nothing was done; renewed ones may be."""


@dataclass(frozen=True)
class Reply:
    """A good answer (2xx or 3xx). Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    provider: str = ""
    is_rehearsal: bool = False  # a mock's bytes are no PDF; its content type is

    def json(self) -> Any:
        """What it holds. Raises Unavailable where that is no JSON: the effect is then not known."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unavailable(GARBLED, provider=self.provider) from error

    def object(self) -> dict[str, Any]:
        """The JSON object it holds. Raises Unavailable for anything else."""
        found = self.json()
        if not isinstance(found, dict):
            raise Unavailable(GARBLED, provider=self.provider)
        return found

    def pdf(self) -> bytes:
        """The PDF it holds. Raises Unavailable for anything else, so that half a file is never kept."""
        if self.is_rehearsal and self.headers.get("content-type", "").startswith(BINARY):
            return self.body
        if not self.body.startswith(b"%PDF-") or b"%%EOF" not in self.body[-2048:]:
            raise Unavailable(GARBLED, provider=self.provider)
        return self.body


Reasons = Callable[[int, Any], tuple[str, str]]  # (status, JSON or None) -> (code, the vendor's sentence)


def no_reasons(status: int, found: Any) -> tuple[str, str]:
    return "", ""


class Client:
    """Requests to one provider. `throttled` and `expired` are vendor codes that mean 429 and 401 under
    another status; `refused` are codes that say nothing of the credentials although they come with 401."""

    def __init__(
        self,
        label: str,
        *,
        reasons: Reasons = no_reasons,
        throttled: tuple[str, ...] = (),
        expired: tuple[str, ...] = (),
        refused: tuple[str, ...] = (),
        reset_header: str = "",
        rest_field: str = "",
    ) -> None:
        self.label = label
        self.is_rehearsal = False
        self._reasons = reasons
        self._throttled = throttled
        self._expired = expired
        self._refused = refused
        self._reset_header = reset_header  # holds the Unix second at which calls are allowed again
        self._rest_field = rest_field  # of the JSON of a 429: seconds, where no header says them
        self._session: Any = None

    def request(self, method: str, url: str, *, accept: tuple[int, ...] = (), **what: Any) -> Reply:
        """Send it once. `accept` are statuses besides 2xx and 304 that are answers to the caller.

        Raises Throttled, Expired, Refused (with status and code), or Unavailable.
        """
        demand_safe(url)
        started = time.monotonic()
        status, headers, body = self._send(method, url, what)
        self._log(method, url, status, started)
        if 200 <= status < 300 or status == 304 or status in accept:
            return Reply(status, headers, body, self.label, self.is_rehearsal)
        raise self._trouble(status, headers, body)

    def _send(self, method: str, url: str, what: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False
        try:
            with self._session.request(
                method, url, timeout=(CONNECT_S, READ_S), allow_redirects=False, stream=True, **what
            ) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return answer.status_code, headers, self._whole(answer, headers)
        except requests.RequestException as error:
            log.warning("provider.unanswered", extra={"fields": {
                "provider": self.label, "method": method, "path": urlsplit(url).path,
                "error": type(error).__name__,
            }})  # fmt: skip
            never_left = isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in repr(error)
            raise Unavailable(UNREACHABLE if never_left else UNANSWERED, provider=self.label) from error

    def _whole(self, answer: Any, headers: Mapping[str, str]) -> bytes:
        parts, size = [], 0
        for part in answer.iter_content(65536):
            parts.append(part)
            size += len(part)
            if size > LARGEST_BYTES:
                raise Unavailable(GARBLED, provider=self.label)
        return b"".join(parts)

    def _trouble(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        code, said = self._reasons(status, found)
        fields = {"provider": self.label, "status": status, "code": code, "said": said[:500]}
        log.warning("provider.refused", extra={"fields": fields})
        if status == 429 or code in self._throttled:
            return Throttled(
                BUSY, provider=self.label, retry_after_s=self._rest({**self._told(found), **headers})
            )
        if status >= 500 or status in (408, 425):
            return Unavailable(BROKEN, provider=self.label, status=status, retry_after_s=retry_after(headers))
        if (status == 401 and code not in self._refused) or code in self._expired:
            return Expired(NOT_LET_IN, provider=self.label)
        refused = (
            Refused(REFUSED, provider=self.label, reason=said[:300])
            if said
            else Refused(NO_REASON, provider=self.label, status=status)
        )
        refused.status, refused.code = status, code
        return refused

    def _told(self, found: Any) -> dict[str, str]:
        """What the body says of resting, as the header that says it elsewhere."""
        said = found.get(self._rest_field) if self._rest_field and isinstance(found, dict) else None
        return {"retry-after": str(int(said))} if isinstance(said, int | float) else {}

    def _rest(self, headers: Mapping[str, str]) -> float:
        asked = retry_after(headers)
        reset = headers.get(self._reset_header.lower(), "") if self._reset_header else ""
        if asked is None and reset.isdigit():
            asked = float(reset) - time.time()
        return max(1.0, min(BUSY_REST_S if asked is None else asked, LONGEST_REST_S))

    def _log(self, method: str, url: str, status: int, started: float) -> None:
        log.info("provider.call", extra={"fields": {
            "provider": self.label, "method": method, "path": urlsplit(url).path, "status": status,
            "ms": round((time.monotonic() - started) * 1000),
        }})  # fmt: skip


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the other side asks to be left alone, from a number or a date; at most an hour."""
    wanted = headers.get("retry-after", "").strip()
    if wanted.isdigit():
        asked = float(wanted)
    else:
        try:
            asked = (parsedate_to_datetime(wanted) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(1.0, min(asked, LONGEST_REST_S))


def demand_safe(url: str) -> None:
    """Raises NotConfigured for plain http beyond this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise NotConfigured(NOT_SAFE)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
