"""A recipient's way through a signing by service calls, for tests that look at one step of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from portal.errors import PortalError
from portal.models import base
from portal.models.envelopes import Envelope, Recipient
from portal.models.notices import Notice
from portal.services import acts, ceremonies, factors, links, notices, sessions
from portal.services.ceremonies import Place
from tests.services.signing import recipient


def enter(envelope: Envelope, key: str, now: datetime) -> Callable[..., Place]:
    """Exchange a fresh link in a browser of its own; gives the place as it stands at a moment."""
    who = recipient(envelope, key)
    link, place = ceremonies.of_link(links.issue(who, now=now), now)
    token = sessions.open_outside("", now=now)
    ceremonies.enter(link, place, sessions.digest(token), by=place.actor("192.0.2.1"), now=now)
    return lambda at=now: ceremonies.find(who.id, token, at)


def agree(place: Callable[..., Place], now: datetime) -> None:
    acts.agree(place(now), "en", None, by=place(now).actor("192.0.2.1"), now=now)


def prepare(place: Callable[..., Place], now: datetime, **changes: Any) -> None:
    signature = {"name": "Claire Aubert", "title": "IT Director", "has_authority": True, "has_read": True}
    acts.prepare(place(now), acts.Signature("en", **{**signature, **changes}), by=place(now).actor(), now=now)


def confirm(place: Callable[..., Place], now: datetime) -> None:
    here = place(now)
    acts.confirm(here, document_sha256=here.document.sha256, by=here.actor("192.0.2.1", "Browser/1"), now=now)


def asks(envelope: Envelope, key: str, *wanted: str, **values: Any) -> None:
    """Make this recipient need these factors."""
    Recipient.update(factors=list(wanted), **values).where(
        (Recipient.envelope == envelope) & (Recipient.key == key)
    ).execute()


def send_code(place: Callable[..., Place], now: datetime) -> str:
    """Have a code texted, and read it from the message."""
    factors.send_code(place(now), by=place(now).actor(), now=now)
    row = Notice.select().where(Notice.kind == "signing_code").order_by(Notice.id.desc()).first()
    return notices.read(row)[0].rsplit("#", 1)[1].strip()


def at_once(jobs: Sequence[Callable[[], Any]]) -> tuple[int, list[PortalError]]:
    """Run callables in threads of their own that start together: how many went through, and refusals."""
    barrier, done, refused = threading.Barrier(len(jobs)), [], []
    broken: list[Exception] = []

    def run(job: Callable[[], Any]) -> None:
        barrier.wait()
        base.db.connect(reuse_if_open=True)
        try:
            job()
            done.append(job)
        except PortalError as error:
            refused.append(error)
        except Exception as error:
            broken.append(error)
        finally:
            base.db.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken, broken[0]
    return len(done), refused
