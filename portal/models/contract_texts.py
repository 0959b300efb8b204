"""Every word that stands in a contract, for the search in texts.

SQLite keeps an FTS5 table over `words`, PostgreSQL an index of its tsvector: both in the migration.
"""

from __future__ import annotations

import peewee

from portal.models.base import Model, UtcField
from portal.models.contracts import Contract


class ContractText(Model):
    """The folded words of one contract, each once: clauses, terms as sentences, pages, people."""

    id = peewee.AutoField()
    contract = peewee.ForeignKeyField(Contract, unique=True, on_delete="CASCADE")
    words = peewee.TextField()
    indexed_at = UtcField()
