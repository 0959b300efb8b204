"""What must hold whatever was killed: acts, trail, seals, files and messages agree, and nothing is doubled.

Nothing of the product is imported; hashes are computed afresh. I1 to I11 number the promises.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from tests.faults.findings import Findings, Row, sha256

GENESIS = "0" * 64
ENDED = ("completed", "declined", "voided", "expired")
TOLD = {"sign": "recipient.signed", "approve": "recipient.approved", "decline": "recipient.declined"}
STANDS = {"sign": "signed", "approve": "approved", "decline": "declined"}
# What people are told when a request ends without a contract.
BAD_NEWS = {"declined": "declined", "voided": "voided", "expired": "expired"}


# --- At every moment -------------------------------------------------------------------------------


def chains_hold(found: Findings) -> Iterator[str]:
    """I5: no gap, no double, every link hashed over the one before, the head is the last link."""
    heads = {head["chain"]: head for head in found["chain_head"]}
    events: dict[str, list[Row]] = defaultdict(list)
    for event in sorted(found["audit_event"], key=lambda e: (e["chain"], e["number"])):
        events[event["chain"]].append(event)
    for chain in heads.keys() | events.keys():
        previous, number = GENESIS, 0
        for event, body in zip(events[chain], found.bodies.get(chain, []), strict=True):
            number += 1
            wanted = (number, previous, event["hash"], chain)
            told = (body["number"], body["previous"], sha256(event["body"].encode()), body["chain"])
            if wanted != told or event["number"] != number:
                yield f"chain {chain}: event {event['number']} does not continue the one before"
                break
            previous = event["hash"]
        head = heads.get(chain)
        if head is None or (head["number"], head["hash"]) != (number, previous):
            yield f"chain {chain}: its head is not its last event"
        elif head["folded_number"] > head["number"]:
            yield f"chain {chain}: more was folded than exists"


def personal_details_match(found: Findings) -> Iterator[str]:
    """I5: what lies beside the trail is what was hashed into it."""
    bodies = {(body["chain"], body["number"]): body for chain in found.bodies.values() for body in chain}
    for detail in found["audit_detail"]:
        body = bodies.get((detail["chain"], detail["number"]), {"personal": None})
        values = json.loads(detail["personal"])
        hashed = {name: sha256(f"{detail['salt']}:{value}".encode()) for name, value in values.items()}
        if hashed != body["personal"]:
            yield f"chain {detail['chain']}: details of event {detail['number']} are not those recorded"


def folded_heads_exist(found: Findings) -> Iterator[str]:
    """I5: each head written into the installation's chain is still there, and marked as folded."""
    marked = {head["chain"]: head["folded_number"] for head in found["chain_head"]}
    events = {(e["chain"], e["number"]): e["hash"] for e in found["audit_event"]}
    last: dict[str, int] = {}
    for body in found.bodies.get("installation", []):
        for chain, (number, digest) in body["facts"].get("heads", {}).items():
            if events.get((chain, number)) != digest:
                yield f"chain {chain}: event {number} is not the one folded"
            if number <= last.get(chain, 0):
                yield f"chain {chain}: event {number} was folded twice"
            last[chain] = number
    for chain, number in last.items():
        if marked.get(chain) != number:
            yield f"chain {chain}: folded up to {number}, marked up to {marked.get(chain)}"


def acts_are_told(found: Findings) -> Iterator[str]:
    """I1, I2, I5: an act has its row, its event and its recipient's status, and none without the others."""
    recipients = {r["id"]: r for r in found["recipient"]}
    envelopes = {e["id"]: e for e in found["envelope"]}
    documents = {d["id"]: d for d in found["document"]}
    acts = Counter((act["recipient_id"], act["kind"]) for act in found["act"])
    for (recipient, kind), count in acts.items():
        if count != 1:
            yield f"recipient {recipient}: {count} acts"
        events = found.said(TOLD[kind], recipient)
        if len(events) != 1:
            yield f"recipient {recipient}: {kind} is told {len(events)} times"
        if recipients[recipient]["status"] != STANDS[kind]:
            status = recipients[recipient]["status"]
            yield f"recipient {recipient}: {kind} is recorded but the status is {status}"
    for act in found["act"]:
        shown = documents[envelopes[act["envelope_id"]]["document_id"]]["sha256"]
        told = [
            e["facts"].get("document_sha256", shown)
            for e in found.said(TOLD[act["kind"]], act["recipient_id"])
        ]
        if {act["document_sha256"], *told} != {shown}:
            yield f"recipient {act['recipient_id']}: acted on another document than the one sent"
    for recipient in recipients.values():
        for kind, status in STANDS.items():
            claimed = recipient["status"] == status or bool(found.said(TOLD[kind], recipient["id"]))
            if claimed and not acts[recipient["id"], kind]:
                yield f"recipient {recipient['id']}: {status} without an act"


def one_act_each(found: Findings) -> Iterator[str]:
    """S-12: nobody acts twice in a request, of whatever kind."""
    for recipient, count in Counter(act["recipient_id"] for act in found["act"]).items():
        if count != 1:
            yield f"recipient {recipient}: acted {count} times"


def requests_are_told(found: Findings) -> Iterator[str]:
    """I5, I7: a request is sent once, ends once, and the trail says so as often."""
    for envelope in found["envelope"]:
        name, status = envelope["id"], envelope["status"]
        if len(found.said("envelope.queued", name)) != 1:
            yield f"envelope {name}: queued {len(found.said('envelope.queued', name))} times"
        sent = len(found.said("envelope.sent", name))
        if sent != (envelope["sent_at"] is not None):
            yield f"envelope {name}: {sent} times sent"
        for end in ENDED:
            told = len(found.said(f"envelope.{end}", name))
            if told != (status == end):
                yield f"envelope {name} is {status}: {told} times told that it was {end}"
        if status == "sent" and not sent:
            yield f"envelope {name}: sent without being told"
    for contract, count in Counter(
        e["contract_id"] for e in found["envelope"] if e["status"] in ("queued", "sent", "completed")
    ).items():
        if count > 1:
            yield f"contract {contract}: {count} requests open or completed"
    remote = Counter(e["remote_id"] for e in found["envelope"] if e["remote_id"])
    for name, count in remote.items():
        if count > 1:
            yield f"remote id {name} belongs to {count} envelopes"


def contracts_moved_as_told(found: Findings) -> Iterator[str]:
    """I5: the moves on the trail are one path that ends in the contract's state."""
    for contract in found["contract"]:
        moves = [
            b["facts"] for b in found.bodies.get(contract["id"], []) if {"from", "to"} <= b["facts"].keys()
        ]
        for before, after in pairwise(moves):
            if before["to"] != after["from"]:
                yield f"contract {contract['id']}: moved to {before['to']}, then from {after['from']}"
        if moves and moves[-1]["to"] != contract["state"]:
            yield f"contract {contract['id']}: is {contract['state']}, told to be {moves[-1]['to']}"
        completed = found.of("envelope", contract_id=contract["id"], status="completed")
        if completed and contract["state"] in (
            "draft",
            "negotiation",
            "approval",
            "ready_to_sign",
            "signing",
        ):
            yield f"contract {contract['id']}: signed by all, yet {contract['state']}"


def acts_precede_completion(found: Findings) -> Iterator[str]:
    """I8: complete only after every signer and approver; what ended otherwise stays unsealed."""
    for envelope in found["envelope"]:
        people = [r for r in found.of("recipient", envelope_id=envelope["id"]) if r["role"] != "copy"]
        done = {act["recipient_id"] for act in found["act"] if act["kind"] != "decline"}
        if envelope["status"] == "completed":
            if not {r["id"] for r in people} <= done:
                yield f"envelope {envelope['id']}: complete before everybody acted"
            number = next(iter(found.said("envelope.completed", envelope["id"])), {"number": 0})["number"]
            acted = [e["number"] for r in people for kind in TOLD.values() for e in found.said(kind, r["id"])]
            if acted and max(acted) > number:
                yield f"envelope {envelope['id']}: somebody acted after it was complete"
        elif people and {r["id"] for r in people} <= done:
            yield f"envelope {envelope['id']}: everybody acted, yet it is {envelope['status']}"


def executed_of(found: Findings, envelope: Row) -> list[Row]:
    mine = found.of("document", kind="executed", envelope_id=envelope["id"])
    return sorted(mine, key=lambda document: document["version"])


def at_most_one_seal(found: Findings) -> Iterator[str]:
    """I3, I4: one sealed file, registered, told with its hash, beginning with the file as shown."""
    documents = {d["id"]: d for d in found["document"]}
    for envelope in found["envelope"]:
        versions = executed_of(found, envelope)
        told = [e["facts"]["sha256"] for e in found.said("envelope.sealed", envelope["id"])]
        later = [e["facts"]["sha256"] for e in found.said("envelope.timestamped", envelope["id"])]
        if versions and envelope["status"] != "completed":
            yield f"envelope {envelope['id']}: sealed, yet {envelope['status']}"
        if [d["version"] for d in versions] != list(range(1, len(versions) + 1)) or len(versions) > 2:
            yield f"envelope {envelope['id']}: versions {[d['version'] for d in versions]}"
        if told + later != [d["sha256"] for d in versions]:
            yield f"envelope {envelope['id']}: the trail names other sealed files than there are"
        last = versions[-1]["id"] if versions else None
        if envelope["executed_id"] != last or (last is None) != (
            envelope["seal_status"] not in ("sealed", "incomplete")
        ):
            yield f"envelope {envelope['id']}: {envelope['seal_status']} with {len(versions)} sealed files"
        contents = [found.content(d) for d in versions]
        shown = found.content(documents[envelope["document_id"]])
        for before, after in zip([shown, *contents], contents, strict=False):
            if not after.startswith(before):
                yield f"envelope {envelope['id']}: a version does not begin with the one before it"
        if any(content.count(b"/ETSI.CAdES.detached") != 1 for content in contents):
            yield f"envelope {envelope['id']}: a file that does not hold exactly one seal"


def files_are_those_registered(found: Findings) -> Iterator[str]:
    """I3, I10: the bytes of each document hash to its row; the register knows every sealed file, no other."""
    for document in found["document"]:
        content = found.content(document)
        if (sha256(content), len(content)) != (document["sha256"], document["size_bytes"]):
            yield f"document {document['id']}: its bytes are not those registered"
    sealed = {(d["sha256"], d["id"]) for d in found["document"] if d["kind"] == "executed"}
    known = {(f["sha256"], f["document_id"]) for f in found["registered_file"] if f["kind"] == "executed"}
    if sealed != known:
        yield f"register and documents differ by {sorted(sealed ^ known)}"


def people_are_told_once(found: Findings) -> Iterator[str]:
    """I6: each fact that somebody must hear of has exactly one message to them."""
    mails = Counter((n["recipient_id"], n["kind"]) for n in found["notice"] if n["channel"] == "mail")
    links = Counter((token["recipient_id"], token["purpose"]) for token in found["link_token"])
    envelopes = {e["id"]: e for e in found["envelope"]}
    for recipient in found["recipient"]:
        name, envelope = recipient["id"], envelopes[recipient["envelope_id"]]
        asked = len(found.said("recipient.asked", name))
        acted = sum(len(found.said(TOLD[kind], name)) for kind in ("sign", "approve"))
        wanted = {
            "sign_request": asked,
            "reminder": len(found.said("recipient.reminded", name)),
            "acknowledgement": acted,
            "completed": len(found.said("envelope.sealed", envelope["id"])),
        }
        for status, kind in BAD_NEWS.items():
            ended = asked and envelope["status"] == status and not found.said("recipient.declined", name)
            wanted[kind] = int(bool(ended))
        for kind, count in wanted.items():
            if mails[name, kind] != count:
                yield f"recipient {name}: {mails[name, kind]} times {kind}, {count} wanted"
        if links[name, "copy"] != wanted["completed"]:
            yield f"recipient {name}: {links[name, 'copy']} links to the copy"
        if asked > 1 or (asked == 1) != (recipient["asked_at"] is not None):
            yield f"recipient {name}: asked {asked} times"


def jobs_stand_beside_facts(found: Findings) -> Iterator[str]:
    """I1, I6: whatever must leave the house has its job, and only one."""
    keys = Counter(job["key"] for job in found["job"] if job["key"])
    for key, count in keys.items():
        if count > 1:
            yield f"job {key}: {count} rows"
    for notice in found["notice"]:
        if not keys[f"deliver:{notice['id']}"]:
            yield f"notice {notice['id']} has no job"
    for envelope in found["envelope"]:
        if not keys[f"send:{envelope['id']}"]:
            yield f"envelope {envelope['id']} has no job that sends it"
        if envelope["status"] == "completed" and not keys[f"seal:{envelope['id']}"]:
            yield f"envelope {envelope['id']} has no job that seals it"


# --- When the dust has settled ------------------------------------------------------------------------


def nothing_is_left(found: Findings) -> Iterator[str]:
    """I11: no work waits, none failed, every message is out, whatever is complete is sealed."""
    for job in found["job"]:
        if job["status"] != "done":
            yield f"job {job['id']} {job['kind']} is {job['status']}: {job['last_error']}"
    for notice in found["notice"]:
        if notice["status"] != "sent":
            yield f"notice {notice['id']} {notice['kind']} is {notice['status']}"
    for envelope in found["envelope"]:
        if envelope["status"] == "queued":
            yield f"envelope {envelope['id']} was never sent"
        if envelope["status"] == "completed" and envelope["seal_status"] != "sealed":
            yield f"envelope {envelope['id']} is complete but {envelope['seal_status']}"


def no_stray_seal(found: Findings) -> Iterator[str]:
    """I4: no sealed file in the store but those that are somebody's executed contract."""
    mine = {d["storage_key"] for d in found["document"] if d["kind"] == "executed"}
    for key in found.keys:
        if "-executed-" in key and key not in mine:
            yield f"{key} lies in the store and belongs to nobody"


ALWAYS = (
    chains_hold, personal_details_match, folded_heads_exist, acts_are_told, one_act_each, requests_are_told,
    contracts_moved_as_told, acts_precede_completion, at_most_one_seal, files_are_those_registered,
    people_are_told_once, jobs_stand_beside_facts,
)  # fmt: skip
AT_THE_END = (nothing_is_left, no_stray_seal)


def violations(found: Findings, *, finished: bool, promised: Collection[str] = ()) -> list[str]:
    """Everything that does not hold; `promised` are recipients whose act was answered with a yes (I1)."""
    rules = (*ALWAYS, *AT_THE_END) if finished else ALWAYS
    broken = [f"{rule.__name__}: {each}" for rule in rules for each in rule(found)]
    acted = {act["recipient_id"] for act in found["act"]}
    return broken + [f"promised: the act of {recipient} is lost" for recipient in set(promised) - acted]


def undelivered(
    found: Findings, arrived: Mapping[str, int], waiting: Collection[str], kills: int
) -> list[str]:
    """I6, F-03: each message that was waiting arrived, and repeats are no more than the kills allow."""
    lost = [f"post: {name} never arrived" for name in waiting if not arrived.get(name)]
    known = {notice["id"] for notice in found["notice"]}
    lost += [f"post: {name} arrived and is nowhere recorded" for name in arrived.keys() - known]
    repeats = sum(count - 1 for count in arrived.values())
    return lost + ([f"post: {repeats} repeats after {kills} kills"] if repeats > kills else [])
