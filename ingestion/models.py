"""What came in: lead requests as sent, and activity as one row per account key and UTC day (design 2)."""

from django.db import models
from django.db.models import Q

from accounts.models import DOMAIN_LENGTH, Contact, ProspectCompany
from registry.columns import AsciiCharField, ExactCharField, Record


class LeadRequest(Record):
    """A reservation or procurement request: the canonical sales artifact. Never edited by scoring, never moved."""

    class Status(models.TextChoices):
        NEW = "new"
        WORKING = "working"
        QUALIFIED = "qualified"
        DISQUALIFIED = "disqualified"
        SPAM = "spam"

    class RequestType(models.TextChoices):
        RESERVATION = "reservation"
        PROCUREMENT = "procurement"
        CONTACT_SALES = "contact_sales"
        OTHER = "other"

    prospect_company = models.ForeignKey(
        ProspectCompany, null=True, blank=True, on_delete=models.SET_NULL, related_name="lead_requests"
    )
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="lead_requests")
    account_key = AsciiCharField(
        max_length=DOMAIN_LENGTH, null=True, blank=True, help_text="The domain it resolved to; none for personal mail."
    )
    submitted_at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.NEW)
    work_email = ExactCharField(max_length=254, blank=True, default="")
    first_name = models.CharField(max_length=100, blank=True, default="")
    last_name = models.CharField(max_length=100, blank=True, default="")
    title = models.CharField(max_length=150, blank=True, default="")
    phone = models.CharField(max_length=50, blank=True, default="")
    organization_name = models.CharField(max_length=255, blank=True, default="")
    organization_website = models.CharField(max_length=500, blank=True, default="")
    lane = ExactCharField(max_length=64, blank=True, default="", help_text="The service asked for.")
    request_type = models.CharField(max_length=16, choices=RequestType.choices, default=RequestType.OTHER)
    budget = models.CharField(max_length=255, blank=True, default="")
    timeline = models.CharField(max_length=255, blank=True, default="")
    quantity = models.PositiveIntegerField(null=True, blank=True)
    location = models.CharField(max_length=255, blank=True, default="")
    message = models.TextField(blank=True, default="")
    consent = models.BooleanField(
        null=True, blank=True, help_text="To be contacted; unknown where the form did not ask."
    )
    page_url = models.CharField(max_length=2000, blank=True, default="")
    referrer = models.CharField(max_length=2000, blank=True, default="")
    utm_json = models.JSONField(default=dict, blank=True)
    tracking_json = models.JSONField(default=dict, blank=True)
    payload_json = models.JSONField(default=dict, blank=True, help_text="Everything that was sent, as it was sent.")
    dedupe_key = AsciiCharField(max_length=70, null=True, blank=True, unique=True, editable=False)
    body_sha256 = AsciiCharField(max_length=64, blank=True, default="", editable=False)
    lead_score = models.PositiveSmallIntegerField(null=True, blank=True)
    lead_score_parts_json = models.JSONField(default=list, blank=True)
    why_hot_json = models.JSONField(null=True, blank=True)
    salesforce_lead_id = ExactCharField(max_length=18, null=True, blank=True)
    salesforce_task_id = ExactCharField(max_length=18, null=True, blank=True)

    class Meta:
        db_table = "lead_requests"
        indexes = [
            models.Index(fields=["account_key", "submitted_at"], name="lead_by_account"),
            models.Index(fields=["submitted_at"], name="lead_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(lead_score__isnull=True) | Q(lead_score__gte=0, lead_score__lte=100),
                name="lead_score_range",
            ),
            models.CheckConstraint(condition=~Q(account_key=""), name="lead_account_key_null_not_empty"),
            models.CheckConstraint(
                condition=Q(status__in=["new", "working", "qualified", "disqualified", "spam"]),
                name="lead_status_known",
            ),
            models.CheckConstraint(
                condition=Q(request_type__in=["reservation", "procurement", "contact_sales", "other"]),
                name="lead_request_type_known",
            ),
            # Spam is nobody's: scoring and the pages of accounts go by the key.
            models.CheckConstraint(
                condition=~Q(status="spam") | Q(account_key__isnull=True), name="lead_spam_has_no_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.submitted_at:%Y-%m-%d} {self.organization_name or self.work_email}"

    @classmethod
    def remembered(cls, dedupe_key: str) -> "LeadRequest | None":
        """The lead of an idempotency key or a body: nearly always there is none, and it is found fast."""
        id = cls.id_by("SELECT id FROM lead_requests WHERE dedupe_key = %s", [dedupe_key])
        return id and cls.objects.get(pk=id)


class ActivityDay(models.Model):
    """A fact: what one account key did on one UTC day. No foreign key: whose it is, is decided when it is scored."""

    pk = models.CompositePrimaryKey("account_key", "date")
    account_key = AsciiCharField(max_length=DOMAIN_LENGTH)
    date = models.DateField()
    cells_json = models.JSONField(help_text="Sorted [event, content_type, lane, cta_id, path, count], as sent.")
    people_json = models.JSONField(help_text="Sorted 48-bit person marks; pseudonymous.")
    last_seen_at = models.DateTimeField()
    paths_cut = models.PositiveIntegerField(default=0, help_text="Paths cut to two segments to bound the row.")

    class Meta:
        db_table = "activity_days"
        indexes = [models.Index(fields=["date", "account_key"], name="activity_by_date")]
        constraints = [models.CheckConstraint(condition=~Q(account_key=""), name="activity_has_key")]

    def __str__(self) -> str:
        return f"{self.account_key} {self.date}"


class ActivityPull(Record):
    """What is known of one UTC day: whether its facts are in, from where, and what could not be resolved."""

    class State(models.TextChoices):
        PULLED = "pulled"
        PARTIAL = "partial", "partial: the day was not over"
        FAILED = "failed"
        HELD = "held"
        PURGED = "purged", "purged: its facts were too old to keep"

    date = models.DateField(unique=True)
    state = models.CharField(max_length=8, choices=State.choices)
    source = models.CharField(max_length=255)
    events = models.PositiveBigIntegerField(default=0, help_text="Events in the day's facts.")
    keys = models.PositiveIntegerField(default=0, help_text="Account keys with facts that day.")
    unresolved_json = models.JSONField(default=dict, help_text="Events left out, by reason.")
    requests = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0, help_text="Of PostHog's answers.")
    scanned = models.PositiveBigIntegerField(default=0, help_text="Bytes PostHog read for them: its read budget.")
    seconds = models.FloatField(default=0)
    read_at = models.DateTimeField(null=True, blank=True, help_text="When PostHog last gave all of it.")
    message = models.TextField(blank=True, default="")
    accepted_by = models.CharField(
        max_length=150, blank=True, default="", help_text="Who published the day although it has very few events."
    )

    class Meta:
        db_table = "activity_pulls"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["pulled", "partial", "failed", "held", "purged"]),
                name="activity_pull_state_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.state}"
