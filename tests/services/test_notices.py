from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import timedelta

import pytest
from aiosmtpd.controller import Controller

from portal.channels import Message, Rejected, Unavailable, mail, sms
from portal.errors import TooMany
from portal.models.audit import AuditEvent
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import notices
from tests.processes import free_port
from tests.services.signing import sent
from tests.services.test_sealing import completed


class Inbox:
    """An SMTP server that keeps what it takes, and answers as told."""

    def __init__(self):
        self.mails, self.answer = [], ""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@pytest.fixture
def inbox(home):
    taken = Inbox()
    controller = Controller(taken, hostname="127.0.0.1", port=free_port())
    controller.start()
    home.settings = replace(
        home.settings,
        mail_url=f"smtp://127.0.0.1:{controller.port}",
        mail_from="Larkfield <c@larkfield.example>",
    )
    yield taken
    controller.stop()


def queue(now, **values):
    return notices.queue(
        "expired", **{"address": "claire@castellan.example", "language": "en", "now": now, "name": "Claire",
                      "context": {"sender": "Ana", "reference": "LF-1", "title": "Support"}, **values},
    )  # fmt: skip


def test_words_are_encrypted_at_rest_and_kept_for_the_mailbox(home, now, run_jobs):
    notice = queue(now)

    run_jobs(now)

    kept = Notice.get_by_id(notice.id)
    assert kept.status == "sent"
    assert "the time to sign" not in kept.text + kept.html
    assert "the time to sign" in notices.read(kept)[0]


def test_a_real_gateway_takes_both_twins_and_the_words_are_emptied(inbox, now, run_jobs):
    notice = queue(now)

    run_jobs(now)

    sent_mail = inbox.mails[0]
    assert sent_mail["Message-ID"] == f"<{notice.id}@larkfield.example>"
    assert sent_mail["To"] == "Claire <claire@castellan.example>"
    assert "the time to sign" in sent_mail.get_body(("plain",)).get_content()
    assert "<h1" in sent_mail.get_body(("html",)).get_content()
    kept = Notice.get_by_id(notice.id)
    assert (kept.status, kept.text, kept.html) == ("sent", "", "")


def test_the_finished_copy_is_attached(inbox, cast, now, run_jobs):
    completed(cast, now, run_jobs)
    run_jobs(now)

    copies = [m for m in inbox.mails if any(m.iter_attachments())]
    assert len(copies) == 2
    attached = next(copies[0].iter_attachments())
    assert attached.get_filename().endswith("-executed.pdf")
    assert attached.get_content().startswith(b"%PDF-")


def test_a_busy_server_is_tried_again_with_the_same_message_id(inbox, now, run_jobs):
    notice = queue(now)
    inbox.answer = "450 later"

    run_jobs(now, strict=False)
    assert Notice.get_by_id(notice.id).status == "queued"
    inbox.answer = ""
    run_jobs(now + timedelta(minutes=1), strict=False)

    assert [m["Message-ID"] for m in inbox.mails] == [f"<{notice.id}@larkfield.example>"]
    assert Notice.get_by_id(notice.id).attempts == 2


def test_a_refused_address_fails_and_marks_the_person(inbox, cast, now, run_jobs):
    inbox.answer = "550 no such user"

    envelope = sent(cast, now, lambda at: run_jobs(at, strict=False))

    assert Notice.get().status == "failed"
    assert "550" in Notice.get().failure
    assert [r.problem for r in envelope.recipients if r.key == "claire"] == ["undelivered"]


def test_a_server_that_is_away_is_waited_for(home, now, run_jobs):
    home.settings = replace(home.settings, mail_url="smtp://127.0.0.1:9")
    notice = queue(now)

    run_jobs(now, strict=False)

    assert Notice.get_by_id(notice.id).status == "queued"
    assert Job.get(Job.kind == "deliver_notice").run_at > now


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: all@x.example"},
        {"to": "claire@x.example\r\nBcc: all@x.example"},
        {"to": "claire@x.example, all@x.example"},
        {"to": "nobody"},
    ],
)
def test_headers_cannot_be_smuggled_in(changes):
    message = Message(**{"id": "1", "to": "claire@x.example", "text": "Hi", "subject": "Hello", **changes})

    with pytest.raises(Rejected):
        mail.compose(message, "Larkfield <c@larkfield.example>")


def test_addresses_of_servers_are_read_as_written():
    plain = mail.Smtp.of("smtp://mail.example", "x@y.example")
    login = mail.Smtp.of("smtp://a%40b:p%2Fw@mail.example", "x@y.example")
    tls = mail.Smtp.of("smtps://mail.example:4650", "x@y.example")

    assert (plain.server.port, login.server.port, tls.server.port) == (25, 587, 4650)
    assert (login.server.user, login.server.password) == ("a@b", "p/w")
    assert tls.server.encryption == "implicit"
    assert mail.server_of("smtp://mail.example?tls=required").encryption == "required"


def test_a_text_message_is_signed_and_says_the_same_id(now):
    import hashlib
    import hmac
    import json
    from base64 import b64encode

    from tests.simulators.tsa import running

    calls = []

    def application(environ, start):
        calls.append((environ, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start("202 Accepted", [("Content-Length", "0")])
        return [b""]

    with running(application) as url:
        gateway = sms.Webhook.of(f"webhook+{url.replace('://', '://top%20secret@')}/sms")
        gateway.send(Message(id="n1", to="+33612345638", text="Code 123456"))

    environ, body = calls[0]
    assert json.loads(body) == {"id": "n1", "to": "+33612345638", "text": "Code 123456", "language": "en"}
    stamp = environ["HTTP_WEBHOOK_TIMESTAMP"]
    mine = hmac.new(b"top secret", f"n1.{stamp}.".encode() + body, hashlib.sha256).digest()
    assert environ["HTTP_WEBHOOK_SIGNATURE"] == f"v1,{b64encode(mine).decode()}"
    assert "secret" not in environ["PATH_INFO"] + environ["HTTP_HOST"]


@pytest.mark.parametrize(
    ("status", "error"),
    [("500 Down", Unavailable), ("429 Slow", Unavailable), ("400 No", Rejected), ("302 There", Rejected)],
)
def test_a_gateways_answers_are_told_apart(status, error):
    from tests.simulators.tsa import running

    def application(environ, start):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start(status, [("Content-Length", "0"), ("Location", "http://elsewhere.example/")])
        return [b""]

    with running(application) as url, pytest.raises(error):
        sms.Webhook.of(f"webhook+{url.replace('://', '://key@')}/sms").send(
            Message(id="1", to="+1", text="x")
        )


def test_a_gateway_without_a_key_sends_nothing():
    with pytest.raises(Unavailable, match="no key"):
        sms.Webhook.of("webhook+https://gateway.example/sms").send(Message(id="1", to="+1", text="x"))


def test_writing_to_one_address_too_often_is_refused(home, now):
    for _turn in range(12):
        queue(now, sender_id="ana")

    with pytest.raises(TooMany):
        notices.check_rate("mail", "claire@castellan.example", "ana", now)
    notices.check_rate("mail", "other@castellan.example", "ana", now)
    notices.check_rate("mail", "claire@castellan.example", "ana", now + timedelta(hours=1))


def test_rendering_queues_nothing_when_the_transaction_is_undone(home, now):
    from portal.models.base import transaction

    with pytest.raises(RuntimeError), transaction():
        queue(now)
        raise RuntimeError

    assert Notice.select().count() + Job.select().count() + AuditEvent.select().count() == 0
