"""What stands before the portal: certificates of openssl, a visitor who checks them, nginx as documented."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.tools import ask

NAME = "contracts.example.com"


# --- Certificates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    """A certificate for NAME and this machine, its key, and the authority that vouches for it."""

    cert: Path
    key: Path
    ca: Path


def certificate(folder: Path) -> Certificate:
    made = Certificate(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    request, ca_key, names = folder / "request.pem", folder / "ca-key.pem", folder / "names.cnf"
    names.write_text(f"subjectAltName=DNS:{NAME},DNS:localhost,IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ask("openssl", "req", "-x509", *curve, "-keyout", ca_key, "-out", made.ca, "-subj", "/CN=Test authority",
        "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    ask("openssl", "req", *curve, "-keyout", made.key, "-out", request, "-subj", f"/CN={NAME}")
    ask("openssl", "x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", ca_key, "-days", "2",
        "-out", made.cert, "-extfile", names)  # fmt: skip
    return made


# --- Visitors ---------------------------------------------------------------------------------------


class Visitor:
    """A browser with cookies that follows nothing by itself: it asks this port for `name`, by https where
    it is given an authority, and then refuses whatever that authority does not vouch for."""

    def __init__(self, port: int, *, ca: Path | None = None, name: str = NAME, source: str = "127.0.0.1"):
        more: dict[str, Any] = {"source_address": (source, 0), "retries": False, "timeout": 20}
        if ca is None:
            self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, **more)
        else:
            self.pool = urllib3.HTTPSConnectionPool(
                "127.0.0.1", port, ca_certs=str(ca), cert_reqs="CERT_REQUIRED", server_hostname=name,
                assert_hostname=name, **more,
            )  # fmt: skip
        self.name, self.cookies = name, dict[str, str]()

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        sent = {"Host": self.name, "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        answer = self.pool.request(method, path, headers=sent | dict(headers or {}), redirect=False, **more)
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _equals, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        answer.text = answer.data.decode("utf-8", "replace")
        return answer

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        return self.ask("GET", path, headers)

    def post(self, page: str, fields: Mapping[str, Any], *, to: str = "", headers: Any = None) -> Any:
        """Send a form as it stands on a page, with that page's token."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page, headers).text)
        assert token, page
        return self.ask("POST", to or page, headers, fields={"csrf_token": token[1], **fields})

    def close(self) -> None:
        self.pool.close()
