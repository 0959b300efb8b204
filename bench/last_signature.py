"""Last signature to sealed PDF: from the job's claim to the commit that publishes the file, sealer warm.

Builds on a throw-away SQLite installation, with a ten-page contract signed by two people, B-B. Beside
it, in the same run: SHA-256 of the finished file plus one raw signature, which nobody can go below.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.table import Row, show

PAGES_WANTED = 10
ROUNDS = 30
WARM_UP = 2


def measure(small: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return sealed(Path(folder), 1 if small else ROUNDS)


def sealed(folder: Path, rounds: int) -> list[Row]:
    from portal import settings
    from portal.models import base, schema
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
    repeat = length()
    walls, cpus = [], []
    for turn in range(rounds + WARM_UP):
        envelope = signed_by_both(cast, now, repeat)
        wall, cpu = time.perf_counter(), time.process_time()
        job = jobs.claim("bench", now)
        if job is None or job.kind != "seal_envelope" or not jobs.run(job, lambda: now):
            raise SystemExit(f"nothing was sealed: {job and job.last_error}")
        if turn >= WARM_UP:
            walls.append(1000 * (time.perf_counter() - wall))
            cpus.append(1000 * (time.process_time() - cpu))
        size = size_of(envelope)
        jobs.run_due("bench", lambda: now)
    floor = crypto_floor(size)
    base.disconnect()
    return [
        Row("last signature to sealed PDF", walls, "ms", 60),
        Row("the same, CPU", cpus, "ms", beside="hash, one signature", beside_samples=floor),
    ]


def length() -> int:
    """How often the sample clauses must be repeated for ten pages."""
    from tests.services.signing import printed

    for repeat in range(1, 40):
        if printed(repeat).pages >= PAGES_WANTED:
            return repeat
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


def crypto_floor(size: int) -> list[float]:
    from portal.documents import cms
    from portal.services import installation

    content, key = bytes(size), installation.current().authority.key
    times = []
    for _round in range(50):
        start = time.process_time()
        cms.sign(key, hashlib.sha256(content).digest())
        times.append(1000 * (time.process_time() - start))
    return times


if __name__ == "__main__":
    show(measure, __doc__)
