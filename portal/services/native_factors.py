"""What an outside provider checked of a person, in the words of the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from portal.i18n import lazy
from providers import registry

MAILED = "provider_mail"  # its own mailed link, where it writes to the person
WORDS = {
    MAILED: lazy("Link mailed to %(email)s by %(provider)s, used by %(at)s"),
    "access_code": lazy("Access code, checked by %(provider)s by %(at)s"),
    "sms": lazy("Code by text message, checked by %(provider)s by %(at)s"),
    "phone": lazy("Code by telephone call, checked by %(provider)s by %(at)s"),
    "email_code": lazy("Code by mail, checked by %(provider)s by %(at)s"),
    "kba": lazy("Knowledge questions, checked by %(provider)s by %(at)s"),
    "id_check": lazy("ID document, checked by %(provider)s by %(at)s"),
    "certificate": lazy("Signer’s own certificate, checked by %(provider)s by %(at)s"),
    "totp": lazy("Authenticator app, checked by %(provider)s by %(at)s"),
}


def is_one(checked: Mapping[str, str]) -> bool:
    return checked.get("by", "") in registry.remote_names() and checked["factor"] in WORDS


def sentence(checked: Mapping[str, str], email: str, at: str) -> str:
    """As the certificate tells it; `at` is when the provider reported that the person had acted."""
    return str(WORDS[checked["factor"]]) % {
        "email": email, "provider": registry.label(checked["by"]), "at": at,
    }  # fmt: skip
