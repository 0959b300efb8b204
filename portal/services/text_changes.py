"""Which acts change what the search in texts finds; `audit.append` calls `note` for every act."""

from __future__ import annotations

from datetime import datetime

from portal.services import jobs

READ = "read_contract_text"
CHANGES = frozenset({
    "contract.drafted", "contract.registered", "contract.edited", "contract.handed_over", "contract.reopened",
    "contract.shared", "contract.signed", "contract.amended", "document.added", "document.removed",
    "revision.frozen", "envelope.queued", "envelope.sealed", "envelope.fetched",
    "proposal.accepted", "recipient.added", "recipient.changed", "recipient.removed", "recipient.corrected",
})  # fmt: skip


def note(act: str, contract_id: str, now: datetime) -> None:
    """Have the contract read anew, inside the caller's transaction."""
    if act in CHANGES:
        jobs.add_again(READ, {"contract": contract_id}, key=f"text:{contract_id}", now=now)
