"""Blueprints: read the request, call a service, answer. One module per noun."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from flask import Flask

# In the order of the main menu, then what everybody uses.
MODULES = (
    "home",
    "new_contracts",
    "bulk",
    "existing",
    "renewals",
    "lives",
    "letters",
    "handovers",
    "archives",
    "contracts",
    "text_search",
    "contract_lists",
    "timeline",
    "drafts",
    "draft_steps",
    "clauses",
    "annexes",
    "documents",
    "negotiation",
    "negotiation_files",
    "negotiation_outside",
    "recipients",
    "sending",
    "signing_deadline",
    "approvals",
    "signing_elsewhere",
    "factor_requests",
    "parties",
    "entities",
    "templates",
    "template_drafts",
    "template_versions",
    "library",
    "people",
    "policies",
    "approval_rules",
    "substitutes",
    "sign_on_providers",
    "comparison",
    "connections",
    "webhooks",
    "imports",
    "moves",
    "installation",
    "setup_guide",
    "operations",
    "event_receivers",
    "privacy",
    "mail_settings",
    "mail_reports",
    "mail_webhooks",
    "text_messages",
    "sms_receipts",
    "addresses",
    "recovery",
    "account",
    "calendar_feed",
    "sign_in",
    "sign_on",
    "second_factor",
    "language",
    "ceremony",
    "mine",
    "invitations",
    "verify",
    "health",
    "mailbox",
)


def register(app: Flask) -> None:
    """Add every blueprint and the context that all pages share."""
    for name in MODULES:
        if find_spec(f"portal.pages.{name}") is None:
            continue
        app.register_blueprint(import_module(f"portal.pages.{name}").bp)
    import_module("portal.pages.frame").install(app)
