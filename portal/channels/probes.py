"""Whether a gateway would take a message, found out without sending one."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from portal.channels import Unavailable
from portal.channels.mail import server_of


def mail(url: str, seconds: float) -> None:
    """Connect, encrypt and sign in as MAIL_URL says. Raises Unavailable with the reason."""
    server_of(url).try_out(seconds)


def answers_at(url: str, seconds: float) -> datetime | None:
    """Ask an address for its headers; any answer will do. Its clock, where it says.

    A key in the address is not sent. Raises Unavailable.
    """
    from urllib.parse import urlsplit, urlunsplit

    import requests

    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    bare = urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))
    try:
        answer = requests.head(bare, timeout=seconds, allow_redirects=False)
    except requests.RequestException as error:
        raise Unavailable(type(error).__name__) from error
    try:
        return parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
