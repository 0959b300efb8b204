"""The long fault run: prints totals by database and in all, with the seed; exit 1 for a violation."""

from __future__ import annotations

import argparse
import random
import secrets
import sys

from tests.faults import arena, rounds
from tests.faults.rounds import Totals

KINDS = ("sqlite", "postgresql")


def run(kind: str, seed: int, times: int) -> Totals:
    """Kill workers and web processes on one kind of database, `times` times the usual long run."""
    chance = random.Random(f"{seed}-{kind}")
    with arena.opened(kind) as place:
        calm = rounds.undisturbed(place)
        fates = rounds.worker_fates(calm, chance, each=4, statements=60, moments=60 * times)
        for _more in range(times - 1):
            fates += rounds.worker_fates(calm, chance, each=4, statements=60, moments=0)
        totals = rounds.kill_workers(place, calm, fates, seed)
        totals.add(rounds.kill_webs(place, seed, chance, each=3, statements=8 * times, moments=3 * times))
    return totals


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    words.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="plays a run again")
    words.add_argument("--times", type=int, default=1, help="how many times the usual length")
    words.add_argument("--database", choices=(*KINDS, "both"), default="both")
    words.add_argument("--where", action="store_true", help="also print how often it died where")
    given = words.parse_args()
    whole = Totals(given.seed)
    for kind in KINDS if given.database == "both" else (given.database,):
        totals = run(kind, given.seed, given.times)
        print(kind, totals.as_text(), flush=True)
        whole.add(totals)
    print("in all", whole.as_text())
    if given.where:
        print("\n".join(f"{count:5} {where}" for where, count in whole.where.most_common()))
    print("\n".join(whole.violations), file=sys.stderr)
    return 1 if whole.violations else 0


if __name__ == "__main__":
    sys.exit(main())
