"""One seal of a ten-page contract in process, beside the floor and pyHanko as it comes.

The floor is what any seal must do: hash the file and sign once. All are measured in turns in the same run,
as CPU time of this process.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.table import Row, show
from portal.documents import authority, executed, seal, verify
from portal.documents.authority import Authority

PAGES = 10
CLAUSE = "The Supplier answers each report within the time of its severity and keeps the Customer informed. "
ROUNDS = 60
WARM_UP = 5


def measure(small: bool) -> list[Row]:
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "authority"
        authority.create(directory, name="Larkfield Software Ltd", now=now)
        held = authority.load(directory)
        pdf, stamp, certificate = contract(), small_page("Claire Aubert", 20), small_page(CLAUSE * 12, 60)
        costs = in_turns(candidates(pdf, stamp, certificate, held, now), 2 if small else ROUNDS)
    seal_cost, floor = costs["seal"], costs["floor"]
    return [
        Row("one seal, CPU", seal_cost, "ms", 5, beside="hash, one signature", beside_samples=floor),
        Row("one seal, CPU", seal_cost, "ms", beside="pyHanko as it comes", beside_samples=costs["stock"]),
        Row("executed PDF, CPU", costs["execute"], "ms", beside="one seal", beside_samples=seal_cost),
        Row("verify, CPU", costs["verify"], "ms", beside="one seal", beside_samples=seal_cost),
    ]


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
        "floor": lambda: held.sign(sha256(pdf).digest()),
        "seal": lambda: seal.seal(pdf, held, now=now, reason="Sealed"),
        "execute": execute,
        "verify": lambda: verify.check(sealed, ca_pem=held.ca_pem),
        "stock": sign_stock,
    }


def in_turns(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + WARM_UP):
        for name, step in work.items():
            started = time.process_time_ns()
            step()
            if turn >= WARM_UP:
                costs[name].append((time.process_time_ns() - started) / 1e6)
    return costs


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
    show(measure, __doc__)
