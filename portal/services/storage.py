"""Where documents lie, and whether there is room and leave to write; nothing is created to find out."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from portal.services import installation
from portal.settings import Settings, masked_url

# Under this little a document may not fit any more; under the other somebody should see to it.
FULL_BYTES = 200 * 1024**2
NEARLY_FULL_BYTES, NEARLY_FULL_SHARE = 2 * 1024**3, 0.05


@dataclass(frozen=True)
class Place:
    """A folder the portal writes to. `path` is what exists of it, `folder` what it is called."""

    name: str  # data | documents
    folder: str
    free_bytes: int
    total_bytes: int
    is_writable: bool
    device: int

    @property
    def is_full(self) -> bool:
        return self.free_bytes < FULL_BYTES

    @property
    def is_nearly_full(self) -> bool:
        return self.free_bytes < min(NEARLY_FULL_BYTES, self.total_bytes * NEARLY_FULL_SHARE)

    @property
    def percent_used(self) -> int:
        return round(100 * (1 - self.free_bytes / self.total_bytes)) if self.total_bytes else 0


def places() -> list[Place]:
    """The data folder, and that of the documents where it lies elsewhere on this machine."""
    return places_of(installation.current().settings)


def places_of(settings: Settings) -> list[Place]:
    found = [look("data", settings.data_dir)]
    folder = document_folder(settings)
    if folder is not None:
        documents = look("documents", folder)
        is_apart = documents.device != found[0].device or not folder.is_relative_to(settings.data_dir)
        found += [documents] if is_apart or not documents.is_writable else []
    return found


def document_folder(settings: Settings) -> Path | None:
    """None for a bucket."""
    if not settings.storage_url.startswith("file:"):
        return None
    return Path(settings.storage_url.removeprefix("file:").removeprefix("//"))


def look(name: str, folder: Path) -> Place:
    """A folder that is made at the first document counts as the one it will be made in."""
    standing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    disk = shutil.disk_usage(standing)
    is_writable = os.access(standing, os.W_OK | os.X_OK)
    return Place(name, str(folder), disk.free, disk.total, is_writable, standing.stat().st_dev)


def where() -> str:
    """Where documents lie, for people: a folder, or a bucket without its credentials."""
    settings = installation.current().settings
    folder = document_folder(settings)
    return str(folder) if folder is not None else masked_url(settings.storage_url).partition("?")[0]
