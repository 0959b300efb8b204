"""What is held about people, whose it is, why, and how long: one line for each purpose.

A test fails when a table gets a column that looks like somebody's name, address, number or words, and no
line here says why it is held.
"""

from __future__ import annotations

from dataclasses import dataclass

from portal.i18n import LazyText, lazy


@dataclass(frozen=True)
class Holding:
    """`columns` are written `table.column`."""

    columns: tuple[str, ...]
    whose: LazyText
    what: LazyText
    why: LazyText
    kept: LazyText


COLLEAGUES, SIGNERS = lazy("Colleagues"), lazy("People asked to sign")
CONTACTS, EVERYBODY = lazy("People at other companies"), lazy("Everybody who is written to")
WITH_CONTRACT = lazy("as long as the contract")
REGISTER = (
    Holding(
        ("person.name", "person.email", "person.title", "person.phone", "signatory.title",
         "signatory.authority"),
        COLLEAGUES, lazy("Name, mail address, title, number, authority to sign"),
        lazy("To sign in, to own contracts and to sign for the company"),
        lazy("as long as the account, and the name as long as contracts name it"),
    ),
    Holding(
        ("session.email", "session.address", "session.user_agent", "attempt.subject", "attempt.source",
         "person_token.email", "sign_on_link.subject"),
        COLLEAGUES, lazy("Signed-in browsers, network addresses, tries to sign in"),
        lazy("To keep others out, and to show people their own sessions"),
        lazy("sessions until they end, tries for 31 days"),
    ),
    Holding(
        ("contact.name", "contact.email", "contact.title", "contact.phone", "counterparty.name",
         "counterparty.address"),
        CONTACTS, lazy("Name, mail address, title, number; of a consumer, the address"),
        lazy("To make contracts with them"), lazy("until erased, and as long as a contract names them"),
    ),
    Holding(
        ("contract.recipients", "recipient.name", "recipient.email", "recipient.title",
         "recipient.organisation"),
        SIGNERS, lazy("Name, mail address, title, company"),
        lazy("To ask them to sign, and to prove who did"),
        WITH_CONTRACT,
    ),
    Holding(
        ("recipient.phone",), SIGNERS, lazy("Telephone number"), lazy("To send codes by text message"),
        lazy("until the days set below have passed since the signing ended"),
    ),
    Holding(
        ("act.name", "act.title", "act.signature_path", "act.address", "act.user_agent", "act.reason",
         "right.draft", "letter.name"),
        SIGNERS, lazy("Typed or drawn signature, network address and browser when they signed"),
        lazy("To prove the signature"), WITH_CONTRACT,
    ),
    Holding(
        ("outside_factor.email",), SIGNERS, lazy("An authenticator app they set up"),
        lazy("To check them again without a text message"), lazy("until replaced or erased"),
    ),
    Holding(
        ("task.text",), SIGNERS, lazy("Questions and requests"), lazy("To answer them"), WITH_CONTRACT,
    ),
    Holding(
        ("negotiator.name", "negotiator.email", "comment.author_name", "comment.author_email",
         "proposal.author_name", "proposal.author_email", "agreement.author_name", "agreement.author_email"),
        CONTACTS, lazy("Name and mail address beside what they said and proposed"),
        lazy("To negotiate, and to show who agreed to what"), WITH_CONTRACT,
    ),
    Holding(
        ("notice.address", "notice.name", "notice.subject"), EVERYBODY,
        lazy("To whom a message went, and what became of it"),
        lazy("To prove that people were asked, and to see what did not arrive"),
        lazy("until erased; the text itself goes once the message is out"),
    ),
    Holding(
        ("audit_detail.personal",), EVERYBODY, lazy("Names, addresses and reasons beside the history"),
        lazy("To say who did what"), lazy("until erased; the history verifies without them"),
    ),
    Holding(
        ("bulk_row.name", "bulk_row.email", "bulk_row.read", "bulk_row.typed", "imported_envelope.people",
         "existing_row.read", "existing_row.typed"),
        SIGNERS, lazy("Rows of files that were uploaded, people of archives that were brought here"),
        lazy("To make contracts of them"), lazy("as long as the file’s page"),
    ),
    Holding(
        ("contract_life.given_by", "contract.waiting_for"), COLLEAGUES,
        lazy("Who gave us a signed copy, whom a contract waits for"), lazy("To know whom to ask"),
        WITH_CONTRACT,
    ),
)  # fmt: skip


def columns() -> set[str]:
    return {column for each in REGISTER for column in each.columns}
