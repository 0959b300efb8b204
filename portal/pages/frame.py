"""What every page is framed with: menu, name, language, and the words of the footer."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, request, url_for

from portal import i18n
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.people import Person
from portal.pages import guards
from portal.services import home, permissions

# Label, endpoint, permission, and the blueprints it is current for.
MENU = (
    (lazy("Home"), "home.page", None, ("home",)),
    (lazy("Contracts"), "contracts.index", "contract.read",
     ("contracts", "new_contracts", "bulk", "existing", "lives", "letters", "handovers", "archives",
      "drafts", "draft_steps", "clauses", "recipients", "sending", "approvals", "documents",
      "factor_requests", "signing_elsewhere", "text_search", "annexes", "contract_lists", "timeline",
      "negotiation", "negotiation_files", "signing_deadline")),
    (lazy("Renewals"), "renewals.page", "contract.read", ("renewals",)),
    (lazy("Companies"), "parties.index", "party.read", ("parties",)),
    (lazy("Templates"), "templates.index", "template.read",
     ("templates", "template_drafts", "template_versions", "library")),
    (lazy("Settings"), "installation.page", "person.read",
     ("installation", "setup_guide", "people", "sign_on_providers", "entities", "policies", "approval_rules",
      "substitutes", "mail_settings",
      "mail_reports", "text_messages", "operations", "addresses", "recovery", "connections", "comparison",
      "imports", "moves", "event_receivers", "privacy")),
)  # fmt: skip
# Pages for outside people have no menu and ask the database for nothing here.
OUTSIDE = ("ceremony", "invitations", "mine", "negotiations")


def install(app: Flask) -> None:
    """Give templates what they all show, and speak to signed-in people in their language."""
    guards.install(app)

    @app.before_request
    def speak_their_language() -> None:
        if request.endpoint in (None, "static_file") or request.blueprint in OUTSIDE:
            return
        person = guards.signed_in()
        if person is not None and "language" not in request.cookies:
            i18n.activate(person.language, person.zone)
        elif person is not None:
            i18n.activate(i18n.current(), person.zone)

    @app.context_processor
    def shared() -> dict[str, Any]:
        common = {
            "current_language": i18n.current,
            "language_names": i18n.NAMES,
            "language_url": address("language.change"),
            "verify_url": address("verify.page"),
            "real_url": address("invitations.is_this_real"),
            "here": request.full_path.removesuffix("?") if request.method == "GET" else "",
        }
        if request.blueprint in OUTSIDE:
            return common
        return common | staff_frame(guards.signed_in())


def staff_frame(person: Person | None) -> dict[str, Any]:
    if person is None or not person.is_staff:
        return {
            "sign_in_url": address("sign_in.page"),
            "company_name": company_name(),
            "person": person,
            "account_url": address("account.page"),
        }
    return {
        "person": person,
        "nav": [
            (label, address(endpoint), request.blueprint in blueprints)
            for label, endpoint, permission, blueprints in MENU
            if known(endpoint) and (permission is None or permissions.allows(person, permission))
        ],
        "account_url": address("account.page"),
        "search_url": address("contracts.index") if permissions.allows(person, "contract.read") else None,
        "query": request.args.get("q", "") if request.endpoint == "contracts.index" else "",
        "zone": person.zone,
        "company_name": company_name(),
        "may": lambda permission: permissions.allows(person, permission),
    }


def company_name() -> str:
    if "company_name" not in g:
        g.company_name = home.company_name() or _("Countersign")
    return str(g.company_name)


def known(endpoint: str) -> bool:
    from flask import current_app

    return endpoint in current_app.view_functions


def address(endpoint: str) -> str:
    return url_for(endpoint) if known(endpoint) else "/"
