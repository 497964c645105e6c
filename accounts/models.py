"""Who they are (spec 4): companies, their further domains, people, identities, and the readable signals about them."""

from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from registry.columns import AsciiCharField, ExactCharField, Record
from registry.values import IntentStage, SurgeLevel

DOMAIN_LENGTH = 253


class CompanyQuerySet(models.QuerySet["ProspectCompany"]):
    def for_domain(self, domain: str) -> "CompanyQuerySet":
        """The account whose own domain, or one of whose further domains, this is."""
        further = CompanyDomain.objects.filter(domain=domain).values("prospect_company")
        return self.filter(Q(domain=domain) | Q(id=models.Subquery(further[:1])))  # a join would read every account

    def scored(self) -> "CompanyQuerySet":
        """Accounts that have a score and were not merged into another; suppressed ones included."""
        return self.filter(snapshot_date__isnull=False, merged_into__isnull=True)

    def listed(self) -> "CompanyQuerySet":
        """Accounts a list shows: scored and not suppressed."""
        return self.scored().filter(suppressed_as="")

    def suppressed(self) -> "CompanyQuerySet":
        return self.filter(merged_into__isnull=True).exclude(suppressed_as="")


class ProspectCompany(Record):
    """An account. Its key is its canonical domain; its summary columns are written by scoring.snapshots alone."""

    class NameSource(models.TextChoices):
        DOMAIN = "domain"
        LEAD = "lead"
        GROUP = "group"
        ADMIN = "admin"

    domain = AsciiCharField(max_length=DOMAIN_LENGTH, unique=True)
    name = models.CharField(max_length=255)
    name_source = models.CharField(max_length=8, choices=NameSource.choices, default=NameSource.DOMAIN)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="accounts"
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged", editable=False
    )

    # The latest snapshot, repeated here so that lists read one table.
    snapshot_date = models.DateField(null=True, editable=False)
    intent_score = models.PositiveSmallIntegerField(default=0, editable=False)
    intent_stage = models.CharField(max_length=8, default=IntentStage.COLD, editable=False)
    surge_level = models.CharField(max_length=16, default=SurgeLevel.NORMAL, editable=False)
    surge_ratio = models.FloatField(default=1.0, editable=False)
    top_lane = ExactCharField(max_length=64, default="", blank=True, editable=False)
    top_lane_30d = ExactCharField(max_length=64, default="", blank=True, editable=False)
    score_7d_raw = models.FloatField(default=0.0, editable=False)
    score_30d_raw = models.FloatField(default=0.0, editable=False)
    unique_people_7d = models.PositiveIntegerField(default=0, editable=False)
    is_new = models.BooleanField(default=False, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    score_updated_at = models.DateTimeField(null=True, editable=False)
    suppressed_as = models.CharField(max_length=16, default="", blank=True, editable=False)

    salesforce_account_id = ExactCharField(max_length=18, null=True, blank=True)
    salesforce_account_url = models.URLField(max_length=255, null=True, blank=True)
    salesforce_owner_id = ExactCharField(max_length=18, null=True, blank=True)

    objects = CompanyQuerySet.as_manager()

    class Meta:
        db_table = "prospect_companies"
        verbose_name = "account"
        indexes = [
            models.Index(fields=["-intent_score", "-score_30d_raw", "domain"], name="company_by_score"),
            models.Index(fields=["top_lane"], name="company_by_lane"),
            models.Index(
                fields=["-last_seen_at", "-intent_score", "-score_30d_raw", "domain"], name="company_by_last_seen"
            ),
            # All that the counts on chips and lane cards ask: they read this instead of the accounts.
            models.Index(
                fields=[
                    *("suppressed_as", "merged_into", "intent_stage", "surge_level", "top_lane", "top_lane_30d"),
                    *("intent_score", "owner", "snapshot_date"),
                ],
                name="company_for_counts",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(domain=""), name="company_has_domain"),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("id")), name="company_not_merged_into_itself"
            ),
            models.CheckConstraint(condition=Q(intent_score__gte=0, intent_score__lte=100), name="company_score_range"),
            models.CheckConstraint(condition=Q(intent_stage__in=list(IntentStage)), name="company_stage_known"),
            models.CheckConstraint(condition=Q(surge_level__in=list(SurgeLevel)), name="company_surge_known"),
        ]

    def __str__(self) -> str:
        return self.domain

    @classmethod
    def id_at(cls, domain: str) -> UUID | None:
        """The id of the account that CompanyQuerySet.for_domain finds, found fast."""
        further = "SELECT prospect_company_id FROM company_domains WHERE domain = %s"
        sql = f"SELECT id FROM prospect_companies WHERE domain = %s OR id = ({further}) ORDER BY id LIMIT 1"
        return cls.id_by(sql, [domain, domain])


class CompanyDomain(Record):
    """A further domain of an account: facts under it count for the account, past ones too."""

    domain = AsciiCharField(max_length=DOMAIN_LENGTH, unique=True)
    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="domains")

    class Meta:
        db_table = "company_domains"
        verbose_name = "further domain"
        constraints = [models.CheckConstraint(condition=~Q(domain=""), name="company_domain_not_empty")]

    def __str__(self) -> str:
        return self.domain


class Contact(Record):
    """A person at an account; one per e-mail address and account."""

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="contacts")
    email = ExactCharField(max_length=254, help_text="Lower case.")
    first_name = models.CharField(max_length=100, blank=True, default="")
    last_name = models.CharField(max_length=100, blank=True, default="")
    title = models.CharField(max_length=150, blank=True, default="", help_text="As a lead form said it, never guessed.")
    phone = models.CharField(max_length=50, blank=True, default="")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    top_categories_7d_json = models.JSONField(default=list, blank=True)
    salesforce_lead_id = ExactCharField(max_length=18, null=True, blank=True)
    salesforce_contact_id = ExactCharField(max_length=18, null=True, blank=True)

    class Meta:
        db_table = "contacts"
        indexes = [models.Index(fields=["-last_seen_at", "email", "id"], name="contact_by_last_seen")]
        constraints = [
            models.UniqueConstraint(fields=["prospect_company", "email"], name="contact_once_per_company"),
            models.CheckConstraint(condition=~Q(email=""), name="contact_has_email"),
        ]

    def __str__(self) -> str:
        return self.email


class ContactIdentity(Record):
    """An id by which another system knows a contact. Foreign ids are case-sensitive."""

    class Type(models.TextChoices):
        POSTHOG_DISTINCT_ID = "posthog_distinct_id"
        EMAIL = "email"
        HASHED_EMAIL = "hashed_email"
        CRM_ID = "crm_id"

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="identities")
    identity_type = models.CharField(max_length=32, choices=Type.choices)
    identity_value = ExactCharField(max_length=255)

    class Meta:
        db_table = "contact_identities"
        verbose_name_plural = "contact identities"
        constraints = [
            models.UniqueConstraint(fields=["identity_type", "identity_value"], name="contact_identity_once"),
            models.CheckConstraint(condition=~Q(identity_value=""), name="contact_identity_not_empty"),
            models.CheckConstraint(
                condition=Q(identity_type__in=["posthog_distinct_id", "email", "hashed_email", "crm_id"]),
                name="contact_identity_type_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.identity_type}:{self.identity_value}"


class IntentSignal(Record):
    """One readable line of an account's timeline."""

    prospect_company = models.ForeignKey(ProspectCompany, on_delete=models.CASCADE, related_name="signals")
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="signals")
    kind = models.CharField(max_length=32)
    summary = models.CharField(max_length=255)
    detail_json = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField()

    class Meta:
        db_table = "intent_signals"
        indexes = [models.Index(fields=["prospect_company", "occurred_at"], name="signal_by_company")]

    def __str__(self) -> str:
        return self.summary


class ErasedPerson(Record):
    """That somebody was erased, and how much; who it was only a keyed hash can tell, to whoever knows the address."""

    email_hash = AsciiCharField(max_length=64, unique=True, editable=False)
    counts_json = models.JSONField(default=dict)
    erased_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        db_table = "erased_people"
        verbose_name = "erased person"
        verbose_name_plural = "erased people"

    def __str__(self) -> str:
        return f"{self.email_hash[:12]} {self.created_at:%Y-%m-%d}"
