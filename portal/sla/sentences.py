"""A contract's terms as plain sentences, section by section, and where they leave the template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.i18n import gettext as _
from portal.i18n import use
from portal.sla import commercial_sentences, credit_sentences, service_sentences, words
from portal.sla.terms import Terms


@dataclass(frozen=True)
class Section:
    """`key` is the path it speaks of ("severities.S1"); `was`: the template's sentences where they differ."""

    key: str
    label: str
    sentences: tuple[str, ...]
    was: tuple[str, ...] | None = None

    @property
    def sentence(self) -> str:
        return " ".join(self.sentences)

    @property
    def differs_from(self) -> str | None:
        """The template's words, or None where nothing differs."""
        return None if self.was is None else " ".join(self.was)


@dataclass(frozen=True)
class Difference:
    """A section that terms and base say differently; `was` or `now` is empty where one is silent."""

    key: str
    label: str
    was: str
    now: str


def sections(terms: Terms, language: str, *, base: Terms | None = None) -> list[Section]:
    """One section for each promise, in the language. With `base`, each that differs carries its `was`.

    The terms must have the right shape (validate.check finds no fault of shape).
    """
    with use(language):
        written = _write(terms)
        before = {section.key: section.sentences for section in _write(base)} if base else {}
    if base is None:
        return written
    return [
        section
        if before.get(section.key, ()) == section.sentences
        else Section(section.key, section.label, section.sentences, before.get(section.key, ()))
        for section in written
    ]


def differences(terms: Terms, base: Terms, language: str) -> list[Difference]:
    """Every section that is said differently, those that only the base has included."""
    now = sections(terms, language, base=base)
    changed = [
        Difference(each.key, each.label, each.differs_from, each.sentence)
        for each in now
        if each.differs_from is not None
    ]
    here = {each.key for each in now}
    gone = [each for each in sections(base, language) if each.key not in here]
    return changed + [Difference(each.key, each.label, each.sentence, "") for each in gone]


def difference_line(difference: Difference, language: str) -> str:
    """`Differs from the template: answered within 4 hours.`"""
    with use(language):
        if not difference.was:
            return _("Not in the template.")
        return _("The template says: %(sentence)s", sentence=difference.was)


def _write(terms: Terms) -> list[Section]:
    written = []
    for severity in terms["severities"]:
        label = _("%(key)s: %(label)s", key=severity["key"], label=words.text(severity["label"]))
        lines = service_sentences.severity(terms, severity)
        written.append(Section(f"severities.{severity['key']}", label, tuple(lines)))
    for key, label, write in _sections():
        lines = write(terms)
        if lines:
            written.append(Section(key, label, tuple(lines)))
    return written


def _sections() -> tuple[tuple[str, str, Callable[[Terms], list[str]]], ...]:
    return (
        ("clocks", _("Clocks and pauses"), service_sentences.clocks),
        ("calendars", _("Hours"), service_sentences.hours),
        ("peaks", _("Peak periods"), service_sentences.peaks),
        ("uptime", _("Uptime"), credit_sentences.uptime),
        ("credits", _("Service credits"), credit_sentences.credits),
        ("maintenance", _("Maintenance"), service_sentences.maintenance),
        ("release", _("Changes and releases"), service_sentences.releases),
        ("escalation", _("Escalation"), service_sentences.escalation),
        ("executive_review", _("Executive review"), service_sentences.review),
        ("scope", _("Scope"), commercial_sentences.scope),
        ("commercial.fee", _("Fee"), commercial_sentences.fee),
        ("commercial.renewal", _("Duration and notice"), commercial_sentences.duration),
        ("commercial.liability_cap", _("Liability"), commercial_sentences.liability),
        ("commercial.governing_law", _("Law and data"), commercial_sentences.law),
    )
