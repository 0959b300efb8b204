"""What a buyer asks of each provider besides its API: legal standing and what its plans hold.

Gathered from the vendors' public pages on the date below, in words rather than prices, which change
monthly. Nothing here decides anything in the portal; a page shows it beside the capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from providers.interface import mark

SEEN_ON = date(2026, 11, 25)


@dataclass(frozen=True)
class Facts:
    """Marked sentences, except `api` and `url`."""

    standing: str  # ESIGN/UETA and the eIDAS levels that can be had
    api: str
    free: str = ""
    entry: str = ""
    integrations: str = ""
    authentication: str = ""
    support: str = ""
    url: str = ""  # where the vendor says what holds today


FACTS = {
    "builtin": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, each file closed with your company seal (PAdES)"),
        api="REST v1",
    ),
    "docusign": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, advanced and qualified (add-ons)"),
        api="REST v2.1; C#, Java, Node, PHP, Python, Ruby",
        free=mark("A trial of 30 days; a free developer account for tests"),
        entry=mark("Personal: one user, five sendings a month, no API"),
        integrations=mark("Many, most from Standard or Business Pro on; the API is a plan of its own"),
        authentication=mark("Access code in the plans; SMS, phone and ID checks are paid by use"),
        support=mark("Round the clock in the enhanced plans and as a premier contract"),
        url="https://ecom.docusign.com/plans-and-pricing/esignature",
    ),
    "adobe_sign": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, advanced and qualified (trust service partners)"),
        api="REST v6",
        free=mark("A trial; a free developer account for tests"),
        entry=mark("Part of Acrobat for teams; the API comes with Acrobat Sign Solutions"),
        integrations=mark("Microsoft 365, Salesforce, Workday and others with Acrobat Sign Solutions"),
        authentication=mark("Password and mail code; phone, KBA and government ID are paid by use"),
        support=mark("Round the clock for business and enterprise plans"),
        url="https://www.adobe.com/acrobat/business/pricing.html",
    ),
    "signnow": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, others on request"),
        api="REST; C#, Java, Node, PHP, Python",
        free=mark("A trial; a free developer account for tests"),
        entry=mark("Business: unlimited templates and bulk invites"),
        integrations=mark(
            "Salesforce, Microsoft, NetSuite and others, by plan; the API is a plan of its own"
        ),
        authentication=mark("Password and phone code, from the enterprise plans on"),
        support=mark("Mail and chat; telephone and a named contact in the larger plans"),
        url="https://www.signnow.com/pricing",
    ),
    "dropbox_sign": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, qualified as an add-on"),
        api="REST v3; C#, Java, Node, PHP, Python, Ruby",
        free=mark("Test mode without limit in time; what is signed there binds nobody"),
        entry=mark("Essentials: one user; the API is a plan of its own"),
        integrations=mark("Dropbox, Google, Microsoft; Salesforce and HubSpot with Standard or Premium"),
        authentication=mark("Access code and SMS with Premium and the larger API plans"),
        support=mark("Mail and chat; telephone and a named contact with Premium"),
        url="https://sign.dropbox.com/info/pricing",
    ),
    "pandadoc": Facts(
        standing=mark("ESIGN, UETA; eIDAS simple, qualified as an add-on"),
        api="REST v1; C#, Java, Node, PHP, Python",
        free=mark("Free plan with sixty documents a year; a sandbox key for tests"),
        entry=mark("Starter: a seat with unlimited documents, no API in production"),
        integrations=mark("CRM systems with Business; the API and SSO with Enterprise"),
        authentication=mark("Passcode, SMS, KBA and ID checks by plan or by use"),
        support=mark("Chat and mail; a named contact with Enterprise"),
        url="https://www.pandadoc.com/pricing/",
    ),
}
