"""What people edit (spec 5), and what it was: event rules, score configs and weights, prompt templates, domain rules.

Uniqueness and ranges are constraints of the database, so that a row written by any hand obeys them. "At most one of"
is a unique generated column: MariaDB ignores conditional unique constraints.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import idna
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from simple_history.models import HistoricalRecords

from registry import values
from registry.columns import AsciiCharField, ExactCharField, Record
from registry.registry import DOMAIN
from registry.rules import problem, slug, too_large_together
from registry.values import PLACEHOLDER, WEIGHT_MAX

REASON_LENGTH = 100  # of why somebody changed something, in the history


def one_when(**condition: object) -> models.GeneratedField:
    """A column that is 1 where the condition holds and NULL elsewhere: unique over it means "at most one such row"."""
    return models.GeneratedField(
        expression=Case(When(then=Value(1), **condition), default=None),
        output_field=models.SmallIntegerField(null=True),
        db_persist=True,
    )


def within(field: str, low: object, high: object) -> Q:
    return Q(**{f"{field}__gte": low, f"{field}__lte": high})


def demand_slug(field: str, text: str) -> None:
    """Events carry lanes and content types as slugs: a row that names one otherwise would never be found."""
    if text != slug(text):
        raise ValidationError({field: f"Write it as events carry it: {slug(text) or 'a name'}."})


class ActivatedMeanwhile(Exception):
    """Another config is active than the one somebody saw; `active` is that one, or None."""

    def __init__(self, active: "ScoreConfig | None") -> None:
        now = f"{active.name} is active now" if active else "no config is active now"
        super().__init__(f"Somebody else activated another config meanwhile: {now}. Look again at what changes.")
        self.active = active


class SeededRecord(Record):
    """A row that `seed_registry` may have made. The key is how it knows: a row an admin edits or deletes stays so."""

    seed_key = AsciiCharField(max_length=64, null=True, blank=True, unique=True, editable=False)

    class Meta:
        abstract = True


def _copy(row: SeededRecord, **changes: object) -> Any:
    """The same values in a new row, which is nobody's seed."""
    left_out = {"id", "created_at", "updated_at", "seed_key"}
    fields = [field for field in row._meta.concrete_fields if field.name not in left_out and not field.generated]
    return type(row)(**{field.name: getattr(row, field.name) for field in fields} | changes)


class ScoreConfig(SeededRecord):
    """One version of the scoring model. At most one is active; its numbers and weights decide every score."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        DRAFT = "draft"
        ARCHIVED = "archived"

    name = models.CharField(
        max_length=64, unique=True, help_text="What you call this version. Example: pricing counts double."
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.DRAFT)
    lambda_decay = models.DecimalField(
        max_digits=8,
        decimal_places=6,
        default=Decimal("0.10"),
        help_text="How fast interest fades: an event that is d days old counts weight × e^(−λ·d). Half-life ="
        " 0.693 / λ days. Example: 0.10 halves an event's points every 6.93 days, 0.35 every 2 days.",
    )
    normalize_k = models.PositiveIntegerField(
        default=80,
        help_text="How many points make a high score: 100 × (1 − e^(−points / k)). Example: with 80, an account with 80"
        " points scores 63 and one with 160 scores 86. A larger k makes every score lower.",
    )
    cold_max = models.PositiveSmallIntegerField(
        default=34, help_text="Cold is 0 up to and including this score. Example: 34."
    )
    warm_max = models.PositiveSmallIntegerField(
        default=69, help_text="Warm ends with this score; anything above is Hot. Example: 69."
    )
    surge_surging_min = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        default=Decimal("1.5"),
        help_text="Surging from this ratio of the last 7 days to the 7 before on. Example: 1.5 is half as much again.",
    )
    surge_exploding_min = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        default=Decimal("2.5"),
        help_text="Exploding above, not at, this ratio. Example: 2.5.",
    )
    surge_smoothing = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        default=Decimal("5"),
        help_text="Added to both windows, so that a single page view is no explosion: ratio = (points of 7 days + this)"
        " / (points of the 7 days before + this). Example: 5.",
    )
    surge_min_raw_7d = models.FloatField(
        default=0, help_text="Below this many raw points in 7 days the surge is Normal. 0: the plain formula."
    )
    surge_rebase_prev = models.BooleanField(
        default=False,
        help_text="Age the previous window from its own end, so that steady traffic reads 1.0 and not e^(7λ) = 2.01.",
    )
    new_account_days = models.PositiveSmallIntegerField(
        default=14, help_text="An account first seen fewer than this many days ago is shown as New."
    )
    active_marker = one_when(status="active")
    history = HistoricalRecords(table_name="abm_score_configs_history", excluded_fields=["active_marker"])

    class Meta:
        db_table = "abm_score_configs"
        verbose_name = "score config"
        constraints = [
            models.UniqueConstraint(fields=["active_marker"], name="score_config_one_active"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "draft", "archived"]), name="score_config_status_known"
            ),
            models.CheckConstraint(
                condition=within("lambda_decay", 0, 10),
                name="score_config_lambda_range",
                violation_error_message="Lambda decay must be 0 to 10.",
            ),
            models.CheckConstraint(
                condition=within("normalize_k", 1, 1_000_000),
                name="score_config_k_range",
                violation_error_message="Normalize k must be 1 to 1,000,000.",
            ),
            models.CheckConstraint(
                condition=Q(cold_max__gte=0, cold_max__lt=F("warm_max"), warm_max__lt=100),
                name="score_config_stages_in_order",
                violation_error_message="Cold max must be below warm max, and warm max below 100.",
            ),
            models.CheckConstraint(
                condition=Q(surge_surging_min__gt=0, surge_surging_min__lte=F("surge_exploding_min")),
                name="score_config_surge_in_order",
                violation_error_message="Surge surging min must be above 0 and at most surge exploding min.",
            ),
            models.CheckConstraint(
                condition=within("surge_smoothing", Decimal("0.0001"), 1000),
                name="score_config_smoothing",
                violation_error_message="Surge smoothing must be 0.0001 to 1000.",
            ),
            models.CheckConstraint(
                condition=within("surge_min_raw_7d", 0, 1e9),
                name="score_config_surge_min_raw",
                violation_error_message="Surge min raw 7d must be 0 to 1,000,000,000.",
            ),
            models.CheckConstraint(
                condition=within("new_account_days", 0, 90),
                name="score_config_new_account_days",
                violation_error_message="New account days must be 0 to 90.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    def clone(self, name: str) -> "ScoreConfig":
        """A draft with the same numbers, weights and rules of its own. ValidationError for a name that is taken."""
        with transaction.atomic():
            copy = _copy(self, name=name, status=self.Status.DRAFT)
            copy.full_clean()
            copy._change_reason = f"Cloned from {self.name}"
            copy.save()
            for row in (*self.weights.order_by("pk"), *EventRule.objects.filter(score_config=self).order_by("pk")):
                made = _copy(row, score_config=copy)
                made._change_reason = copy._change_reason
                made.save()
        copy._change_reason = None
        return copy

    def activate(self, *, instead_of: object = None) -> None:
        """Make this the active config and archive the one that was. Nothing else may change which one is active.

        `instead_of`: the key of the config that somebody saw as the active one; ActivatedMeanwhile when another one is.
        """
        with transaction.atomic():
            # All are locked, in order: of two activations at once the second waits, and sees what the first did.
            configs = list(ScoreConfig.objects.select_for_update().order_by("pk"))
            active = next((config for config in configs if config.status == self.Status.ACTIVE), None)
            if instead_of is not None and str(instead_of) != str(active and active.pk):
                raise ActivatedMeanwhile(active)
            if self not in configs:
                raise ScoreConfig.DoesNotExist(f"{self.name} is gone: somebody deleted it.")
            reason = getattr(self, "_change_reason", None) or "Activated"
            if active is not None and active.pk != self.pk:
                active.status = self.Status.ARCHIVED
                active._change_reason = f"{self.name} was activated"
                active.save(update_fields=["status", "updated_at"])
            self.status, self._change_reason = self.Status.ACTIVE, reason
            self.save(update_fields=["status", "updated_at"])
            self._change_reason = None

    def parameters(self) -> values.ScoreParameters:
        return values.ScoreParameters(
            id=str(self.pk),
            name=self.name,
            lambda_decay=float(self.lambda_decay),
            normalize_k=self.normalize_k,
            cold_max=self.cold_max,
            warm_max=self.warm_max,
            surge_surging_min=float(self.surge_surging_min),
            surge_exploding_min=float(self.surge_exploding_min),
            surge_smoothing=float(self.surge_smoothing),
            surge_min_raw_7d=self.surge_min_raw_7d,
            surge_rebase_prev=self.surge_rebase_prev,
            new_account_days=self.new_account_days,
        )


class ScoreWeight(SeededRecord):
    """Points for an event, in one config; '' for "any" (a NULL would let one combination have two weights)."""

    class Kind(models.TextChoices):
        EVENT = "event", "event (intent score)"
        LEAD = "lead", "lead (lead score)"

    score_config = models.ForeignKey(ScoreConfig, on_delete=models.CASCADE, related_name="weights")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.EVENT)
    event_name = ExactCharField(
        max_length=64, help_text="What happened. Example: page_view, cta_click, form_submitted."
    )
    content_type = ExactCharField(
        max_length=64, blank=True, default="", help_text="On what kind of page. Example: pricing. Empty: any."
    )
    cta_id = ExactCharField(
        max_length=64, blank=True, default="", help_text="Which button. Example: contact_sales. Empty: any."
    )
    weight = models.PositiveSmallIntegerField(
        validators=[MaxValueValidator(WEIGHT_MAX)],
        help_text="Points of one such event on its day, 0 to 1000. Example: 25.",
    )
    history = HistoricalRecords(table_name="abm_score_weights_history")

    class Meta:
        db_table = "abm_score_weights"
        verbose_name = "score weight"
        constraints = [
            models.UniqueConstraint(
                fields=["score_config", "kind", "event_name", "content_type", "cta_id"], name="score_weight_once"
            ),
            models.CheckConstraint(condition=within("weight", 0, WEIGHT_MAX), name="score_weight_range"),
            models.CheckConstraint(condition=Q(kind__in=["event", "lead"]), name="score_weight_kind_known"),
            models.CheckConstraint(condition=~Q(event_name=""), name="score_weight_names_an_event"),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.event_name, self.content_type, self.cta_id])) + f": {self.weight}"

    def clean(self) -> None:
        demand_slug("content_type", self.content_type)

    def value(self) -> values.Weight:
        return values.Weight(self.event_name, self.content_type, self.cta_id, self.weight)


class EventRule(SeededRecord):
    """What a path means. Enabled rules are tried by ascending (priority, id); the first match wins."""

    enabled = models.BooleanField(default=True)
    priority = models.PositiveIntegerField(
        default=100, help_text="Lower is tried first; the first that matches wins. Example: 100."
    )
    event_name = ExactCharField(
        max_length=64,
        default="page_view",
        help_text="Which event. Example: page_view, or cta_* for all that begin with cta_.",
    )
    match_type = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in values.MatchType])
    match_value = ExactCharField(
        max_length=512,
        help_text="What the page's path must look like, upper or lower case alike. Example: /pricing as prefix, or"
        " ^/services/([^/]+) as pattern.",
    )
    content_type = ExactCharField(
        max_length=64,
        blank=True,
        default="",
        help_text=r"What kind of page it is. Example: pricing. Filled in where the event says none itself; \1 is the"
        " pattern's first group.",
    )
    lane = ExactCharField(
        max_length=64,
        blank=True,
        default="",
        help_text=r"Which service it is about. Example: meeting_rooms. Filled in where the event says none itself; \1"
        " is the pattern's first group.",
    )
    weight_override = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(WEIGHT_MAX)],
        help_text="Points of such an event instead of what the weights say, 0 to 1000. Example: 40.",
    )
    score_config = models.ForeignKey(
        ScoreConfig,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        help_text="Empty: it counts for every config. Choose a draft to try it out there first.",
    )
    notes = models.TextField(blank=True, default="")
    history = HistoricalRecords(table_name="abm_event_rules_history")

    class Meta:
        db_table = "abm_event_rules"
        verbose_name = "event rule"
        indexes = [models.Index(fields=["enabled", "priority"], name="event_rule_order")]
        constraints = [
            models.CheckConstraint(
                condition=Q(match_type__in=[kind.value for kind in values.MatchType]), name="event_rule_match_known"
            ),
            models.CheckConstraint(condition=~Q(match_value=""), name="event_rule_has_pattern"),
            models.CheckConstraint(condition=~Q(event_name=""), name="event_rule_has_event"),
            models.CheckConstraint(
                condition=Q(weight_override__isnull=True) | within("weight_override", 0, WEIGHT_MAX),
                name="event_rule_override_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.priority} {self.event_name} {self.match_type} {self.match_value}"

    def clean(self) -> None:
        if "*" in self.event_name[:-1]:
            raise ValidationError({"event_name": "A * counts only at the end."})
        why = problem(self.value())
        if why:
            raise ValidationError({"match_value": why})

    def value(self) -> values.Rule:
        return values.Rule(
            id=str(self.pk),
            priority=self.priority,
            event_name=self.event_name,
            match_type=self.match_type,
            match_value=self.match_value,
            content_type=self.content_type,
            lane=self.lane,
            weight_override=self.weight_override,
        )


def all_rules_problem(rows: Iterable[EventRule]) -> str | None:
    """Why these rules are too large together; a bad one among them is told of elsewhere."""
    return too_large_together(rule for rule in (row.value() for row in rows) if problem(rule) is None)


class PromptTemplate(SeededRecord):
    """The prompt of an account brief for a lane, persona and stage; `*` is any. At most one enabled of each."""

    PERSONAS = [(values.ANY, "any"), *((persona.value, persona.value) for persona in values.Persona)]
    STAGES = [(values.ANY, "any"), *((stage.value, stage.value) for stage in values.IntentStage)]
    enabled = models.BooleanField(default=True)
    lane = ExactCharField(
        max_length=64,
        default=values.ANY,
        help_text="For accounts whose top lane this is. Example: meeting_rooms; * for any.",
    )
    persona = models.CharField(
        max_length=16,
        default=values.ANY,
        choices=PERSONAS,
    )
    intent_stage = models.CharField(
        max_length=8,
        default=values.ANY,
        choices=STAGES,
    )
    version = ExactCharField(max_length=32, default="v1", help_text="For you. Example: v2, shorter.")
    system_prompt = models.TextField(
        help_text="Who the model is and what it must not do. Example: You are a B2B strategist. Do not invent facts."
    )
    user_prompt_template = models.TextField(
        help_text=f"What it shall write, with {PLACEHOLDER} where the account's facts go. Example: Write three bullets"
        f" for a sales call. JSON: {PLACEHOLDER}"
    )
    max_words = models.PositiveSmallIntegerField(
        default=180, help_text="How long the brief may be, 20 to 2000. Example: 180."
    )
    enabled_marker = one_when(enabled=True)
    history = HistoricalRecords(table_name="abm_prompt_templates_history", excluded_fields=["enabled_marker"])

    class Meta:
        db_table = "abm_prompt_templates"
        verbose_name = "prompt template"
        constraints = [
            models.UniqueConstraint(
                fields=["lane", "persona", "intent_stage", "enabled_marker"], name="prompt_template_one_enabled"
            ),
            models.CheckConstraint(
                condition=Q(user_prompt_template__contains=PLACEHOLDER), name="prompt_template_has_placeholder"
            ),
            models.CheckConstraint(
                condition=within("max_words", 20, 2000),
                name="prompt_template_max_words",
                violation_error_message="Max words must be 20 to 2000.",
            ),
            models.CheckConstraint(
                condition=Q(persona__in=[values.ANY, *values.Persona]), name="prompt_template_persona_known"
            ),
            models.CheckConstraint(
                condition=Q(intent_stage__in=[values.ANY, *values.IntentStage]), name="prompt_template_stage_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lane}/{self.persona}/{self.intent_stage} {self.version}"

    def clean(self) -> None:
        if PLACEHOLDER not in self.user_prompt_template:
            raise ValidationError({"user_prompt_template": f"{PLACEHOLDER} is missing: the model would see no facts."})
        if self.lane != values.ANY:
            demand_slug("lane", self.lane)
        # Forms leave out constraints over columns they do not show, and nothing shows a generated column.
        same = PromptTemplate.objects.filter(lane=self.lane, persona=self.persona, intent_stage=self.intent_stage)
        if self.enabled and same.filter(enabled=True).exclude(pk=self.pk).exists():
            raise ValidationError("Another template of this lane, persona and stage is enabled: disable it first.")
        # A browser sends \r\n: the text, and so its hash, must not change where nobody changed it.
        self.system_prompt = self.system_prompt.replace("\r\n", "\n")
        self.user_prompt_template = self.user_prompt_template.replace("\r\n", "\n")

    def value(self) -> values.Prompt:
        return values.Prompt(
            id=str(self.pk),
            lane=self.lane,
            persona=self.persona,
            intent_stage=self.intent_stage,
            version=self.version,
            system_prompt=self.system_prompt,
            user_prompt_template=self.user_prompt_template,
            max_words=self.max_words,
        )


class DomainRule(SeededRecord):
    """What a domain is: personal, a platform, or an account nobody should call (design 4). Acts on all history."""

    KINDS = [
        (values.DomainRuleKind.PERSONAL.value, "personal mail: never an account"),
        (values.DomainRuleKind.NOT_PERSONAL.value, "not personal, against the shipped list"),
        (values.DomainRuleKind.PLATFORM.value, "platform: a page there says nothing of its owner"),
        *((kind.value, f"suppress: {kind.value}") for kind in values.DomainRuleKind if kind in values.SUPPRESSING),
    ]
    enabled = models.BooleanField(default=True)
    domain = AsciiCharField(max_length=255, help_text="example.com, or *.example.com for it and everything below it.")
    kind = models.CharField(max_length=16, choices=KINDS)
    reason = models.CharField(max_length=255, blank=True, default="")
    expires_on = models.DateField(
        null=True, blank=True, help_text="Last day on which the rule counts; empty: for good."
    )
    history = HistoricalRecords(table_name="abm_domain_rules_history")

    class Meta:
        db_table = "abm_domain_rules"
        verbose_name = "domain rule"
        constraints = [
            models.UniqueConstraint(fields=["domain", "kind"], name="domain_rule_once"),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in values.DomainRuleKind]), name="domain_rule_kind_known"
            ),
            models.CheckConstraint(condition=~Q(domain=""), name="domain_rule_has_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.domain}: {self.kind}"

    def clean(self) -> None:
        self.domain = canonical_pattern(self.domain)

    def value(self) -> values.DomainRuleValue:
        return values.DomainRuleValue(self.domain, self.kind, self.reason, self.expires_on)


def canonical_pattern(text: str) -> str:
    """`*.Bücher.example` → `*.xn--bcher-kva.example`; ValidationError for what is no domain."""
    wildcard, name = ("*.", text.strip()[2:]) if text.strip().startswith("*.") else ("", text.strip())
    try:
        # Plain names are taken as they are: IDNA refuses `r3---sn.example`, which exists.
        domain = (name if name.isascii() else idna.encode(name, uts46=True).decode()).lower().rstrip(".")
    except idna.IDNAError as error:
        raise ValidationError({"domain": f"Not a domain: {error}."}) from error
    if not DOMAIN.fullmatch(domain):
        raise ValidationError({"domain": "Write a domain such as example.com or *.example.com."})
    return wildcard + domain.removeprefix("www.")


class RegistryRevision(Record):
    """The whole registry that some score was made with, kept under the hash of its content (design 3)."""

    digest = AsciiCharField(max_length=64, unique=True)
    content_json = models.JSONField()
    in_force_at = models.DateTimeField(
        null=True, blank=True, db_index=True, help_text="When scores last began to be made with it."
    )

    class Meta:
        db_table = "abm_registry_revisions"
        verbose_name = "registry revision"

    def __str__(self) -> str:
        return self.digest[:12]
