"""`backup`, `restore`, `keys restore` and `held`: a copy of everything, and the way back."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from portal.clock import utc_now
from portal.commands.common import add, add_group, need_existing, say
from portal.drivers import leave_out_unused
from portal.errors import PortalError
from portal.settings import read, refuse_unready

KEY_FILE = "recovery key, or a copy of the folder DATA_DIR/keys"


def declare(commands: Any) -> None:
    backup = add(commands, "backup", do_backup, "save database and documents into a new folder below DIR")
    backup.add_argument("folder", type=Path, metavar="DIR")
    backup.add_argument("--with-keys", action="store_true", help="save the keys too, unprotected")

    restore = add(commands, "restore", do_restore, "fill an empty DATA_DIR and database from a backup")
    restore.add_argument("folder", type=Path, metavar="DIR", help="a backup, or the folder of several")
    restore.add_argument(
        "--keys", type=Path, metavar="FILE", help="recovery key, or a copy of the folder keys"
    )
    ask_passphrase(restore)

    keys = add_group(commands, "keys", "the keys of this installation")
    put = add(keys, "restore", do_keys_restore, "put lost keys back where none lie")
    put.add_argument("keys", type=Path, metavar="FILE", help=KEY_FILE)
    ask_passphrase(put)

    held = add(commands, "held", do_held, "messages that are held since a restore")
    choice = held.add_mutually_exclusive_group()
    choice.add_argument("--send", action="store_true", help="let them go out now")
    choice.add_argument("--drop", action="store_true", help="never send them")


def ask_passphrase(command: Any) -> None:
    command.add_argument(
        "--passphrase-file", type=Path, metavar="FILE",
        help="file with the passphrase of the recovery key; asked for, or read from standard input, without",
    )  # fmt: skip


def do_backup(arguments: argparse.Namespace) -> int:
    refuse_unready(read().data_dir)
    need_existing()
    from portal.services import backups

    report = backups.make(arguments.folder, with_keys=arguments.with_keys, now=utc_now(), say=tell)
    say(arguments, asdict(report) | {"ok": report.ok}, backups.as_text(report))
    if report.ok:
        return 0
    tell(f"The backup is complete but for documents that are not whole ({len(report.damaged)}): see above.")
    return 1


def do_restore(arguments: argparse.Namespace) -> int:
    settings = read()
    leave_out_unused(settings)
    from portal.services import restores

    keys = keys_from(arguments.keys, arguments) if arguments.keys else None
    report = restores.restore(arguments.folder, read, keys=keys, now=utc_now(), say=tell)
    say(arguments, asdict(report) | {"ok": report.ok}, restores.as_text(report))
    if report.ok:
        return 0
    tell(f"Not everything holds after the restore ({len(report.faults)} faults): see above.")
    return 1


def do_keys_restore(arguments: argparse.Namespace) -> int:
    need_existing()
    from portal.services import restores

    opened, left = restores.put_keys(keys_from(arguments.keys, arguments), read, say=tell)
    lines = [f"The keys are back. {opened} executed PDFs open and are those registered.", *left]
    say(arguments, {"opened": opened, "left": left}, "\n".join(lines))
    return 0


def do_held(arguments: argparse.Namespace) -> int:
    need_existing()
    from portal.services import handlers, held

    handlers.load()
    if arguments.send or arguments.drop:
        count = (held.send if arguments.send else held.drop)(utc_now())
        say(arguments, {"sent" if arguments.send else "dropped": count}, f"{count} of them.")
        return 0
    rows = held.listed()
    text = "\n".join(f"{r['since']}  {r['work']}  {r['message']}  {r['to']}".rstrip() for r in rows)
    say(arguments, {"held": rows}, text or "Nothing is held.")
    return 0


def keys_from(path: Path, arguments: argparse.Namespace) -> Any:
    from portal.services import key_sets

    if not path.exists():
        raise PortalError(f"{path}: there is no such file.")
    return key_sets.read_from(path, passphrase_of(arguments))


def passphrase_of(arguments: argparse.Namespace) -> Callable[[], str]:
    def ask() -> str:
        if arguments.passphrase_file is not None:
            return str(arguments.passphrase_file.read_text()).rstrip("\r\n")
        if sys.stdin.isatty():
            return getpass.getpass("Passphrase of the recovery key: ")
        return sys.stdin.readline().rstrip("\r\n")

    return ask


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
