"""What a signer can do instead of signing: decline, ask for paper, say that it is not for them.

Each is a page with one form at `/ceremony/<recipient id>/<what>`, open to whoever holds the link.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, Invalid
from portal.i18n import lazy
from portal.pages import signing
from portal.pages.ceremony import actor, answer, bp, find
from portal.pages.forms import Form
from portal.pages.respond import leave, show
from portal.services import acts, consents
from portal.services.ceremonies import Place

# What can be asked: heading, what it means, label of the text, is the text needed, button, what then.
ASKS: dict[str, tuple[Any, ...]] = {
    "decline": (
        lazy("Decline with a reason"),
        lazy("Nobody can sign this text any more. The sender reads your reason and may offer another."),
        lazy("Your reason"), True, lazy("Decline"),
        lazy("You have declined."),
    ),
    "not-me": (
        lazy("This is not for me"),
        lazy("The sender is told, and our links to you end. Nothing is signed or declined."),
        lazy("Do you know who it is for?"), False, lazy("Tell the sender"),
        lazy("The sender has been told."),
    ),
    "paper": (
        lazy("Ask for paper"),
        lazy("You get the contract on paper, free of charge. Your link stays good in case you change "
             "your mind."),
        lazy("Where to send it"), True, lazy("Ask for paper"),
        lazy("The sender has been asked for paper. You need do nothing more."),
    ),
    "withdraw": (
        lazy("Take back my consent"),
        lazy("You cannot sign here then; you get the contract on paper, free of charge. What you signed "
             "before stays valid."),
        None, False, lazy("Take back my consent"),
        lazy("Your consent is taken back, and the sender has been told."),
    ),
    "question": (
        lazy("Ask a question"),
        lazy("Your question goes to the sender, who answers by mail or telephone."),
        lazy("Your question"), True, lazy("Send the question"),
        lazy("Your question was sent."),
    ),
    "new-phone": (
        lazy("I have a new phone"),
        lazy("The sender makes sure that it is you, then the old app ends. A new one counts one day after "
             "you set it up."),
        lazy("How to reach you"), False, lazy("Ask for a new app"),
        lazy("The sender has been told and will get in touch with you."),
    ),
    "other-way": (
        lazy("I cannot receive text messages"),
        lazy("The sender can give you a one-time code in another way. With it you set up an authenticator "
             "app."),
        lazy("How to reach you"), False, lazy("Ask for a one-time code"),
        lazy("The sender has been told and will get in touch with you."),
    ),
}  # fmt: skip
KINDS = {"paper": "paper", "question": "question", "new-phone": "new_phone", "other-way": "other_way"}
WHAT = "<any('decline', 'not-me', 'paper', 'withdraw', 'question', 'new-phone', 'other-way'):what>"


@bp.get(f"/ceremony/<recipient_id>/{WHAT}")
def asking(recipient_id: str, what: str) -> Response:
    now = utc_now()
    return asked(find(recipient_id, now), what, Form())


def asked(place: Place, what: str, form: Form, *, said: bool = False, status: int = 200) -> Response:
    words = ASKS[what]
    context = signing.common(place) | {"what": what, "words": words, "form": form, "said": said}
    return show("ceremony/ask.html", status=status, **context)


@bp.post(f"/ceremony/<recipient_id>/{WHAT}")
def ask(recipient_id: str, what: str) -> Response:
    now = utc_now()
    place, form = find(recipient_id, now), Form(request.form)
    text = form.text("text", most=acts.LONGEST_REASON, required=bool(ASKS[what][3]))
    try:
        if form.errors:
            raise Invalid(form.errors)
        say(place, what, text, now)
    except Invalid as refusal:
        form.errors.setdefault("text", " ".join(refusal.errors.values()))
        return asked(place, what, form, status=422)
    except Conflict as refusal:
        return answer(find(recipient_id, now), Form(), now, problem=refusal.message, status=409)
    if what in ("decline", "not-me", "withdraw"):
        return leave(url_for(".page", recipient_id=recipient_id))
    return leave(url_for(".told", recipient_id=recipient_id, what=what))


def say(place: Place, what: str, text: str, now: datetime) -> None:
    by = actor(place)
    if what == "decline":
        acts.decline(place, reason=text, by=by, now=now)
    elif what == "not-me":
        acts.not_for_me(place, text=text, by=by, now=now)
    elif what == "withdraw":
        consents.withdraw(place.recipient, place.contract, by=by, now=now)
    else:
        acts.ask(place, KINDS[what], text, by=by, now=now)


@bp.get(f"/ceremony/<recipient_id>/{WHAT}/sent")
def told(recipient_id: str, what: str) -> Response:
    now = utc_now()
    return asked(find(recipient_id, now), what, Form(), said=True)
