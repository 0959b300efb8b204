"""`countersign compare OLD NEW`: what changed between two Markdown, Word or PDF texts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portal.clock import utc_now
from portal.commands.common import add
from portal.documents import children, plain, redline, word_write
from portal.documents.frames import Refused
from portal.errors import PortalError

REASONS = {
    "not_text": "{file} is neither Markdown, DOCX nor PDF.",
    "too_large": "{file} is too large to compare.",
    "encrypted": "{file} is protected by a password.",
    "broken": "{file} cannot be read: it is damaged, or not what its name says.",
}


def declare(commands: Any) -> None:
    compare = add(
        commands,
        "compare",
        do_compare,
        "what changed between two texts: Markdown, DOCX or PDF",
        with_json=False,
    )
    compare.add_argument("old", type=Path, metavar="OLD")
    compare.add_argument("new", type=Path, metavar="NEW")
    compare.add_argument(
        "--docx",
        type=Path,
        metavar="OUT.docx",
        help="write a Word file with the differences as tracked changes",
    )
    compare.add_argument(
        "--json", action="store_true", help='print a list of {"op": "equal|insert|delete", "text": ...}'
    )


def do_compare(arguments: argparse.Namespace) -> int:
    ops = redline.words(text_of(arguments.old), text_of(arguments.new))
    if arguments.docx is not None:
        made = word_write.tracked(
            ops, title=f"{arguments.old.name} / {arguments.new.name}", author="Countersign", at=utc_now()
        )
        arguments.docx.write_bytes(made)
    if arguments.json:
        print(json.dumps([each._asdict() for each in ops], ensure_ascii=False))
        return 0
    sys.stdout.write(as_text(ops))
    if arguments.docx is not None:
        print(f"Tracked changes: {arguments.docx}")
    return 0


def text_of(path: Path) -> str:
    """The plain text of a file. Raises PortalError with a sentence that names it."""
    try:
        return plain.text_of(path.read_bytes())
    except Refused as refused:
        sentence = REASONS.get(refused.code, REASONS["broken"])
        raise PortalError(sentence.format(file=path)) from refused
    except (children.ChildFailed, children.Busy) as error:
        raise PortalError(f"{path} could not be read in time.") from error


def as_text(ops: Sequence[redline.Op]) -> str:
    """The changed paragraphs with their changes marked, and a count."""
    changed = [
        each for each in redline.paragraphs(ops) if any(op.op != "equal" and op.text.strip() for op in each)
    ]
    if not changed:
        return "No differences.\n"
    shown = "\n\n".join("".join(marked(op) for op in each).strip("\n") for each in changed)
    inserted, deleted = (
        sum(len(op.text.split()) for op in ops if op.op == kind) for kind in ("insert", "delete")
    )
    differ = "1 paragraph differs" if len(changed) == 1 else f"{len(changed)} paragraphs differ"
    words = "1 word" if deleted == 1 else f"{deleted} words"
    return f"{shown}\n\n{differ}: {words} deleted, {inserted} inserted.\n"


def marked(op: redline.Op) -> str:
    text = op.text.rstrip("\n")
    after = op.text[len(text) :]
    if op.op == "equal" or not text:
        return op.text
    return (f"[-{text}-]" if op.op == "delete" else f"{{+{text}+}}") + after
