"""Registry rows from a CSV file and into one: every line is checked by the same rules as the admin, and all or none is
written. What an export wrote comes back as it was."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.forms import ModelForm, model_to_dict, modelform_factory

from registry.csv_cells import unescape
from registry.models import (
    REASON_LENGTH,
    DomainRule,
    EventRule,
    PromptTemplate,
    ScoreConfig,
    ScoreWeight,
    all_rules_problem,
    canonical_pattern,
)


@dataclass(frozen=True)
class Table:
    """What a file of this kind may say, and what makes two rows the same row."""

    model: type[models.Model]
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def required(self) -> set[str]:
        return {name for name in self.key if not self.model._meta.get_field(name).has_default()} - {"score_config"}


TABLES = {
    "event_rules": Table(
        EventRule,
        ("score_config", "event_name", "match_type", "match_value"),
        (
            "enabled", "priority", "event_name", "match_type", "match_value", "content_type", "lane",
            "weight_override", "score_config", "notes",
        ),
    ),
    "score_weights": Table(
        ScoreWeight,
        ("score_config", "kind", "event_name", "content_type", "cta_id"),
        ("score_config", "kind", "event_name", "content_type", "cta_id", "weight"),
    ),
    "prompt_templates": Table(
        PromptTemplate,
        ("lane", "persona", "intent_stage", "version"),
        (
            "enabled", "lane", "persona", "intent_stage", "version", "system_prompt", "user_prompt_template",
            "max_words",
        ),
    ),
    "domain_rules": Table(
        DomainRule, ("domain", "kind"), ("enabled", "domain", "kind", "reason", "expires_on")
    ),
}  # fmt: skip


class ImportRefused(Exception):
    """The file has errors; nothing was written. `errors` has one line of text for each."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True)
class RowChange:
    """What a line does to a row: each column with what it said and will say; of a new row all columns."""

    row: str
    is_new: bool
    columns: tuple[tuple[str, str, str], ...]


@dataclass
class ImportReport:
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: int = 0
    changes: list[RowChange] = field(default_factory=list)


def import_rows(kind: str, path: Path, *, dry_run: bool = False) -> ImportReport:
    """Create or update the file's rows. ImportRefused with every error of the file, and nothing written, if any."""
    try:
        with path.open("rb") as file:
            return import_file(kind, path.name, file, dry_run=dry_run)
    except OSError as error:
        raise ImportRefused([f"{path.name}: cannot be read as CSV in UTF-8: {error}"]) from error


def import_file(kind: str, name: str, file: BinaryIO, *, dry_run: bool = False, reason: str = "") -> ImportReport:
    """The same of an open file; `reason` goes to the history."""
    table, report, errors = TABLES[kind], ImportReport(), []
    reason = (reason or f"Imported from {name}")[:REASON_LENGTH]
    seen: dict[tuple[Any, ...], int] = {}
    with transaction.atomic():
        for line, row in read_rows(table, name, file):
            try:
                if None in row or None in row.values():
                    raise ValidationError("too many or too few cells")
                values = typed(table, row)
                key = tuple(values.get(name) for name in table.key)
                if key in seen:
                    raise ValidationError(f"the same row as line {seen[key]}")
                seen[key] = line
                save(table, values, report, reason)
            except ValidationError as error:
                errors += [f"{name} line {line}: {message}" for message in messages(error)]
        too_large = _too_large() if table.model is EventRule and not errors else None
        if errors or too_large:
            raise ImportRefused(errors or [f"{name}: {too_large}"])
        transaction.set_rollback(dry_run)
    return report


def _too_large() -> str | None:
    return all_rules_problem(EventRule.objects.filter(enabled=True))


def read_rows(table: Table, name: str, file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
    """The file's rows with their line numbers; ImportRefused for a file that is no such CSV."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        columns = reader.fieldnames or []
        unknown, missing = set(columns) - set(table.columns), table.required - set(columns)
        if unknown or missing or len(set(columns)) < len(columns):
            raise ImportRefused([header_problem(name, table, unknown, missing)])
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ImportRefused([f"{name} after line {reader.line_num}: {error}"]) from error
    except UnicodeDecodeError as error:
        raise ImportRefused([f"{name}: cannot be read as CSV in UTF-8: {error}"]) from error
    finally:
        text.detach()  # the file is its opener's


def export_rows(kind: str, rows: Iterable[Any]) -> Iterator[list[object]]:
    """The cells of rows in the order of the table's columns; a config by its name."""
    for row in rows:
        yield [_cell(row, name) for name in TABLES[kind].columns]


def _cell(row: Any, name: str) -> object:
    value = getattr(row, name)
    if isinstance(value, bool):
        return int(value)
    return value.name if isinstance(value, ScoreConfig) else value


def header_problem(name: str, table: Table, unknown: set[str], missing: set[str]) -> str:
    said = [f"unknown column {name}" for name in sorted(unknown)] + [f"no column {name}" for name in sorted(missing)]
    return f"{name}: {', '.join(said) or 'a column twice'}. Columns: {', '.join(table.columns)}."


def typed(table: Table, row: dict[str, str]) -> dict[str, Any]:
    """The row's cells as a form takes them: config by name (default: the active one for weights), booleans in words."""
    values: dict[str, Any] = {name: unescape(cell.strip().replace("\r\n", "\n")) for name, cell in row.items()}
    if "enabled" in values:
        values["enabled"] = boolean(values["enabled"])
    if "score_config" in table.columns:
        values["score_config"] = config_named(values.get("score_config", ""), required=table.model is ScoreWeight)
    if table.model is DomainRule:
        values["domain"] = canonical_pattern(values["domain"])
    for name in table.key:
        if not values.get(name) and table.model._meta.get_field(name).has_default():
            values[name] = table.model._meta.get_field(name).get_default()
    return values


def boolean(cell: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if cell.lower() not in words:
        raise ValidationError({"enabled": f"{cell!r} is neither 1 nor 0."})
    return words[cell.lower()]


def config_named(name: str, *, required: bool) -> Any:
    if not name and not required:
        return None
    chosen = ScoreConfig.objects.filter(name=name) if name else ScoreConfig.objects.filter(status="active")
    config = chosen.first()
    if config is None:
        raise ValidationError({"score_config": f"no config named {name!r}" if name else "no config is active"})
    return config.pk


def save(table: Table, values: dict[str, Any], report: ImportReport, reason: str) -> None:
    found = table.model._default_manager.filter(**same(table, values)).first()
    before, old = str(found) if found else "", table.model._default_manager.filter(pk=found and found.pk).first()
    # With every column in the form, the ones the file leaves out are checked too, as they are or by default.
    data = model_to_dict(found or table.model(), fields=table.columns) | values
    form: ModelForm[Any] = modelform_factory(table.model, fields=table.columns)(data, instance=found)
    if not form.is_valid():
        raise ValidationError(form.errors.as_data())
    if found is not None and not form.has_changed():
        report.unchanged += 1
        return
    form.instance._change_reason = reason
    saved = form.save()
    if found is None:
        report.created.append(str(saved))
    else:
        report.updated.append(
            f"{before} → {saved}" if before != str(saved) else f"{saved} ({', '.join(form.changed_data)})"
        )
    told = form.changed_data if found is not None else table.columns
    columns = tuple((name, said(old, name), said(saved, name)) for name in told)
    report.changes.append(RowChange(str(saved), found is None, columns))


def said(row: Any, name: str) -> str:
    value = "" if row is None else _cell(row, name)
    return "" if value is None else str(value)


def same(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """The lookup of the stored row; `= NULL` finds nothing in SQL, so an empty config is asked for by IS NULL."""
    return {
        (name if values[name] is not None else f"{name}__isnull"): (values[name] if values[name] is not None else True)
        for name in table.key
    }


def messages(error: ValidationError) -> list[str]:
    if hasattr(error, "error_dict"):
        return [
            text if name == NON_FIELD_ERRORS else f"{name}: {text}"
            for name, texts in error.message_dict.items()
            for text in texts
        ]
    return list(error.messages)
