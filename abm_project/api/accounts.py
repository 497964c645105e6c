"""Accounts for programs (spec 8.1, 8.2): the list, the whole of it as CSV, one of them, why its score is what it is,
what moved, and whose a domain or an e-mail address is."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from abm_project import dashboards
from abm_project.api.lists import csv_answer
from abm_project.api.people import PersonAtAccount
from abm_project.api.reads import (
    Facet,
    Freshness,
    Page,
    Plain,
    Reads,
    all_written,
    choice,
    day,
    lane,
    one_of,
    ordering,
    owner,
    stage,
    surge,
    text,
    written,
)
from abm_project.filters import owner_id
from ingestion.models import LeadRequest
from registry.values import IntentStage, Persona, SurgeLevel


# --- What may be asked for --------------------------------------------------------------------------------------------
class AccountFilters(filters.FilterSet):
    range = one_of(
        dashboards.RANGES,
        "The window of raw_score and top_lane, shown, filtered and sorted by; 7d unless said. Hides nobody.",
    )
    stage = one_of(IntentStage, "Accounts in this stage.")
    lane = lane("Accounts whose top lane of the range this is, such as private_office.")
    surge = one_of(SurgeLevel, "Accounts at this surge level.")
    search = text(
        200, "A part of the name, of a domain, also a further or merged one, or of a contact's e-mail address."
    )
    owner = owner("Accounts of this user, by name; me: the accounts you own.")
    suppressed = one_of(["1"], "1: the accounts that are suppressed, which are in no other list.")
    snoozed = one_of(["1"], "1: the accounts you snoozed; unless said, they are in the list as all others are.")
    ordering = ordering(dashboards.ORDERINGS, dashboards.DEFAULT_ORDERING)


class ExplainFilters(filters.FilterSet):
    date = day("Explain the score of this UTC day; the one that is shown unless said.")


class MoverFilters(filters.FilterSet):
    since = day("Compare with the scores of this UTC day, or the newest before it; yesterday's unless said.")
    owner = owner("Accounts of this user, by name; me: the accounts you own.")


class LookupFilters(filters.FilterSet):
    domain = text(500, "A domain, or an address of a page of it.")
    email = text(320, "An e-mail address.")


# --- The list ---------------------------------------------------------------------------------------------------------
class AccountRow(Plain[dashboards.HotAccount]):
    """An account, as lists show it. Scores are of `snapshot_date`."""

    rank = serializers.IntegerField(help_text="Place in this order, from 1.")
    id = serializers.UUIDField(help_text="The account.")
    domain = serializers.CharField(help_text="Its canonical domain.")
    name = serializers.CharField(help_text="Its name; the domain where none is known.")
    owner = serializers.CharField(allow_blank=True, help_text="The user who owns it; empty: nobody.")
    intent_score = serializers.IntegerField(min_value=0, max_value=100, help_text="0 to 100.")
    intent_stage = stage(help_text="The stretch of the scale that the score is in.")
    change_1d = serializers.IntegerField(
        allow_null=True, help_text="Points of score more than the day before; null: not known."
    )
    change_7d = serializers.IntegerField(
        allow_null=True, help_text="Points of score more than seven days before; null: not known."
    )
    surge_level = surge(help_text="How much louder it is than the week before.")
    surge_ratio = serializers.FloatField(help_text="Decayed points of seven days over those of the seven before.")
    is_new = serializers.BooleanField(help_text="First seen within the config's new_account_days.")
    top_lane = serializers.CharField(help_text="The lane with most points in the range; other: in none.")
    raw_score = serializers.FloatField(help_text="Decayed points in the range.")
    score_7d_raw = serializers.FloatField(help_text="Decayed points of 7 days.")
    score_30d_raw = serializers.FloatField(help_text="Decayed points of 30 days, of which the score is made.")
    unique_people_7d = serializers.IntegerField(help_text="Different people of 7 days, known or not.")
    why_hot = serializers.ListField(child=serializers.CharField(), help_text="Up to three reasons, most often first.")
    trend = serializers.ListField(
        child=serializers.IntegerField(allow_null=True),
        help_text="The score on each of 30 days up to the newest of this page, oldest first; null: no score that day.",
    )
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="The last activity or lead, UTC; null: never.")
    last_lead_id = serializers.UUIDField(
        allow_null=True, help_text="The newest lead request of those 30 days; null: none."
    )
    last_lead_at = serializers.DateTimeField(allow_null=True, help_text="When that one came in, UTC.")
    contacted_at = serializers.DateTimeField(allow_null=True, help_text="When one of us was in touch last, UTC.")
    contacted_by = serializers.CharField(allow_blank=True, help_text="The user who was; empty: nobody.")
    snoozed_until = serializers.DateField(
        allow_null=True, help_text="The UTC day you snoozed it to; null: you did not."
    )
    suppressed_as = serializers.CharField(allow_blank=True, help_text="Such as competitor; empty: it is not.")
    snapshot_date = serializers.DateField(
        allow_null=True, help_text="The UTC day its scores go through; later than freshness says after a lead of today."
    )
    matched = serializers.ListField(
        child=serializers.CharField(), help_text="What a search found it by, where the row itself does not show it."
    )


@extend_schema_serializer(many=False)
class AccountPage(Page):
    """One page of accounts, how many each filter would leave, and how fresh the scores are."""

    results = AccountRow(many=True, help_text="The rows of this page.")
    stages = Facet(many=True, help_text="Accounts by stage, the other filters as they are.")
    surges = Facet(many=True, help_text="Accounts by surge level, the other filters as they are.")
    lanes = Facet(many=True, help_text="Accounts by top lane of the range, most first, the other filters as they are.")
    freshness = Freshness(help_text="How fresh the scores are.")


# --- One account ------------------------------------------------------------------------------------------------------
class CategoryScore(serializers.Serializer[dashboards.Category]):
    """What the account did, by category."""

    name = serializers.CharField(help_text="A content type, a click's id or an event.")
    count = serializers.IntegerField(help_text="Events of 7 days.")
    score = serializers.FloatField(help_text="Their decayed points.")


class Count(serializers.Serializer[dashboards.Counted]):
    """How often something was."""

    name = serializers.CharField(help_text="A path, or an event with its category.")
    count = serializers.IntegerField(help_text="Events of 7 days.")


class Snapshot(serializers.Serializer[dashboards.Snapshot]):
    """The account's scores of one day, whole."""

    date = serializers.DateField(help_text="The UTC day the windows end in.")
    is_provisional = serializers.BooleanField(help_text="That day was not over; the night writes it again.")
    computed_at = serializers.DateTimeField(help_text="When it was last written, UTC.")
    run_id = serializers.UUIDField(allow_null=True, help_text="The run that wrote it; null: a lead did.")
    config_name = serializers.CharField(help_text="The score config it was made with.")
    raw_score_7d = serializers.FloatField(help_text="Decayed points of 7 days.")
    raw_score_prev_7d = serializers.FloatField(help_text="Decayed points of the 7 days before those.")
    raw_score_30d = serializers.FloatField(help_text="Decayed points of 30 days.")
    intent_score = serializers.IntegerField(min_value=0, max_value=100, help_text="0 to 100.")
    intent_stage = stage(help_text="The stretch of the scale that the score is in.")
    surge_ratio = serializers.FloatField(help_text="Decayed points of seven days over those of the seven before.")
    surge_level = surge(help_text="How much louder it is than the week before.")
    is_new = serializers.BooleanField(help_text="First seen within the config's new_account_days.")
    unique_people_7d = serializers.IntegerField(help_text="Different people of 7 days, known or not.")
    top_lane = serializers.CharField(help_text="The lane with most points in 7 days; other: in none.")
    top_lane_30d = serializers.CharField(help_text="The lane with most points in 30 days; other: in none.")
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="The last activity or lead, UTC; null: older.")
    top_categories_7d = CategoryScore(many=True, help_text="The ten with most points, most first.")
    top_pages_7d = Count(many=True, help_text="The ten most viewed pages, most first.")
    key_events_7d = Count(many=True, help_text="The events that reasons are made of, most first.")
    why_hot = serializers.ListField(child=serializers.CharField(), help_text="Up to three reasons, most often first.")


class LaneScore(serializers.Serializer[dashboards.Lane]):
    """What a lane added."""

    name = serializers.CharField(help_text="The lane.")
    raw_7d = serializers.FloatField(help_text="Decayed points of 7 days.")
    raw_30d = serializers.FloatField(help_text="Decayed points of 30 days.")


class Day(Plain[dashboards.TimelineDay]):
    """One day of the timeline."""

    date = serializers.DateField(help_text="The UTC day.")
    score = serializers.IntegerField(allow_null=True, help_text="0 to 100; null: no score that day.")
    stage = stage(allow_blank=True, help_text="Of that score; empty: none.")
    surge = surge(allow_blank=True, help_text="Of that day; empty: none.")
    leads = serializers.IntegerField(help_text="Lead requests of that day.")


class AccountLead(serializers.Serializer[dashboards.Lead]):
    """A lead request of the account, in short; the whole is at `/api/abm/lead-requests/<id>`."""

    id = serializers.UUIDField(help_text="The lead request.")
    submitted_at = serializers.DateTimeField(help_text="When it came in, UTC.")
    name = serializers.CharField(allow_blank=True, help_text="Who asks.")
    email = serializers.CharField(allow_blank=True, help_text="Lower case.")
    title = serializers.CharField(allow_blank=True, help_text="Role at work, as the person wrote it.")
    organization = serializers.CharField(allow_blank=True, help_text="As the person wrote it.")
    lane = serializers.CharField(allow_blank=True, help_text="The service asked for.")
    request_type = serializers.ChoiceField(LeadRequest.RequestType.choices, help_text="What is asked for.")
    status = serializers.ChoiceField(LeadRequest.Status.choices, help_text="How far it is.")
    lead_score = serializers.IntegerField(allow_null=True, help_text="How promising it is, 0 to 100; null: not yet.")
    message = serializers.CharField(allow_blank=True, help_text="What the person wrote.")


class Signal(serializers.Serializer[dashboards.Signal]):
    """A readable line of what happened."""

    id = serializers.UUIDField(help_text="The signal.")
    occurred_at = serializers.DateTimeField(help_text="When, UTC.")
    kind = serializers.CharField(help_text="Such as lead_request.")
    summary = serializers.CharField(help_text="A sentence for people.")
    who = serializers.CharField(allow_blank=True, help_text="The contact's e-mail address; empty: not known.")


class Brief(serializers.Serializer[dashboards.Brief]):
    """The newest AI summary for one persona."""

    id = serializers.UUIDField(help_text="The summary.")
    persona = choice(Persona, help_text="For whom it was written.")
    cache_date = serializers.DateField(help_text="The day of the scores it speaks of.")
    top_lane = serializers.CharField(help_text="The top lane then.")
    intent_score = serializers.IntegerField(help_text="The score then, 0 to 100.")
    surge_level = surge(help_text="The surge level then.")
    summary_md = serializers.CharField(help_text="The text, in Markdown.")
    model = serializers.CharField(help_text="What wrote it.")
    prompt_version = serializers.CharField(allow_blank=True, help_text="The version of its prompt template.")
    written_at = serializers.DateTimeField(help_text="When, UTC.")


class AccountDetail(serializers.Serializer[dashboards.AccountDetail]):
    """All that the account's page shows."""

    id = serializers.UUIDField(help_text="The account; of a merged one, the account it was merged into.")
    domain = serializers.CharField(help_text="Its canonical domain.")
    name = serializers.CharField(help_text="Its name; the domain where none is known.")
    aliases = serializers.ListField(
        child=serializers.CharField(), help_text="Further domains, and those of accounts merged into it."
    )
    owner = serializers.CharField(allow_blank=True, help_text="The user who owns it; empty: nobody.")
    salesforce_url = serializers.CharField(allow_blank=True, help_text="Its page there; empty: not known.")
    suppressed_as = serializers.CharField(allow_blank=True, help_text="Such as competitor; empty: it is not.")
    intent_score = serializers.IntegerField(min_value=0, max_value=100, help_text="0 to 100.")
    intent_stage = stage(help_text="The stretch of the scale that the score is in.")
    surge_level = surge(help_text="How much louder it is than the week before.")
    surge_ratio = serializers.FloatField(help_text="Decayed points of seven days over those of the seven before.")
    is_new = serializers.BooleanField(help_text="First seen within the config's new_account_days.")
    top_lane = serializers.CharField(allow_blank=True, help_text="The lane with most points in 7 days.")
    top_lane_30d = serializers.CharField(allow_blank=True, help_text="The lane with most points in 30 days.")
    score_7d_raw = serializers.FloatField(source="raw_7d", help_text="Decayed points of 7 days.")
    score_30d_raw = serializers.FloatField(source="raw_30d", help_text="Decayed points of 30 days.")
    unique_people_7d = serializers.IntegerField(help_text="Different people of 7 days, known or not.")
    anonymous_people_7d = serializers.IntegerField(help_text="Of those, the ones not known by name.")
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="The last activity or lead, UTC; null: never.")
    change_1d = serializers.IntegerField(
        allow_null=True, help_text="Points of score more than the day before; null: not known."
    )
    change_7d = serializers.IntegerField(
        allow_null=True, help_text="Points of score more than seven days before; null: not known."
    )
    why_hot = serializers.ListField(child=serializers.CharField(), help_text="Up to three reasons, most often first.")
    snapshot_date = serializers.DateField(allow_null=True, help_text="The UTC day its scores go through; null: none.")
    snapshot = Snapshot(allow_null=True, help_text="The scores of that day, whole; null: not scored yet.")
    lanes = LaneScore(many=True, help_text="Every lane of that snapshot, most points of 7 days first.")
    timeline = Day(many=True, help_text="The 30 days up to that one, oldest first.")
    leads = AccountLead(many=True, help_text="The 50 newest lead requests.")
    leads_count = serializers.IntegerField(help_text="How many lead requests there are.")
    signals = Signal(many=True, help_text="The 50 newest signals.")
    signals_count = serializers.IntegerField(help_text="How many signals there are.")
    people = PersonAtAccount(many=True, help_text="The 50 known people seen last.")
    people_count = serializers.IntegerField(help_text="How many known people there are.")
    briefs = Brief(many=True, help_text="The newest AI summary for each persona.")


class AccountAnswer(AccountDetail):
    """All that the account's page shows, and how fresh the scores are."""

    freshness = Freshness(help_text="How fresh the scores are.")


# --- Why --------------------------------------------------------------------------------------------------------------
class Reason(serializers.Serializer[dashboards.Reason]):
    """All events of one kind: count × weight × decay = points."""

    category = serializers.CharField(help_text="A content type, a click's id or an event.")
    event = serializers.CharField(help_text="The event's name.")
    count = serializers.IntegerField(help_text="Events of 30 days.")
    weight = serializers.FloatField(help_text="Points of one event; the mean where rules differ.")
    decay = serializers.FloatField(help_text="What is left of them after their age, 0 to 1; the mean.")
    points = serializers.FloatField(help_text="What they add to the raw score.")
    share = serializers.FloatField(help_text="Of the raw score, 0 to 1.")


class Contribution(Plain[Any]):
    """Events of one kind on one day: count × weight × decay = points."""

    date = serializers.DateField(help_text="The UTC day.")
    age = serializers.IntegerField(help_text="Days before the score's.")
    event = serializers.CharField(help_text="The event's name.")
    category = serializers.CharField(help_text="A content type, a click's id or the event.")
    lane = serializers.CharField(allow_blank=True, help_text="The lane; empty: none.")
    count = serializers.IntegerField(help_text="Events.")
    weight = serializers.IntegerField(help_text="Points of one.")
    weight_source = serializers.CharField(help_text="Which weight that is.")
    rule = serializers.CharField(allow_blank=True, help_text="The pattern that classified them; empty: none.")
    decay = serializers.FloatField(help_text="What is left after that age, 0 to 1.")
    points = serializers.FloatField(help_text="What they add to the raw score.")


class Bridge(serializers.Serializer[Any]):
    """The way from the score before: previous_raw and the five parts add up to raw."""

    previous_date = serializers.DateField(help_text="The day of the snapshot before.")
    previous_raw = serializers.FloatField(help_text="Its raw score of 30 days.")
    restated = serializers.FloatField(help_text="Facts changed since: late or corrected activity, aliases, merges.")
    rules_changed = serializers.FloatField(help_text="Rules, weights or decay changed since.")
    aged_out = serializers.FloatField(help_text="Days that left the window of 30 days.")
    decayed = serializers.FloatField(help_text="Days in both windows, a little older now.")
    new = serializers.FloatField(help_text="Days since.")
    raw = serializers.FloatField(help_text="The raw score of 30 days.")


class Explanation(serializers.Serializer[dashboards.Why]):
    """A score taken apart: intent_score = 100 × (1 − e^(−raw_score_30d / normalize_k))."""

    id = serializers.UUIDField(source="ledger.company.pk", help_text="The account.")
    domain = serializers.CharField(source="ledger.company.domain", help_text="Its canonical domain.")
    date = serializers.DateField(source="ledger.snapshot.date", help_text="The UTC day of the score.")
    intent_score = serializers.IntegerField(source="ledger.snapshot.intent_score", help_text="0 to 100.")
    intent_stage = stage(source="ledger.snapshot.intent_stage", help_text="The stretch that the score is in.")
    surge_level = surge(source="ledger.snapshot.surge_level", help_text="The surge level of that day.")
    surge_ratio = serializers.FloatField(source="ledger.snapshot.surge_ratio", help_text="The ratio of that day.")
    top_lane = serializers.CharField(
        source="ledger.snapshot.top_lane", help_text="The lane with most points in 7 days."
    )
    why_hot = serializers.ListField(
        source="ledger.snapshot.why_hot_json", child=serializers.CharField(), help_text="Up to three reasons."
    )
    raw_score_30d = serializers.FloatField(
        source="ledger.snapshot.raw_score_30d", help_text="Decayed points of 30 days, as stored."
    )
    total = serializers.FloatField(source="ledger.total", help_text="The sum of the contributions, as of now.")
    drift = serializers.FloatField(
        source="ledger.drift", help_text="Stored − total: not 0 where facts changed after the score was made."
    )
    lambda_decay = serializers.FloatField(source="ledger.lambda_decay", help_text="λ of the decay, per day.")
    half_life_days = serializers.FloatField(
        source="ledger.half_life_days", allow_null=True, help_text="After which points count half; null: never."
    )
    normalize_k = serializers.IntegerField(source="ledger.normalize_k", help_text="k of the formula, in points.")
    paths_cut = serializers.IntegerField(
        source="ledger.paths_cut", help_text="Paths shortened because a day had too many; 0 but for very busy accounts."
    )
    reasons = Reason(many=True, help_text="By kind of event, most points first; their points add up to total.")
    contributions = Contribution(
        source="ledger.contributions", many=True, help_text="By kind and day, newest first; they add up to total."
    )
    bridge = Bridge(source="ledger.bridge", allow_null=True, help_text="Null: it is the account's first snapshot.")


class ExplanationAnswer(Explanation):
    """A score taken apart, and how fresh the scores are."""

    freshness = Freshness(help_text="How fresh the scores are.")


# --- What moved -------------------------------------------------------------------------------------------------------
class Mover(serializers.Serializer[dashboards.Mover]):
    """An account then and now; then is null where it had no score yet."""

    id = serializers.UUIDField(help_text="The account.")
    domain = serializers.CharField(help_text="Its canonical domain.")
    name = serializers.CharField(help_text="Its name.")
    intent_score = serializers.IntegerField(help_text="Now, 0 to 100.")
    score_before = serializers.IntegerField(allow_null=True, help_text="Then, 0 to 100.")
    change = serializers.IntegerField(help_text="Points of score more than then; who had none counts from 0.")
    intent_stage = stage(help_text="Now.")
    stage_before = stage(allow_null=True, help_text="Then.")
    surge_level = surge(help_text="Now.")
    surge_before = surge(allow_null=True, help_text="Then.")
    is_new = serializers.BooleanField(help_text="First seen within the config's new_account_days.")
    top_lane = serializers.CharField(help_text="The lane with most points in 7 days; other: in none.")
    why_hot = serializers.ListField(
        child=serializers.CharField(), help_text="Up to three reasons of now; none for one that went quiet."
    )
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="The last activity or lead, UTC; null: never.")


class Moves(serializers.Serializer[dashboards.Moves]):
    """Those that did so."""

    count = serializers.IntegerField(help_text="How many.")
    shown = Mover(many=True, help_text="The ten of the highest score, then or now.")


class Movers(serializers.Serializer[dashboards.Movers]):
    """What moved since a day, each with its reason."""

    since = serializers.DateField(
        allow_null=True, help_text="The UTC day that is compared with; null: there is none to compare with."
    )
    through = serializers.DateField(allow_null=True, help_text="The newest UTC day that all accounts are scored for.")
    entered_hot = Moves(help_text="Hot now, and not then.")
    left_hot = Moves(help_text="Hot then, and not now.")
    newly_surging = Moves(help_text="Surging now, and Normal then.")
    newly_exploding = Moves(help_text="Exploding now, and not then.")
    up = Mover(many=True, help_text="The ten whose score rose most.")
    down = Mover(many=True, help_text="The ten whose score fell most.")


class MoversAnswer(Movers):
    """What moved since a day, each with its reason, and how fresh the scores are."""

    freshness = Freshness(help_text="How fresh the scores are.")


# --- Whose is it? -----------------------------------------------------------------------------------------------------
class FoundAccount(serializers.Serializer[dashboards.FoundAccount]):
    """An account, in short."""

    id = serializers.UUIDField(help_text="The account.")
    domain = serializers.CharField(help_text="Its canonical domain.")
    name = serializers.CharField(help_text="Its name.")
    intent_score = serializers.IntegerField(help_text="0 to 100.")
    intent_stage = stage(help_text="The stretch of the scale that the score is in.")
    surge_level = surge(help_text="How much louder it is than the week before.")
    top_lane = serializers.CharField(allow_blank=True, help_text="The lane with most points in 7 days.")
    suppressed_as = serializers.CharField(allow_blank=True, help_text="Such as competitor; empty: it is not.")
    snapshot_date = serializers.DateField(allow_null=True, help_text="The UTC day its scores go through; null: none.")


class Lookup(serializers.Serializer[dashboards.Lookup]):
    """Whose it is; account is null where it is nobody's, and reason says why."""

    domain = serializers.CharField(allow_blank=True, help_text="The canonical domain of what was asked for.")
    account = FoundAccount(allow_null=True, help_text="Null: nobody's.")
    found_by = serializers.ChoiceField(
        ["contact", "domain", "alias"],
        allow_blank=True,
        help_text="contact: an address we know. domain: the account's own. alias: a further, merged or grouped one.",
    )
    reason = serializers.ChoiceField(
        ["no_domain", "personal", "platform", "unknown"],
        allow_blank=True,
        help_text="no_domain: there is none in it. personal: a mailbox provider's. platform: a site anybody has a page "
        "on. unknown: no account has it.",
    )


class LookupAnswer(Lookup):
    """Whose it is, or why nobody's, and how fresh the scores are."""

    freshness = Freshness(help_text="How fresh the scores are.")


# --- Views ------------------------------------------------------------------------------------------------------------
class Accounts(Reads):
    """The Hot Accounts dashboard, and what belongs to one account."""

    filters_of = {
        "list": AccountFilters,
        "csv": AccountFilters,
        "explain": ExplainFilters,
        "movers": MoverFilters,
        "lookup": LookupFilters,
    }

    @extend_schema(operation_id="abm_accounts", responses=AccountPage)
    def list(self, request: Request) -> Response:
        """Hot accounts: those that are scored, not suppressed and not merged, the highest score first."""
        chosen, (page, limit) = chosen_accounts(request, self.asked()), self.page_asked()
        with dashboards.one_moment():
            found = dashboards.hot_accounts(chosen, page, limit)
            facets = {name: all_written(Facet, getattr(found, name)) for name in ("stages", "surges", "lanes")}
            return Response(self.page(AccountRow, found, page) | facets | self.fresh())

    @extend_schema(
        operation_id="abm_accounts_csv",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "UTF-8 with a byte-order mark.")},
    )
    def csv(self, request: Request) -> HttpResponseBase:
        """All accounts of a filter, in its order, as one file; no cell is a formula."""
        chosen = chosen_accounts(request, self.asked())
        return csv_answer("hot-accounts", dashboards.ACCOUNT_COLUMNS, dashboards.account_cells(chosen))

    @extend_schema(operation_id="abm_account", responses=AccountAnswer)
    def retrieve(self, request: Request, id: UUID) -> Response:
        """One account, whole."""
        with dashboards.one_moment():
            found = dashboards.account_by_id(id)
            if found is None:
                raise Http404
            return Response(written(AccountDetail, found) | self.fresh())

    @extend_schema(operation_id="abm_account_explain", responses=ExplanationAnswer)
    def explain(self, request: Request, id: UUID) -> Response:
        """Why the account's score is what it is, to the last point; 404 where it has no score that day."""
        with dashboards.one_moment():
            why = dashboards.explained(id, self.asked()["date"])
            if why is None:
                raise Http404
            return Response(written(Explanation, why) | self.fresh())

    @extend_schema(operation_id="abm_movers", responses=MoversAnswer)
    def movers(self, request: Request) -> Response:
        """Who entered or left Hot, who newly surges or explodes, and whose score moved most."""
        asked = self.asked()
        with dashboards.one_moment():
            found = dashboards.movers(asked["since"], owner_id=owner_id(asked["owner"], request.user.pk))
            return Response(written(Movers, found) | self.fresh())

    @extend_schema(operation_id="abm_accounts_lookup", responses=LookupAnswer)
    def lookup(self, request: Request) -> Response:
        """The account of a domain or of an e-mail address; of exactly one of the two."""
        asked = self.asked()
        given = {name: asked[name] for name in ("domain", "email") if asked[name]}
        if len(given) != 1:
            raise ValidationError({"domain": ["Give a domain or an email, and not both."]}, "required")
        with dashboards.one_moment():
            found = dashboards.lookup(**given, today=timezone.now().date())
            return Response(written(Lookup, found) | self.fresh())


def chosen_accounts(request: Request, asked: dict[str, Any]) -> dashboards.AccountFilter:
    return dashboards.AccountFilter(
        range=asked["range"] or next(iter(dashboards.RANGES)),
        stage=asked["stage"],
        lane=asked["lane"],
        surge=asked["surge"],
        search=asked["search"],
        owner_id=owner_id(asked["owner"], request.user.pk),
        suppressed=bool(asked["suppressed"]),
        viewer_id=request.user.pk,
        today=timezone.now().date(),
        snoozed=bool(asked["snoozed"]),
        keep_snoozed=True,
        ordering=asked["ordering"] or dashboards.DEFAULT_ORDERING,
    )
