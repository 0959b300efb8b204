#!/usr/bin/env python3
"""Check a contract's evidence package without Countersign: Python's standard library and openssl only.

    python3 check.py [FOLDER] [--ca ca.pem]

FOLDER is where the package was unpacked; this file lies in it. What is checked:

- every file of the package against manifest.json, and that no file is there beside them;
- the history (trail.jsonl): each entry's hash, number and link to the entry before it, and each
  personal detail that is still kept against its salted hash;
- each text in terms/ against the hash in the history, where the history names it;
- each signed file against the hash in the history;
- the company seal of each sealed PDF, by openssl, over every byte but the signature itself.

Give --ca with the certificate file you keep yourself (it is at <portal>/ca or from whoever runs the
portal): the one inside the package proves nothing about who made it.

Exit status 0 when all of it holds; otherwise 1, naming what does not.
"""

import argparse
import calendar
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENESIS = "0" * 64
RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
SIGNED_AT = re.compile(rb"/M\s*\(D(?::|\\072)(\d{14})Z\)")


class Broken(Exception):
    pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    parser.add_argument("--ca", type=Path, help="the portal's certificate you trust, PEM")
    arguments = parser.parse_args()
    try:
        said = check(arguments.folder, arguments.ca)
    except (Broken, OSError, ValueError, KeyError, IndexError) as fault:
        print(f"NOT WHOLE: {fault}")
        return 1
    print("\n".join(said))
    return 0


def check(folder, ca):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    check_files(folder, manifest)
    acts = check_trail(folder / "trail.jsonl", manifest["chain"])
    texts = check_texts(folder, manifest, acts)
    seals = check_signed(folder, manifest, acts, ca)
    whose = "the certificate given" if ca else "the certificate inside (give --ca to be sure whose)"
    return [
        f"Whole: contract {manifest['reference']}, {len(manifest['files'])} files, "
        f"{len(acts)} entries of history.",
        f"Texts that match their hash: {texts}.",
        f"Company seals that hold, by {whose}: {seals}.",
    ]


def check_files(folder, manifest):
    named = {each["name"]: each for each in manifest["files"]}
    for name, each in named.items():
        if digest(folder / name) != each["sha256"]:
            raise Broken(f"{name} is not the file of the manifest")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    spare = found - set(named) - {"manifest.json", "SHA256SUMS"}
    if spare:
        raise Broken(f"these files are not of the package: {', '.join(sorted(spare))}")


def check_trail(path, chain):
    """The entries in order, as dicts."""
    number, previous, acts = 0, GENESIS, []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        body = json.loads(row["body"])
        where = f"entry {body['number']} of the history"
        if hashlib.sha256(row["body"].encode()).hexdigest() != row["hash"]:
            raise Broken(f"{where}: its content is not what was hashed")
        if body["chain"] != chain or body["number"] != number + 1 or body["previous"] != previous:
            raise Broken(f"{where}: it does not continue the entry before")
        if row["details"] is not None:
            salt = row["details"]["salt"]
            for name, value in row["details"]["values"].items():
                if hashlib.sha256(f"{salt}:{value}".encode()).hexdigest() != body["personal"].get(name):
                    raise Broken(f"{where}: the detail {name} is not the one recorded")
        number, previous = body["number"], row["hash"]
        acts.append(body)
    return acts


def check_texts(folder, manifest, acts):
    known = {each["facts"].get("sha256") for each in acts}
    checked = 0
    for each in manifest["files"]:
        if each["kind"] == "text":
            if each["sha256"] not in known and not each.get("of"):
                raise Broken(f"{each['name']}: the history does not know this text")
            checked += 1
    return checked


def check_signed(folder, manifest, acts, ca):
    known = json.dumps([each["facts"] for each in acts])
    sealed = 0
    for each in manifest["files"]:
        if each["kind"] not in ("executed", "letter", "record"):
            continue
        if each["sha256"] not in known and not each.get("of"):
            raise Broken(f"{each['name']}: the history does not know this file")
        if each["sealed"]:
            check_seal(folder / each["name"], ca or folder / "ca.pem")
            sealed += 1
    return sealed


def check_seal(path, ca):
    """The first signature of the file, over all that it covers, at the time it names."""
    pdf = path.read_bytes()
    ranges = [tuple(map(int, match.groups())) for match in RANGE.finditer(pdf)]
    if not ranges:
        raise Broken(f"{path.name} has no seal")
    if max(second + length for _start, _gap, second, length in ranges) != len(pdf):
        raise Broken(f"{path.name}: something stands behind its last seal")
    _start, gap, second, length = ranges[0]
    signed = SIGNED_AT.search(pdf[second : second + length])
    if ranges[0][0] != 0 or not signed:
        raise Broken(f"{path.name}: its seal is not of the right form")
    at = calendar.timegm(time.strptime(signed[1].decode(), "%Y%m%d%H%M%S"))
    with tempfile.TemporaryDirectory() as scraps:
        (Path(scraps) / "seal.der").write_bytes(der(bytes.fromhex(pdf[gap + 1 : second - 1].decode())))
        (Path(scraps) / "covered.bin").write_bytes(pdf[:gap] + pdf[second : second + length])
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-no-CApath",
             "-no-CAstore", "-in", f"{scraps}/seal.der", "-content", f"{scraps}/covered.bin",
             "-CAfile", str(ca), "-attime", str(at), "-out", f"{scraps}/out"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise Broken(f"{path.name}: its seal does not hold: {done.stderr.strip()[-200:]}")


def der(padded):
    """The value at the start, without the zeros behind it."""
    size = padded[1] & 0x7F if padded[1] & 0x80 else 0
    length = int.from_bytes(padded[2 : 2 + size], "big") if size else padded[1]
    return padded[: 2 + size + length]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
