"""A PDF that comes back: its words compared with the text that was shared, for somebody to read."""

from __future__ import annotations

from portal.documents import children, plain, redline
from portal.documents.frames import Refused
from portal.documents.redline import Op
from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.services import agreements, documents, word_forms


def compared(contract: Contract, data: bytes) -> list[Op]:
    """The stretches in which a PDF differs from the last text shared.

    Raises Invalid beside `file` for a PDF that cannot be read, Unavailable when no child had time.
    """
    base = agreements.last_shared(contract) or agreements.latest(contract)
    try:
        theirs = plain.text_of(data, pool=documents.POOL)
    except Refused as refused:
        raise Invalid({"file": _("This PDF cannot be read.")}) from refused
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    return redline.words(text_of(contract, base), theirs)


def text_of(contract: Contract, revision: Revision) -> str:
    """The wording of a revision as plain paragraphs, clause by clause."""
    form = word_forms.described(contract, revision)
    found = []
    for place, heading in form.headings.items():
        found += [heading, *form.lines[place]]
    return "\n\n".join(found)
