"""Names, subjects and file names that would like to be a second header of a mail."""

from __future__ import annotations

import email
from email import policy

import pytest

from portal.channels import Attachment, Message, Rejected, mail
from tests.security.payloads import HOSTILE, SCRIPTS

KNOWN = {
    "From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted", "Content-Language", "MIME-Version",
    "Content-Type", "Content-Transfer-Encoding", "X-Countersign-Id",
}  # fmt: skip
SECOND = (
    "Ana\r\nBcc: everyone@evil.example", "Ana\nBcc: everyone@evil.example", "Ana\rBcc: everyone@evil.example",
    "Ana\r\n\r\n<html>", 'Ana" <everyone@evil.example>, "', "Ana <everyone@evil.example>",
    "Ana, everyone@evil.example",
    "=?utf-8?q?Ana=0D=0ABcc:_everyone@evil.example?=",
    "=?utf-8?b?QW5hDQpCY2M6IGV2ZXJ5b25lQGV2aWwuZXhhbXBsZQ==?=",
    "x =?us-ascii?q?=0D=0A=0D=0A<html>?= y", "Ana\u2028Bcc: everyone@evil.example", "a" * 3000,
    "\u202eanA", "Ana;Bcc=everyone@evil.example", "Ana\x0b\x0cBcc: x", "Ana\x85Bcc: everyone@evil.example",
)  # fmt: skip
ODD = [*SECOND, *(text for kind, text in HOSTILE.items() if kind != "surrogate"), *SCRIPTS[:20]]


def composed(**changes):
    given = {
        "id": "n1", "to": "claire@castellan.example", "name": "Claire", "subject": "To sign",
        "text": "Please sign.", "html": "<p>Please sign.</p>", "language": "en", "attachments": (),
    }  # fmt: skip
    made = mail.compose(Message(**(given | changes)), "Countersign <countersign@larkfield.example>")
    return email.message_from_bytes(made.as_bytes(), policy=policy.default)


def addresses(read):
    return [each.addr_spec for each in read["To"].addresses]


@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name)[:30])
def test_no_name_adds_a_header_or_a_reader(name):
    """It is sent all the same: whoever typed the name must not cut its bearer off from mail."""
    read = composed(name=name)

    assert set(read.keys()) <= KNOWN
    assert addresses(read) == ["claire@castellan.example"]
    assert read["Bcc"] is None


@pytest.mark.parametrize("subject", ODD, ids=lambda subject: ascii(subject)[:30])
def test_no_subject_adds_a_header(subject):
    """A line break in a subject never comes from our templates, and is refused outright."""
    try:
        read = composed(subject=subject)
    except Rejected:
        assert len(f"{subject}x".splitlines()) > 1 or "\0" in subject
        return

    assert set(read.keys()) <= KNOWN
    assert addresses(read) == ["claire@castellan.example"]


@pytest.mark.parametrize("to", [
    "claire@castellan.example\r\nBcc: x@evil.example", "claire@castellan.example, x@evil.example",
    "<x@evil.example>", "claire", "@", "a@b@c", "claire@castellan.example\0", "", "x y@castellan.example",
    'claire"@castellan.example', "claire@castellan.example>", "claire@[127.0.0.1]\n",
    "=?utf-8?q?a=0D=0ABcc?=@evil.example",
])  # fmt: skip
def test_an_address_that_is_more_than_one_is_refused(to):
    with pytest.raises(Rejected):
        composed(to=to)


@pytest.mark.parametrize(
    "file_name", ['a".pdf', "a\u202efdp.exe", "é" * 100 + ".pdf", "../../a.pdf", "a;b=c.pdf"]
)
def test_no_file_name_adds_a_header_or_a_second_file(file_name):
    read = composed(attachments=(Attachment(file_name, b"%PDF-1.7"),))
    attached = list(read.iter_attachments())

    assert len(attached) == 1
    assert attached[0].get_content_type() == "application/pdf"
    assert attached[0].get_content() == b"%PDF-1.7"
