"""Takes the README's pictures from a running sample: `python -m tests.browser.pictures`.

They are what a newcomer sees after `make run`, and after `make demo` where accounts at providers are shown;
take them again when a page changes its looks.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from portal.settings import ROOT
from tests.browser.conftest import FLAGS, browser_path
from tests.browser.people import text_of
from tests.processes import running, until
from tests.simulators.__main__ import described, served

IMAGES = ROOT / "docs" / "images"
DESK = {"width": 1280, "height": 860}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), "demo", "--keep") as tree:
            until(tree.jobs_worker)
            staff(browser.new_context(viewport=DESK, locale="en-GB"), tree.address)
            signer(browser, tree.address)
        with tempfile.TemporaryDirectory() as folder, served() as vendors:
            accounts = Path(folder) / "accounts.json"
            accounts.write_text(json.dumps([described(vendor) for vendor in vendors]))
            with running(Path(folder) / "data", "demo", "--keep", "--accounts", str(accounts)) as tree:
                until(tree.jobs_worker)
                administrator(browser.new_context(viewport=DESK, locale="en-GB"), tree.address)
        browser.close()


def staff(context: Any, base: str) -> None:
    page = context.new_page()
    page.goto(f"{base}/sign-in")
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Nora")).click()
    page.screenshot(path=IMAGES / "home.png")
    page.goto(f"{base}/contracts/MW-{year(page)}-0005")
    page.screenshot(path=IMAGES / "contract.png")
    page.goto(f"{base}/contracts/MW-{year(page)}-0009/draft?open=severities")
    page.screenshot(path=IMAGES / "draft.png")


def administrator(context: Any, base: str) -> None:
    page = context.new_page()
    page.goto(f"{base}/sign-in")
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Grace")).click()
    page.goto(f"{base}/settings/providers")
    page.get_by_role("link", name=re.compile("DocuSign .simulated")).click()
    page.get_by_role("button", name="Start a test run").click()
    page.get_by_role("button", name="Start another test run").wait_for()
    page.screenshot(path=IMAGES / "account.png")
    page.goto(f"{base}/settings/providers")
    page.screenshot(path=IMAGES / "providers.png")
    page.goto(f"{base}/settings/providers/compare")
    page.screenshot(path=IMAGES / "compare.png")


def year(page: Any) -> str:
    found = re.search(r"MW-(\d{4})-", page.content())
    assert found
    return found.group(1)


def signer(browser: Any, base: str) -> None:
    """The reading and signing screens on a phone, light and dark side by side."""
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="en-GB", has_touch=True, device_scale_factor=2
    )
    page = phone.new_page()
    page.goto(link(phone, base))
    page.screenshot(path=IMAGES / "sign-phone.png")
    desk = browser.new_context(viewport=DESK, locale="en-GB", color_scheme="dark")
    page = desk.new_page()
    page.goto(link(desk, base))
    page.get_by_role("checkbox").first.check()
    with page.expect_navigation():
        page.locator("button.primary").first.click()
    page.screenshot(path=IMAGES / "read.png")


def link(context: Any, base: str) -> str:
    """The link of the one person of the sample who needs nothing but it."""
    page = context.new_page()
    page.goto(f"{base}/mailbox")
    row = page.locator("ul.rows li", has_text="elodie.garnier").filter(has_text="0006").first
    answer = context.request.get(base + str(row.locator("a").first.get_attribute("href")))
    page.close()
    found = re.search(r"http://\S+/sign/[\w-]+", text_of(answer.text()))
    assert found
    return found.group(0)


if __name__ == "__main__":
    main()
