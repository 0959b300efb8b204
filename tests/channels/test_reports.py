"""Mail that comes back, in the forms that servers write; and mail that only looks like it."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from portal.channels import reports
from portal.channels.reports import DELAYED, DELIVERED, RETURNED
from tests.simulators.smtp import returned

ID = "0123456789abcdefghjk"
CLAIRE = "claire@castellan.example"


def sent(**headers):
    mail = EmailMessage()
    given = {
        "From": "c@larkfield.example",
        "To": CLAIRE,
        "Subject": "Sign",
        "Message-ID": f"<{ID}@larkfield.example>",
    }
    for name, value in (given | {key.replace("_", "-"): value for key, value in headers.items()}).items():
        mail[name] = value
    return mail


def only(raw):
    found = reports.read(raw)
    assert len(found) == 1, found
    return found[0]


def test_the_standard_report_names_person_reason_and_our_number():
    report = only(returned(sent(), CLAIRE, "5.1.1", "550 5.1.1 no such user"))

    assert (report.outcome, report.ids, report.addresses[0]) == (RETURNED, (ID,), CLAIRE)
    assert report.reason == "5.1.1 550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("action", "outcome"), [("failed", RETURNED), ("delayed", DELAYED), ("delivered", DELIVERED)]
)
def test_actions_are_told_apart(action, outcome):
    assert only(returned(sent(), CLAIRE, "4.4.1", "no answer", action=action)).outcome == outcome


@pytest.mark.parametrize("action", ["relayed", "expanded", "invented"])
def test_other_actions_say_nothing(action):
    assert reports.read(returned(sent(), CLAIRE, "2.0.0", "ok", action=action)) == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (returned(sent(Message_ID="<theirs@relay.example>"), CLAIRE, "5.1.1", "no", ID), "ENVID"),
        (
            returned(sent(Message_ID="<theirs@relay.example>", X_Countersign_Id=ID), CLAIRE, "5.1.1", "no"),
            "our own header",
        ),
        (
            returned(sent(Message_ID="<theirs@relay.example>"), CLAIRE, "5.1.1", "no").replace(
                b"To: returns@", f"To: returns+{ID}@".encode()
            ),
            "the return path",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_our_number_is_found_where_a_relay_has_left_it(raw, why):
    assert only(raw).ids == (ID,)


def test_the_address_that_was_written_to_counts_where_it_was_forwarded():
    report = only(returned(sent(), "claire.a@elsewhere.example", "5.2.2", "full"))

    assert report.addresses == ("claire.a@elsewhere.example", CLAIRE)


def test_signatures_of_the_returned_mail_name_their_selector():
    mail = sent(DKIM_Signature="v=1; a=rsa-sha256; d=larkfield.example; s=S2026; bh=x; b=y")

    assert only(returned(mail, CLAIRE, "5.1.1", "no")).signed_by == (("larkfield.example", "s2026"),)


EXIM = f"""\
From: Mail Delivery System <Mailer-Daemon@relay.example>
To: c@larkfield.example
Subject: Mail delivery failed: returning message to sender
Auto-Submitted: auto-replied
X-Failed-Recipients: {CLAIRE}

This message was created automatically by mail delivery software.

  {CLAIRE}
    host mx.castellan.example [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<{CLAIRE}>:
    550 5.1.1 no such user here

------ This is a copy of the message, including all the headers. ------

Message-ID: <{ID}@larkfield.example>
To: {CLAIRE}
Subject: Sign
"""
QMAIL = f"""\
From: MAILER-DAEMON@relay.example
To: c@larkfield.example
Subject: failure notice

Hi. This is the qmail-send program at relay.example.
I'm afraid I wasn't able to deliver your message to the following addresses.

<{CLAIRE}>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.2.1 mailbox disabled

--- Below this line is a copy of the message.

Message-ID: <{ID}@larkfield.example>
To: {CLAIRE}
"""
PLAIN = f"""\
From: postmaster@castellan.example
To: c@larkfield.example
Subject: Undeliverable: Sign

Your message to {CLAIRE} could not be delivered. 550 5.7.1 refused by policy

Message-ID: <{ID}@larkfield.example>
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [(EXIM, "550 5.1.1"), (QMAIL, "5.2.1"), (PLAIN, "550 5.7.1")],
    ids=["exim", "qmail", "plain"],
)
def test_older_forms_are_understood(text, code):
    report = only(text.encode())

    assert (report.outcome, report.ids) == (RETURNED, (ID,))
    assert CLAIRE in report.addresses
    assert code in report.reason


OUT_OF_OFFICE = f"""\
From: Claire Aubert <{CLAIRE}>
To: c@larkfield.example
Subject: Out of office: Sign
Auto-Submitted: auto-replied
Return-Path: <>
In-Reply-To: <{ID}@larkfield.example>

I am away until Monday. 550 things wait for me.
"""


@pytest.mark.parametrize(
    "text",
    [
        OUT_OF_OFFICE,
        f"From: {CLAIRE}\nSubject: Re: Sign\nIn-Reply-To: <{ID}@l.example>\n\nNo, thank you.\n",
        f"From: {CLAIRE}\nSubject: Undeliverable promises\n\nYour message {ID}\n",
        "Subject: =?utf-8?q?broken\n\n",
        "",
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n\nspam\n--x--\n",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nx\n--x--\n",
    ],
    ids=["away", "answer", "a person's words", "broken", "empty", "complaint", "no status"],
)
def test_what_people_and_their_absence_write_is_no_return(text):
    assert reports.read(text.encode()) == []


def test_a_report_without_any_number_of_ours_names_none():
    assert only(returned(sent(Message_ID="<other@relay.example>"), CLAIRE, "5.1.1", "no")).ids == ()
