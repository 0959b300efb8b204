"""What PandaDoc is said to do, what a connection holds, and how one is made."""

from __future__ import annotations

from providers.interface import Capabilities, Setting, Step, mark

NAME = "pandadoc"
LABEL = "PandaDoc"

# Ours to theirs, of a document's language (mails and signing pages); one for all of its people.
LANGUAGES = {
    "bg": "bg-BG", "cs": "cs-CZ", "da": "da-DK", "de": "de-DE", "el": "el-GR", "en": "en-US", "es": "es-ES",
    "fr": "fr-FR", "hu": "hu-HU", "it": "it-IT", "nb": "nb-NO", "nl": "nl-NL", "no": "nb-NO", "pl": "pl-PL",
    "pt": "pt-PT", "pt-BR": "pt-BR", "ro": "ro-RO", "sv": "sv-SE",
}  # fmt: skip

CAPABILITIES = Capabilities(
    factors=frozenset({"access_code", "sms", "email_code", "kba", "id_check"}),
    embedded=True,
    returns=False,
    reminders=True,
    automatic_reminders=True,
    expiry=True,
    corrections=True,
    webhooks=True,
    signed_webhooks=True,
    evidence="application/json",
    archive=True,
    languages=frozenset(LANGUAGES),
    largest_file_bytes=50_000_000,
)

# environment -> (API, the application people and administrators see). A sandbox key uses the same hosts.
US = ("https://api.pandadoc.com", "https://app.pandadoc.com")
EU = ("https://api.pandadoc.eu", "https://app.pandadoc.eu")
HOSTS = {"sandbox": US, "production": US, "sandbox_eu": EU, "production_eu": EU}
SANDBOXES = ("sandbox", "sandbox_eu")

KEY, OAUTH = ("method", "api_key"), ("method", "oauth")
SETTINGS = (
    Setting(
        "environment",
        "Environment",
        kind="choice",
        help=mark(
            "Look at the address of PandaDoc once you are signed in: app.pandadoc.com or app.pandadoc.eu."
            " What is signed with a sandbox key is for tests and binds nobody."
        ),
        default="sandbox",
        choices=(
            ("sandbox", mark("Sandbox key, app.pandadoc.com")),
            ("production", mark("Production, app.pandadoc.com")),
            ("sandbox_eu", mark("Sandbox key, app.pandadoc.eu")),
            ("production_eu", mark("Production, app.pandadoc.eu")),
        ),
    ),
    Setting(
        "method",
        "Authentication",
        kind="choice",
        default="api_key",
        choices=(("api_key", mark("API key")), ("oauth", mark("OAuth: an administrator allows it once"))),
    ),
    Setting(
        "api_key",
        "API key",
        kind="secret",
        help=mark("It acts for the user who made it; an administrator’s also hands over the audit trail."),
        when=KEY,
    ),
    Setting("client_id", "Client ID", when=OAUTH),
    Setting("client_secret", "Client secret", kind="secret", when=OAUTH),
)

STEPS = (
    Step(
        mark("Open the Developer Dashboard"),
        mark(
            "Sign in to PandaDoc as an administrator of the workspace, open Settings, then API and"
            " integrations, and press Open beside Developer Dashboard. A trial of the Enterprise plan is"
            " enough for tests."
        ),
    ),
    Step(
        mark("Create an API key"),
        mark(
            "Under Configuration press Generate beside Sandbox key or Production key and copy the key into"
            " the field here. It ends when its user is removed from the workspace."
        ),
        when=KEY,
    ),
    Step(
        mark("Create an application"),
        mark(
            "Under Configuration press Create application, enter this address as Redirect URL and save. Copy"
            " the Client ID and the Client secret into the fields here."
        ),
        shows="redirect_url",
        when=OAUTH,
    ),
    Step(
        mark("Allow access"),
        mark(
            "Save the account here, press Connect, sign in to PandaDoc as the user in whose name is sent, and"
            " press Authorize."
        ),
        when=OAUTH,
    ),
    Step(
        mark("Webhooks"),
        mark(
            "Nothing to do: Countersign subscribes this address itself and is told the key that PandaDoc"
            " signs its calls with. It must be reachable from the internet by https."
        ),
        shows="webhook_url",
    ),
    Step(
        mark("Workflows of the workspace"),
        mark(
            "Switch off approval workflows and payments for documents that come from Countersign: it waits"
            " for an approval that is asked for at PandaDoc, and takes a signed document as completed before"
            " it is paid."
        ),
    ),
    Step(
        mark("From the sandbox to production"),
        mark(
            "Ask PandaDoc to enable the API for production, generate a production key, choose Production here"
            " and enter it. Documents of the sandbox carry [DEV] in their name and a watermark."
        ),
    ),
)

NO_SUCH_CHECK = mark("PandaDoc does not check people by %(what)s.")
APPROVER = mark("PandaDoc cannot ask people to approve without signing.")
TWO_CHECKS = mark("PandaDoc checks each person in one way only; this signing request asks for more.")
MIXED = mark("With PandaDoc, either everybody signs in Countersign or everybody is asked by mail.")
EMBEDDED_COPY = mark("PandaDoc sends no copies where people sign in Countersign.")
NO_SPOT = mark("PandaDoc needs a signature spot for each signer.")
SAME_ADDRESS = mark("PandaDoc needs a mail address of its own for each person.")
TOO_SOON = mark("PandaDoc counts in whole days; a signing request cannot end within the next day.")
READING = mark("PandaDoc is still reading the document.")
UNREADABLE = mark("PandaDoc cannot read the document.")
APPROVAL = mark(
    "The document waits for an approval at PandaDoc; approve it there, or switch the workflow off."
)
REJECTED = mark("An approver at PandaDoc rejected the document.")
NOT_FINISHED = mark("PandaDoc has not finished the signed file yet.")
NOT_SIGNED = mark("The PandaDoc document ended without being completed; there is no signed file.")
NOT_THERE = mark("This person is not in the PandaDoc document.")
CHECKED = mark(
    "%(provider)s checks this person, which might be lost with a new address. Withdraw the signing request"
    " and send it again."
)
FORGED = mark("The signature of a call from PandaDoc does not hold.")
