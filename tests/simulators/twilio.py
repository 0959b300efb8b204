"""A small Twilio: messages are taken, listed, fetched and reported as api.twilio.com would do it.

python -m tests.simulators.twilio --port 9011
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.simulators.sms import Report, SmsSimulator, Taken, by_hand

ACCOUNT, TOKEN = "AC" + "5" * 32, "auth-token-of-the-simulator"
# Numbers that Twilio refuses, as its own test numbers do.
REFUSED = {
    "+15005550001": (21211, "Invalid 'To' Phone Number"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}


@dataclass
class Twilio(SmsSimulator):
    status: str = "active"

    def address(self, sender: str = "+447400123456") -> str:
        return f"twilio://{ACCOUNT}:{TOKEN}@{self.host}?{urlencode({'from': sender})}"

    def answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if environ.get("HTTP_AUTHORIZATION") != f"Basic {login}":
            return "401 Unauthorized", {"code": 20003, "message": "Authenticate", "status": 401}
        found = re.fullmatch(
            rf"/2010-04-01/Accounts/{ACCOUNT}(?:/Messages(?:/(\w+))?)?\.json", environ["PATH_INFO"]
        )
        if not found:
            return "404 Not Found", {"code": 20404, "status": 404}
        if environ["REQUEST_METHOD"] == "POST":
            return self.create(dict(parse_qsl(body.decode())))
        if "Messages" not in environ["PATH_INFO"]:
            return "200 OK", {"sid": ACCOUNT, "status": self.status}
        if found[1]:
            known = next((each for each in self.taken if each.id == found[1]), None)
            return ("200 OK", shown(known)) if known else ("404 Not Found", {"code": 20404, "status": 404})
        to = dict(parse_qsl(environ["QUERY_STRING"])).get("To")
        rows = [each for each in reversed(self.taken) if to in (None, each.to)]
        return "200 OK", {"messages": [shown(each) for each in rows]}

    def create(self, form: dict[str, str]) -> tuple[str, dict[str, Any]]:
        to, sender = form.get("To", ""), form.get("From") or form.get("MessagingServiceSid")
        if to in REFUSED:
            code, said = REFUSED[to]
            return "400 Bad Request", {"code": code, "message": said, "status": 400}
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            return "400 Bad Request", {"code": 21211, "status": 400}
        if not sender:
            return "400 Bad Request", {"code": 21603, "status": 400}
        if not form.get("Body"):
            return "400 Bad Request", {"code": 21602, "status": 400}
        made = Taken(f"SM{len(self.taken):032x}", to, form["Body"], form.get("StatusCallback", ""))
        self.taken.append(made)
        return "201 Created", shown(made)

    def refusal(self, mood: str) -> dict[str, Any]:
        return {"code": 20429 if mood == "429" else int(mood), "status": int(mood)}

    def report(self, taken: Taken, status: str, error: int | None = None) -> Report:
        taken.status, taken.error = status, error
        form = {"MessageSid": taken.id, "SmsSid": taken.id, "MessageStatus": status, "SmsStatus": status,
                "To": taken.to, "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01"}  # fmt: skip
        if error:
            form["ErrorCode"] = str(error)
        text = taken.reports_to + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest())
        headers = {
            "X-Twilio-Signature": signature.decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return Report(taken.reports_to, headers, urlencode(form).encode())


def shown(taken: Taken) -> dict[str, Any]:
    return {
        "sid": taken.id, "to": taken.to, "body": taken.text, "status": taken.status,
        "error_code": taken.error, "price": f"-{taken.price}" if taken.price else None, "price_unit": "EUR",
    }  # fmt: skip


if __name__ == "__main__":
    by_hand(Twilio(), __doc__ or "", f"twilio://{ACCOUNT}:{TOKEN}@{{host}}?from=%2B447400123456")
