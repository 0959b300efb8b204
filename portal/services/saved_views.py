"""Kept views: a name for what a list shows, one's own or shared with colleagues. A view is a link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from portal.errors import Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.people import Person
from portal.models.views import SavedView
from portal.services import audit
from portal.services.audit import Actor

ASKED = ("q", "state", "side", "owner", "party", "sort")
MOST = 30


def of(person: Person) -> list[SavedView]:
    """One's own and the shared ones, by name."""
    mine = (SavedView.owner == person) | SavedView.is_shared
    query = SavedView.select(SavedView, Person).join(Person).where(mine)
    return list(query.order_by(SavedView.name, SavedView.id).limit(3 * MOST))


def keep(
    person: Person, name: str, asked: Mapping[str, str], *, shared: bool, by: Actor, now: datetime
) -> SavedView:
    """Keep what a list shows under a name; the same name again replaces it. Raises Invalid."""
    wanted = {key: str(asked[key])[:200] for key in ASKED if asked.get(key)}
    if not name:
        raise Invalid({"view_name": _("Give the view a name.")})
    if not wanted:
        raise Invalid({"view_name": _("Search or filter first: a view of everything is the list itself.")})
    mine = SavedView.owner == person
    with transaction():
        SavedView.delete().where(mine & (SavedView.name == name)).execute()
        if SavedView.select().where(mine).count() >= MOST:
            raise Invalid({"view_name": _("You keep %(most)s views already. Remove one first.", most=MOST)})
        made: SavedView = SavedView.create(
            owner=person, name=name, asked=wanted, is_shared=shared, created_at=now
        )
        record("view.kept", made, by, now)
    return made


def share(view: SavedView, *, on: bool, by: Actor, now: datetime) -> None:
    if on == view.is_shared:
        return
    with transaction():
        SavedView.update(is_shared=on).where(SavedView.id == view.id).execute()
        record("view.shared" if on else "view.unshared", view, by, now)


def remove(view: SavedView, *, by: Actor, now: datetime) -> None:
    with transaction():
        SavedView.delete().where(SavedView.id == view.id).execute()
        record("view.removed", view, by, now)


def own(person: Person, view_id: str) -> SavedView:
    """Raises NotFound for another's."""
    found: SavedView | None = SavedView.get_or_none((SavedView.id == view_id) & (SavedView.owner == person))
    if found is None:
        raise NotFound
    return found


def record(act: str, view: SavedView, by: Actor, now: datetime) -> None:
    audit.append(act, ("view", view.id), chain=audit.INSTALLATION, by=by, now=now)
