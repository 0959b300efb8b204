"""Mails and text messages out of `templates/`, without a request: language and zone come in.

A kind of mail is two files, `templates/mail/<kind>.html` and `<kind>.txt`. Both extend the shell
of the same name and set what it asks for (`mail/base.html` lists it) at their top; the subject is
taken from the text. Where both would say the same, one file of sentences is enough,
`mail/words/<kind>.txt`: the pair `mail/paragraphs` sets them. A text message is
`templates/sms/<kind>.txt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from portal import i18n
from portal.channels.sms import segments

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


# What the shell of a mail may be given; a kind sets its own.
SHELL: dict[str, Any] = {
    "subject": "", "preheader": "", "action": None, "lines": [], "printed": "", "sender_note": "",
}  # fmt: skip


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str = field(repr=False)
    html: str = field(default="", repr=False)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Pages of HTML are escaped, plain text is not; a forgotten value is an error, not a gap."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"], disabled_extensions=["txt"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    i18n.install(made)
    return made


def mail(kind: str, language: str, zone: str | None, context: Mapping[str, Any]) -> Rendered:
    """A mail in the reader's language and zone."""
    with i18n.use(language, zone):
        words = f"mail/words/{kind}.txt"
        pair = "paragraphs" if (TEMPLATES / words).is_file() else kind
        said = {**SHELL, **context, "words": words}
        plain = environment().get_template(f"mail/{pair}.txt").make_module(said)
        subject = str(getattr(plain, "subject", "") or said["subject"])
        html = environment().get_template(f"mail/{pair}.html").render(said)
        return Rendered(" ".join(subject.split()), tidy(str(plain)), html)


def sms(kind: str, language: str, zone: str | None, context: Mapping[str, Any]) -> Rendered:
    """A text message: each paragraph on a line of its own, in letters that every phone has."""
    with i18n.use(language, zone):
        text = environment().get_template(f"sms/{kind}.txt").render(context)
        lines = (" ".join(line.split()) for line in text.splitlines())
        return Rendered("", segments.narrowed("\n".join(line for line in lines if line)))


def tidy(text: str) -> str:
    """At most one empty line between paragraphs, none at the ends."""
    kept: list[str] = []
    for line in text.strip().splitlines():
        if line.strip() or (kept and kept[-1]):
            kept.append(line if line == "-- " else line.rstrip())
    return "\n".join(kept) + "\n"
