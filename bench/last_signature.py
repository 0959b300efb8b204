"""Last signature to sealed PDF: from the job's claim to the commit that publishes the file, sealer warm.

    python bench/last_signature.py [ROUNDS]

Builds on a throw-away SQLite installation, with a ten-page contract signed by two people, B-B. Beside
it, in the same run: SHA-256 of the finished file plus one raw signature, which nobody can go below.
"""

from __future__ import annotations

import hashlib
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PAGES_WANTED = 10


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), rounds)


def run(folder: Path, rounds: int) -> None:
    from portal import settings
    from portal.models import schema
    from portal.services import handlers, installation, jobs
    from tests.cast import assemble

    now = datetime.now(UTC)
    made = settings.read({"COUNTERSIGN_DATA_DIR": str(folder)}, create_keys=True)
    installation.create_authority(made, name="Larkfield Software Ltd", now=now)
    installation.open_installation(made)
    schema.up()
    handlers.load()
    handlers.warm()
    cast = assemble(now)
    repeat, pages = length()
    walls, cpus, sizes = [], [], []
    for _round in range(rounds + 2):
        envelope = signed_by_both(cast, now, repeat)
        wall, cpu = time.perf_counter(), time.process_time()
        job = jobs.claim("bench", now)
        assert job is not None
        assert job.kind == "seal_envelope", job.kind
        assert jobs.run(job, lambda: now), job.last_error
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
        sizes.append(size_of(envelope))
        jobs.run_due("bench", lambda: now)
    floor = crypto_floor(sizes[-1])
    walls, cpus = walls[2:], cpus[2:]
    print(f"document            {pages} pages, sealed file {sizes[-1] / 1000:.0f} KB, {rounds} rounds")
    slow = sorted(walls)[int(len(walls) * 0.9)]
    print(
        f"claim to sealed     {statistics.median(walls):.1f} ms wall (best {min(walls):.1f}, 90% {slow:.1f})"
    )
    print(f"                    {statistics.median(cpus):.1f} ms CPU")
    print(f"crypto floor        {floor:.2f} ms CPU, ratio {statistics.median(cpus) / floor:.0f}")
    print(f"target              under 60 ms wall: {'met' if statistics.median(walls) < 60 else 'MISSED'}")


def length() -> tuple[int, int]:
    """How often the sample clauses must be repeated for ten pages."""
    from tests.services.signing import printed

    for repeat in range(1, 40):
        pages = printed(repeat).pages
        if pages >= PAGES_WANTED:
            return repeat, pages
    raise SystemExit("the sample contract stays too short")


def signed_by_both(cast: object, now: datetime, repeat: int) -> object:
    from portal.services import jobs
    from tests.services import signing

    contract = signing.ready(cast, now, repeat=repeat)
    envelope = signing.send(cast, now, contract)
    jobs.run_due("bench", lambda: now)
    for key in ("claire", "ana"):
        signing.consent(signing.recipient(envelope, key), now)
        signing.act(envelope, key, now)
        while (job := next_mail(now)) is not None:
            jobs.run(job, lambda: now)
    return envelope


def next_mail(now: datetime) -> object | None:
    """The oldest waiting message, claimed; the seal job stays for the clock."""
    from portal.models.jobs import Job
    from portal.services import jobs

    first = Job.select().where(Job.status == "ready").order_by(Job.run_at, Job.id).first()
    return None if first is None or first.kind == "seal_envelope" else jobs.claim("bench", now)


def size_of(envelope: object) -> int:
    from portal.models.envelopes import Envelope

    return int(Envelope.get_by_id(envelope.id).executed.size_bytes)  # type: ignore[attr-defined]


def crypto_floor(size: int) -> float:
    from portal.documents import cms
    from portal.services import installation

    content, key = bytes(size), installation.current().authority.key
    times = []
    for _round in range(50):
        start = time.process_time()
        cms.sign(key, hashlib.sha256(content).digest())
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
