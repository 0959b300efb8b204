"""The log: one line per event, and no secret in any of them, whatever breaks."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import subprocess
import sys
import threading
from dataclasses import replace
from urllib.parse import quote

import pytest
import requests
from aiosmtpd.controller import Controller

from portal import logs, scrub
from portal.clock import utc_now
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import gateways, handlers, installation, jobs, notices
from portal.services.audit import SYSTEM
from portal.settings import ROOT, secret_values
from portal.worker import loop
from tests.cast import sign_in
from tests.processes import environment, free_port
from tests.services.test_queues import queue
from tests.simulators.tsa import running

MAIL_WORD, SMS_KEY, TOKEN = "kanarie-mail-word", "kanarie-sms-key", "kanarie-metrics-token"
CANARIES = (MAIL_WORD, SMS_KEY, TOKEN, "kanarie-path", "kanarie-query", "kanarie-cookie", "kanarie-header",
            "kanarie-typed", "918273")  # fmt: skip


@pytest.fixture
def lines(monkeypatch):
    """Everything that is logged, as it is written."""
    monkeypatch.setattr(scrub, "_known", set())
    monkeypatch.setattr(scrub, "_literals", None)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    for logger in (logging.getLogger(), logs.LOG):
        logger.addHandler(handler)
    for logger in (logs.LOG, logging.getLogger("portal")):
        logger.setLevel(logging.INFO)

    def read():
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert not [secret for secret in CANARIES if secret in stream.getvalue()]
        return found

    yield read
    for logger in (logging.getLogger(), logs.LOG):
        logger.removeHandler(handler)


@pytest.fixture
def marked(home, lines):
    """An installation whose every secret can be recognised; its gateways answer nothing."""
    home.settings = replace(
        home.settings,
        mail_url=f"smtp://mailer:{MAIL_WORD}@127.0.0.1:{free_port()}",
        sms_url=f"webhook+http://{SMS_KEY}@127.0.0.1:{free_port()}/sms?token=kanarie-query",
        metrics_token=TOKEN,
    )
    scrub.hide(secret_values(home.settings))
    return home


def text_message(now):
    return queue(now, channel="sms", kind="signing_code", address="+33612345638",
                 context={"code": "918273", "minutes": 10, "host": "x", "reference": "LF-1"})  # fmt: skip


# --- No secret, whatever breaks --------------------------------------------------------------------


def test_gateways_that_are_away_leave_no_secret(marked, lines, now):
    handlers.load()
    queue(now)
    text_message(now)

    jobs.run_due("w", lambda: now)

    found = [line for line in lines() if line["event"] == "job.put_back"]
    assert len(found) == 2
    for job in Job.select():
        assert job.last_error
        assert not [secret for secret in CANARIES if secret in job.last_error]


class Gossip:
    """A mail server that repeats what it was told, passwords and all."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        return f"550 no: login {MAIL_WORD} password={MAIL_WORD} AUTH PLAIN token=kanarie-typed"


def test_a_mail_server_that_repeats_our_password_does_not_get_it_into_the_log(marked, lines, now):
    handlers.load()
    server = Controller(Gossip(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        marked.settings = replace(marked.settings, mail_url=f"smtp://127.0.0.1:{server.port}")
        notice = queue(now)
        jobs.run_due("w", lambda: now)
    finally:
        server.stop()

    # Such words are about us, not about the person: it is tried again.
    assert [line["event"] for line in lines()] == ["job.put_back"]
    said = Job.get().last_error + Notice.get_by_id(notice.id).failure
    assert "550 no" in said
    assert not [secret for secret in CANARIES if secret in said]


def test_a_password_typed_on_the_mail_page_is_hidden_as_one_from_the_environment(home, now):
    """Whatever a server repeats is kept and shown without it."""
    handlers.load()
    typed = "kanarie typed on the page"

    class Parrot:
        async def handle_RCPT(self, server, session, envelope, address, options):
            return f"450 4.7.1 you said {typed}"

    server = Controller(Parrot(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        url = f"smtp://:{quote(typed)}@127.0.0.1:{server.port}?tls=none"
        gateways.connect("mail", url, by=SYSTEM, now=now)
        notice = queue(now)
        jobs.run_due("w", lambda: now)
    finally:
        server.stop()

    kept = Notice.get_by_id(notice.id).failure
    assert "you said" in kept
    assert typed not in kept + Job.get().last_error


def test_a_webhook_that_breaks_leaves_no_secret(marked, lines, now, monkeypatch):
    """The library's own error names the whole address."""
    handlers.load()

    def gossip(environ, start):
        start("500 Broken", [("Content-Type", "text/plain")])
        return [SMS_KEY.encode()]

    with running(gossip) as url:
        bare = url.removeprefix("http://").rstrip("/")
        marked.settings = replace(
            marked.settings, sms_url=f"webhook+http://{SMS_KEY}@{bare}/sms?token=kanarie-query"
        )
        text_message(now)
        jobs.run_due("w", lambda: now)
    assert Job.get().last_error == "busy 500"

    def broken(*_arguments, **_named):
        raise ValueError(f"http://{SMS_KEY}@{bare}/sms?token=kanarie-query with {{'code': '918273'}}")

    monkeypatch.setattr(requests, "request", broken)
    Job.update(run_at=now).execute()
    jobs.run_due("w", lambda: now)

    found = lines()
    assert [line["event"] for line in found] == ["job.put_back", "job.error", "job.put_back"]
    assert "Traceback" in found[1]["trace"]
    assert not [secret for secret in CANARIES if secret in Job.get().last_error]


def test_a_page_that_breaks_leaves_nothing_of_its_request(client, app, marked, lines, monkeypatch):
    def broken(**_arguments):
        from flask import request

        raise RuntimeError(f"{request.full_path} {dict(request.headers)} {request.form.to_dict()}")

    app.testing = False
    urls = app.url_map.bind("localhost")
    try:
        for path in ("/sign/kanarie-path", "/sign-in"):
            monkeypatch.setitem(app.view_functions, urls.match(path, method="POST")[0], broken)
            answer = client.post(
                f"{path}?token=kanarie-query",
                data={"password": "kanarie-typed", "code": "918273"},
                headers={"Authorization": "Bearer kanarie-header", "Cookie": "countersign=kanarie-cookie"},
            )
            assert answer.status_code == 500
    finally:
        app.testing = True

    traces = [line["trace"] for line in lines() if line["event"] == "error"]
    assert len(traces) == 2
    assert all(scrub.HIDDEN in trace for trace in traces)


def test_libraries_that_log_addresses_leave_no_secret(marked, lines):
    logging.getLogger("urllib3.connectionpool").warning(
        "Retrying (%r) after connection broken by '%r': %s", "Retry(0)", OSError("away"),
        "/sms?token=kanarie-query",
    )  # fmt: skip
    logging.getLogger("some.library").error("Authorization: Basic %s", "kanarie-header")

    found = lines()
    assert [line["logger"] for line in found] == ["urllib3.connectionpool", "some.library"]


def test_the_web_server_writes_the_same_lines(lines, capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    scrub.hide([MAIL_WORD])
    logging.config.dictConfig(logs.for_web_server())
    server = logging.getLogger("_granian")
    try:
        server.handlers[0].setStream(stream := io.StringIO())
        server.error("panicked at %s\nsecond line", MAIL_WORD)
    finally:
        server.handlers.clear()

    said = json.loads(stream.getvalue())
    assert said["logger"] == "_granian"
    assert MAIL_WORD not in stream.getvalue()


def test_what_nobody_caught_is_a_line_too(tmp_path):
    code = (
        "from portal import logs, settings\n"
        "logs.set_up(settings.read())\n"
        "logs.catch_uncaught()\n"
        "import threading\n"
        "threading.Thread(target=lambda: 1 / 0).start()\n"
        "raise RuntimeError('password=kanarie-typed')\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    found = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert {line["event"] for line in found} == {"uncaught"}
    assert {line["trace"].splitlines()[-1].partition(":")[0] for line in found} == {
        "ZeroDivisionError", "RuntimeError",
    }  # fmt: skip
    assert "kanarie" not in ended.stderr


# --- One line per event ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nasty", ['a\r\n{"event": "forged"}', "\x1b[2J\x1b[1;31m", "\u202egnp.exe", "\u2028x"]
)
def test_whatever_a_value_holds_it_stays_one_line(lines, nasty):
    logs.event(f"x{nasty}", title=nasty, inner={"key": [nasty]})
    logging.getLogger("other").warning("%s", nasty)

    found = lines()
    assert len(found) == 2
    assert found[0]["title"] == nasty


# --- Requests --------------------------------------------------------------------------------------


def test_refused_requests_have_a_line_and_ordinary_ones_none(client, cast, lines):
    sign_in(client, cast.ana, utc_now())
    client.get("/healthz")
    client.get("/nowhere")
    client.get("/settings")

    found = lines()
    assert [(line["event"], line["address"], line["status"]) for line in found] == [
        ("request.refused", "/settings", 403)
    ]
    assert found[0]["client"] == "127.0.0.1"


def test_every_request_has_a_line_when_asked_for(client, home, lines):
    installation.open_installation(replace(home.settings, log_requests=True))

    answer = client.get("/sign/kanarie-path?x=kanarie-query")

    line = lines()[-1]
    assert line["event"] == "request.done"
    assert line["address"] == "/sign/<token>"
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert line["status"] == answer.status_code
    assert line["ms"] >= 0


def test_a_request_id_from_outside_is_not_taken(client, home):
    given = client.get("/healthz", headers={"X-Request-Id": "forged"}).headers["X-Request-Id"]

    assert given != "forged"
    assert len(given) == 16


# --- Jobs ----------------------------------------------------------------------------------------------


def work_until_idle():
    """The worker's own loop, until nothing is due."""
    stopping = threading.Event()

    def clock():
        now = utc_now()
        if not Job.select().where((Job.status == "ready") & (Job.run_at <= now)).exists():
            stopping.set()
        return now

    loop("w", clock, stopping)


def test_lines_of_a_job_name_it_and_its_contract(home, cast, lines, monkeypatch, run_jobs):
    from tests.services.test_sealing import sent

    now = utc_now()
    envelope = sent(cast, now, run_jobs)
    monkeypatch.setattr(jobs, "RECURRING", {})

    def handle(payload, context):
        logging.getLogger("portal.services.anything").warning("half way")
        if payload.get("fails"):
            raise jobs.GiveUp("no")

    monkeypatch.setitem(jobs.HANDLERS, "note", handle)
    with transaction():
        jobs.add("note", {"envelope": envelope.id}, now=now)
        jobs.add("note", {"envelope": envelope.id, "fails": True}, now=now)
    work_until_idle()

    found = [line for line in lines() if line.get("kind") == "note"]
    assert [line["event"] for line in found] == ["half way", "job.done", "half way", "job.failed"]
    assert {line["contract"] for line in found} == {envelope.contract.reference}
    assert {line["attempt"] for line in found} == {1}
    assert len({line["job"] for line in found}) == 2


def test_a_message_of_a_contract_is_logged_under_its_reference(home, cast, lines, monkeypatch, run_jobs):
    from tests.services.test_sealing import sent

    now = utc_now()
    envelope = sent(cast, now, run_jobs)
    monkeypatch.setattr(jobs, "RECURRING", {})
    notices.queue("expired", address="claire@castellan.example", language="en", now=now,
                  contract=envelope.contract, context={"sender": "Ana"})  # fmt: skip
    work_until_idle()

    line = lines()[-1]
    assert (line["event"], line["kind"]) == ("job.done", "deliver_notice")
    assert line["contract"] == envelope.contract.reference
    assert "claire" not in json.dumps(line)
