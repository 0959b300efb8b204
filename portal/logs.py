"""Structured log lines: one JSON object per line, without secrets.

Addresses that carry a token are logged by their rule, never as they were called; whatever else a
line holds, traces and words of libraries included, goes through `scrub` first.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context, request

from portal import scrub
from portal.settings import Settings, secret_values

LOG = logging.getLogger("countersign")
REFUSED = (400, 401, 403, 429)  # somebody was turned away; what is merely not there is no event

_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)


class JsonLines(logging.Formatter):
    """One event, one line: line breaks and control characters in values stay escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.name not in (LOG.name, "root"):
            line["logger"] = record.name
        line |= _about.get() or {}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(scrub.value(line), ensure_ascii=True)


def set_up(settings: Settings, level: int = logging.INFO) -> None:
    """Send every log to standard error as JSON lines, libraries' warnings included; once per process."""
    scrub.hide(secret_values(settings))
    if any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for logger in (LOG, logging.getLogger()):
        logger.addHandler(handler)
    for logger in (LOG, logging.getLogger("portal"), logging.getLogger("providers")):
        logger.setLevel(level)
    LOG.propagate = False


def catch_uncaught() -> None:
    """What nobody caught ends up as a line too, not as a bare trace. For processes of our own."""

    def in_process(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        LOG.critical("uncaught", exc_info=(kind, error, trace))

    sys.excepthook = in_process
    threading.excepthook = lambda args: (
        None if args.exc_value is None else in_process(args.exc_type, args.exc_value, args.exc_traceback)
    )


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Every line written inside carries these fields: which job, for which contract."""
    before = _about.set((_about.get() or {}) | fields)
    try:
        yield
    finally:
        _about.reset(before)


def event(name: str, **fields: Any) -> None:
    LOG.info(name, extra={"fields": fields})


def request_done(status: int, milliseconds: float, address: str, *, each: bool) -> None:
    """A line for a request that failed or was turned away; with `each`, for every one."""
    fields = request_fields() | {"status": status, "ms": round(milliseconds, 1), "client": address}
    if status >= 500:
        LOG.warning("request.failed", extra={"fields": fields})
    elif status in REFUSED:
        LOG.info("request.refused", extra={"fields": fields})
    elif each:
        LOG.info("request.done", extra={"fields": fields})


def failure(error: BaseException) -> None:
    fields = request_fields() if has_request_context() else {}
    LOG.error("error", exc_info=error, extra={"fields": fields | {"kind": type(error).__name__}})


def request_fields() -> dict[str, Any]:
    return {"request_id": g.get("request_id", ""), "method": request.method, "address": rule()}


def rule() -> str:
    """The address as the portal knows it, `/sign/<token>`; never as it was called."""
    return request.url_rule.rule if request.url_rule else "(no such address)"


def for_web_server() -> dict[str, Any]:
    """The same lines for what the web server itself has to say, in the words of logging.config."""
    own = {"handlers": ["console"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "portal.logs.JsonLines"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {"_granian": own | {"level": "WARNING"}, "granian.access": own | {"level": "INFO"}},
    }
