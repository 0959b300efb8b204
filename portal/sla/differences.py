"""Where terms leave those they began with, term by term: what was, what is, and at which level.

Compared is the document itself, so that not one character passes unseen; the sentences only say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.sla import (
    canonical,
    commercial_sentences,
    credit_sentences,
    duration,
    ladder,
    money,
    service_sentences,
    words,
)
from portal.sla.ladder import ACCEPTABLE, APPROVAL, FINANCE, LEGAL, PRIVACY, SERVICE, Judged
from portal.sla.terms import Terms


@dataclass(frozen=True)
class Difference:
    """One term; `matter` names exactly what it now holds, whatever the sentences say."""

    key: str
    label: str
    before: str
    after: str
    level: ladder.Level
    role: str
    matter: str


@dataclass(frozen=True)
class Part:
    """A part of the terms that is looked at by itself.

    `read` gives what is compared, `say` the sentence, `judge` the level of (now, before, whether we owe
    it). A `label` that is empty is written by `named`.
    """

    key: str
    label: str
    read: Callable[[Terms], Any]
    say: Callable[[Terms], str]
    judge: Callable[[Terms, Terms, bool], Judged]


def of(
    terms: Terms, base: Terms, *, owed_by_us: bool, languages: Sequence[str] = LANGUAGES
) -> list[Difference]:
    """Every part in which `terms` is not `base`, in the language that is spoken now.

    Words in languages that the contract is not written in do not count.
    """
    found = []
    parts = {part.key: part for part in [*parts_of(base), *parts_of(terms)]}
    for part in sorted(parts.values(), key=place):
        now, before = (spoken(part.read(each), languages) for each in (terms, base))
        if now == before:
            continue
        verdict = part.judge(terms, base, owed_by_us)
        was, says = said(part, base, before), said(part, terms, now)
        if was == says:
            was, says = plainly(before, now)
        matter = canonical.sha256([before, now])
        found.append(Difference(part.key, part.label, was, says, verdict.level, verdict.role, matter))
    return found


def spoken(value: Any, languages: Sequence[str]) -> Any:
    """The same without words in other languages, as plain JSON."""
    if isinstance(value, dict):
        is_text = bool(value) and set(value) <= set(LANGUAGES)
        kept = {name: spoken(each, languages) for name, each in value.items()}
        return {name: kept[name] for name in kept if not is_text or name in languages}
    if isinstance(value, list | tuple):
        return [spoken(each, languages) for each in value]
    return value


def said(part: Part, terms: Terms, value: Any) -> str:
    """The part as a sentence; "" where it holds nothing."""
    return part.say(terms) if value not in (None, [], {}) else ""


def plainly(before: Any, now: Any) -> tuple[str, str]:
    """The first words that differ, where the sentences do not show it."""
    pairs = [(_words_at(before, path), _words_at(now, path)) for path in dict.fromkeys(_paths(before, now))]
    return next(((was, says) for was, says in pairs if was != says), ("", _("Changed in its details.")))


def _paths(*values: Any) -> Iterator[tuple[Any, ...]]:
    for value in values:
        if isinstance(value, dict):
            for name in value:
                yield from ((name, *rest) for rest in _paths(value[name]))
        elif isinstance(value, list):
            for at, each in enumerate(value):
                yield from ((at, *rest) for rest in _paths(each))
        else:
            yield ()


def _words_at(value: Any, path: tuple[Any, ...]) -> str:
    for name in path:
        try:
            value = value[name]
        except (KeyError, IndexError, TypeError):
            return ""
    if isinstance(value, dict | list) or value is None:
        return ""
    return {True: _("yes"), False: _("no")}.get(value, str(value)) if isinstance(value, bool) else str(value)


# -- The parts ----------------------------------------------------------------------------------


def place(part: Part) -> tuple[int, str]:
    """Severities first, then as the parts are written below."""
    order = [each.key for each in fixed_parts()]
    return (0, part.key) if part.key not in order else (1 + order.index(part.key), "")


def parts_of(terms: Terms) -> list[Part]:
    rows = [part for row in terms["severities"] for part in severity_parts(row["key"], row["label"])]
    return [*rows, *fixed_parts()]


def severity_parts(key: str, label: Any) -> list[Part]:
    def row(terms: Terms) -> dict[str, Any]:
        return next((dict(each) for each in terms["severities"] if each["key"] == key), {})

    def target(name: str) -> Callable[[Terms], Any]:
        return lambda terms: row(terms).get(name)

    named = _("%(key)s: %(label)s", key=key, label=words.text(label))
    return [
        Part(f"severities.{key}.response", _("%(severity)s, first answer", severity=named),
             target("response"), lambda t: service_sentences.answered(t, row(t).get("response")),
             judge_target(key, "response")),
        Part(f"severities.{key}.resolution", _("%(severity)s, fix", severity=named),
             target("resolution"), lambda t: service_sentences.fixed(t, row(t).get("resolution"), None),
             judge_target(key, "resolution")),
        Part(f"severities.{key}.update", _("%(severity)s, news", severity=named),
             target("update"), lambda t: service_sentences.news(t, row(t).get("update")), accepted),
        Part(f"severities.{key}", _("%(severity)s, meaning", severity=named),
             lambda t: [row(t).get("label"), row(t).get("description")] if row(t) else None,
             lambda t: words.text(row(t).get("description")), asked(SERVICE)),
    ]  # fmt: skip


def judge_target(key: str, name: str) -> Callable[[Terms, Terms, bool], Judged]:
    """Tighter than the template asks Service, or whom the ladder names; other hours ask Service."""

    def judge(terms: Terms, base: Terms, owed_by_us: bool) -> Judged:
        now, before = (length_of(each, key, name) for each in (terms, base))
        if now is not None and before is not None and now.scale != before.scale:
            return Judged(APPROVAL, SERVICE)
        given, was = (None if each is None else Decimal(each.length) for each in (now, before))
        path = f"severities.{key}.{name}"
        if path in ladder.LADDERS:
            return ladder.judged(path, given, was, owed_by_us=owed_by_us)
        simple = ladder.Ladder((), "less", SERVICE)
        worse = ladder.is_worse(simple, given, was, owed_by_us=owed_by_us)
        # Lengths that cannot be compared (a release, say) are for Service to judge.
        is_known = given is not None or was is not None
        return Judged(APPROVAL, SERVICE) if worse or not is_known else Judged(ACCEPTABLE)

    return judge


def length_of(terms: Terms, key: str, name: str) -> duration.Length | None:
    row: Any = next((each for each in terms["severities"] if each["key"] == key), {})
    return duration.comparable(row.get(name), terms["calendars"])


def accepted(terms: Terms, base: Terms, owed_by_us: bool) -> Judged:
    return Judged(ACCEPTABLE)


def asked(role: str) -> Callable[[Terms, Terms, bool], Judged]:
    return lambda terms, base, owed_by_us: Judged(APPROVAL, role)


def judge_number(key: str, read: Callable[[Terms], Decimal | None]) -> Callable[[Terms, Terms, bool], Judged]:
    return lambda terms, base, owed_by_us: ladder.judged(key, read(terms), read(base), owed_by_us=owed_by_us)


def judge_uptime(terms: Terms, base: Terms, owed_by_us: bool) -> Judged:
    """No uptime at all is no promise; the ladder takes it for the smallest."""
    now, before = (uptime_pct(each) or Decimal(0) for each in (terms, base))
    return ladder.judged("uptime.target_pct", now, before, owed_by_us=owed_by_us)


def uptime_pct(terms: Terms) -> Decimal | None:
    promise = terms["uptime"]
    return Decimal(promise["target_pct"]) if promise and promise["target_pct"] else None


def period_cap(terms: Terms) -> Decimal | None:
    """The cap of a period; nought where there are no credits to be capped."""
    if credit_sentences.credits(terms) == [_("No service credits.")]:
        return Decimal(0)
    written = terms["credits"]["caps"]["period_pct"]
    return Decimal(written) if written is not None else None


def cap_months(terms: Terms) -> Decimal | None:
    """The liability cap in months of fees; None where there is none, or no fee to measure it by."""
    cap, yearly = terms["commercial"]["liability_cap"], money.yearly_fee(terms)
    if cap is None:
        return None
    if "fee_months" in cap:
        return Decimal(cap["fee_months"])
    return Decimal(cap["amount"]) * 12 / yearly if yearly else None


def fixed_parts() -> list[Part]:
    service, accept, legal, finance = asked(SERVICE), accepted, asked(LEGAL), asked(FINANCE)
    return [
        Part("clocks", _("Clocks and pauses"), lambda t: [t["clocks"], t["severity_rules"]],
             lines(service_sentences.clocks), service),
        Part("calendars", _("Hours"), lambda t: t["calendars"], lines(service_sentences.hours), service),
        Part("peaks", _("Peak periods"), lambda t: t["peaks"], lines(service_sentences.peaks), service),
        Part("uptime.target_pct", _("Uptime"), lambda t: uptime_target(t),
             credit_sentences.uptime_target, judge_uptime),
        Part("uptime", _("Uptime, how it is counted"), without("uptime", "target_pct"),
             lines(credit_sentences.uptime), service),
        Part("credits.caps.period_pct", _("Limit of service credits in a period"),
             lambda t: [t["credits"]["caps"]["period_pct"]], period_cap_line,
             judge_number("credits.caps.period_pct", period_cap)),
        Part("credits", _("Service credits"), credits_but_cap, lines(credit_sentences.credits), finance),
        Part("maintenance.min_notice_h", _("Notice of maintenance"),
             lambda t: t["maintenance"]["min_notice_h"],
             lambda t: words.hours(t["maintenance"]["min_notice_h"]),
             judge_number("maintenance.min_notice_h", lambda t: Decimal(t["maintenance"]["min_notice_h"]))),
        Part("maintenance", _("Maintenance"), without("maintenance", "min_notice_h"),
             lines(service_sentences.maintenance), service),
        Part("release", _("Changes and releases"), lambda t: t["release"],
             lines(service_sentences.releases), accept),
        Part("escalation", _("Escalation"), lambda t: t["escalation"],
             lines(service_sentences.escalation), accept),
        Part("executive_review", _("Executive review"), lambda t: t["executive_review"],
             lines(service_sentences.review), accept),
        Part("scope", _("Scope"), lambda t: t["scope"], lines(commercial_sentences.scope), accept),
        Part("commercial.fee", _("Fee"), commercial("index", "uplift_pct", "peak_level"),
             lines(commercial_sentences.fee), finance),
        Part("commercial.renewal", _("Duration and notice"), commercial("renewal", "notice"),
             lines(commercial_sentences.duration), accept),
        Part("commercial.liability_cap", _("Liability"), commercial("liability_cap"),
             commercial_sentences.liability_line, judge_number("commercial.liability_cap", cap_months)),
        Part("commercial.carve_outs", _("No limit of liability for"), commercial("carve_outs"),
             lines(commercial_sentences.liability), legal),
        Part("commercial.governing_law", _("Law and courts"), commercial("governing_law", "courts"),
             lines(commercial_sentences.law), legal),
        Part("commercial.phi", _("Protected health information"), commercial("phi"),
             lambda t: _("yes") if t["commercial"]["phi"] else _("no"), asked(PRIVACY)),
    ]  # fmt: skip


def lines(write: Callable[[Terms], list[str]]) -> Callable[[Terms], str]:
    return lambda terms: " ".join(write(terms))


def without(name: str, *left_out: str) -> Callable[[Terms], Any]:
    def read(terms: Terms) -> Any:
        found: Any = dict(terms)[name]
        return found and {each: value for each, value in found.items() if each not in left_out}

    return read


def commercial(*names: str) -> Callable[[Terms], Any]:
    return lambda terms: [dict(terms["commercial"])[name] for name in names]


def uptime_target(terms: Terms) -> Any:
    return terms["uptime"] and terms["uptime"]["target_pct"]


def credits_but_cap(terms: Terms) -> Any:
    rules = dict(terms["credits"])
    rules["caps"] = {**terms["credits"]["caps"], "period_pct": None}
    return rules


def period_cap_line(terms: Terms) -> str:
    share = terms["credits"]["caps"]["period_pct"]
    if share is None:
        return _("No limit")
    return _("At most %(percent)s of the fee of the period.", percent=words.percent(share))
