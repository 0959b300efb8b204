"""Providers side by side: capabilities from the code, and what their plans are said to hold."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.pages.guards import requires
from portal.pages.respond import show
from portal.services import comparison
from providers import market

bp = Blueprint("comparison", __name__, url_prefix="/settings/providers/compare")

PAGE = "connections/compare.html"


@bp.get("")
@requires("connection.read")
def page() -> Response:
    return show(
        PAGE,
        labels=[(label, "") for label in comparison.labels()], rows=comparison.rows(),
        plan_labels=comparison.plan_labels(), plans=comparison.plans(), seen_on=market.SEEN_ON,
    )  # fmt: skip
