"""Every job handler, brought together for the worker and for tests."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "portal.services.account_checks",
    "portal.services.archiving",
    "portal.services.deletions",
    "portal.services.approval_reminders",
    "portal.services.audit_chains",
    "portal.services.bulk_checks",
    "portal.services.bulk_native",
    "portal.services.bulk_sending",
    "portal.services.campaigns",
    "portal.services.contract_texts",
    "portal.services.deliveries",
    "portal.services.demonstrations",
    "portal.services.elsewhere",
    "portal.services.enquiries",
    "portal.services.envelopes",
    "portal.services.event_receivers",
    "portal.services.event_sending",
    "portal.services.existing_batches",
    "portal.services.following",
    "portal.services.imports",
    "portal.services.leftovers",
    "portal.services.letters",
    "portal.services.mail_domains",
    "portal.services.mail_hooks",
    "portal.services.mail_logos",
    "portal.services.moves",
    "portal.services.negotiation_news",
    "portal.services.personal_erasure",
    "portal.services.polling",
    "portal.services.reminders",
    "portal.services.remote_acts",
    "portal.services.returns",
    "portal.services.sealing",
    "portal.services.sign_in",
    "portal.services.sending",
    "portal.services.troubles",
    "portal.services.sms_receipts",
    "portal.services.uploads",
    "portal.services.webhooks",
)


def load() -> None:
    """Import the modules that register handlers."""
    for name in MODULES:
        import_module(name)


def warm() -> None:
    """Load what the first seal would otherwise wait for."""
    from portal.services import sealing

    sealing.warm()
