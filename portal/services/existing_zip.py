"""A ZIP of PDFs that somebody sent: read in memory, within limits, never written out by its names.

What could harm is refused as a whole: too many files, too much once unpacked, files that shrink
beyond reason, files under a password. What merely cannot be used (no PDF, a path that climbs, a name
twice) is left out and said so.
"""

from __future__ import annotations

import io
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass

from portal.i18n import gettext as _
from portal.services.existing import LARGEST_PDF

LARGEST_ZIP = 200 * 1024 * 1024
MOST_FILES = 5_000
MOST_BYTES = 1024**3  # of all files, unpacked
MOST_SHRUNK = 200  # times; a PDF is packed already and hardly shrinks
SMALL = 1024 * 1024  # below this any ratio does no harm
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UTF8 = 0x800


class Unusable(Exception):
    """The ZIP, or a file in it, cannot be taken; the sentence says why."""


@dataclass(frozen=True)
class Pack:
    """An open ZIP: its PDFs by folded name, and names that stand in it twice."""

    archive: zipfile.ZipFile
    entries: dict[str, zipfile.ZipInfo]
    twice: frozenset[str]

    def read(self, name: str) -> bytes:
        """The bytes of the file of this name. Raises Unusable."""
        key = fold_name(name)
        if key in self.twice:
            raise Unusable(_("Two files in the ZIP have this name."))
        entry = self.entries.get(key)
        if entry is None:
            raise Unusable(_("There is no such file in the ZIP."))
        return unpack(self.archive, entry)

    def names(self) -> list[str]:
        """Every file, as it is called in the ZIP."""
        return [base_name(entry) for entry in self.entries.values()]


def unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """One file, whatever length its header claims."""
    try:
        with archive.open(entry) as file:
            content = file.read(LARGEST_PDF + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise Unusable(_("This file of the ZIP is damaged.")) from error
    if len(content) > LARGEST_PDF:
        raise Unusable(_("The PDF is larger than %(most)s MB.", most=LARGEST_PDF // 1000**2))
    return content


def open_pack(content: bytes) -> Pack:
    """Look through a ZIP without unpacking it. Raises Unusable."""
    if len(content) > LARGEST_ZIP:
        raise Unusable(_("The ZIP is larger than %(most)s MB.", most=LARGEST_ZIP // 1024**2))
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unusable(_("This is not a ZIP file, or it is damaged.")) from error
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    check(files)
    entries: dict[str, zipfile.ZipInfo] = {}
    twice = set()
    for entry in files:
        if not is_plain(entry):
            continue
        key = fold_name(base_name(entry))
        twice |= {key} if key in entries else set()
        entries[key] = entry
    return Pack(archive, entries, frozenset(twice))


def check(files: list[zipfile.ZipInfo]) -> None:
    if len(files) > MOST_FILES:
        raise Unusable(_("The ZIP holds more than %(most)s files.", most=MOST_FILES))
    if sum(entry.file_size for entry in files) > MOST_BYTES:
        raise Unusable(_("The files of the ZIP are too large together."))
    for entry in files:
        if entry.flag_bits & 0x1:
            raise Unusable(_("The ZIP is under a password. Make it again without one."))
        if entry.compress_type not in PACKED:
            raise Unusable(
                _("The ZIP is packed in a way that is not read here. Make it again as a plain ZIP.")
            )
        if entry.file_size > max(SMALL, entry.compress_size * MOST_SHRUNK):
            raise Unusable(_("A file of the ZIP unpacks to far more than it should. It is not opened."))


def is_plain(entry: zipfile.ZipInfo) -> bool:
    """No path that climbs or starts at the root, and nothing that a Mac adds by itself."""
    parts = spelled(entry).replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0] or parts[0] == "__MACOSX":
        return False
    return bool(parts[-1]) and not parts[-1].startswith(".")


def base_name(entry: zipfile.ZipInfo) -> str:
    return spelled(entry).replace("\\", "/").rsplit("/", 1)[-1]


def spelled(entry: zipfile.ZipInfo) -> str:
    """The name as it was meant: many programs write UTF-8 without saying so."""
    if entry.flag_bits & UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return entry.filename


def fold_name(name: str) -> str:
    """Names are the same whatever their case, their accents' form and their folder."""
    plain = name.replace("\\", "/").rsplit("/", 1)[-1]
    return unicodedata.normalize("NFC", plain).casefold().strip()
