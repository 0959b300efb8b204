"""The catalogues: one folder per language, one file per area, merged when read.

`fr/common.po` holds what every page shows; each area keeps its own words in a file named after
it. A message translated twice must be translated alike: a test holds that.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

# A message, or (context, message), to its one form or its two: for one and for many.
Catalogue = dict[str | tuple[str, str], str | tuple[str, ...]]


def read(language: str) -> Catalogue:
    """Every translated message of a language. A file that does not parse raises PoFileError."""
    from babel.messages.pofile import read_po  # ~40 ms to import: only where another language is read

    merged: Catalogue = {}
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language, abort_invalid=True)
        for message in catalogue:
            singular = message.id[0] if isinstance(message.id, tuple) else message.id
            text = tuple(message.string) if isinstance(message.string, list | tuple) else message.string
            if singular and text and all(text) and not message.fuzzy:
                merged[(message.context, singular) if message.context else singular] = text
    return merged
