"""Fields of mail settings: names of servers, addresses to send from, where returned mail goes."""

from __future__ import annotations

import re
from ipaddress import ip_address

from portal.channels import addresses
from portal.i18n import gettext as _
from portal.pages.forms import Form
from portal.services import mail_setup

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"{LABEL}(?:\.{LABEL})*\.?\Z")


def host_name(form: Form, name: str) -> str:
    """A server's name or IP address, in any script; ASCII comes back."""
    typed = form.text(name, most=253, required=True).lower()
    if not typed:
        return ""
    try:
        return str(ip_address(typed.strip("[]")))
    except ValueError:
        pass
    try:
        host = addresses.to_ascii(typed)
    except ValueError:
        host = ""
    if not HOST.match(host) or host.replace(".", "").isdigit():
        form.refuse(name, _("Write the name of the server alone, such as smtp.example.com."))
        return ""
    return host


def sender_address(form: Form, name: str, *, required: bool) -> str:
    """An address that mails may come from: it must be one that a mail server can take everywhere."""
    typed = form.text(name, most=254, required=required).lower()
    if not typed:
        return ""
    if not mail_setup.is_mail_address(typed):
        form.refuse(name, _("This is not a mail address. Write it as name@example.com."))
        return ""
    if not typed.rpartition("@")[0].isascii():
        form.refuse(name, _("In front of the @ use letters without accents: many servers know no others."))
        return ""
    return addresses.for_transport(typed)


def return_address(form: Form, name: str) -> str:
    """Where mail comes back to; one `*` may stand for the number of the mail."""
    typed = form.text(name, most=254).lower()
    if not typed:
        return ""
    if typed.count("*") > 1 or "*" in typed.rpartition("@")[2] or not mail_setup.is_mail_address(typed):
        form.refuse(name, _("Write an address such as returns@example.com, or returns+*@example.com."))
        return ""
    return addresses.for_transport(typed)
