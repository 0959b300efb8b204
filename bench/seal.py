"""One seal in process, beside the floor and pyHanko as it comes: `python -m bench.seal`.

The floor is what any seal must do: hash the file and sign once. All rows are measured in turns in the
same run, as CPU time of this process; the medians and their ratio to the floor are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from portal.documents import authority, executed, seal, verify
from portal.documents.authority import Authority

PAGES = 10
CLAUSE = "The Supplier answers each report within the time of its severity and keeps the Customer informed. "
ROUNDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "authority"
        authority.create(directory, name="Larkfield Software Ltd", now=now)
        held = authority.load(directory)
        pdf, stamp, certificate = contract(), small_page("Claire Aubert", 20), small_page(CLAUSE * 12, 60)
        rows = measure(candidates(pdf, stamp, certificate, held, now), asked.rounds)
    if asked.json:
        print(json.dumps({"pdf_bytes": len(pdf), "cpu_ms": rows}))
        return
    print(f"{PAGES} pages, {len(pdf) / 1000:.0f} KB, {asked.rounds} rounds, CPU ms (median)")
    floor = rows["floor: SHA-256 and one raw signature"]
    for name, cost in rows.items():
        print(f"{name:<46}{cost:>8.2f}{cost / floor:>9.1f} x")
    ours, stock = rows["ours: seal, B-B"], rows["pyHanko as it comes, B-B"]
    print(f"ours is {stock / ours:.1f} times cheaper than pyHanko as it comes")


def candidates(
    pdf: bytes, stamp: bytes, certificate: bytes, held: Authority, now: datetime
) -> dict[str, Callable[[], Any]]:
    sign_stock = stock_signer(pdf, held)
    spots = [executed.Stamp(PAGES, 72, y, 200, 50, stamp) for y in (100, 200)]
    attached = {executed.EVIDENCE: json.dumps({"events": [CLAUSE] * 60}).encode()}
    sealed = seal.seal(pdf, held, now=now, reason="Sealed")

    def execute() -> bytes:
        return executed.build(
            pdf, spots, certificate, attached, held, now, language="en", title="Support agreement"
        )

    return {
        "floor: SHA-256 and one raw signature": lambda: held.sign(sha256(pdf).digest()),
        "ours: seal, B-B": lambda: seal.seal(pdf, held, now=now, reason="Sealed"),
        "ours: executed PDF, 2 stamps, certificate": execute,
        "ours: verify": lambda: verify.check(sealed, ca_pem=held.ca_pem),
        "pyHanko as it comes, B-B": sign_stock,
    }


def measure(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    costs: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 5):
        for name, step in work.items():
            started = time.process_time_ns()
            step()
            if turn >= 5:
                costs[name].append((time.process_time_ns() - started) / 1e6)
    return {name: statistics.median(times) for name, times in costs.items()}


def stock_signer(pdf: bytes, held: Authority) -> Callable[[], Any]:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    signer = signers.SimpleSigner.load(
        str(held.directory / "seal_key.pem"),
        str(held.directory / "seal.pem"),
        ca_chain_files=(str(held.directory / "ca.pem"),),
    )
    settings = signers.PdfSignatureMetadata(
        field_name="Seal",
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
    )
    return lambda: signers.sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf)), settings, signer=signer)


def contract() -> bytes:
    """A tagged contract of ten pages, some 200 KB."""
    table = "#table(columns: 4, " + ", ".join(f"[S{row} *row*]" for row in range(14)) + ")\n"
    clauses = "\n".join(
        f"== Clause {number}\n{CLAUSE * 2}\n\n- {CLAUSE}\n- *{CLAUSE.strip()}*\n\n{table}"
        for number in range(200)
    )
    for count in range(20, 200, 2):
        kept = clauses.split("== Clause")[: count + 1]
        made = typeset("= Support agreement\n" + "== Clause".join(kept), ["a-3a", "ua-1"])
        if page_count(made) >= PAGES:
            return made
    raise RuntimeError("the sample never reaches its length")


def small_page(words: str, size: int) -> bytes:
    return typeset(f"#set page(width: {size * 10}pt, height: {size * 10}pt, margin: 8pt)\n{words}", ["a-3b"])


def typeset(text: str, standards: list[Any]) -> bytes:
    import typst

    head = '#set document(title: "Support agreement", date: datetime(year: 2026, month: 11, day: 2))\n'
    made = typst.compile(
        (head + '#set text(lang: "en")\n' + text).encode(), format="pdf", pdf_standards=standards
    )
    return bytes(made)


def page_count(pdf: bytes) -> int:
    from pyhanko.pdf_utils.reader import PdfFileReader

    return int(PdfFileReader(BytesIO(pdf)).root["/Pages"]["/Count"])


if __name__ == "__main__":
    main()
