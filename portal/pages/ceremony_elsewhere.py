"""The hand-over to a provider's own signing page, and the way back. Works without script, but for a
provider whose page opens inside its own script only: that one has a page with a policy of its own."""

from __future__ import annotations

from flask import Response, request, url_for

from portal.clock import utc_now
from portal.errors import NotFound, PortalError
from portal.models.envelopes import Recipient
from portal.pages import outside, signing
from portal.pages.ceremony import actor, answer, bp, find
from portal.pages.forms import Form
from portal.pages.respond import leave, show
from portal.services import ceremonies, hand_over, sessions
from providers.interface import Frame

GOING, FRAME, BACK = "ceremony/going.html", "ceremony/frame.html", "ceremony/back.html"


@bp.post("/ceremony/<recipient_id>/provider")
def provider(recipient_id: str) -> Response:
    """Fetch the provider's address and go there at once; it stands in this one answer and nowhere else."""
    now = utc_now()
    place = find(recipient_id, now)
    try:
        url, frame = hand_over.go(place, by=actor(place), now=now)
    except PortalError as error:
        return answer(
            find(recipient_id, now), Form(request.form), now, problem=error.message, status=error.status
        )
    given = signing.common(place) | {"provider": hand_over.label(place), "url": url, "frame": frame}
    made = show(FRAME if frame else GOING, **given)
    made.headers["Cache-Control"] = "no-store"
    if frame is not None:
        made.headers["Content-Security-Policy"] = policy(frame)
    return made


def policy(frame: Frame) -> str:
    """What this one page may load from the provider, and nobody else."""
    origins = " ".join(frame.origins)
    script = "/".join(frame.script_url.split("/", 3)[:3])
    return (
        f"default-src 'self'; script-src 'self' {script}; frame-src {origins}; connect-src 'self' {origins}; "
        f"img-src 'self' data: {origins}; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@bp.get("/ceremony/<recipient_id>/return")
def back(recipient_id: str) -> Response:
    """Where the provider sends people afterwards. What its address says is not believed: it is asked."""
    now = utc_now()
    place = find(recipient_id, now)
    if not place.recipient.is_embedded:
        raise NotFound
    if ceremonies.state(place, now) == "elsewhere":
        hand_over.look(place, now)
        place = find(recipient_id, now)
    if ceremonies.state(place, now) != "elsewhere":
        return leave(url_for(".page", recipient_id=recipient_id))
    return show(BACK, **signing.common(place), provider=hand_over.label(place))


@bp.get("/signed-elsewhere")
def signed_elsewhere() -> Response:
    """The way back of providers that know one address for everybody: to this browser's own page."""
    token = outside.token()
    found = ceremonies.handed_over_last(sessions.digest(token), utc_now()) if token else None
    if found is None:
        return show("ceremony/back_unknown.html", company={"name": "", "logo_url": ""}, reference="")
    recipient: Recipient = found
    return leave(url_for(".back", recipient_id=recipient.id))
