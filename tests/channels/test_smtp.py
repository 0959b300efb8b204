"""Talking to mail servers: what each answer means, and what a broken line means."""

from __future__ import annotations

import threading

import pytest

from portal.channels import Message, Rejected, Unavailable, mail, smtp
from tests.simulators.smtp import Post, certificate_for, running

ID = "0123456789abcdefghjk"


def message(**values):
    given = {"id": ID, "to": "claire@castellan.example", "text": "Hi", "subject": "Hello", "name": "Claire"}
    return Message(**(given | values))


def gateway(post, *, login="", tls="", host="127.0.0.1"):
    return mail.Smtp.of(
        f"smtp://{login}{host}:{post.port}{f'?tls={tls}' if tls else ''}", "L <c@larkfield.example>"
    )


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """A certificate that this machine trusts."""
    context, file = certificate_for(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return context


def test_a_server_that_takes_the_mail_gives_its_number():
    with running(Post()) as post:
        taken = gateway(post).send(message())

    assert taken == "Q000000001"
    assert post.mails[0]["Message-ID"] == f"<{ID}@larkfield.example>"
    assert post.mails[0]["X-Countersign-Id"] == ID
    assert post.senders == ["c@larkfield.example"]


def test_mail_comes_back_to_the_address_given_with_the_number_in_it():
    with running(Post()) as post:
        gateway(post).send(message(returns_to="returns+*@larkfield.example"))

    assert post.senders == [f"returns+{ID}@larkfield.example"]


@pytest.mark.parametrize(
    ("step", "said", "kind"),
    [
        ("hello", "421 4.3.2 shutting down", Unavailable),
        ("mail", "421 4.3.2 shutting down", Unavailable),
        ("mail", "451 4.3.0 later", Unavailable),
        ("mail", "550 5.7.1 this sender is not yours", Unavailable),
        ("mail", "552 5.3.4 message too big", Rejected),
        ("rcpt", "450 4.2.0 mailbox busy", Unavailable),
        ("rcpt", "421 too many calls", Unavailable),
        ("rcpt", "550 5.1.1 no such user", Rejected),
        ("rcpt", "552 5.2.2 mailbox full", Rejected),
        ("rcpt", "554 5.7.1 Relay access denied", Unavailable),
        ("rcpt", "530 5.7.0 Authentication required", Unavailable),
        ("data", "451 4.7.1 later", Unavailable),
        ("data", "554 5.7.1 spam", Rejected),
    ],
)
def test_answers_at_each_step_are_told_apart(step, said, kind):
    """A refused recipient or text is refused for good; a server that refuses us may be mended."""
    with running(Post(moods={step: said})) as post, pytest.raises(kind) as raised:
        gateway(post).send(message())

    assert step == "hello" or said[:3] in str(raised.value)
    assert post.mails == []


@pytest.mark.parametrize("step", ["hello", "mail", "rcpt", "data"])
def test_a_line_that_breaks_at_any_step_is_tried_again(step):
    with running(Post(moods={step: "drop"})) as post, pytest.raises(Unavailable):
        gateway(post).send(message())

    assert post.mails == []


def test_a_line_that_breaks_after_the_text_says_that_it_may_have_arrived():
    with running(Post(moods={"data": "cut"})) as post, pytest.raises(Unavailable, match="may have taken"):
        gateway(post).send(message())

    assert len(post.mails) == 1


def test_greylisting_is_asked_again_soon():
    with running(Post(is_grey=True)) as post:
        with pytest.raises(Unavailable) as raised:
            gateway(post).send(message())
        gateway(post).send(message())

    assert raised.value.after == smtp.GREYLISTED
    assert len(post.mails) == 1


@pytest.mark.parametrize("step", ["hello", "mail", "rcpt", "data"])
def test_a_silent_server_is_left_within_its_time(step, monkeypatch):
    monkeypatch.setattr(smtp, "SECONDS", 0.4)
    with running(Post(moods={step: "slow"})) as post:
        done = threading.Event()
        failed = []

        def call():
            try:
                gateway(post).send(message())
            except Unavailable as error:
                failed.append(error)
            done.set()

        threading.Thread(target=call, daemon=True).start()
        assert done.wait(5), "it still waits"

    assert len(failed) == 1


def test_nobody_there_is_said_so():
    with pytest.raises(smtp.Trouble, match="nothing listens there"):
        mail.Smtp.of("smtp://127.0.0.1:9", "c@larkfield.example").send(message())


# --- Encryption and signing in ---------------------------------------------------------------------


def test_a_good_certificate_is_accepted_and_the_login_goes_over_it(trusted):
    post = Post(known={"portal": "hush"})
    with running(post, trusted, offers_auth_openly=False):
        gateway(post, login="portal:hush@", tls="required", host="localhost").send(message())

    assert len(post.mails) == 1


def test_tls_from_the_start_works(trusted):
    with running(Post(), trusted, from_the_start=True) as post:
        mail.Smtp.of(f"smtps://localhost:{post.port}", "c@larkfield.example").send(message())

    assert len(post.mails) == 1


@pytest.mark.parametrize("from_the_start", [False, True])
def test_a_certificate_that_nobody_trusts_is_refused(tmp_path, from_the_start):
    context, _file = certificate_for(tmp_path)
    with running(Post(), context, from_the_start=from_the_start) as post:
        url = f"{'smtps' if from_the_start else 'smtp'}://localhost:{post.port}"
        with pytest.raises(smtp.Trouble, match="certificate") as raised:
            mail.Smtp.of(url, "c@larkfield.example").send(message())

    assert raised.value.step == smtp.TLS
    assert post.mails == []


def test_a_certificate_for_another_name_is_refused(tmp_path, monkeypatch):
    context, file = certificate_for(tmp_path, "elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with running(Post(), context) as post, pytest.raises(smtp.Trouble, match="certificate"):
        gateway(post, host="localhost").send(message())


def test_encryption_that_is_required_is_not_done_without():
    with running(Post()) as post, pytest.raises(smtp.Trouble, match="no encryption"):
        gateway(post, tls="required").send(message())

    assert post.mails == []


def test_a_password_never_goes_over_an_open_line(monkeypatch):
    monkeypatch.setattr(smtp, "is_loopback", lambda host: False)
    post = Post(known={"portal": "hush"})
    with running(post), pytest.raises(Unavailable, match="the password stays here"):
        gateway(post, login="portal:hush@").send(message())


def test_a_wrong_password_waits_for_an_administrator():
    post = Post(known={"portal": "hush"})
    with running(post), pytest.raises(smtp.Trouble, match="name and password") as raised:
        gateway(post, login="portal:wrong@").send(message())

    assert raised.value.step == smtp.LOGIN
    assert "wrong" not in str(raised.value).replace("wrong password", "")


def test_trying_a_server_out_sends_nothing():
    with running(Post()) as post:
        mail.server_of(f"smtp://127.0.0.1:{post.port}").try_out(5)

    assert (post.calls, post.mails) == (1, [])


# --- Addresses -------------------------------------------------------------------------------------


def test_a_domain_in_another_script_goes_out_in_ascii():
    with running(Post()) as post:
        gateway(post).send(message(to="claire@bücher.example"))

    assert post.mails[0]["To"].addresses[0].addr_spec == "claire@xn--bcher-kva.example"


def test_letters_beyond_ascii_need_a_server_that_takes_them():
    with running(Post()) as post, pytest.raises(Rejected, match=r"5\.6\.7"):
        gateway(post).send(message(to="zoë@castellan.example"))
    with running(Post(), smtputf8=True) as post:
        gateway(post).send(message(to="zoë@castellan.example"))

    assert post.recipients == ["zoë@castellan.example"]
    assert post.options[-1].startswith("NOTIFY=") or "SMTPUTF8" in post.options


# --- What is sent ----------------------------------------------------------------------------------


def test_the_logo_travels_inside_and_belongs_to_the_html():
    with running(Post()) as post:
        gateway(post).send(message(html='<p><img src="cid:logo" alt="">Hi</p>', logo=b"\x89PNG picture"))

    related = next(part for part in post.mails[0].walk() if part.get_content_type() == "multipart/related")
    page, picture = related.iter_parts()
    assert "cid:logo" in page.get_content()
    assert (picture["Content-ID"], picture.get_content()) == ("<logo>", b"\x89PNG picture")


def test_answers_go_to_a_person():
    with running(Post()) as post:
        gateway(post).send(
            message(reply_to='"Ana, Sales" <ana@larkfield.example>', sender="Labs <x@labs.example>")
        )

    assert post.mails[0]["Reply-To"].addresses[0].addr_spec == "ana@larkfield.example"
    assert post.mails[0]["From"] == "Labs <x@labs.example>"
    assert post.senders == ["x@labs.example"]


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("email-smtp.eu-west-1.amazonaws.com", "X-SES-MESSAGE-TAGS"),
        ("smtp.mailgun.org", "X-Mailgun-Variables"),
        ("smtp.sendgrid.net", "X-SMTPAPI"),
        ("smtp.postmarkapp.com", "X-PM-Metadata-countersign-id"),
    ],
)
def test_services_that_change_the_message_id_carry_our_number_besides(host, header, monkeypatch):
    taken = []
    monkeypatch.setattr(smtp.Server, "deliver", lambda self, made, sender, to: taken.append(made) or "")

    mail.Smtp.of(f"smtp://{host}", "c@larkfield.example").send(message())

    assert ID in taken[0][header]
