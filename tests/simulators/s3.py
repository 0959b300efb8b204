"""A small S3 on loopback: objects of one bucket, conditional puts, lists in pages.

`mood` is "well", "denied" or "failing"; `conflict` answers the next put as a bucket does while
another writer is at the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

PAGE = 2


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.mood = "well"
        self.conflict = False
        self.puts = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        _, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        status, reply, more = self._answer(environ, key, body)
        start(status, [("Content-Length", str(len(reply))), ("Content-Type", "application/xml"), *more])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else reply]

    def _answer(
        self, environ: dict[str, Any], key: str, body: bytes
    ) -> tuple[str, bytes, list[tuple[str, str]]]:
        method = environ["REQUEST_METHOD"]
        if self.mood == "denied":
            return fault("403 Forbidden", "AccessDenied")
        if self.mood == "failing":
            return fault("503 Service Unavailable", "SlowDown")
        if method == "PUT":
            return self._put(environ, key, body)
        if method == "DELETE":
            self.objects.pop(key, None)
            return "204 No Content", b"", []
        if not key:
            return self._list(parse_qs(environ["QUERY_STRING"]))
        if key not in self.objects:
            return fault("404 Not Found", "NoSuchKey")
        return "200 OK", self.objects[key], [("ETag", etag(self.objects[key]))]

    def _put(
        self, environ: dict[str, Any], key: str, body: bytes
    ) -> tuple[str, bytes, list[tuple[str, str]]]:
        self.puts += 1
        if self.conflict:
            self.conflict = False
            return fault("409 Conflict", "ConditionalRequestConflict")
        if environ.get("HTTP_IF_NONE_MATCH") == "*" and key in self.objects:
            return fault("412 Precondition Failed", "PreconditionFailed")
        self.objects[key] = body
        return "200 OK", b"", [("ETag", etag(body))]

    def _list(self, query: dict[str, list[str]]) -> tuple[str, bytes, list[tuple[str, str]]]:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        names = [name for name in sorted(self.objects) if name.startswith(prefix) and name > after]
        page, more = names[:PAGE], len(names) > PAGE
        entries = "".join(f"<Contents><Key>{escape(name)}</Key><Size>1</Size></Contents>" for name in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        flag = str(more).lower()
        text = f"<ListBucketResult><IsTruncated>{flag}</IsTruncated>{token}{entries}</ListBucketResult>"
        return "200 OK", text.encode(), []


def fault(status: str, code: str) -> tuple[str, bytes, list[tuple[str, str]]]:
    return status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), []


def etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'
