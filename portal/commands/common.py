"""What every command needs: how it is declared, how it answers, how it opens the installation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portal.errors import PortalError
from portal.settings import Settings, read

Command = Callable[[argparse.Namespace], int]


def add(group: Any, name: str, command: Command, help_text: str, *, with_json: bool = True) -> Any:
    made = group.add_parser(name, help=help_text, description=help_text)
    made.set_defaults(command=command)
    if with_json:
        made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def add_group(commands: Any, name: str, help_text: str) -> Any:
    return commands.add_parser(name, help=help_text).add_subparsers(required=True, metavar="WHAT")


def say(arguments: argparse.Namespace, answer: dict[str, Any], text: str) -> None:
    print(json.dumps(answer, ensure_ascii=False, sort_keys=True) if arguments.json else text)


# --- opening ---------------------------------------------------------------------------------


def open_prepared() -> Settings:
    """Keys, authority and tables made where they are missing."""
    from portal import serving

    settings = read(create_keys=True)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    serving.prepare(settings)
    return settings


def open_existing() -> bool:
    """Open the database where there is one; nothing is created. False when there is none."""
    import peewee

    from portal.models import schema
    from portal.services import installation

    settings = read()
    if settings.database_url.startswith("sqlite") and not database_file(settings).exists():
        return False
    installation.open_installation(settings)
    try:
        return not schema.pending()
    except peewee.PeeweeException as error:
        said = str(error).strip().splitlines()[0]
        raise PortalError(f"The database does not answer ({said}).") from error


def need_existing() -> None:
    if not open_existing():
        raise PortalError("There is no prepared database here: check COUNTERSIGN_DATA_DIR and DATABASE_URL.")


def database_file(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))
