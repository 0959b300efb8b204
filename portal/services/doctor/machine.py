"""What can be looked at without a database: settings, folders, keys, packages, tools."""

from __future__ import annotations

import platform
import re
import shutil
import stat
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from portal import settings as reading
from portal.documents import authority
from portal.i18n import format_size
from portal.services import storage
from portal.services.doctor import Check, Finding, Patient, warn, well, wrong
from portal.settings import PREFIX, ROOT, BadSettings, Settings, is_loopback

NAME = re.compile(rf"{PREFIX}[A-Z0-9_]+")
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)\s*\\?$")
# What people run beside the portal, and what for.
TOOLS = {"openssl": "checking exported histories and seals without the portal"}
OLDEST_PYTHON = (3, 11)


def settings(environ: Mapping[str, str]) -> tuple[list[Finding], Settings | None]:
    """What is wrong with them; and the settings without the bad ones, to look further by."""
    try:
        return [well("settings", "Every setting can be read.")], reading.read(environ)
    except BadSettings as error:
        faults = str(error).splitlines()
    found = [wrong("settings", fault, "Correct it where the portal is started.") for fault in faults]
    bad = {name for fault in faults for name in NAME.findall(fault)}
    try:
        return found, reading.read({name: value for name, value in environ.items() if name not in bad})
    except (BadSettings, OSError):
        return found, None


def bare() -> list[Finding]:
    """What needs not even settings."""
    return [python(), packages(), tools()]


def python() -> Finding:
    said = f"Python {platform.python_version()}."
    if sys.version_info < OLDEST_PYTHON:
        return wrong("python", said, "Use Python 3.11 or newer.")
    return well("python", said)


def packages() -> Finding:
    """Installed versions against the lock; lines for other machines are left out."""
    lock = ROOT / "requirements.txt"
    if not lock.is_file():
        return warn("packages", f"There is no lock at {lock}.", "Start from a checkout or the container.")
    lines = filter(None, map(LOCKED.match, lock.read_text().splitlines()))
    locked = {line[1]: line[2] for line in lines}
    different = [
        f"{name} {installed or 'is missing'} (locked: {version})"
        for name, version in sorted(locked.items())
        if (installed := version_of(name)) != version
    ]
    if not different:
        return well("packages", f"All {len(locked)} packages are those of the lock.")
    shown = ", ".join(different[:5]) + (f" and {len(different) - 5} more" if len(different) > 5 else "")
    return warn(
        "packages", f"{len(different)} packages differ from the lock: {shown}.", "Run `make install`."
    )


def version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def tools() -> Finding:
    missing = [f"{name} ({purpose})" for name, purpose in TOOLS.items() if shutil.which(name) is None]
    if missing:
        return warn(
            "tools", f"Not on this machine: {', '.join(missing)}.", "Install it if you want to use it."
        )
    return well("tools", f"On this machine: {', '.join(TOOLS)}.")


def base_url(patient: Patient) -> Finding:
    url = patient.settings.base_url
    if not url:
        return warn(
            "base-url", "BASE_URL is not set: mails lead to where the portal listens.",
            f"Set {PREFIX}BASE_URL to the address people use.",
        )  # fmt: skip
    if patient.settings.https or is_loopback(urlsplit(url).hostname or ""):
        return well("base-url", f"People reach the portal at {url}.")
    return wrong(
        "base-url", f"{url} is not encrypted: links and passwords can be read on the way.",
        f"Put a proxy with a certificate in front and set {PREFIX}BASE_URL to its https address.",
    )  # fmt: skip


def data_dir(patient: Patient) -> Finding:
    folder = patient.settings.data_dir
    if not folder.is_dir():
        return wrong(
            "data-dir", f"There is no folder {folder}.",
            f"Check {PREFIX}DATA_DIR, or start once with `countersign serve`.",
        )  # fmt: skip
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022:
        return wrong(
            "data-dir", f"Others on this machine may write to {folder}.", f"Run `chmod 700 {folder}`."
        )
    if mode & 0o055:
        return warn(
            "data-dir", f"Others on this machine may look into {folder}.", f"Run `chmod 700 {folder}`."
        )
    return well("data-dir", f"Data lies in {folder}, for its owner alone.")


def keys(patient: Patient) -> Finding:
    """Present, and readable by nobody else."""
    given = patient.settings
    if not given.encryption_keys or not given.secret_key:
        return wrong(
            "keys", f"There are no keys in {given.key_dir}.",
            "Restore them from a copy; on a new installation `countersign serve` makes them.",
        )  # fmt: skip
    if not authority.exists(given.authority_dir):
        return wrong(
            "keys", f"There is no sealing key in {given.authority_dir}.",
            "Restore it from a copy; on a new installation `countersign serve` makes it.",
        )  # fmt: skip
    open_files = [str(path) for path in key_files(given) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_files:
        return wrong(
            "keys", f"Others may read {', '.join(open_files)}.", f"Run `chmod 600 {' '.join(open_files)}`."
        )
    return well("keys", f"Encryption keys ({len(given.encryption_keys)}) and sealing keys are there.")


def key_files(given: Settings) -> list[Path]:
    own = [given.key_dir / name for name in ("secret_key", "encryption_keys")]
    own += [given.seal_p12] if given.seal_p12 is not None else []
    return [path for path in (*own, *sorted(given.authority_dir.glob("*_key.pem"))) if path.is_file()]


def disk(patient: Patient) -> Finding:
    places = storage.places_of(patient.settings)
    locked = next((place for place in places if not place.is_writable), None)
    if locked is not None:
        return wrong(
            "disk", f"{locked.folder} cannot be written to.", "Give it to the user the portal runs as."
        )
    said = "; ".join(f"{format_size(place.free_bytes)} free for {place.folder}" for place in places) + "."
    if any(place.is_full for place in places):
        return wrong("disk", said, "Make room, or move the folder to another disk.")
    if any(place.is_nearly_full for place in places):
        return warn("disk", said, "Make room, or move the folder to another disk.")
    return well("disk", said)


CHECKS: tuple[Check, ...] = (base_url, data_dir, keys, disk)
