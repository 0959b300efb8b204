"""Renewals: what must be decided within the next days, and the one button for each way."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.i18n import format_money, ngettext
from portal.i18n import gettext as _
from portal.pages.guards import person, requires
from portal.pages.respond import show
from portal.services import contracts, permissions, renewals

bp = Blueprint("renewals", __name__)


@bp.get("/renewals")
@requires("contract.read")
def page() -> Response:
    me = person()
    days = request.args.get("days", renewals.USUAL_RANGE, type=int)
    days = days if days in renewals.RANGES else renewals.USUAL_RANGE
    mine = request.args.get("mine") == "1"
    after = request.args.get("after", "")[:60].replace("\0", "")
    rows, more = renewals.board(me, days=days, now=utc_now(), owner=me.id if mine else "", after=after)
    chosen = {"days": days} | ({"mine": "1"} if mine else {})
    return show(
        "renewals/show.html",
        "renewals/_board.html",
        rows=[row_words(row) for row in rows],
        days=days,
        mine=mine,
        ranges=[(each, url_for(".page", **{**chosen, "days": each})) for each in renewals.RANGES],
        mine_url=url_for(".page", days=days, **({} if mine else {"mine": "1"})),
        next_url=url_for(".page", **chosen, after=more) if more else "",
        may_create=permissions.allows(me, "contract.create"),
    )


def row_words(row: renewals.Row) -> dict[str, Any]:
    contract = row.contract
    return {
        "reference": contract.reference,
        "title": contract.title,
        "url": url_for("contracts.page", reference=contract.reference),
        "party": row.party,
        "value": format_money(row.value, contract.currency) if row.value else "",
        "decide_on": row.decide_on,
        "left": left(row),
        "tone": tone(row),
        "happens": row.happens,
        "is_mine": contracts.is_author(contract, person()),
        "is_over": row.notice_given_on is not None,
        "owner": contract.owner.name,
    }


def left(row: renewals.Row) -> str:
    if row.notice_given_on:
        return _("Notice was given")
    if row.is_missed:
        return _("Missed: nobody acted in time")
    if row.days_left < 0:
        return _("Passed")
    if row.days_left == 0:
        return _("Today is the last day")
    return ngettext("One day left", "%(num)s days left", row.days_left)


def tone(row: renewals.Row) -> str:
    if row.notice_given_on:
        return "good"
    if row.days_left < 0:
        return "bad" if row.is_missed else "none"
    return "bad" if row.days_left <= 7 else "wait" if row.days_left <= 30 else "none"
