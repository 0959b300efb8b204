"""The whole story of one contract on a page of its own, to read and to print."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.i18n import gettext as _
from portal.i18n import pgettext
from portal.pages.guards import person, requires
from portal.pages.respond import show
from portal.services import contracts, timeline_phases

bp = Blueprint("timeline", __name__)
PAGE, STORY = "timeline/show.html", "timeline/_story.html"


@bp.get("/contracts/<reference>/timeline")
@requires("contract.read")
def page(reference: str) -> Response:
    contract = contracts.get(reference, person())
    kind = request.args.get("kind", "")
    kind = kind if kind in timeline_phases.KINDS else ""
    here = url_for(".page", reference=reference)
    kinds = [("", _("Everything"), here)]
    kinds += [(each, words, f"{here}?kind={each}") for each, (words, _nouns) in timeline_phases.KINDS.items()]
    return show(
        PAGE, STORY, contract=contract, phases=timeline_phases.story(contract, kind), names=names(),
        kind=kind, kinds=kinds,
    )  # fmt: skip


def names() -> dict[str, str]:
    return {
        "draft": pgettext("phase", "Draft"),
        "agree": pgettext("phase", "Negotiate and approve"),
        "sign": pgettext("phase", "Sign"),
        "live": pgettext("phase", "Live"),
        "ended": pgettext("phase", "Ended"),
        "archived": pgettext("phase", "Archived"),
    }
