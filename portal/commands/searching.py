"""`countersign search rebuild`: read every contract anew for the search in texts."""

from __future__ import annotations

import argparse
from typing import Any

from portal.clock import utc_now
from portal.commands.common import add, add_group, need_existing, say


def declare(commands: Any) -> None:
    search = add_group(commands, "search", "the search in the texts of contracts")
    add(search, "rebuild", do_rebuild, "throw the kept words away and have every contract read anew")


def do_rebuild(arguments: argparse.Namespace) -> int:
    from portal.services import contract_texts

    need_existing()
    count = contract_texts.rebuild(utc_now())
    say(arguments, {"forgotten": count}, f"{count} contracts are read anew by the worker.")
    return 0
