"""`countersign providers list | check NAME | rehearse NAME`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from portal import scrub
from portal.commands import common
from portal.errors import PortalError
from providers import registry, rehearsal
from providers.errors import ProviderError
from providers.http import is_loopback
from providers.interface import Connection, Provider, Tokens

BESIDE = ("settings", "tokens", "server")  # what a file may hold besides settings


def declare(commands: Any) -> None:
    providers = common.add_group(commands, "providers", "who has people sign")
    common.add(providers, "list", do_list, "every provider, and the accounts connected")
    check = common.add(providers, "check", do_check, "whether the connected accounts of a provider let us in")
    check.add_argument("name", metavar="NAME", choices=registry.names())
    rehearse = common.add(
        providers, "rehearse", do_rehearse, "a whole envelope tried out, one line per step; nothing is kept"
    )
    rehearse.add_argument("name", metavar="NAME", choices=registry.names())
    way = rehearse.add_mutually_exclusive_group()
    way.add_argument("--config", type=Path, metavar="FILE.json", help="settings of an account, for a sandbox")
    way.add_argument("--base-url", metavar="URL", help="a mock server on this machine")
    rehearse.add_argument("--token", metavar="T", help="bearer token for --base-url")


# --- Accounts ------------------------------------------------------------------------------------


def do_list(arguments: argparse.Namespace) -> int:
    is_prepared = common.open_existing()
    from portal.services import connections

    default = connections.default() if is_prepared else None
    accounts = connections.all_connections() if is_prepared else []
    found = [
        {
            "name": name,
            "label": registry.label(name),
            "accounts": [
                {"id": each.id, "name": each.name, "status": each.status,
                 "is_default": default is not None and default.id == each.id}
                for each in accounts if each.provider == name
            ],
        }
        for name in registry.names()
    ]  # fmt: skip
    if arguments.json:
        print(json.dumps({"providers": found, "default": default.provider if default else "builtin"}))
        return 0
    for each in found:
        print(f"{each['name']:<14} {each['label']}")
        for account in each["accounts"]:
            mark = ", default" if account["is_default"] else ""
            print(f"{'':<14}   {account['name']} ({account['status']}{mark})")
    return 0


def do_check(arguments: argparse.Namespace) -> int:
    """Ask each connected account of the provider whose it is; exit 1 when one does not answer well."""
    keep_quiet()
    common.need_existing()
    from portal.services import connections

    if arguments.name == "builtin":
        return told(arguments, [{"name": "Countersign", "account": "builtin", "problem": ""}])
    accounts = [each for each in connections.all_connections() if each.provider == arguments.name]
    if not accounts:
        raise PortalError(f"No account at {registry.label(arguments.name)} is connected.")
    found = []
    for each in accounts:
        try:
            account = connections.provider(each).check()
            said = account.name or account.id
            found.append({"name": each.name, "account": said, "is_test": account.is_test, "problem": ""})
        except ProviderError as error:
            found.append({"name": each.name, "account": "", "problem": str(error)})
    return told(arguments, found)


def told(arguments: argparse.Namespace, found: list[dict[str, Any]]) -> int:
    if arguments.json:
        print(json.dumps({"accounts": found}))
    else:
        for each in found:
            trouble = each["problem"]
            print(f"{each['name']}: {trouble or each['account']}", file=sys.stderr if trouble else sys.stdout)
    return 1 if any(each["problem"] for each in found) else 0


# --- A rehearsal ---------------------------------------------------------------------------------


def do_rehearse(arguments: argparse.Namespace) -> int:
    """One line per step; exit 0 only when each was right, not offered or still being prepared."""
    if why := misused(arguments):
        print(why, file=sys.stderr)
        return 2
    keep_quiet()
    lines: list[rehearsal.Line] = []

    def tell(line: rehearsal.Line) -> None:
        lines.append(line)
        if not arguments.json:
            detail = f": {line.detail}" if line.detail else ""
            print(f"{line.step:<16} {line.outcome}{detail}", flush=True)

    try:
        if arguments.name == "builtin":
            is_right = rehearse_built_in(arguments, tell)
        else:
            is_right = rehearsal.run(provider_of(arguments), tell)
    except ProviderError as error:
        raise PortalError(str(error)) from error
    if arguments.json:
        steps = [{"step": each.step, "outcome": each.outcome, "detail": each.detail} for each in lines]
        print(json.dumps({"provider": arguments.name, "right": is_right, "steps": steps}))
    return 0 if is_right else 1


def misused(arguments: argparse.Namespace) -> str:
    """What is wrong with options that do not go together; empty where they do."""
    if arguments.token and not arguments.base_url:
        return "--token goes with --base-url only."
    if arguments.name == "builtin" and (arguments.config or arguments.base_url):
        return "builtin takes neither --config nor --base-url."
    return ""


def keep_quiet() -> None:
    """What providers log is for a log: on a terminal each step says its reason by itself."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())


def provider_of(arguments: argparse.Namespace) -> Provider:
    """From --config, from --base-url, or the account connected here."""
    if arguments.base_url:
        if not is_here(arguments.base_url):
            raise PortalError("--base-url takes plain http on this machine only, as http://127.0.0.1:4011.")
        if not arguments.token:
            raise PortalError("--base-url needs --token.")
        scrub.hide([arguments.token])
        return registry.get(
            arguments.name, Connection(id="rehearsal", base_url=arguments.base_url, token=arguments.token)
        )
    if arguments.config:
        return registry.get(arguments.name, described(arguments.config))
    common.need_existing()
    from portal.services import connections

    accounts = [each for each in connections.all_connections() if each.provider == arguments.name]
    if not accounts:
        label = registry.label(arguments.name)
        raise PortalError(f"No account at {label} is connected: give --config FILE.json or --base-url URL.")
    default = connections.default()
    return connections.provider(default if default in accounts else accounts[0])


def described(path: Path) -> Connection:
    """The account a file describes: its settings, beside them perhaps `tokens` and `server`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PortalError(f"{path} cannot be read as JSON.") from error
    if not isinstance(found, dict):
        raise PortalError(f"{path} must hold one JSON object with the settings of an account.")
    settings = found.get("settings", found)
    if not isinstance(settings, dict):
        raise PortalError(f"“settings” in {path} must be a JSON object.")
    kept = {k: str(v) for k, v in settings.items() if k not in BESIDE and isinstance(v, str | int)}
    server = str(found.get("server", ""))
    if server and not is_here(server):
        raise PortalError("“server” takes plain http on this machine only, as http://127.0.0.1:9001.")
    scrub.hide(kept.values())
    return Connection(settings=kept, tokens=tokens_in(found, path), server=server, id="rehearsal")


def tokens_in(found: dict[str, Any], path: Path) -> Tokens | None:
    """What an authorisation gave earlier: `access`, perhaps `refresh`, `expires_at` (ISO 8601), `facts`."""
    given = found.get("tokens")
    if given is None:
        return None
    try:
        ends = datetime.fromisoformat(given["expires_at"]) if given.get("expires_at") else None
        tokens = Tokens(
            str(given["access"]), ends.astimezone(UTC) if ends else None, str(given.get("refresh", "")),
            {str(name): str(value) for name, value in given.get("facts", {}).items()},
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PortalError(
            f"“tokens” in {path} must hold “access”, and may hold “refresh”, “expires_at” and “facts”."
        ) from error
    scrub.hide([tokens.access, tokens.refresh])
    return tokens


def is_here(url: str) -> bool:
    """Whether it is plain http on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def rehearse_built_in(arguments: argparse.Namespace, tell: Any) -> bool:
    """Built-in signing, in a data folder of its own that is thrown away."""
    from portal.commands.builtin_rehearsal import run

    with tempfile.TemporaryDirectory(prefix="countersign-rehearsal-") as folder:
        return run(Path(folder), tell)
