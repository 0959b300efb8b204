"""docusign-esign with its traps off: its calls and body shapes, our requests.

Left to itself the client retries silently (a 429 with `Retry-After: 3` was sent four times and held the
caller 9 s), ignores a timeout given as a float, has none by default, and hangs a handler for standard error
on the logger of urllib3 (all seen with 6.1.0). Here every request goes through the one function that is
handed in, and replies come back as they arrived: the client reads none of them, so a new field or a null
cannot break it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from providers.http import Reply

Call = Callable[..., Reply]  # (method, url, params=, json=, headers=)


@dataclass(frozen=True)
class Apis:
    """The parts of the client that are used. Their methods answer Reply with `_preload_content=False`."""

    accounts: Any
    envelopes: Any
    bulk: Any
    connect: Any


@cache
def load() -> tuple[Any, Any]:
    """(package, ApiClient that sends through us), imported with the first call."""
    loggers = [logging.getLogger(name) for name in ("docusign_esign", "urllib3")]
    before = [(each.level, list(each.handlers)) for each in loggers]
    import docusign_esign
    from docusign_esign.client.configuration import Configuration

    Configuration()  # a singleton; made now, so that what it does to the loggers can be undone
    for each, (level, handlers) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.handlers[:] = handlers

    class Through(docusign_esign.ApiClient):  # type: ignore[misc]
        """Does not call the parent's constructor, which would make a connection pool of its own."""

        def __init__(self, call: Call, host: str) -> None:
            self._call, self.host, self.cookie = call, host, None
            self.default_headers: dict[str, str] = {}

        def update_params_for_auth(self, headers: Any, querys: Any, auth_settings: Any) -> None:
            """The call that is handed in knows the token."""

        def request(
            self,
            method: str,
            url: str,
            query_params: Any = None,
            headers: Any = None,
            post_params: Any = None,
            body: Any = None,
            _preload_content: bool = True,
            _request_timeout: Any = None,
        ) -> Reply:
            if post_params or _preload_content:
                raise TypeError("Only JSON is sent, and replies are read by us.")
            accept = (headers or {}).get("Accept", "application/json")
            return self._call(method, url, params=query_params or None, json=body, headers={"Accept": accept})

    return docusign_esign, Through


def shape(name: str, /, **fields: Any) -> Any:
    """A body shape by its name. The client drops a field it does not know; here that is a TypeError."""
    made = getattr(load()[0].models, name)
    unknown = fields.keys() - made.swagger_types.keys()
    if unknown:
        raise TypeError(f"{name} has no {', '.join(sorted(unknown))}")
    return made(**fields)


def apis(call: Call, host: str) -> Apis:
    """The client's parts for one account's host (scheme, host, /restapi)."""
    package, client = load()
    through = client(call, host)
    return Apis(
        package.AccountsApi(through),
        package.EnvelopesApi(through),
        package.BulkEnvelopesApi(through),
        package.ConnectApi(through),
    )
