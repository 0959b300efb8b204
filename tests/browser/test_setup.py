"""An administrator walks the set-up page from an empty installation to the first real send: real SMTP, a
text message gateway that answers, the public address, and an outside person who signs at the end.

Nothing but the page says what comes next: each step is found by the words of its button.
"""

from __future__ import annotations

import email
import email.policy
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
from aiosmtpd.controller import Controller

from tests.browser import people
from tests.browser.conftest import PUBLIC_HOST, WIDTHS, Walker
from tests.processes import Tree, command, environment, free_port, running, until
from tests.simulators.sms import running as serving
from tests.simulators.sms_webhook import KEY, SmsWebhook
from tests.tools import require_tool

pytestmark = pytest.mark.browser

PASSWORD = "violet kettle under 7 maps"
ADA, CLAIRE = "ada@larkfield.example", "claire@castellan.example"
MOBILE, HERS = "+447700900123", "+447700900124"


class Post:
    """The mail server everybody here uses; `mails` holds what it took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 taken"

    def newest(self, address: str, pattern: str) -> str:
        """What the newest mail to this address says, by pattern; empty until it is there."""
        for to, mail in reversed(self.mails):
            if address in to:
                found = re.search(pattern, mail.get_body(("plain",)).get_content())
                if found:
                    return found.group(0)
        return ""


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    taken, port = Post(), free_port()
    controller = Controller(taken, hostname="127.0.0.1", port=port)
    controller.start()
    yield taken, port
    controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [require_tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={PUBLIC_HOST}",
         "-addext", f"subjectAltName=DNS:{PUBLIC_HOST}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


Opener = Callable[[str], Walker]


@contextmanager
def walkers(browser: Any, *, scripted: bool, width: str, language: str) -> Iterator[Opener]:
    made: list[Walker] = []

    def open_one(base: str) -> Walker:
        size = WIDTHS[width]
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=scripted,
            locale={"en": "en-GB", "fr": "fr-FR"}[language], has_touch=width == "narrow",
            ignore_https_errors=True,
        )  # fmt: skip
        made.append(Walker(context, base, scripted, language, touch=width == "narrow"))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


class Administrator:
    """Ada: her browser, and the authenticator whose codes never work twice."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.secret = ""
        self.used = ""

    def code(self) -> str:
        def fresh() -> str:
            now = str(pyotp.TOTP(self.secret).now())
            return "" if now == self.used or time.time() % 30 > 28 else now

        self.used = str(until(fresh, patience_s=65))
        return self.used

    def accept(self, link: str) -> None:
        walker = self.walker
        walker.open(link)
        people.speak(walker)
        walker.fill("Your name", "Ada Root")
        walker.fill("New password", PASSWORD)
        walker.fill("The same password once more", PASSWORD)
        walker.press("Continue")
        self.secret = re.sub(r"\s", "", walker.page.locator("code").first.text_content() or "")
        walker.fill("Code", self.code())
        walker.press("Connect the app")
        walker.press("I have kept them")

    def sign_in(self) -> None:
        walker = self.walker
        walker.open("/sign-in")
        people.speak(walker)
        walker.fill("Mail address", ADA)
        walker.fill("Password", PASSWORD)
        walker.press("Continue")
        walker.fill("Code", self.code())
        walker.press("Sign in")

    def go(self, action: str) -> None:
        """The set-up page, and the button of the step that is next; a code where one is asked for."""
        self.walker.open("/settings/set-up")
        self.walker.press(action, "link", also=" ")
        self.prove()

    def prove(self) -> None:
        if "/step-up" in self.walker.page.url:
            self.walker.fill("Code", self.code())
            self.walker.press("Continue")

    def press(self, words: str, role: str = "button", **more: Any) -> None:
        self.walker.press(words, role, **more)
        self.prove()


def invitation(data_dir: Path, port: int) -> str:
    """What whoever installs it types: the first administrator, who owns contracts too."""
    made = subprocess.run(
        command("people", "add", ADA, "--role", "administrator"), env=environment(data_dir),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return re.sub(r"http://[^/]+", f"http://127.0.0.1:{port}", made.stdout.strip())


def set_up_company(ada: Administrator) -> None:
    walker = ada.walker
    ada.go("Add your company")
    walker.fill("Name", "Larkfield Software Ltd")
    walker.fill("Address", "14 Welsh Back, Bristol BS1 4RR")
    walker.fill("References begin with", "LF")
    walker.fill("Governing law", "England and Wales")
    walker.fill("Courts", "London")
    walker.fill("Telephone", "+44 117 496 0182")
    for language in ("en", "fr"):
        box = walker.page.locator(f"input[name='languages.{language}']")
        if not box.is_checked():
            box.check()
    ada.press("Save")


def name_signatory(ada: Administrator) -> None:
    walker = ada.walker
    ada.go("Name a signatory")
    ada.press("Add a signatory", "link")
    walker.page.locator("select[name=person]").select_option(index=1)
    walker.fill("Position, as printed", "Managing Director")
    walker.fill("What says so", "Board resolution of 3 March 2026")
    ada.press("Add")


def take_the_role(ada: Administrator) -> None:
    """Ada owns contracts herself."""
    walker = ada.walker
    ada.go("Invite a contract owner")
    walker.page.locator("main a", has_text="Ada Root").first.click()
    walker.page.wait_for_load_state("load")
    ada.press("Change roles", "link")
    walker.tick("Contract owner")
    ada.press("Save")


def connect_mail(ada: Administrator, post: Post, port: int) -> None:
    walker = ada.walker
    ada.go("Set a mail server")
    ada.press("Set a mail server", "link")
    walker.fill("Server", "127.0.0.1")
    walker.page.locator("input[name=encryption][value=none]").check()
    walker.fill("Port", str(port))
    walker.fill("Name of the sender", "Larkfield Contracts")
    walker.fill("Address of the sender", "contracts@larkfield.example")
    ada.press("Try and save")
    ada.press("Send me a test mail")
    until(lambda: post.newest(ADA, r"."))


def connect_texts(ada: Administrator, gateway: SmsWebhook) -> None:
    walker = ada.walker
    walker.open("/account")
    walker.fill("Phone", MOBILE)
    ada.press("Save")
    walker.open("/settings/text-messages")
    walker.page.locator("a[href$='/settings/text-messages/webhook']").first.click()
    walker.page.wait_for_load_state("load")
    ada.prove()
    fields = walker.page.locator("main form input:not([type=hidden])")
    fields.nth(0).fill(f"http://{gateway.host}/send")
    fields.nth(1).fill(KEY)
    ada.press("Connect")
    ada.press("Send me a test message")
    until(lambda: newest_text(gateway, MOBILE, r"."))


def newest_text(gateway: SmsWebhook, number: str, pattern: str) -> str:
    for taken in reversed(gateway.taken):
        found = re.search(pattern, taken.text) if taken.to == number else None
        if found:
            return found.group(0)
    return ""


def keep_the_key(ada: Administrator) -> None:
    walker = ada.walker
    ada.go("Download the recovery key")
    walker.fill("Passphrase for this file", "seven quiet kettles under the stairs")
    walker.fill("The same once more", "seven quiet kettles under the stairs")
    with walker.page.expect_download() as kept:
        walker.page.get_by_role("button", name=walker.say("Download the recovery key")).click()
    assert kept.value.suggested_filename.endswith(".json")


def draft_and_send(ada: Administrator) -> str:
    walker = ada.walker
    ada.go("Draft a contract")
    walker.fill("The other company", "Castellan Pharma SA")
    walker.page.get_by_label(re.compile("Ada Root")).first.check()
    walker.fill("Who signs for them", "Claire Aubert")
    walker.fill("Their mail address", CLAIRE)
    walker.fill("5. Product", "Larkfield Quote")
    walker.fill("6. Fee a month", "2000")
    walker.page.get_by_label(re.compile("^7")).first.fill("2027-02-01")
    walker.fill("8. Length", "36")
    walker.press("Make the draft")
    found = re.search(r"LF-\d+-\d+", walker.page.url)
    assert found, walker.page.url
    people.give_phone(walker, found.group(0), "Claire Aubert", HERS)
    people.send(walker, found.group(0))
    return found.group(0)


def sign(claire: Walker, post: Post, gateway: SmsWebhook, reference: str) -> None:
    link = str(until(lambda: post.newest(CLAIRE, r"https://\S+/sign/[\w-]+")))
    people.begin(claire, link, code=True)
    code = str(until(lambda: newest_text(gateway, HERS, r"\b\d{6}\b")))
    claire.fill("Six-digit code", code)
    claire.press("Continue")
    people.read_and_sign(claire, reference)


WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]


@pytest.mark.parametrize("walk", WALKS)
def test_from_an_empty_installation_to_the_first_real_send(chromium, post, certificate, tmp_path, walk):
    took, smtp_port = post
    port = free_port()
    with serving(SmsWebhook()) as gateway, walkers(chromium, **walk) as opened:
        with running(tmp_path, "serve", port=port) as tree:
            ada = Administrator(opened(tree.address))
            ada.accept(invitation(tmp_path, port))
            set_up_company(ada)
            name_signatory(ada)
            take_the_role(ada)
            connect_mail(ada, took, smtp_port)
            connect_texts(ada, gateway)
            ada.walker.open("/settings/set-up")
            ada.press("They are right for us")
            keep_the_key(ada)
            ada.walker.open("/settings/set-up")
            ada.walker.sees(
                "Only this machine can open the links in mails. Set the address people will type, then start "
                "Countersign again:"
            )
            tree.stop()

        cert, key = certificate
        public = {
            "COUNTERSIGN_BASE_URL": f"https://{PUBLIC_HOST}:{port}", "COUNTERSIGN_TLS_CERT": str(cert),
            "COUNTERSIGN_TLS_KEY": str(key),
        }  # fmt: skip
        with secure(tmp_path, port, public):
            ada.walker.base = public["COUNTERSIGN_BASE_URL"]
            ada.sign_in()
            ada.go("Check your own address")
            ada.press("This is right: that is my address")
            reference = draft_and_send(ada)
            claire = opened(ada.walker.base)
            sign(claire, took, gateway, reference)

            ada.walker.open("/settings/set-up")
            assert ada.walker.page.locator("ol.steps > li:not([data-done])").count() == 1  # the backup
            ada.walker.sees("Advised")
            mail = next(m for to, m in took.mails if CLAIRE in to)
            assert mail["From"].addresses[0].addr_spec == "contracts@larkfield.example"
            assert mail["Reply-To"].addresses[0].addr_spec == ADA


@contextmanager
def secure(data_dir: Path, port: int, settings: dict[str, str]) -> Iterator[Tree]:
    """The portal at its public address, over TLS of its own."""
    tree = Tree(data_dir, "serve", port=port, **settings)
    try:
        until(lambda: is_open(port))
        until(tree.jobs_worker)
        yield tree
    finally:
        tree.end_everything()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
