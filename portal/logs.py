"""Structured log lines: one JSON object per line, without secrets.

Addresses that carry a token are logged by their rule, never as they were called.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context, request

LOG = logging.getLogger("countersign")


class JsonLines(logging.Formatter):
    """One event, one line: line breaks and control characters in values stay escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def set_up(level: int = logging.INFO) -> None:
    """Send the portal's own log to standard error, once per process."""
    if LOG.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for logger in (LOG, logging.getLogger("portal")):
        logger.addHandler(handler)
        logger.setLevel(level)
    LOG.propagate = False


def event(name: str, **fields: Any) -> None:
    LOG.info(name, extra={"fields": fields})


def request_done(status: int) -> None:
    """A line for refused and failed requests; the ordinary ones are counted by the proxy in front."""
    if status < 500 or not has_request_context():
        return
    LOG.warning("request.failed", extra={"fields": request_fields() | {"status": status}})


def failure(error: BaseException) -> None:
    fields = request_fields() if has_request_context() else {}
    LOG.error("error", exc_info=error, extra={"fields": fields | {"kind": type(error).__name__}})


def request_fields() -> dict[str, Any]:
    rule = request.url_rule.rule if request.url_rule else "(no such address)"
    return {"request_id": g.get("request_id", ""), "method": request.method, "address": rule}
