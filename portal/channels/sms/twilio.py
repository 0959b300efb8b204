"""Twilio Programmable Messaging, API version 2010-04-01.

`twilio://ACCOUNT_SID:AUTH_TOKEN@api.twilio.com?from=%2B447700900123`, or `?service=MG...` for a
messaging service. Twilio takes no key against doubles, so before a message is sent again those sent
to the number are looked through for the same text. Receipts are signed with the auth token; they
carry no price, so a message is also looked up.
Sources: twilio.com/docs/messaging/api/message-resource, /docs/usage/security, /docs/api/errors
(November 2026).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from portal.channels import Message, Rejected, Unavailable
from portal.channels.sms import http
from portal.channels.sms.interface import (
    DELIVERED,
    LOOK,
    ON_ITS_WAY,
    RETURNED,
    BadSignature,
    Call,
    Field,
    Receipt,
)
from portal.channels.sms.reasons import reason
from portal.i18n import lazy

HOST = "api.twilio.com"
FIELDS = (
    Field("account", lazy("Account SID"), lazy("Begins with AC; on the first page of the Twilio console.")),
    Field("token", lazy("Auth token"),
          lazy("Beside the account SID. It is kept encrypted and never shown again."), is_secret=True),
    Field("sender", lazy("Sender"),
          lazy("Your Twilio number with its country code, a sender name, or a messaging service (MG...).")),
    Field("host", lazy("Server"), lazy("Only another region of Twilio has another one."), default=HOST),
)  # fmt: skip

STATUS = {
    "accepted": ON_ITS_WAY, "scheduled": ON_ITS_WAY, "queued": ON_ITS_WAY, "sending": ON_ITS_WAY,
    "sent": ON_ITS_WAY, "delivered": DELIVERED, "read": DELIVERED, "undelivered": RETURNED,
    "failed": RETURNED, "canceled": RETURNED,
}  # fmt: skip
# Error numbers of an answer or a receipt; what is not here is "refused" or "unclear".
REASONS = {
    20003: "credentials", 20005: "account", 20404: "credentials", 20429: "busy", 21211: "invalid",
    21212: "sender", 21214: "invalid", 21217: "invalid", 21408: "country", 21602: "content",
    21603: "sender", 21606: "sender", 21610: "opted_out", 21611: "busy", 21612: "country",
    21614: "not_mobile", 21617: "content", 21659: "sender", 21660: "sender", 21661: "sender",
    21703: "sender", 30001: "busy", 30002: "account", 30003: "off", 30004: "blocked",
    30005: "unknown_number", 30006: "not_mobile", 30007: "filtered", 30008: "unclear", 30034: "sender",
    30036: "late", 63038: "account",
}  # fmt: skip
OURS = ("credentials", "account", "busy")  # mended on our side or by waiting: worth another try

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Twilio:
    base: str
    account: str
    token: str = field(repr=False)
    sender: str
    receipts_at: str = ""
    name = "twilio"
    keeps_text = False
    on_doubt = LOOK
    can_be_asked = True

    @classmethod
    def of(cls, url: str, receipts_at: str = "") -> Twilio:
        parts = http.parts(url)
        query = dict(parse_qsl(parts.query))
        return cls(
            base=http.base(parts.hostname, parts.port),
            account=unquote(parts.username or ""),
            token=unquote(parts.password or ""),
            sender=query.get("service") or query.get("from", ""),
            receipts_at=receipts_at,
        )

    def send(self, message: Message) -> str | None:
        form = {"To": message.to, "Body": message.text}
        form["MessagingServiceSid" if self.sender.startswith("MG") else "From"] = self.sender
        if self.receipts_at:
            form["StatusCallback"] = f"{self.receipts_at}?{urlencode({'message': message.id})}"
        answer = self._ask("POST", "Messages.json", data=form)
        if not answer.is_good:
            raise Rejected(self._why(answer, "refused"))
        remote_id = answer.json().get("sid")
        if not remote_id:
            raise Unavailable("unanswered", may_be_taken=True)
        return str(remote_id)

    def find(self, message: Message, since: datetime) -> str | None:
        query = {"To": message.to, "DateSent>": since.date().isoformat(), "PageSize": "50"}
        answer = self._ask("GET", "Messages.json", params=query)
        if not answer.is_good:
            raise Unavailable(self._why(answer, "unanswered"))
        rows = answer.json().get("messages") or []
        return next((str(row.get("sid")) for row in rows if row.get("body") == message.text), None)

    def look_up(self, remote_id: str) -> Receipt:
        answer = self._ask("GET", f"Messages/{quote(remote_id, safe='')}.json")
        if not answer.is_good:
            raise Unavailable(self._why(answer, "unanswered"))
        found = answer.json()
        return self._receipt(found.get("status"), found.get("error_code"), remote_id, found)

    def receipt(self, call: Call, now: datetime) -> Receipt | None:
        """Twilio signs the whole address and every parameter, so both are put together as it did."""
        given = {name.lower(): value for name, value in call.headers.items()}.get("x-twilio-signature", "")
        form = parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
        if not hmac.compare_digest(given.encode(), self.signature(call.url, form).encode()):
            raise BadSignature
        values = dict(form)
        ours = dict(parse_qsl(urlsplit(call.url).query)).get("message", "")
        status = values.get("MessageStatus", "")
        if status not in STATUS:
            log.warning("twilio: a receipt with an unknown status is left alone: %.40r", status)
            return None
        return self._receipt(status, values.get("ErrorCode"), values.get("MessageSid", ""), {}, ours)

    def signature(self, url: str, form: list[tuple[str, str]]) -> str:
        text = url + "".join(name + value for name, value in sorted(set(form)))
        digest = hmac.new(self.token.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def check(self) -> None:
        answer = self._ask("GET", "")
        if not answer.is_good:
            raise Rejected(self._why(answer, "refused"))
        if answer.json().get("status") != "active":
            raise Rejected("account")

    def _ask(self, method: str, path: str, **what: Any) -> http.Answer:
        account = f"{self.base}/2010-04-01/Accounts/{quote(self.account, safe='')}"
        url = f"{account}/{path}" if path else f"{account}.json"
        answer = http.ask(method, url, auth=(self.account, self.token), **what)
        word = REASONS.get(code_of(answer), "")
        if word in OURS:
            raise Unavailable(reason(word, code_of(answer)), http.rest(answer.headers))
        if word == "":
            http.demand_open(answer)
        return answer

    def _why(self, answer: http.Answer, otherwise: str) -> str:
        code = code_of(answer)
        return reason(REASONS.get(code, otherwise), code or answer.status)

    def _receipt(
        self, status: Any, error: Any, remote_id: str, found: dict[str, Any], ours: str = ""
    ) -> Receipt:
        outcome = STATUS.get(str(status), ON_ITS_WAY)
        code = int(error) if str(error or "").isdigit() else 0
        why = reason(REASONS.get(code, "unclear"), code or "") if outcome == RETURNED else ""
        return Receipt(outcome, ours, remote_id, why, price_of(found), str(found.get("price_unit") or ""))


def code_of(answer: http.Answer) -> int:
    """Twilio's own number for what went wrong; 0 where there is none."""
    code = answer.json().get("code") if not answer.is_good else 0
    return code if isinstance(code, int) else 0


def price_of(found: dict[str, Any]) -> Decimal | None:
    """What the message cost; Twilio writes it as a negative amount, some time after sending."""
    try:
        return abs(Decimal(str(found["price"]))) if found.get("price") else None
    except InvalidOperation:
        return None
