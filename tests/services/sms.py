"""An installation whose text messages leave through a simulator, for tests of what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from portal.services import installation, sms_receipts
from tests.simulators.sms import Report, SmsSimulator

PUBLIC = "https://contracts.example.com"


def leave_through(remote: SmsSimulator, *, public: bool = True) -> None:
    """Text messages go to the simulator; with `public` it may report to us."""
    home = installation.current()
    url: str = remote.address()  # type: ignore[attr-defined]
    home.settings = replace(
        home.settings, sms_url=url, base_url=PUBLIC if public else "",
        sources={**home.settings.sources, "SMS_URL": "environment"},
    )  # fmt: skip


def arrive(kind: str, report: Report, now: datetime, **changes: Any) -> None:
    """A report as it comes in at our address."""
    path = report.url.removeprefix(PUBLIC)
    sms_receipts.take(kind, path, report.headers, changes.get("body", report.body), now)
