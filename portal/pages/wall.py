"""The wall around sample data: messages and one-press sign-in exist only on a sample installation
that nobody but this very machine can reach."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import request

from portal.errors import NotFound
from portal.pages import guards
from portal.services import gateways, installation
from portal.settings import is_loopback


def stands_open() -> bool:
    """True only when all holds: mailbox gateways, no public BASE_URL, a marked data folder, and a
    request that came straight from this machine, to a loopback name, through no proxy."""
    settings = installation.current().settings
    return (
        settings.base_url_is_local
        and settings.sample_marker.is_file()
        and is_this_machine()
        and gateways.all_stay_here()
    )


def is_this_machine() -> bool:
    """Whether the request came straight from this machine, to a loopback name, through no proxy."""
    arrival = guards.arrival()
    return (
        is_loopback(arrival.peer)
        and is_loopback(request.environ.get("SERVER_NAME", ""))
        and is_loopback(host_name(request.environ.get("HTTP_HOST", "")))
        and not arrival.sent
    )


def host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def behind_wall(view: Callable[..., Any]) -> Callable[..., Any]:
    """404 for everybody who is not inside the wall."""

    @wraps(view)
    def guarded(**arguments: Any) -> Any:
        if not stands_open():
            raise NotFound
        return view(**arguments)

    return guarded
