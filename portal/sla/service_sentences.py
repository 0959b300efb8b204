"""Sentences about answers, fixes, hours, maintenance, releases and escalation."""

from __future__ import annotations

from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.sla import words
from portal.sla.terms import After, EscalationStep, Severity, Target, Terms


def severity(terms: Terms, row: Severity) -> list[str]:
    """`Answered within 30 minutes, day and night. Fixed within 4 hours.`"""
    response, resolution, update = row["response"], row["resolution"], row["update"]
    lines = [answered(terms, response), fixed(terms, resolution, response)]
    if update:
        lines.append(news(terms, update, named=_calendar(response)))
    return lines


def news(terms: Terms, target: Target | None, named: str | None = None) -> str:
    """`News every hour.`; the hours only where they are not those `named` before. "" for none."""
    return _("News %(every)s.", every=words.every(target, terms, named=named)) if target else ""


def answered(terms: Terms, target: Target | None) -> str:
    if target is None:
        return _("No time is promised for an answer.")
    if "release" in target:
        return _("Answered with %(release)s.", release=words.length(target))
    return _("Answered within %(length)s.", length=words.counted(target, terms))


def fixed(terms: Terms, target: Target | None, response: Target | None) -> str:
    if target is None:
        return _("No time is promised for a fix.")
    if "release" in target:
        return _("Fixed in %(release)s.", release=words.length(target))
    return _("Fixed within %(length)s.", length=_same_hours(terms, target, response))


def _calendar(target: Target | None) -> str | None:
    return target.get("calendar") if target else None


def _same_hours(terms: Terms, target: Target, response: Target | None) -> str:
    """The length; its hours only where they are not those just named for the answer."""
    if target.get("calendar") == _calendar(response):
        return words.length(target)
    return words.counted(target, terms)


def clocks(terms: Terms) -> list[str]:
    if not terms["severities"]:
        return []
    lines = [start_line(terms)]
    if not terms["clocks"]["automatic_reply_counts"]:
        lines.append(_("An automatic reply is no answer."))
    lines += [pause_line(terms), reopening_line(terms)]
    return lines + severity_decision(terms)


def start_line(terms: Terms) -> str:
    if terms["clocks"]["starts"] == "report":
        return _("The clocks start with the report.")
    return _("The response clock starts with the report, the resolution clock with the answer.")


def pause_line(terms: Terms) -> str:
    reasons = [words.text(reason["label"]) for reason in terms["clocks"]["pause_reasons"]]
    if not reasons:
        return _("Nothing stops the resolution clock.")
    return _("The resolution clock stops only while: %(reasons)s.", reasons=words.parted(reasons))


def reopening_line(terms: Terms) -> str:
    most = terms["clocks"]["reopen_days"]
    if not most:
        return _("An incident that is reopened goes on from where its clock stood.")
    return _(
        "An incident that is reopened within %(days)s goes on from where its clock stood.",
        days=words.days(most),
    )


def severity_decision(terms: Terms) -> list[str]:
    deciders = {
        "both": _("Both parties settle the severity."),
        "supplier": _("The Supplier settles the severity."),
        "customer": _("The Customer settles the severity."),
    }
    rules = terms["severity_rules"]
    lines = [deciders[rules["decided_by"]]]
    if rules["meanwhile"] == "higher":
        lines.append(_("While they disagree, the higher one applies."))
    return lines


def hours(terms: Terms) -> list[str]:
    lines = []
    for calendar in terms["calendars"].values():
        label, zone = words.text(calendar["label"]), calendar["tz"] or ""
        if calendar["always"]:
            lines.append(_("%(label)s: at all times.", label=label))
        else:
            week = words.week(calendar)
            lines.append(_("%(label)s: %(week)s (%(zone)s).", label=label, week=week, zone=zone))
        closed = sum(1 for override in calendar["overrides"] if not override.get("hours"))
        special = len(calendar["overrides"]) - closed
        if closed:
            lines.append(ngettext("Closed on %(num)s holiday.", "Closed on %(num)s holidays.", closed))
        if special:
            lines.append(
                ngettext("Other hours in %(num)s period.", "Other hours in %(num)s periods.", special)
            )
    return lines


def peaks(terms: Terms) -> list[str]:
    lines = []
    for peak in terms["peaks"]:
        first, last = words.day(peak["from"]), words.day(peak["to"])
        lines.append(
            _(
                "%(label)s, %(first)s to %(last)s:",
                label=words.text(peak["label"]),
                first=first,
                last=last,
            )
        )
        effects = []
        if peak["target_factor"] is not None:
            factor = words.number(peak["target_factor"])
            effects.append(_("times in minutes are multiplied by %(factor)s", factor=factor))
        if peak["downtime_weight"] is not None:
            weight = words.number(peak["downtime_weight"])
            effects.append(_("downtime counts %(weight)s times", weight=weight))
        lines[-1] += f" {words.listed(effects)}."
    return lines


def maintenance(terms: Terms) -> list[str]:
    rules = terms["maintenance"]
    if not rules["min_notice_h"] and rules["allowed"] is None:
        return []
    lines = [
        _("Maintenance is announced at least %(hours)s ahead.", hours=words.hours(rules["min_notice_h"]))
    ]
    if rules["allowed"] is not None:
        lines.append(
            _("It takes place only in: %(hours)s.", hours=words.calendar_label(terms, rules["allowed"]))
        )
    if rules["cap_h_per_period"] is not None:
        cap = words.decimal_hours(rules["cap_h_per_period"])
        lines.append(_("It takes at most %(hours)s in each period; anything more is downtime.", hours=cap))
    emergency = rules["emergency"]
    if not emergency["counts_as_maintenance"]:
        lines.append(_("Emergency work counts as downtime."))
    elif emergency["min_notice_h"]:
        notice = words.hours(emergency["min_notice_h"])
        lines.append(_("Emergency work counts as maintenance when announced %(hours)s ahead.", hours=notice))
    else:
        lines.append(_("Emergency work counts as maintenance."))
    if rules["pauses"]:
        stopped = words.listed(words.clock(name) for name in rules["pauses"])
        lines.append(_("Announced maintenance also stops these clocks: %(clocks)s.", clocks=stopped))
    return lines


def releases(terms: Terms) -> list[str]:
    rules = terms["release"]
    notice = rules["notice_h"]
    if rules["windows"] is None and not any((notice["standard"], notice["major"], notice["emergency"])):
        return []
    lines = []
    if rules["windows"] is not None:
        window = words.calendar_label(terms, rules["windows"])
        lines.append(_("Releases take place only in: %(hours)s.", hours=window))
    lines.append(
        _(
            "They are announced %(standard)s ahead, major ones %(major)s, urgent ones %(emergency)s.",
            standard=words.hours(notice["standard"]),
            major=words.hours(notice["major"]),
            emergency=words.hours(notice["emergency"]),
        )
    )
    for freeze in rules["freezes"]:
        first, last = words.day(freeze["from"]), words.day(freeze["to"])
        lines.append(_("There is no release from %(first)s to %(last)s.", first=first, last=last))
    if rules["acceptance_h"] is not None:
        limit = words.hours(rules["acceptance_h"])
        lines.append(_("A release is accepted or refused within %(hours)s.", hours=limit))
    if rules["rollback"] is not None:
        deadline = words.minutes(rules["rollback"]["deadline_min"])
        lines.append(_("It is rolled back within %(time)s where the agreed ground is met.", time=deadline))
    return lines


def escalation(terms: Terms) -> list[str]:
    return [
        _("%(when)s: %(role)s.", when=when(step), role=words.text(step["role"]))
        for step in terms["escalation"]
    ]


def when(step: EscalationStep) -> str:
    """`S1, S2, at 75% of the resolution time, at any hour`."""
    moment = _moment(step["after"])
    if step["urgent"]:
        moment = _("%(moment)s, at any hour", moment=moment)
    if not step["severities"]:
        return moment
    return _("%(severities)s, %(moment)s", severities=", ".join(step["severities"]), moment=moment)


def _moment(after: After) -> str:
    if after.get("request") == "urgent":
        return _("on urgent request")
    if "request" in after:
        return _("on request")
    if "clock" not in after or ("pct" not in after and "overrun_min" not in after):
        return _("(to be agreed)")
    clock = words.clock(after["clock"])
    if after.get("overrun_min"):
        late = words.minutes(after["overrun_min"])
        return _("%(time)s after a missed %(clock)s", time=late, clock=clock)
    if after["pct"] >= 100:
        return _("at a missed %(clock)s", clock=clock)
    return _(
        "at %(percent)s of the time for %(clock)s", percent=words.percent(str(after["pct"])), clock=clock
    )


def review(terms: Terms) -> list[str]:
    triggers = review_triggers(terms)
    if not triggers:
        return []
    lines = [_("Held after: %(triggers)s.", triggers=words.parted(triggers))]
    due = terms["executive_review"]["due"]
    if due:
        lines.append(_("Within %(length)s.", length=words.counted(due, terms)))
    return lines


def review_triggers(terms: Terms) -> list[str]:
    rules = terms["executive_review"]
    triggers = []
    if rules["breach_of"]:
        triggers.append(_("a missed fix of %(severities)s", severities=", ".join(rules["breach_of"])))
    if rules["breaches"]:
        count, span = rules["breaches"]["count"], words.days(rules["breaches"]["days"])
        triggers.append(
            ngettext(
                "%(num)s missed target in %(days)s", "%(num)s missed targets in %(days)s", count, days=span
            )
        )
    if rules["uptime_missed"]:
        count, span = rules["uptime_missed"]["count"], words.months(rules["uptime_missed"]["months"])
        triggers.append(
            ngettext(
                "uptime missed %(num)s time in %(months)s",
                "uptime missed %(num)s times in %(months)s",
                count,
                months=span,
            )
        )
    if rules["budget_over_pct"]:
        share = words.percent(str(rules["budget_over_pct"]))
        triggers.append(_("more than %(percent)s of the allowed downtime used", percent=share))
    if rules["disputed_credit"]:
        triggers.append(_("a disputed credit"))
    return triggers
