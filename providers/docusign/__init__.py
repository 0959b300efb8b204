"""DocuSign eSignature REST API v2.1, through its own client docusign-esign 6.1.0.

Sources: the published API file `esignature.rest.swagger-v2.1.json` and the webhook sample
`connect.schema-v2.json` (github.com/docusign/OpenAPI-Specifications), the vendor's pages "API resource
limits" and "How to validate an HMAC signature", and the client's own code. Nothing here imports the client:
it takes 65 MB and 0.3 s, and is loaded with the first call (`sdk.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.interface import Capabilities, Connection, Setting, Step, mark

if TYPE_CHECKING:
    from providers.docusign.provider import DocuSign

LABEL = "DocuSign"
# Codes of `supportedLanguage`, told in ours: the vendor writes zh_CN where we write zh-CN.
LANGUAGES = frozenset((
    "ar", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-MX", "et", "fi", "fr", "fr-CA", "he",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "nl", "no", "pl", "pt", "pt-BR", "ro", "ru", "sk",
    "sl", "sv", "th", "tr", "uk", "vi", "zh-CN", "zh-TW",
))  # fmt: skip
CAPABILITIES = Capabilities(
    factors=frozenset({"access_code", "sms", "phone", "kba", "id_check"}),
    signing_order=True,
    approvers=True,
    copies=True,
    embedded=True,
    embeds_each=True,
    embedded_in_order=True,
    reminders=True,
    reminds_embedded=False,
    automatic_reminders=True,
    voiding=True,
    expiry=True,
    corrections=True,
    delegation=False,  # there is one, but whoever takes over would pass none of the checks asked for
    webhooks=True,
    signed_webhooks=True,
    evidence="application/pdf",
    archive=True,
    bulk=True,
    health_data=True,
    languages=LANGUAGES,
    largest_file_bytes=25_000_000,
)

JWT, CODE = ("method", "jwt"), ("method", "code")
SETTINGS = (
    Setting(
        "environment",
        "Environment",
        "choice",
        default="sandbox",
        choices=(("sandbox", mark("Developer account (demo)")), ("production", mark("Production"))),
        help=mark("What is signed in a developer account binds nobody."),
    ),
    Setting(
        "method",
        "Authentication",
        "choice",
        default="jwt",
        choices=(
            ("jwt", mark("JWT Grant: by our own key, for as long as consent holds")),
            ("code", mark("Authorization Code Grant: a person allows it, again after some weeks")),
        ),
    ),
    Setting("integration_key", "Integration Key"),
    Setting(
        "user_id", "User ID", when=JWT, help=mark("The user in whose name is sent; under Apps and Keys.")
    ),
    Setting("private_key", "RSA Private Key", "pem", when=JWT),
    Setting("secret_key", "Secret Key", "secret", when=CODE),
    Setting(
        "account_id",
        "API Account ID",
        required=False,
        help=mark("Only where the user has several accounts; otherwise the default one is taken."),
    ),
    Setting(
        "connect_key",
        "Connect Key (HMAC)",
        "secret",
        required=False,
        help=mark(
            "What DocuSign signs its calls with. Without it Countersign asks DocuSign from time to time."
        ),
    ),
    Setting(
        "identity_workflow",
        "Identity Verification workflow ID",
        required=False,
        help=mark("Only where the account has several workflows for checking an identity document."),
    ),
)
STEPS = (
    Step(
        mark("Make an integration key"),
        mark(
            "In DocuSign, open Settings, then Apps and Keys, and press Add App and Integration Key. Copy the"
            " Integration Key, and from the top of the same page the User ID."
        ),
    ),
    Step(
        mark("Make a key pair"),
        mark(
            "In the app, under Service Integration, press Generate RSA and copy the private key with its"
            " first and last line. It is shown once."
        ),
        when=JWT,
    ),
    Step(
        mark("Make a secret key"),
        mark("In the app, under Authentication, press Add Secret Key and copy it. It is shown once."),
        when=CODE,
    ),
    Step(
        mark("Add the redirect address"),
        mark(
            "In the app, under Additional settings, press Add URI below Redirect URIs, enter this and save."
        ),
        shows="redirect_url",
    ),
    Step(
        mark("Give consent once"),
        mark(
            "Save the account here, press Connect, sign in to DocuSign as the user of the User ID and press"
            " Allow Access. Countersign then signs in with the key alone."
        ),
        when=JWT,
    ),
    Step(
        mark("Allow access"),
        mark("Save the account here, press Connect, sign in to DocuSign and press Allow Access."),
        when=CODE,
    ),
    Step(
        mark("Make a Connect key"),
        mark(
            "In Settings, open Connect, then Connect Keys, press Add Secret Key and copy it into Connect Key"
            " (HMAC). Countersign makes the Connect configuration itself; its calls come to this address."
        ),
        shows="webhook_url",
    ),
    Step(
        mark("From the developer account to production"),
        mark(
            "After about 20 calls without errors, open Apps and Keys in the developer account, press Actions,"
            " then Start Go-Live Review, and choose the production account. Then enter the values of the"
            " production account here: the Integration Key stays the same, keys and User ID are new."
        ),
    ),
)


def connect(connection: Connection) -> DocuSign:
    """DocuSign through one account."""
    from providers.docusign.provider import DocuSign

    return DocuSign(connection)
