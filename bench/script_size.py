"""Script on the signing route: every file that the pages of a signing name, gzip -6, in KB."""

from __future__ import annotations

import gzip
import re
from http.client import HTTPConnection
from urllib.parse import urljoin

from bench import stage
from bench.table import Row, show

SCRIPT = re.compile(r'<script[^>]*\ssrc="([^"]+)"')


def measure(small: bool) -> list[Row]:
    with stage.prepared() as held, stage.running(held) as portal:
        invitation = stage.Visit(f"/sign/{held.tokens[0]}", "")
        pages = [fetch(portal, invitation), fetch(portal, stage.signing_page(portal, held.tokens[0]))]
        names = {urljoin("/sign/", name) for page in pages for name in SCRIPT.findall(page.decode())}
        sizes = [len(gzip.compress(fetch(portal, stage.Visit(name, "")), 6)) for name in sorted(names)]
    if any(b"<script>" in page or b"javascript:" in page for page in pages):
        raise SystemExit("there is script inside a page")
    return [Row("script on the signing route, gzip", [sum(sizes) / 1000], "KB", 20)]


def fetch(portal: stage.Portal, visit: stage.Visit) -> bytes:
    connection = HTTPConnection("127.0.0.1", portal.port, timeout=20)
    connection.request("GET", visit.path, headers={"Cookie": visit.cookie})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{visit.path} answered {answer.status}")
    return content


if __name__ == "__main__":
    show(measure, __doc__)
