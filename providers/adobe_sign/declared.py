"""What Acrobat Sign is said to do, what a connection holds, and how one is made."""

from __future__ import annotations

from providers.interface import Capabilities, Setting, Step, mark

NAME = "adobe_sign"
LABEL = "Adobe Acrobat Sign"
CAPABILITIES = Capabilities(
    factors=frozenset({"access_code", "sms", "email_code", "kba", "id_check"}),
    approvers=True,
    embedded=True,
    reminders=True,
    automatic_reminders=True,
    expiry=True,
    corrections=True,
    delegation=True,
    webhooks=True,
    evidence="application/pdf",
    archive=True,
    bulk=True,
    health_data=True,
    largest_file_bytes=10_000_000,
)

# environment -> (API, before the account's own access point is known; where an administrator allows us in)
HOSTS = {
    "production": ("https://api.adobesign.com", "https://secure.{shard}.adobesign.com"),
    "developer": ("https://api.adobesign.com", "https://secure.{shard}.adobesign.com"),
    "sandbox": ("https://api.adobesignsandbox.com", "https://secure.{shard}.adobesignsandbox.com"),
}
# The access point comes out of a redirect and of answers; only these domains are ever called.
DOMAINS = {
    "production": (".adobesign.com", ".echosign.com"),
    "developer": (".adobesign.com", ".echosign.com"),
    "sandbox": (".adobesignsandbox.com",),
}
SHARDS = ("na1", "na2", "na3", "na4", "eu1", "eu2", "jp1", "au1", "in1", "sg1")
SCOPES = (
    "agreement_read:self",
    "agreement_write:self",
    "agreement_send:self",
    "user_read:self",
    "webhook_read:self",
    "webhook_write:self",
    "webhook_retention:self",
)

SETTINGS = (
    Setting(
        "environment",
        "Environment",
        kind="choice",
        help=mark("What is signed in a developer account or the sandbox is for tests and binds nobody."),
        default="developer",
        choices=(
            ("developer", mark("Developer account")),
            ("sandbox", mark("Sandbox (adobesignsandbox.com)")),
            ("production", mark("Production")),
        ),
    ),
    Setting(
        "method",
        "Authentication",
        kind="choice",
        default="oauth",
        choices=(
            ("oauth", mark("OAuth: an administrator allows it once")),
            ("integration_key", mark("Integration key")),
        ),
    ),
    Setting(
        "shard",
        "Shard",
        kind="choice",
        help=mark("The part after “secure.” in the address of Acrobat Sign once you are signed in."),
        default="na1",
        choices=tuple((each, each.upper()) for each in SHARDS),
        when=("method", "oauth"),
    ),
    Setting(
        "client_id",
        "Application ID (Client ID)",
        help=mark("Acrobat Sign API, API Applications, your application, Configure OAuth."),
        when=("method", "oauth"),
    ),
    Setting("client_secret", "Client Secret", kind="secret", when=("method", "oauth")),
    Setting(
        "integration_key",
        "Integration Key",
        kind="secret",
        help=mark("Acrobat Sign API, API Information, Integration Key."),
        when=("method", "integration_key"),
    ),
    Setting(
        "key_client_id",
        "Client ID of the Integration Key",
        help=mark("Needed for webhooks only: Adobe sends it with each call and expects it back."),
        required=False,
        when=("method", "integration_key"),
    ),
)

STEPS = (
    Step(
        mark("Open the API page"),
        mark(
            "Sign in to Acrobat Sign as the user who is to send, then choose Account, Acrobat Sign API."
            " A free developer account is enough for tests."
        ),
    ),
    Step(
        mark("Create an application"),
        mark(
            "Under API Applications press +, give it a name and choose the domain Customer."
            " Copy its Application ID and, under Configure OAuth, its Client Secret into the fields here."
        ),
        when=("method", "oauth"),
    ),
    Step(
        mark("Enter the redirect address and the scopes"),
        mark(
            "Under Configure OAuth enter this address as Redirect URI and tick agreement_read,"
            " agreement_write, agreement_send, user_read, webhook_read, webhook_write and webhook_retention,"
            " each with the modifier self. Save, then press Connect here and allow access."
        ),
        shows="redirect_url",
        when=("method", "oauth"),
    ),
    Step(
        mark("Create an integration key"),
        mark(
            "Under API Information press Integration Key, give it a name and tick agreement_read,"
            " agreement_write, agreement_send, user_read, webhook_read, webhook_write and"
            " webhook_retention. Copy the key here; it acts for the user who made it."
        ),
        when=("method", "integration_key"),
    ),
    Step(
        mark("Reminders and delegation"),
        mark(
            "Where people are to sign in Countersign, see to it under Send Settings that the account sends no"
            " reminders by itself, and under Global Settings that recipients cannot delegate."
        ),
    ),
    Step(
        mark("Webhooks"),
        mark(
            "Nothing to do: Countersign registers this address, with a secret of its own behind it. It must"
            " be reachable from the internet by https on port 443 or 8443."
        ),
        shows="webhook_url",
    ),
    Step(
        mark("From tests to production"),
        mark(
            "Create the application or the key again in the production account, choose Production here and"
            " enter them."
        ),
    ),
)

NO_SUCH_CHECK = mark("Adobe Acrobat Sign does not check people by %(what)s.")
TWO_CHECKS = mark(
    "Adobe Acrobat Sign checks each person in one way only; this signing request asks for more."
)
NO_PHONE = mark("Adobe Acrobat Sign needs the telephone number of %(name)s with its country code.")
MIXED = mark("With Adobe Acrobat Sign, either everybody signs in Countersign or everybody is asked by mail.")
EMBEDDED_COPY = mark("Adobe Acrobat Sign sends no copies where people sign in Countersign.")
NO_SPOT = mark("Adobe Acrobat Sign needs a signature spot for each signer.")
SAME_ADDRESS = mark("Adobe Acrobat Sign takes another name only together with another address.")
NEW_PHONE = mark(
    "%(provider)s checks this person by telephone and needs the new person’s number. Withdraw the signing"
    " request and send it again."
)
ALL_SIGNED = mark("Everybody has signed at %(provider)s already.")
NOT_ASKED = mark("This person is not asked by %(provider)s now.")
READING = mark("%(provider)s is still reading the document.")
FINISHING = mark("%(provider)s is still preparing the finished document.")
OTHER_HOST = mark("%(provider)s named an address that is not its own.")
EACH_ONCE = mark("Adobe Acrobat Sign sends one document to many only if each address is listed once.")
