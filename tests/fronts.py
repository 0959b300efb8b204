"""What stands before the portal: certificates of openssl, a visitor who checks them, nginx as documented."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from portal.settings import ROOT
from tests.processes import PATIENCE_S, free_port, until
from tests.tools import ask, require_tool

NAME = "contracts.example.com"
DEPLOY = ROOT / "docs" / "deploy"


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


# --- nginx --------------------------------------------------------------------------------------------


@dataclass
class Nginx:
    """The documented server blocks, with this machine's ports, certificate and folders put in."""

    folder: Path
    portal_port: int
    certificate: Certificate
    http: int = 0
    https: int = 0

    def __post_init__(self) -> None:
        self.http, self.https = free_port(), free_port()
        (self.folder / "nginx.conf").write_text(self.whole())
        (self.folder / "blocks.conf").write_text(self.blocks())

    @property
    def log(self) -> Path:
        return self.folder / "countersign.log"

    @property
    def error_log(self) -> Path:
        return self.folder / "countersign-error.log"

    def whole(self) -> str:
        """What Debian's nginx.conf gives: one process tree in the foreground, files in one folder."""
        places = "".join(
            f"    {kind}_temp_path {self.folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.geteuid() == 0 else ""
        return (
            f"{user}daemon off;\nworker_processes 1;\npid {self.folder / 'nginx.pid'};\n"
            f"error_log {self.folder / 'error.log'};\nevents {{ worker_connections 256; }}\n"
            f"http {{\n{places}    access_log {self.folder / 'access.log'};\n"
            f"    include {self.folder / 'blocks.conf'};\n}}\n"
        )

    def blocks(self) -> str:
        text = (DEPLOY / "nginx.conf").read_text()
        for found, put in (
            (r" *listen \[::\]:.*\n", ""),
            (r"listen 80;", f"listen 127.0.0.1:{self.http};"),
            (r"listen 443 ", f"listen 127.0.0.1:{self.https} "),
            (r"127\.0\.0\.1:8000", f"127.0.0.1:{self.portal_port}"),
            (r"/etc/letsencrypt/\S+/fullchain\.pem", str(self.certificate.cert)),
            (r"/etc/letsencrypt/\S+/privkey\.pem", str(self.certificate.key)),
            (r"/var/(log/nginx|www/html)", str(self.folder)),
        ):
            text, count = re.subn(found, put, text)
            assert count, f"docs/deploy/nginx.conf holds no {found}"
        return text

    def command(self, *words: str) -> list[str]:
        return [require_tool("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *words]

    def complaints(self) -> list[str]:
        """What `nginx -t` says besides that all is well, and that `http2` is newly written elsewhere."""
        said = subprocess.run(self.command("-t"), capture_output=True, text=True, timeout=30, check=False)
        fine = ("syntax is ok", "test is successful", '"listen ... http2" directive is deprecated')
        return [line for line in said.stderr.splitlines() if not any(words in line for words in fine)]

    @contextlib.contextmanager
    def running(self) -> Iterator[Nginx]:
        process = subprocess.Popen(self.command(), stderr=subprocess.PIPE, start_new_session=True)
        try:
            until(lambda: self.answers(process))
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
            process.stderr.close()  # type: ignore[union-attr]

    def answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, process.communicate()
        visitor = Visitor(self.http)
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return visitor.get("/").status == 308
        return False
