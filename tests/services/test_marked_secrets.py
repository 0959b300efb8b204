"""What an account's secrets and tokens are must stand in no log line, page, error, job row or export,
whatever a provider answers: here it repeats them back in its errors."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal import logs, scrub
from portal.models.jobs import Job
from portal.models.people import Session
from portal.services import account_checks, audit_chains, connections, imports, jobs, polling, webhooks
from portal.services.audit import SYSTEM
from portal.services.envelopes import OPEN
from providers import registry
from tests.cast import sign_in
from tests.services.signing import actor, ready, send
from tests.simulators.__main__ import made
from tests.simulators.vendor import Response, Vendor


@pytest.fixture(params=registry.remote_names())
def vendor(request):
    with made(request.param).serving() as found:
        yield found


@pytest.fixture
def written(monkeypatch):
    """Everything that is logged, as it is written."""
    monkeypatch.setattr(scrub, "_known", set())
    monkeypatch.setattr(scrub, "_literals", None)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    loggers = [logs.LOG, *(logging.getLogger(name) for name in ("", "portal", "providers"))]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.INFO)
    for logger in loggers[:2]:
        logger.addHandler(handler)
    yield stream.getvalue
    for logger in loggers[:2]:
        logger.removeHandler(handler)


def secrets_of(connection: Any, vendor: Vendor) -> set[str]:
    """Typed in, given by the vendor, agreed for its calls; of a key in lines, each whole line."""
    connection = connections.get(connection.id)
    found = {str(vendor.connection_settings().get(each.name) or "")
             for each in registry.settings(vendor.name) if each.is_secret}  # fmt: skip
    tokens, subscription = connections.tokens_of(connection), connections.subscription_of(connection)
    if tokens is not None:
        found |= {tokens.access, tokens.refresh}
    if subscription is not None:
        found |= {subscription.secret}
    lines = {line for each in found for line in each.splitlines()}
    return {line for line in lines if len(line) > 10 and not line.startswith("-----")}


class Telltale:
    """A vendor that tells in its errors whatever it knows of us."""

    def __init__(self, vendor: Vendor, known: set[str]) -> None:
        self.known, self.told = known, 0
        vendor.broken = self.broken  # type: ignore[method-assign]
        vendor.unknown_caller = lambda: self.broken(401)  # type: ignore[method-assign]

    def broken(self, status: int) -> Response:
        self.told += 1
        said = " ".join(sorted(self.known))
        body = {
            "message": said, "errorCode": said, "code": said, "error_description": said,
            "error": {"error_msg": said, "error_name": said}, "errors": [{"message": said, "code": said}],
        }  # fmt: skip
        return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def rows() -> dict[str, str]:
    """Table to everything in it."""
    database = Job._meta.database
    return {
        name: repr(database.execute_sql(f'SELECT * FROM "{name}"').fetchall())
        for name in database.get_tables()
    }


def test_no_secret_of_an_account_gets_out(cast, vendor, client, written, tmp_path, home):
    now = datetime.now().astimezone()
    account = connections.create(
        vendor.name, "Ours", vendor.connection_settings(), by=actor(cast.ada), now=now, server=vendor.origin
    )
    connections.checked(account, connections.provider(account).check(), by=SYSTEM, now=now)
    account = connections.get(account.id)
    if registry.capabilities(vendor.name).webhooks:
        subscription = connections.provider(account).subscribe(connections.webhook_address(account))
        connections.keep_subscription(account, subscription)
    known = secrets_of(account, vendor)
    assert known
    telltale = Telltale(vendor, known)
    clock = [now]

    def work(rounds: int = 10) -> None:
        for _ in range(rounds):
            jobs.run_due("test", lambda: clock[0])
            clock[0] += timedelta(minutes=3)

    # Every errand is answered once with all the vendor knows, then rightly.
    errands: list[Any] = [
        lambda: account_checks.ask(account, now=clock[0]),
        lambda: account_checks.rehearse(account, by=SYSTEM, now=clock[0]),
        lambda: account_checks.queue_webhooks(account, clock[0], again=True),
        lambda: imports.start(account, None, None, by=SYSTEM, now=clock[0]),
    ]
    for mood in ("500", "401"):
        for errand in errands:
            vendor._moods.clear()
            vendor.misbehave(mood, times=2)
            errand()
            work(3)
            vendor._moods.clear()
            work(3)
    vendor.misbehave("500", method="POST", times=2)
    envelope = send(cast, clock[0], ready(cast, clock[0]), connection=account)
    work()
    envelope = type(envelope).get_by_id(envelope.id)
    assert envelope.status in OPEN
    vendor.misbehave("500", times=2)
    polling.ask_soon(envelope.id, clock[0])
    work(3)
    for call in vendor.calls[:3]:
        for wrong in (call, replace(call, headers={}), replace(call, body=b"{}")):
            webhooks.receive(account.id, wrong, now=clock[0])
    work(3)
    assert telltale.told >= 8

    known |= secrets_of(account, vendor)  # tokens were renewed on the way
    places = {"log": written(), **rows()}
    audit_chains.export(tmp_path / "trail.jsonl")
    places["export of the trail"] = (tmp_path / "trail.jsonl").read_text()
    sign_in(client, cast.ada, clock[0])
    Session.update(stepped_up_at=clock[0]).execute()
    own = f"/settings/providers/{account.id}"
    for url in ("/settings/providers", own, f"{own}/edit", f"{own}/requests", f"{own}/archive",
                f"{own}/archive/report.csv", "/settings/providers/move", "/settings/operations"):  # fmt: skip
        answer = client.get(url)
        assert answer.status_code == 200, url
        places[url] = answer.get_data(as_text=True)
    sign_in(client, cast.ana, clock[0])
    places["contract"] = client.get(f"/contracts/{envelope.contract.reference}/signing").text
    assert "Ours" in places[own]
    assert Job.select().where(Job.last_error != "").exists()
    agreed = connections.subscription_of(connections.get(account.id))
    calls = places.pop("webhook_call")  # kept as they came: a vendor may prove itself by what we agreed on
    assert not [secret for secret in known if secret in calls and (agreed is None or secret != agreed.secret)]
    for where, text in places.items():
        assert not [secret for secret in known if secret in text], where
