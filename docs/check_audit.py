#!/usr/bin/env python3
"""Check an exported audit trail without Countersign: Python's standard library and openssl only.

    python3 check_audit.py EXPORT [--key audit.pem]

The first line of the export holds the signed head of the installation's chain; every further
line is one event. What is checked:

- each event's hash, number and link to the event before it;
- each personal detail that is still kept, against its salted hash;
- that every chain is as long as the export says, and contains every head ever folded into the
  installation's chain;
- the signature over the installation's head. Give --key with the key you keep yourself: the key
  inside the export proves nothing about who made it.

Exit status 0 when all of it holds; otherwise 1, naming the first entry that does not.
"""

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

GENESIS = "0" * 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("--key", type=Path, help="audit key you trust, PEM")
    arguments = parser.parse_args()
    try:
        events, chains = check(arguments.export, arguments.key)
    except Broken as fault:
        print(f"NOT WHOLE: {fault}")
        return 1
    whose = "the key given" if arguments.key else "the key inside the export (give --key to be sure whose)"
    print(f"Whole: {events} events in {chains} chains; the head is signed with {whose}.")
    return 0


class Broken(Exception):
    pass


def check(path, key):
    with path.open(encoding="utf-8") as lines:
        first = json.loads(next(lines))
        heads, folded, links, events = {}, {}, {}, 0
        for line in lines:
            events += 1
            body = check_event(json.loads(line), heads, links)
            if body["act"] == "chains.folded":
                folded.update(body["facts"]["heads"])
    if heads != {chain: tuple(head) for chain, head in first["heads"].items() if head[0]}:
        raise Broken("a chain is shorter or longer than the export says")
    for chain, (number, digest) in folded.items():
        if links.get((chain, number)) != digest:
            raise Broken(f"chain {chain}, event {number}: not the one folded into the installation's chain")
    check_anchor(first, key, links)
    return events, len(heads)


def check_event(row, heads, links):
    body = json.loads(row["body"])
    number, previous = heads.get(body["chain"], (0, GENESIS))
    where = f"chain {body['chain']}, event {body['number']}"
    if hashlib.sha256(row["body"].encode()).hexdigest() != row["hash"]:
        raise Broken(f"{where}: its content is not what was hashed")
    if body["number"] != number + 1 or body["previous"] != previous:
        raise Broken(f"{where}: it does not continue the event before")
    if row["details"] is not None:
        salt = row["details"]["salt"]
        for name, value in row["details"]["values"].items():
            if hashlib.sha256(f"{salt}:{value}".encode()).hexdigest() != body["personal"].get(name):
                raise Broken(f"{where}: the detail {name} is not the one recorded")
    heads[body["chain"]] = (body["number"], row["hash"])
    links[body["chain"], body["number"]] = row["hash"]
    return body


def check_anchor(first, key, links):
    anchor = first["anchor"]
    if anchor is None:
        raise Broken("the export has no signed head")
    statement = json.loads(anchor["statement"])
    if statement["number"] and links.get(("installation", statement["number"])) != statement["hash"]:
        raise Broken("the signed head is not in the installation's chain: it was cut or computed afresh")
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("key", "signature", "statement")}
        files["key"].write_bytes(public_key(key.read_bytes() if key else first["audit_key"].encode()))
        files["signature"].write_bytes(base64.b64decode(anchor["signature"]))
        files["statement"].write_text(anchor["statement"], encoding="utf-8")
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", files["key"], "-signature", files["signature"],
             files["statement"]],
            capture_output=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise Broken("the signature over the head does not hold")


def public_key(pem):
    """The public key of a PEM certificate; a bare public key as it is."""
    if b"BEGIN CERTIFICATE" not in pem:
        return pem
    return subprocess.run(
        ["openssl", "x509", "-pubkey", "-noout"], input=pem, capture_output=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
