"""Mail that comes back: read from its mailbox, believed only where it fits, shown to the owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.channels import reports
from portal.errors import Conflict
from portal.models.audit import AuditEvent, InstallationFact
from portal.models.envelopes import Recipient
from portal.models.notices import Notice
from portal.services import deliveries, handlers, home, jobs, mail_domains, return_box, returns
from portal.services.audit import SYSTEM
from tests.services.signing import actor, sent
from tests.simulators.imap import Mailroom, serving
from tests.simulators.smtp import Post, maildir, put, returned, running


@pytest.fixture
def post(home, tmp_path):
    """A mail server that takes everything and sends it back into a Maildir, which the portal reads."""
    box = maildir(tmp_path / "returns")
    with running(Post(returns=box)) as post:
        home.settings = replace(
            home.settings,
            mail_url=f"smtp://127.0.0.1:{post.port}",
            mail_from="Larkfield <c@larkfield.example>",
            bounce_url=f"maildir:{box}",
            bounce_address="returns+*@larkfield.example",
        )
        yield post


@pytest.fixture
def look(home):
    """Read the mailbox now, as the worker does every half minute."""
    handlers.load()

    def read(now):
        jobs.add("read_returned_mail", now=now)
        jobs.run_due("test", lambda: now)

    return read


def to_claire():
    return Notice.get(Notice.address == "claire@castellan.example", Notice.kind == "sign_request")


def test_a_mail_taken_and_sent_back_shows_with_its_reason(post, cast, now, run_jobs, look):
    contract = sent(cast, now, run_jobs).contract
    look(now)

    notice = to_claire()
    assert (notice.status, notice.failure) == ("returned", "5.1.1 550 5.1.1 no such user")
    assert Recipient.get_by_id(notice.recipient_id).problem == "undelivered"
    assert post.senders[0] == f"returns+{notice.id}@larkfield.example"
    assert return_box.state().reports == 1
    row = next(row for row in home.stuck(contract.owner) if row.word == "Not delivered")
    assert "no mailbox with this address" in row.about


def test_one_lost_mail_is_one_row_at_home_and_gone_once_it_is_sent_again(post, cast, now, run_jobs, look):
    from portal.services import reminders

    contract = sent(cast, now, run_jobs).contract
    look(now)
    assert len(home.stuck(contract.owner)) == 1

    post.returns = None
    recipient = Recipient.get_by_id(to_claire().recipient_id)
    reminders.remind_now(recipient, by=actor(cast.ana), now=now)
    run_jobs(now)

    assert home.stuck(contract.owner) == []


def test_the_same_letter_twice_changes_nothing_more(post, cast, now, run_jobs, look):
    envelope = sent(cast, now, run_jobs)
    put(post.returns, returned(post.mails[0], "claire@castellan.example", "5.2.2", "552 full"))
    look(now)
    look(now)

    marks = AuditEvent.select().where(
        (AuditEvent.act == "recipient.undelivered") & (AuditEvent.chain == envelope.contract_id)
    )
    assert marks.count() == 1
    assert to_claire().failure == "5.1.1 550 5.1.1 no such user"
    assert list((post.returns / "new").iterdir()) == []


def test_a_report_about_somebody_elses_mail_or_no_mail_of_ours_changes_nothing(
    post, cast, now, run_jobs, look
):
    post.returns, box = None, post.returns
    sent(cast, now, run_jobs)
    mail = post.mails[0]
    forged = [
        (mail, "marc@castellan.example", "To: claire", "To: marc"),
        (mail, "claire@castellan.example", mail["X-Countersign-Id"], "0" * 20),
        (mail, "", "", ""),
    ]
    for letter, address, wrong, instead in forged:
        raw = returned(letter, address, "5.1.1", "no").decode().replace("To: Claire Aubert", "To: x")
        raw = raw.replace("<claire@", "<elsewhere@") if address != "claire@castellan.example" else raw
        put(box, raw.replace(wrong, instead).encode() if wrong else raw.encode())
    look(now)

    assert to_claire().status == "sent"
    assert return_box.state().reports == 0


def test_a_delay_is_shown_and_is_no_return(post, cast, now, run_jobs, look):
    post.returns, box = None, post.returns
    sent(cast, now, run_jobs)
    raw = returned(
        post.mails[0], "claire@castellan.example", "4.4.1", "no answer from host", action="delayed"
    )
    put(box, raw)
    look(now)

    assert (to_claire().status, to_claire().failure) == ("sent", "4.4.1 no answer from host")
    assert Recipient.get_by_id(to_claire().recipient_id).problem == ""


def test_a_mailbox_that_is_away_is_said_so_until_it_is_back(home, now, look, tmp_path):
    home.settings = replace(home.settings, bounce_url=f"maildir:{tmp_path}/nowhere")
    look(now)
    state = return_box.state()
    assert "not a Maildir" in state.problem
    assert state.since == now

    maildir(tmp_path / "nowhere")
    look(now)
    assert (return_box.state().problem, return_box.state().at) == ("", now)


def test_a_kill_before_the_letter_is_moved_repeats_nothing(post, cast, now, run_jobs, look, monkeypatch):
    sent(cast, now, run_jobs)
    report = reports.read(next((post.returns / "new").iterdir()).read_bytes())[0]
    assert returns.take_in(report, now)

    look(now)

    assert return_box.state().reports == 0
    assert to_claire().status == "returned"


def test_a_selector_is_learnt_from_our_own_signature_only(post, cast, now, run_jobs, look):
    post.returns, box = None, post.returns
    sent(cast, now, run_jobs)
    mail = post.mails[0]
    mail["DKIM-Signature"] = "v=1; d=larkfield.example; s=s2026; b=x"
    mail.add_header("DKIM-Signature", "v=1; d=elsewhere.example; s=bad; b=x")
    put(box, returned(mail, "claire@castellan.example", "5.1.1", "no"))
    look(now)

    assert mail_domains.selectors_of("larkfield.example") == ["s2026"]
    assert mail_domains.selectors_of("elsewhere.example") == []


# --- IMAP and POP3 -------------------------------------------------------------------------------


@pytest.fixture
def letter(home, now, run_jobs, cast):
    with running(Post()) as office:
        home.settings = replace(home.settings, mail_url=f"smtp://127.0.0.1:{office.port}")
        sent(cast, now, run_jobs)
        mail = office.mails[0]
    return returned(mail, "claire@castellan.example", "5.2.2", "552 5.2.2 full")


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_mailbox_on_a_server_is_read_once(home, now, look, letter, kind):
    room = Mailroom(letters=[b"Subject: Hello\r\n\r\nNo report.\r\n", letter])
    with serving(room, kind) as port:
        home.settings = replace(home.settings, bounce_url=f"{kind}://portal:hush@127.0.0.1:{port}/INBOX")
        look(now)
        assert to_claire().status == "returned"
        look(now)

    assert return_box.state().reports == 1
    assert return_box.state().problem == ""
    assert room.seen == {1, 2} if kind == "imap" else room.letters == []
    assert room.fetched == 2


def test_a_wrong_password_is_said_so(home, now, look):
    with serving(Mailroom(), "imap") as port:
        home.settings = replace(home.settings, bounce_url=f"imap://portal:wrong@127.0.0.1:{port}/INBOX")
        look(now)

    assert "password" in return_box.state().problem


def test_a_password_goes_over_an_encrypted_line_only(home, now, look):
    home.settings = replace(home.settings, bounce_url="imap://portal:hush@imap.example/INBOX")
    look(now)

    assert "encrypted" in return_box.state().problem


# --- Setting it ----------------------------------------------------------------------------------


def test_the_mailbox_is_kept_encrypted_and_the_environment_comes_first(home, now):
    return_box.connect("imaps://portal:hush@imap.example/INBOX", "r@larkfield.example", by=SYSTEM, now=now)

    kept = InstallationFact.get(InstallationFact.name == return_box.BOX).value
    assert "hush" not in str(kept)
    assert return_box.in_force().url == "imaps://portal:hush@imap.example/INBOX"
    assert "hush" not in repr(return_box.in_force())
    home.settings = replace(home.settings, bounce_url="maildir:/var/mail/x")
    assert return_box.in_force().source == "environment"
    with pytest.raises(Conflict):
        return_box.disconnect(by=SYSTEM, now=now)


def test_a_report_marks_nothing_that_is_not_mail(home, now):
    text = Notice.create(
        channel="sms",
        kind="code",
        address="+33612345638",
        status="sent",
        created_at=now,
        id="0123456789abcdefghjk",
    )
    report = reports.Report(reports.RETURNED, (text.id,), ("+33612345638",), "5.1.1")

    assert not returns.take_in(report, now)
    assert deliveries.report(text.id, deliveries.DELIVERED, now=now)
