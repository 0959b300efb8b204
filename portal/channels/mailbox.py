"""Nothing leaves the house: the message stays where it is, for `/mailbox` to show."""

from __future__ import annotations

from portal.channels import Message


class Mailbox:
    keeps_text = True

    def send(self, message: Message) -> None:
        """Taken at once: its row is what the mailbox page shows."""
