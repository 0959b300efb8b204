"""The `countersign` command. Text for people, `--json` for programs.

A refusal is one plain sentence on standard error and exit status 1; wrong usage is 2.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from portal import __version__
from portal.clock import utc_now
from portal.commands import backups, comparing, providers, searching
from portal.commands.common import (
    Command,
    add,
    add_group,
    database_file,
    need_existing,
    open_existing,
    open_prepared,
    say,
)
from portal.drivers import leave_out_unused
from portal.errors import PortalError
from portal.settings import BadSettings, describe, read, refuse_unready


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        command: Command = arguments.command
        return command(arguments)
    except BadSettings as error:
        return refuse(str(error))
    except PortalError as error:
        return refuse(error.message)
    except FileNotFoundError as error:
        return refuse(f"{error.filename}: there is no such file.")
    except OSError as error:
        return refuse(f"{error.filename or ''} {error.strerror or error}".strip() + ".")
    except KeyboardInterrupt:
        return 130


def refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="countersign", description="A portal for software support contracts.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    serve = add(commands, "serve", do_serve, "web and worker in one process tree")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=port)
    serve.add_argument("--workers", type=int, default=2, help="web processes (default 2)")

    demo = add(commands, "demo", do_demo, "like serve, on a sample database that is thrown away")
    demo.add_argument("--port", type=port)
    demo.add_argument(
        "--accounts",
        type=Path,
        metavar="FILE.json",
        help="provider accounts to connect, as `python -m tests.simulators --write FILE.json` describes them",
    )
    demo.add_argument("--keep", action="store_true", help="keep the sample in DATA_DIR, as `make run` does")

    work = add(commands, "work", do_work, "a job worker alone, for more machines")
    work.add_argument("--parent", type=int, help=argparse.SUPPRESS)

    people = add_group(commands, "people", "people who sign in")
    invite = add(people, "add", do_people_add, "prints a one-time invitation link")
    invite.add_argument("email")
    invite.add_argument("--role", action="append", required=True)
    invite.add_argument("--name", default="")

    migrate = add_group(commands, "migrate", "the tables of the database")
    for name, help_text in (("up", "bring the tables up to date"), ("down", "undo the newest migration"),
                            ("status", "what is applied and what is not")):  # fmt: skip
        add(migrate, name, do_migrate, help_text).set_defaults(direction=name)

    seal = add(commands, "seal", do_seal, "take a PDF in and seal it with this installation's key")
    seal.add_argument("source", type=Path, metavar="IN.pdf")
    seal.add_argument("target", type=Path, metavar="OUT.pdf")

    verify = add(commands, "verify", do_verify, "check a sealed PDF; exit 0 only when it is genuine")
    verify.add_argument("file", type=Path, metavar="FILE.pdf")
    verify.add_argument("--ca", type=Path, help="certificate authority of another installation, PEM")

    add(commands, "ca", do_ca, "this installation's certificate authority, PEM", with_json=False)

    audit = add_group(commands, "audit", "the trail")
    add(audit, "verify", do_audit_verify, "check every chain; names the first entry that does not hold")
    export = add(audit, "export", do_audit_export, "write the whole trail with its signed head")
    export.add_argument("file", type=Path, metavar="FILE")

    comparing.declare(commands)
    searching.declare(commands)
    providers.declare(commands)
    backups.declare(commands)

    add(commands, "settings", do_settings, "every setting, its value and where it comes from")
    add(commands, "doctor", do_doctor, "what is wrong with this installation and what to do")
    return top


def port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


# --- running ---------------------------------------------------------------------------------


def do_serve(arguments: argparse.Namespace) -> int:
    settings = read(create_keys=True)
    leave_out_unused(settings)
    from portal import serving

    number = serving.port_of(settings, arguments.port)

    def prepared() -> None:
        print(f"Countersign is at {serving.local_address(settings, arguments.host, number)}", flush=True)

    serving.serve(
        settings, host=arguments.host, port=number, workers=max(1, arguments.workers), prepared=prepared
    )
    return 0


def do_demo(arguments: argparse.Namespace) -> int:
    if arguments.keep:
        return serve_sample(arguments)
    with tempfile.TemporaryDirectory(prefix="countersign-demo-") as folder:
        os.environ["COUNTERSIGN_DATA_DIR"] = folder
        for name in ("DATABASE_URL", "STORAGE_URL", "BASE_URL", "MAIL_URL", "SMS_URL"):
            os.environ.pop(f"COUNTERSIGN_{name}", None)
        return serve_sample(arguments)


def serve_sample(arguments: argparse.Namespace) -> int:
    settings = read(create_keys=True)
    leave_out_unused(settings)
    from portal import sample, serving

    number = serving.port_of(settings, arguments.port)
    sample.found(settings, now=utc_now())

    def prepared() -> None:
        address = serving.local_address(settings, "127.0.0.1", number)
        print(sample.fill(settings, address, now=utc_now()), flush=True)
        if arguments.accounts is not None:
            print(sample.connect_accounts(arguments.accounts.read_text(encoding="utf-8")), flush=True)
        ends = (
            "The data stays; start again with the same command."
            if arguments.keep
            else "The data goes with it."
        )
        print(f"\nCtrl-C ends it. {ends}", flush=True)

    serving.serve(settings, host="127.0.0.1", port=number, workers=2, prepared=prepared)
    return 0


def do_work(arguments: argparse.Namespace) -> int:
    settings = read()
    refuse_unready(settings.data_dir)
    leave_out_unused(settings)
    from portal import worker

    worker.start(settings, parent_pid=arguments.parent)
    return 0


# --- people and tables -----------------------------------------------------------------------


def do_people_add(arguments: argparse.Namespace) -> int:
    from portal.services import installation, people

    open_prepared()
    link = people.invite_from_command(
        arguments.email,
        name=arguments.name,
        roles=arguments.role,
        base_url=installation.address(),
        now=utc_now(),
    )
    say(arguments, {"email": arguments.email, "link": link}, link)
    return 0


def do_migrate(arguments: argparse.Namespace) -> int:
    from portal.models import schema
    from portal.services import installation

    settings = read()
    if arguments.direction != "status":
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif settings.database_url.startswith("sqlite") and not database_file(settings).exists():
        rows = [(path.stem, False) for path in sorted(schema.MIGRATIONS.glob("[0-9]*.py"))]
        return say_migrations(arguments, rows)
    installation.open_installation(settings)
    changed = {"up": schema.up, "down": schema.down, "status": list}[arguments.direction]()
    if arguments.direction == "status":
        return say_migrations(arguments, schema.status())
    text = "\n".join(str(name) for name in changed) or "Nothing to do."
    say(arguments, {arguments.direction: changed}, text)
    return 0


def say_migrations(arguments: argparse.Namespace, rows: list[tuple[str, bool]]) -> int:
    text = "\n".join(f"{'applied' if applied else 'pending'}  {name}" for name, applied in rows)
    say(arguments, {"migrations": [{"name": n, "applied": a} for n, a in rows]}, text)
    return 0


# --- documents and trail ---------------------------------------------------------------------


def do_seal(arguments: argparse.Namespace) -> int:
    from portal.services import verification

    open_prepared()
    sealed = verification.seal_file(arguments.source.read_bytes(), now=utc_now())
    arguments.target.write_bytes(sealed.pdf)
    lines = [f"Sealed: {arguments.target}", f"SHA-256 {sealed.sha256}"]
    lines += [f"Taken out: {what}" for what in sealed.removed]
    lines += [f"Signature lost: {who}" for who in sealed.had_signatures]
    say(
        arguments,
        {
            "file": str(arguments.target),
            "sha256": sealed.sha256,
            "level": sealed.level,
            "removed": list(sealed.removed),
            "signatures_lost": list(sealed.had_signatures),
        },
        "\n".join(lines),
    )
    return 0


def do_verify(arguments: argparse.Namespace) -> int:
    from portal.services import verification

    data = arguments.file.read_bytes()
    ca = arguments.ca.read_bytes() if arguments.ca else None
    registered = open_existing()
    answer = verification.verify(data, ca=ca, registered=registered)
    say(arguments, answer, verification.as_text(answer))
    return 0 if answer["valid"] else 1


def do_ca(_arguments: argparse.Namespace) -> int:
    from portal.documents import authority

    settings = read()
    if not authority.exists(settings.authority_dir):
        raise PortalError("This installation has no certificate authority yet; its first start makes one.")
    held = authority.load(settings.authority_dir, settings.seal_p12, settings.seal_p12_password)
    print(held.bundle.decode(), end="")
    return 0


def do_audit_verify(arguments: argparse.Namespace) -> int:
    from portal.services import audit_chains

    need_existing()
    report = audit_chains.verify()
    say(arguments, report, audit_chains.as_text(report))
    return 0 if report["valid"] else 1


def do_audit_export(arguments: argparse.Namespace) -> int:
    from portal.services import audit_chains

    need_existing()
    count = audit_chains.export(arguments.file)
    say(
        arguments,
        {"file": str(arguments.file), "events": count},
        f"{count} events written to {arguments.file}",
    )
    return 0


def do_settings(arguments: argparse.Namespace) -> int:
    rows = describe(read())
    width = max(len(row["name"]) for row in rows)
    text = "\n".join(f"{row['name']:<{width}}  {row['value'] or '-'}  ({row['source']})" for row in rows)
    say(arguments, {"settings": rows}, text)
    return 0


def do_doctor(arguments: argparse.Namespace) -> int:
    """Its findings are the answer, so what libraries log meanwhile is left out."""
    from portal.services import doctor

    logging.disable(logging.CRITICAL)
    found = doctor.examine(os.environ, utc_now)
    say(arguments, doctor.as_dict(found), doctor.as_text(found))
    return 0 if doctor.is_well(found) else 1


if __name__ == "__main__":
    sys.exit(main())
