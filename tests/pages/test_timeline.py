from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.services import contract_states, contracts, timeline, timeline_phases
from tests.cast import sign_in
from tests.services import signing
from tests.services.drafting import actor

# Moves that another line of the same moment already tells.
TOLD_OTHERWISE = {"contract.sent", "contract.refused", "contract.signed"}


@pytest.fixture
def contract(app, cast, run_jobs):
    now = utc_now()
    envelope = signing.send(cast, now)
    run_jobs(now)
    return Contract.get_by_id(envelope.contract.id)


def test_every_move_of_a_contract_is_told():
    moves = {f"contract.{move.verb}" for move in contract_states.MOVES.values()}

    assert moves - set(timeline.WORDS) - TOLD_OTHERWISE == set()


def test_the_story_is_told_by_phases_oldest_first(contract):
    phases = timeline_phases.story(contract)

    assert [each.name for each in phases][-1] == "sign"
    lines = [line for phase in phases for line in phase.lines]
    assert lines == sorted(lines, key=lambda line: line.at)
    assert any("for signature" in line.text for line in phases[-1].lines)


def test_a_withdrawal_stands_with_its_reason_in_the_last_phase(app, cast):
    now = utc_now()
    made = signing.ready(cast, now)
    contracts.withdraw(made, reason="Too dear", by=actor(cast.ana), now=now)

    last = timeline_phases.story(made)[-1]
    assert last.name == "ended"
    assert (last.lines[-1].text, last.lines[-1].note) == ("Ana withdrew it", "Reason: Too dear")


def test_the_page_filters_by_kind_with_and_without_script(app, cast, contract):
    client = app.test_client()
    sign_in(client, cast.ana, utc_now())
    here = f"/contracts/{contract.reference}/timeline"

    whole, signing_only = client.get(here).text, client.get(f"{here}?kind=signing").text
    part = client.get(f"{here}?kind=signing", headers={"HX-Request": "true"}).text
    assert "was asked to sign" in whole
    assert "was asked to sign" in signing_only
    assert "fixed the text" not in signing_only
    assert part.lstrip().startswith('<div id="story"')
    assert client.get(f"{here}?kind=invented").status_code == 200
    assert "Nothing of this kind" in client.get(f"{here}?kind=approval").text


def test_strangers_do_not_get_there(app, cast, contract):
    client = app.test_client()
    assert client.get(f"/contracts/{contract.reference}/timeline").status_code in (303, 404)
    sign_in(client, cast.cleo, utc_now())
    assert client.get(f"/contracts/{contract.reference}/timeline").status_code in (303, 404)
