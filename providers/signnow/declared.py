"""What signNow is said to do, what a connection holds, and how one is made."""

from __future__ import annotations

from providers.interface import Capabilities, Setting, Step, mark

NAME = "signnow"
LABEL = "signNow"
CAPABILITIES = Capabilities(
    factors=frozenset({"access_code", "sms", "phone"}),
    embedded=True,
    reminders=True,
    automatic_reminders=True,
    expiry=True,
    corrections=True,
    webhooks=True,
    signed_webhooks=True,
    evidence="application/json",
    archive=True,
    bulk=True,
    health_data=True,
)

# environment -> (API, where an administrator allows us in)
HOSTS = {
    "evaluation": ("https://api-eval.signnow.com", "https://app-eval.signnow.com"),
    "production": ("https://api.signnow.com", "https://app.signnow.com"),
}

SETTINGS = (
    Setting(
        "environment",
        "Environment",
        kind="choice",
        help=mark("What is signed in the evaluation environment is for tests and binds nobody."),
        default="evaluation",
        choices=(
            ("evaluation", mark("Evaluation (api-eval.signnow.com)")),
            ("production", mark("Production")),
        ),
    ),
    Setting(
        "method",
        "Authentication",
        kind="choice",
        default="api_key",
        choices=(
            ("api_key", mark("API key")),
            ("oauth", mark("OAuth: an administrator allows it once")),
            ("password", mark("User name and password of the application’s owner")),
        ),
    ),
    Setting(
        "api_key",
        "API key",
        kind="secret",
        help=mark("API Dashboard, Apps and Keys, your application, API Keys."),
        when=("method", "api_key"),
    ),
    Setting(
        "basic_token",
        "Basic authorization token",
        kind="secret",
        help=mark(
            "API Dashboard, Apps and Keys, your application. It also lets Countersign end its webhooks."
        ),
    ),
    Setting(
        "username", "User name", help=mark("The e-mail address of the account."), when=("method", "password")
    ),
    Setting("password", "Password", kind="secret", when=("method", "password")),
)

STEPS = (
    Step(
        mark("Open the API Dashboard"),
        mark(
            "Sign in to signNow, then choose API in the menu. A free developer account is enough for tests."
        ),
    ),
    Step(
        mark("Create an application"),
        mark(
            "Under Apps and Keys press Create Application. Open it and copy its Basic authorization token"
            " into the field here."
        ),
    ),
    Step(
        mark("Create an API key"),
        mark(
            "In the application press Create API Key and copy it here."
            " It acts for the account it was made in."
        ),
        when=("method", "api_key"),
    ),
    Step(
        mark("Enter the redirect address"),
        mark(
            "In the application’s settings enter this address as Redirect URI and save. Afterwards press"
            " Connect here and allow access."
        ),
        shows="redirect_url",
        when=("method", "oauth"),
    ),
    Step(
        mark("Enter the owner’s user name and password"),
        mark(
            "signNow accepts this only from the user who owns the application;"
            " that user cannot use single sign-on."
        ),
        when=("method", "password"),
    ),
    Step(
        mark("Webhooks"),
        mark(
            "Nothing to do: Countersign subscribes this address to the account’s events and gives each a key"
            " to sign with. It must be reachable from the internet."
        ),
        shows="webhook_url",
    ),
    Step(
        mark("From evaluation to production"),
        mark(
            "The two environments share nothing. Buy an API plan, create the application again in production,"
            " choose Production here and enter its token and key."
        ),
    ),
)

NO_SUCH_CHECK = mark("signNow does not check people by %(what)s.")
APPROVER = mark("signNow cannot ask people to approve without signing.")
TWO_CHECKS = mark("signNow checks each person in one way only; this signing request asks for more.")
MIXED = mark("With signNow, either everybody signs in Countersign or everybody is asked by mail.")
EMBEDDED_COPY = mark("signNow sends no copies where people sign in Countersign.")
NO_SPOT = mark("signNow needs a signature spot for each signer.")
TOO_SOON = mark("signNow counts in whole days; a signing request cannot end within the next day.")
CHECKED = mark(
    "%(provider)s checks this person by a code, which would be lost with a new address. Withdraw the signing"
    " request and send it again."
)
ALL_SIGNED = mark("Everybody has signed at %(provider)s already.")
NOT_ASKED = mark("This person is not asked by %(provider)s now.")
NO_FOLDER = mark("%(provider)s does not show the account’s folder “%(folder)s”.")
