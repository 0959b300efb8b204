"""What the people of the sample do, step by step, in whatever language and width they have."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from tests.browser.conftest import Walker
from tests.browser.firefox import FirefoxWalker
from tests.processes import until


def sign_in(walker: Walker, name: str) -> None:
    """One press on the sign-in page; then the language of the walk."""
    walker.open("/sign-in")
    walker.act(walker.page.get_by_role("button", name=re.compile(name)).click)
    speak(walker)


def speak(walker: Walker | FirefoxWalker) -> None:
    """Choose the language of the walk in the page's footer, where it is another."""
    if walker.attribute("html", "lang") != walker.language:
        walker.press_at(f"button[name=language][value={walker.language}]")
    walker.check()


def draft(walker: Walker, *, company: str, signer: str, email: str, fee: str) -> str:
    """A contract from its eight answers; gives its reference."""
    walker.open("/")
    walker.press("New contract", "link")
    walker.fill("The other company", company)
    walker.page.get_by_label(re.compile("David Ruiz")).check()
    walker.fill("Who signs for them", signer)
    walker.fill("Their mail address", email)
    walker.fill("5. Product", "Mereworth Quote")
    walker.fill("6. Fee a month", fee)
    walker.page.get_by_label(re.compile("^7")).first.fill("2027-02-01")
    walker.fill("8. Length", "36")
    walker.press("Make the draft")
    found = re.search(r"MW-\d+-\d+", walker.page.url)
    assert found, walker.page.url
    return found.group(0)


def give_phone(walker: Walker, reference: str, name: str, phone: str) -> None:
    walker.open(f"/contracts/{reference}/recipients")
    walker.press("Change", "link", also=name)
    walker.fill("Mobile number", phone)
    walker.press("Save")


def add_signer(
    walker: Walker,
    reference: str,
    *,
    company: str,
    name: str,
    email: str,
    phone: str = "",
    order: str = "3",
    is_consumer: bool = False,
) -> None:
    walker.open(f"/contracts/{reference}/recipients")
    walker.unfold("Somebody else of %(company)s", company=company)
    walker.fill("Name", name)
    walker.fill("Mail address", email)
    walker.fill("Job title", "CFO")
    if phone:
        walker.fill("Mobile number", phone)
    walker.fill("Place in the order", order)
    if is_consumer:
        walker.field("Signs as a private person (a consumer)").check()
    walker.press("Add to the list")


def send(walker: Walker, reference: str, *, approver: Walker | None = None) -> None:
    """Fix the text and send it; `approver` is signed in as whoever must say yes in between."""
    prepare(walker, reference, approver)
    walker.press("Send %(reference)s", reference=reference)


def prepare(walker: Walker, reference: str, approver: Walker | None = None) -> None:
    walker.open(f"/contracts/{reference}/recipients")
    walker.press("Next: check and send", "link")
    walker.press("Prepare the PDF")
    if approver is not None:
        approve(approver, reference)
        walker.open(f"/contracts/{reference}/send")


def approve(walker: Walker, reference: str, *, revision: int = 1) -> None:
    walker.open(f"/contracts/{reference}/approval")
    walker.press("Approve revision %(number)s", number=revision)


def finance(walkers: Any, walk: dict[str, Any]) -> Walker:
    """Sam's browser: a large fee needs his yes."""
    sam: Walker = walkers(**walk)
    sign_in(sam, "Sam")
    return sam


def newest_message(walker: Walker, address: str, pattern: str, *, about: str = "") -> str:
    """What the newest message to this address says, by pattern; waits until it is there."""

    def look() -> str:
        page = walker.page
        page.goto(walker.base + "/mailbox")
        rows = page.locator("ul.rows li", has_text=address).filter(has_text=about)
        for index in range(min(rows.count(), 4)):
            path = rows.nth(index).locator("a").first.get_attribute("href")
            answer = walker.context.request.get(walker.base + str(path))
            found = re.search(pattern, text_of(answer.text()))
            if found:
                return found.group(0)
        return ""

    return str(until(look))


def text_of(html: str) -> str:
    start = html.index('class="mail-text"')
    return re.sub(r"<[^>]+>", "", html[start : html.index("</section>", start)])


def link_to(walker: Walker, email: str, reference: str, kind: str = "sign") -> str:
    return newest_message(walker, email, rf"http://\S+/{kind}/[\w-]+", about=reference)


def begin(walker: Walker | FirefoxWalker, link: str, *, code: bool) -> None:
    """The first screen: who asks and what; consent; on."""
    walker.open(link)
    speak(walker)
    walker.tick("I agree to receive and sign these records electronically")
    walker.press("Continue and send the code" if code else "Continue")


def type_text_code(walker: Walker | FirefoxWalker, watcher: Walker, phone: str) -> None:
    code = newest_message(watcher, phone, r"\b\d{6}\b")
    walker.fill("Six-digit code", code)
    walker.press("Continue")


def read_and_sign(walker: Walker | FirefoxWalker, reference: str, *, drawn: bool = False) -> None:
    """The reading screen, then the review, then the one deliberate press."""
    if drawn:
        walker.unfold("Draw it instead")
        walker.draw()
    if not walker.value("Your title"):
        walker.fill("Your title", "CFO")
    walker.tick_all()
    walker.press("Check before you sign")
    assert bool(walker.attribute(".signature path", "d") if drawn else walker.text(".signature"))
    walker.press("Sign %(reference)s", reference=reference)
    walker.sees("You have signed, %(name)s", name=walker.text("h1").rsplit(", ", 1)[-1])


def check_file(walker: Walker | FirefoxWalker, file: Path) -> None:
    """Ask the public page whether this PDF is genuine."""
    walker.open("/verify")
    walker.attach("PDF file", file)
    walker.press("Check")


def app_code(key: str) -> str:
    """What an authenticator shows, computed as RFC 6238 says; waits for a fresh one near its end."""
    import pyotp

    if time.time() % 30 > 27:
        time.sleep(30 - time.time() % 30)
    return str(pyotp.TOTP(key.replace(" ", "")).now())


USED: dict[str, str] = {}  # the last code of each person, since none works twice


def own_code(walker: Walker, email: str) -> str:
    """A fresh code of one of our people's authenticators, as the mailbox shows it."""

    def fresh() -> str:
        page = walker.context.request.get(walker.base + "/mailbox").text()
        rows = re.findall(r"<dt>(.*?)</dt><dd><code>(\d{6})", page)
        code = next(code for whose, code in rows if email in whose)
        return "" if USED.get(email) == code else code

    USED[email] = str(until(fresh))
    return USED[email]


def step_up(walker: Walker, email: str) -> None:
    """Type a fresh code of one's own authenticator, as the mailbox shows it; a used one is waited out."""
    typed: set[str] = set()

    def is_through() -> bool:
        code = own_code(walker, email)
        if code not in typed:
            typed.add(code)
            walker.fill("Code", code)
            walker.press("Continue")
        return "/step-up" not in walker.page.url

    until(is_through, patience_s=70)


def keep_signed(walker: Walker, reference: str, folder: Path) -> Path:
    """The sealed PDF, once there is one."""
    page = wait_for_seal(walker, reference)
    link = page.get_by_role("link", name=re.compile(re.escape(walker.say("Signed contract")))).first
    answer = walker.context.request.get(walker.base + str(link.get_attribute("href")))
    file = folder / "signed.pdf"
    file.write_bytes(answer.body())
    return file


def wait_for_seal(walker: Walker, reference: str) -> Any:
    """The contract page once everybody has signed and the seal is set."""

    def sealed() -> bool:
        walker.page.goto(f"{walker.base}/contracts/{reference}")
        return walker.say("Signed contract") in walker.page.locator("body").inner_text()

    until(sealed)
    walker.check()
    return walker.page
