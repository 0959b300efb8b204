"""Dropbox Sign (formerly HelloSign) API v3.

Sources: the vendor's API file `openapi.yaml` (github.com/hellosign/hellosign-openapi, 4 September 2025), its
callback samples there, its embedded client (github.com/hellosign/hellosign-embedded), and its pages "Using
Search on List Endpoints", "Signature Request Expiration Date", "Events Walkthrough" and "How to use the
Form_Fields_Per_Document parameter". Its own Python client is not used: it sends people as one JSON part,
which its API file does not know, and takes 0.7 s and 50 MB to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.interface import Capabilities, Connection, Setting, Step, mark

if TYPE_CHECKING:
    from providers.dropbox_sign.provider import DropboxSign

LABEL = "Dropbox Sign"
# Of its signing pages, which follow the reader's browser; its mails follow the language of the account.
LANGUAGES = frozenset((
    "cs", "da", "de", "en", "en-GB", "es", "es-MX", "fr", "id", "it", "ja", "ko", "ms", "nl", "no", "pl",
    "pt-BR", "ru", "sv", "th", "uk", "zh-CN", "zh-TW",
))  # fmt: skip
CAPABILITIES = Capabilities(
    factors=frozenset({"access_code", "sms"}),
    signing_order=True,
    approvers=False,
    copies=True,
    embedded=True,
    embeds_each=False,
    embedded_in_order=True,
    framed=True,
    reminders=True,
    reminds_embedded=False,
    automatic_reminders=False,  # there are, but only as a setting of the whole account
    voiding=True,
    expiry=True,
    corrections=True,
    delegation=False,  # there is one, but whoever takes over would pass none of the checks asked for
    webhooks=True,
    signed_webhooks=False,  # the hash covers time and name of an event, not what it says
    evidence="",  # the audit trail is part of the finished PDF
    archive=True,
    bulk=True,
    languages=LANGUAGES,
)

KEY, OAUTH = ("method", "api_key"), ("method", "oauth")
SETTINGS = (
    Setting(
        "environment",
        "Test mode",
        "choice",
        default="test",
        choices=(("test", mark("Test mode (test_mode)")), ("production", mark("Production"))),
        help=mark("What is signed in test mode binds nobody, bears a mark and costs nothing."),
    ),
    Setting(
        "method",
        "Authentication",
        "choice",
        default="api_key",
        choices=(("api_key", mark("API key")), ("oauth", mark("OAuth: a person allows it once"))),
    ),
    Setting(
        "api_key",
        "API key",
        "secret",
        when=KEY,
        help=mark("The primary key of the account: with it Dropbox Sign also signs its callbacks."),
    ),
    Setting(
        "client_id",
        "Client ID",
        required=False,
        help=mark(
            "Of the API app. Needed for OAuth, and for people who are checked by Countersign first and then"
            " sign at Dropbox Sign."
        ),
    ),
    Setting("client_secret", "Client secret", "secret", when=OAUTH),
    Setting(
        "callback_key",
        "API key of the app’s owner",
        "secret",
        required=False,
        when=OAUTH,
        help=mark(
            "What Dropbox Sign signs the callbacks of the API app with. Without it Countersign asks Dropbox"
            " Sign from time to time."
        ),
    ),
)
STEPS = (
    Step(
        mark("Make an API key"),
        mark(
            "In Dropbox Sign, open Settings, then API, and press Generate key under API keys. Reveal it and"
            " copy it. Take the primary key, should there be several."
        ),
        when=KEY,
    ),
    Step(
        mark("Make an API app"),
        mark(
            "On the same page, under API apps, press Create app. As domain enter the one of this portal:"
            " Dropbox Sign opens its signing page there and on no other. Copy the Client ID."
        ),
    ),
    Step(
        mark("Add OAuth to the app"),
        mark(
            "In the API app, enter this address as OAuth callback URL, choose who is charged, and the scopes"
            " Account access, Signature request access and Template access. Save and copy the Client secret."
        ),
        shows="redirect_url",
        when=OAUTH,
    ),
    Step(
        mark("Allow access at Dropbox Sign"),
        mark(
            "Save the account here, press Connect, sign in to Dropbox Sign and press Allow. Until Dropbox"
            " Sign has approved the app, only the account that owns it can be connected."
        ),
        when=OAUTH,
    ),
    Step(
        mark("Callbacks"),
        mark(
            "Nothing to do: Countersign enters this address as Event callback URL of the API app, or of the"
            " whole account where there is no Client ID. An address that is there already is not replaced."
        ),
        shows="webhook_url",
    ),
    Step(
        mark("From test mode to production"),
        mark(
            "Buy an API plan, have the API app approved in the API dashboard, and choose Production here."
            " Keys and Client ID stay the same. Codes by text message work in production only."
        ),
    ),
)


def connect(connection: Connection) -> DropboxSign:
    """Dropbox Sign through one account."""
    from providers.dropbox_sign.provider import DropboxSign

    return DropboxSign(connection)
