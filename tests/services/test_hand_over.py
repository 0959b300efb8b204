"""Checked by us, signed by them: from the mailed link to the provider's page, and back."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.errors import Conflict, TooMany, Unavailable
from portal.models.audit import AuditEvent
from portal.models.base import transaction
from portal.models.envelopes import Act, Envelope, PolicyRule, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import acts, ceremonies, connections, envelopes, factors, hand_over, links
from providers.errors import Refused
from providers.interface import Frame
from tests.services import ceremony_steps as steps
from tests.services import pigeon
from tests.services.signing import actor, ours, ready, recipient, sent, theirs

URL = "https://pigeon.example/sign/claire"


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def gated(cast, now, run_jobs, loft):
    """Claire must prove an app, which the provider cannot check; Priya is asked by the provider."""
    PolicyRule.create(name="R", condition={}, applies_to="theirs", factor="totp", updated_at=now)
    account = pigeon.connected("Pigeon EU", now)
    people = [theirs(), ours(cast, routing_order=1)]
    return sent(cast, now, run_jobs, ready(cast, now, people), connection=account)


@pytest.fixture
def place(gated, now):
    """Claire's browser once the gate is passed."""
    here = steps.enter(gated, "claire", now)
    steps.agree(here, now)
    with transaction():
        factors.meet(here(now), "totp", now)
    return here


def go(here, now):
    return hand_over.go(here(now), by=here(now).actor("192.0.2.1", "Browser/1"), now=now)


def everything():
    """All that is kept, as text."""
    rows = [*Recipient.select().dicts(), *Envelope.select().dicts(), *AuditEvent.select().dicts()]
    rows += [*Job.select().dicts(), *Notice.select().dicts()]
    return str(rows)


def test_the_link_is_ours_and_leads_to_their_page_only_past_our_gate(gated, now):
    assert [(n.kind, n.address) for n in Notice.select()] == [("sign_request", "claire@castellan.example")]
    here = steps.enter(gated, "claire", now)
    assert ceremonies.state(here(now), now) == "consent"
    steps.agree(here, now)
    assert ceremonies.state(here(now), now) in ("code", "enrol", "handed")

    with pytest.raises(Conflict):
        go(here, now)


def test_past_the_gate_the_address_is_fetched_at_the_press_and_never_kept(place, gated, now, loft):
    assert ceremonies.state(place(now), now) == "elsewhere"
    assert "signing_url" not in loft.asked

    url, frame = go(place, now)

    assert url.startswith(URL)
    assert frame is None
    assert "pigeon.example" not in everything()
    assert f"/ceremony/{recipient(gated, 'claire').id}/return" in url


def test_what_was_checked_here_is_kept_before_they_go(place, gated, now, run_jobs, loft):
    go(place, now)

    gate = recipient(gated, "claire").gate
    assert [each["factor"] for each in gate["factors"]] == ["link", "totp"]
    assert (gate["address"], gate["user_agent"]) == ("192.0.2.1", "Browser/1")
    loft.sign("r1", "claire")
    hand_over.look(place(now), now)
    act = Act.get(Act.recipient == recipient(gated, "claire"))
    assert [each["factor"] for each in act.factors] == ["link", "totp"]
    assert act.address == "192.0.2.1"
    assert ceremonies.state(place(now), now) == "done"


def test_who_comes_back_is_believed_only_once_the_provider_says_so(place, gated, now, loft):
    go(place, now)

    hand_over.look(place(now), now)
    assert ceremonies.state(place(now), now) == "elsewhere"

    loft.sign("r1", "claire")
    hand_over.look(place(now), now)
    assert recipient(gated, "claire").status == "signed"


def test_where_the_provider_does_not_answer_a_job_asks_in_a_moment(place, gated, now, run_jobs, loft):
    go(place, now)
    loft.sign("r1", "claire")
    loft.before.append(pigeon.down())

    hand_over.look(place(now), now)
    assert recipient(gated, "claire").status != "signed"

    run_jobs(now, strict=False)
    assert recipient(gated, "claire").status == "signed"


def test_looking_again_and_again_asks_the_provider_a_few_times_only(place, now, loft):
    for _press in range(60):
        hand_over.look(place(now), now)

    assert loft.asked.count("fetch") == 20


def test_fetching_addresses_without_end_is_refused(place, now, loft):
    for _press in range(30):
        go(place, now)

    with pytest.raises(TooMany):
        go(place, now)
    assert loft.asked.count("signing_url") == 30


@pytest.mark.parametrize(("error", "kind"), [(pigeon.down(), Conflict), (Refused("No."), Unavailable)])
def test_a_provider_that_does_not_open_its_page_is_said_in_a_sentence(place, now, loft, error, kind):
    loft.before.append(error)

    with pytest.raises(kind) as refused:
        go(place, now)

    assert "Pigeon" in refused.value.message


def test_nobody_is_let_on_while_it_is_withdrawn(place, gated, cast, now, loft):
    envelopes.void(Envelope.get_by_id(gated.id), reason="A wrong price", by=actor(cast.ana), now=now)

    assert ceremonies.state(place(now), now) == "over"
    with pytest.raises(Conflict):
        go(place, now)
    assert "signing_url" not in loft.asked


def test_a_decline_in_front_of_their_page_ends_it_there(place, gated, now, run_jobs, loft):
    acts.decline(place(now), reason="Too dear", by=place(now).actor(), now=now)
    run_jobs(now)

    assert Envelope.get_by_id(gated.id).status == "declined"
    assert loft.held["r1"].status.value == "voided"


# --- In a browser without script ----------------------------------------------------------------


@pytest.fixture
def browser(client, cast, run_jobs, loft):
    """A browser past the gate, its recipient and the envelope."""
    now = utc_now()
    account = pigeon.connected("Pigeon EU", now)
    people = [theirs(language="en"), ours(cast, routing_order=1)]
    envelope = sent(cast, now, run_jobs, ready(cast, now, people), connection=account)
    Recipient.update(is_embedded=True).where(Recipient.key == "claire").execute()
    who = recipient(envelope, "claire")
    client.post(f"/sign/{links.issue(who, now=now)}", data={"consent": "yes", "language": "en"})
    return client, f"/ceremony/{who.id}", envelope


def test_one_press_leads_on_and_the_way_back_says_thank_you(browser, loft):
    client, here, _envelope = browser
    page = client.get(here).get_data(as_text=True)
    assert "Continue to Pigeon" in page
    assert f'action="{here}/provider"' in page

    answer = client.post(f"{here}/provider")
    assert URL in answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"

    waiting = client.get(f"{here}/return?event=signing_complete")
    assert waiting.status_code == 200
    assert "has not told us yet" in waiting.get_data(as_text=True)
    assert not re.search(r'http-equiv="refresh"', waiting.get_data(as_text=True))

    loft.sign("r1", "claire")
    assert client.get(f"{here}/return").headers["Location"] == here
    assert "You have signed" in client.get(here).get_data(as_text=True)


def test_a_framed_page_may_load_the_providers_script_and_nothing_else(browser, loft, monkeypatch):
    client, here, _envelope = browser
    framed = Frame("https://cdn.pigeon.example/embedded.js", ("https://app.pigeon.example",), "client-1")
    monkeypatch.setattr(pigeon.Pigeon, "frame", lambda self: framed)

    answer = client.post(f"{here}/provider")

    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self' https://cdn.pigeon.example;" in policy
    assert "frame-src https://app.pigeon.example;" in policy
    page = answer.get_data(as_text=True)
    assert 'data-client="client-1"' in page
    assert "needs JavaScript" in page
    assert "Content-Security-Policy" in client.get(here).headers
    assert "pigeon" not in client.get(here).headers["Content-Security-Policy"]


def test_a_stranger_is_led_nowhere(app, browser):
    _client, here, _envelope = browser
    stranger = app.test_client()

    assert stranger.post(f"{here}/provider").status_code == 404
    assert stranger.get(f"{here}/return").status_code == 404


def test_a_return_for_everybody_finds_this_browsers_own_page(app, browser):
    client, here, _envelope = browser
    client.post(f"{here}/provider")

    assert client.get("/signed-elsewhere").headers["Location"] == f"{here}/return"
    assert "Thank you" in app.test_client().get("/signed-elsewhere").get_data(as_text=True)


def test_while_the_account_rests_nobody_waits_for_it(place, gated, now, loft):
    account = connections.get(gated.connection.id)
    for _n in range(5):
        connections.record_failure(account, "away", now)

    with pytest.raises(Conflict):
        go(place, now + timedelta(seconds=1))

    assert "signing_url" not in loft.asked
