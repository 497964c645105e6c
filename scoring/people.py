"""Known people: when each contact was last seen and what they looked at in seven days (spec 8.1).

The one writer of these two columns of contacts. Contacts are known by their PostHog ids; what they did is asked for by
those ids and not kept.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from uuid import UUID

from accounts.models import Contact, ContactIdentity
from ingestion.events import Cell
from ingestion.posthog import PostHogClient
from ingestion.pull import awaited
from ingestion.queries import IDS
from ingestion.site import Site
from ingestion.visits import Visit, visits
from registry.loader import load_registry
from registry.transactions import transact
from scoring.engine import KEPT, WEEK, Classifier


def see_people(
    client: PostHogClient, site: Site, as_of: date, now: datetime, guard: Callable[[], None]
) -> Iterator[int]:
    """Ask for all known people, batch by batch; yields how many contacts changed in each.

    `guard` keeps the run alive while PostHog is waited for, and is called first in every transaction.
    """
    registry = load_registry()
    classifier = Classifier(registry.rule_set(), registry.weights)
    end = datetime.combine(as_of + timedelta(days=1), time(), tzinfo=UTC)
    with ThreadPoolExecutor(1, thread_name_prefix="posthog") as pool:
        for identities in known_ids():
            seen = visits(client, site, sorted(identities), end - timedelta(days=WEEK), end)
            found: dict[UUID, list[Visit]] = {contact: [] for contact in identities.values()}
            for visit in awaited(pool.submit(list, seen), guard):
                found[identities[visit.distinct_id]].append(visit)
            yield transact(partial(note, found, classifier, now, guard))


def known_ids() -> Iterator[dict[str, UUID]]:
    """Batches of {PostHog id: contact}, by keyset; all ids of a contact come in one batch."""
    ids = ContactIdentity.objects.filter(identity_type=ContactIdentity.Type.POSTHOG_DISTINCT_ID)
    contacts = ids.order_by("contact_id").values_list("contact_id", flat=True).distinct()
    after = None
    while page := list((contacts.filter(contact_id__gt=after) if after else contacts)[: IDS // 4]):
        rows = ids.filter(contact_id__in=page).order_by("identity_value").values_list("identity_value", "contact_id")
        yield dict(rows)
        after = page[-1]


def note(found: dict[UUID, list[Visit]], classifier: Classifier, now: datetime, guard: Callable[[], None]) -> int:
    """Contacts that changed. Who was not seen in these days keeps the time they were seen last."""
    guard()
    changed = []
    for contact in Contact.objects.select_for_update().filter(pk__in=found).order_by("pk"):
        seen = found[contact.pk]
        last = max(
            [visit.last_seen_at for visit in seen] + [contact.last_seen_at] * bool(contact.last_seen_at), default=None
        )
        categories = top_categories([cell for visit in seen for cell in visit.cells], classifier)
        if (contact.last_seen_at, contact.top_categories_7d_json) != (last, categories):
            contact.last_seen_at, contact.top_categories_7d_json, contact.updated_at = last, categories, now
            changed.append(contact)
    Contact.objects.bulk_update(changed, ["last_seen_at", "top_categories_7d_json", "updated_at"])
    return len(changed)


def top_categories(cells: Sequence[Cell], classifier: Classifier) -> list[str]:
    """Categories by their points, then events, then name; at most as many as a snapshot keeps."""
    worth: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for cell in cells:
        weighed = classifier.weigh(cell)
        worth[weighed.category][0] -= weighed.weight * cell.count
        worth[weighed.category][1] -= cell.count
    return sorted(worth, key=lambda name: (*worth[name], name))[:KEPT]
