"""Accounts from a CSV file: customers and targets with their names, domains, owners and Salesforce ids.

Lines are read in batches, and all of the file is one transaction: a dry run does everything and takes it back, so that
what it says is what the import does. A line with a problem writes nothing, and then neither does the file.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.domains import normalize_domain_from_url
from accounts.models import CompanyDomain, ProspectCompany
from accounts.resolution import CannotMerge, DomainRules, merge
from registry.csv_cells import unescape
from registry.domain_rules import decide
from registry.models import DomainRule
from registry.transactions import transact
from registry.values import SUPPRESSING

SALESFORCE = ("salesforce_account_id", "salesforce_account_url", "salesforce_owner_id")
COLUMNS = ("domain", "name", "further_domains", "owner", *SALESFORCE, "suppression", "reason")
WRITTEN = ("name", "name_source", "owner", *SALESFORCE, "updated_at")
BATCH = 500
HEADER_LENGTH = 10_000
_BETWEEN_DOMAINS = re.compile(r"[\s;,]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class NotACsvFile(Exception):
    """The file as a whole cannot be read; the text says why."""


@dataclass(slots=True)
class Line:
    """One line of the file: what it says, what it does, and why it cannot."""

    number: int
    domain: str
    name: str = ""
    further: tuple[str, ...] = ()
    owner: str = ""
    salesforce: dict[str, str] = field(default_factory=dict)
    suppression: str = ""
    reason: str = ""
    does: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Given:
    """An account that became another's; user names, '' for nobody."""

    company_id: UUID
    before: str
    after: str


@dataclass
class Report:
    """What the file did, or would do. `counts` has the lines by the first word of what they do."""

    lines: list[Line] = field(default_factory=list)

    @property
    def refused(self) -> list[Line]:
        return [line for line in self.lines if line.problems]

    @property
    def counts(self) -> dict[str, int]:
        words = Counter(said.partition(" ")[0] for line in self.lines for said in line.does)
        words["nothing"] = sum(not line.does and not line.problems for line in self.lines)
        return dict(words)


def import_accounts(file: BinaryIO, today: date, *, by: User | None = None, dry_run: bool = False) -> Report:
    """Do what the lines say; nothing at all when one of them cannot be done. NotACsvFile for what is no such file.

    `by`: who does it; None where that is the command line.
    """
    return transact(partial(_import, file, today, by, dry_run), again=IntegrityError)


def _import(file: BinaryIO, today: date, by: User | None, dry_run: bool) -> Report:
    rules = DomainRules.in_force([row.value() for row in DomainRule.objects.filter(enabled=True)], today)
    report, claimed = Report(), dict[str, int]()
    with transaction.atomic():
        lines = read_lines(file)
        while batch := list(islice(lines, BATCH)):
            for line in batch:
                _claim(line, claimed, rules)
            _write([line for line in batch if not line.problems], today, by)
            report.lines += batch
        transaction.set_rollback(dry_run or any(line.problems for line in report.lines))
    return report


# --- Reading ----------------------------------------------------------------------------------------------------------
def read_lines(file: BinaryIO) -> Iterator[Line]:
    """The file's lines, each with the problems that can be seen in it alone. Read from its beginning."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline(HEADER_LENGTH)
        columns = _columns(header)
        reader = csv.DictReader(text, columns, delimiter=_delimiter(header), strict=True)
        for row in reader:
            if any(str(cell or "").strip() for cell in row.values()):  # spreadsheets leave empty lines behind
                yield _line(reader.line_num + 1, row)
    except csv.Error as error:
        raise NotACsvFile(f"After line {reader.reader.line_num + 1}: {error}.") from error
    except UnicodeDecodeError as error:
        raise NotACsvFile("The file is not in UTF-8. Save it as CSV UTF-8.") from error
    finally:
        text.detach()  # the file stays open: whoever opened it may read it again


def _delimiter(header: str) -> str:
    return ";" if header.count(";") > header.count(",") else ","


def _columns(header: str) -> list[str]:
    columns = [cell.strip() for cell in next(csv.reader([header], delimiter=_delimiter(header)), [])]
    said = [f"unknown column {name!r}" for name in columns if name not in COLUMNS]
    said += [f"column {name!r} twice" for name, number in Counter(columns).items() if number > 1]
    said += [] if "domain" in columns else ["no column 'domain'"]
    if said:
        raise NotACsvFile(f"{', '.join(said).capitalize()}. The first line names the columns: {', '.join(COLUMNS)}.")
    return columns


def _line(number: int, row: Mapping[Any, Any]) -> Line:
    if None in row or None in row.values():
        return Line(number, str(row.get("domain") or ""), problems=["too many or too few cells"])
    cells = {name: " ".join(unescape(cell.strip()).split()) for name, cell in row.items()}
    line = Line(
        number,
        cells["domain"],
        name=cells.get("name", ""),
        owner=cells.get("owner", ""),
        salesforce={name: cells[name] for name in SALESFORCE if cells.get(name)},
        suppression=cells.get("suppression", "").lower(),
        reason=cells.get("reason", ""),
    )
    if any(_CONTROL.search(cell) for cell in cells.values()):
        line.problems.append("a character that cannot be printed")
        return line
    line.domain = _domain(line, line.domain)
    further = filter(None, _BETWEEN_DOMAINS.split(cells.get("further_domains", "")))
    line.further = tuple(dict.fromkeys(_domain(line, text) for text in further))
    _check_values(line)
    return line


def _domain(line: Line, text: str) -> str:
    domain = normalize_domain_from_url(text)
    if domain is None:
        line.problems.append(f"{text!r} is no domain" if text else "no domain")
    return domain or text


def _check_values(line: Line) -> None:
    """The tables' own rules: lengths and addresses."""
    if line.suppression and line.suppression not in SUPPRESSING:
        line.problems.append(f"suppression {line.suppression!r} is none of {', '.join(sorted(SUPPRESSING))}")
    if line.reason and not line.suppression:
        line.problems.append("a reason and no suppression")
    account = {"name": line.name, **line.salesforce}
    values = [(ProspectCompany, name, value) for name, value in account.items()] + [(DomainRule, "reason", line.reason)]
    for model, name, value in values:
        try:
            if value:
                model._meta.get_field(name).clean(value, None)
        except ValidationError as error:
            line.problems += [f"{name}: {message}" for message in error.messages]


def _claim(line: Line, claimed: dict[str, int], rules: DomainRules) -> None:
    """A domain stands in one line only; a mailbox provider or a platform in none."""
    for domain in (line.domain, *(name for name in line.further if name != line.domain)):
        if domain in claimed:
            line.problems.append(f"{domain} stands in line {claimed[domain]} already")
        claimed.setdefault(domain, line.number)
        if unusable := rules.unusable(domain):
            line.problems.append(f"{domain} is a {unusable} domain and no company's")


# --- Writing ----------------------------------------------------------------------------------------------------------
def _write(lines: list[Line], today: date, by: User | None) -> None:
    """What a batch says, in as many queries whatever it says; merges alone are done one by one."""
    domains = {domain for line in lines for domain in (line.domain, *line.further)}
    # Locked, or somebody who takes an account meanwhile would lose it again, and the history would not say so.
    known = ProspectCompany.objects.select_for_update().filter(domain__in=domains).order_by("pk")
    accounts = {row.domain: row for row in known}
    owners = dict(User.objects.filter(accounts__domain__in=domains).values_list("pk", "username"))
    owners_of = dict(CompanyDomain.objects.filter(domain__in=domains).values_list("domain", "prospect_company__domain"))
    heads = {row.pk: row.domain for row in ProspectCompany.objects.filter(merged__domain__in=domains)}
    users = {
        user.get_username(): user
        for user in get_user_model().objects.filter(username__in={line.owner for line in lines}, is_active=True)
    }
    for line in lines:
        _check_stored(line, accounts, owners_of, heads, users)
    sound = [line for line in lines if not line.problems]
    created = {
        line.domain: ProspectCompany(domain=line.domain, name=line.domain)
        for line in sound
        if line.domain not in accounts
    }
    changed, given = [], []
    for line in sound:
        account = created.get(line.domain) or accounts[line.domain]
        owner = owners[account.owner_id] if account.owner_id else ""
        if line.domain in created:
            line.does.append("create")
        if _fill(account, line, users) and line.domain not in created:
            account.updated_at = timezone.now()
            changed.append(account)
        if line.owner not in ("", owner):
            given.append(Given(account.pk, owner, line.owner))
    ProspectCompany.objects.bulk_create(created.values())
    ProspectCompany.objects.bulk_update(changed, WRITTEN)
    for name in settings.WITH_NEW_OWNERS:
        import_string(name)(given, by, timezone.now())
    _write_further(sound, accounts | created, owners_of)
    wanted = {line.domain: (line.suppression, line.reason) for line in sound if line.suppression}
    suppressed = decide(wanted, today) if wanted else set()
    for line in sound:
        if line.domain in suppressed:
            line.does.append(f"suppress as {line.suppression}")


def _check_stored(
    line: Line,
    accounts: Mapping[str, ProspectCompany],
    owners_of: Mapping[str, str],
    heads: Mapping[Any, str],
    users: Mapping[str, Any],
) -> None:
    if line.owner and line.owner not in users:
        line.problems.append(f"there is no active user {line.owner!r}")
    account = accounts.get(line.domain)
    if account is None and line.domain in owners_of:
        line.problems.append(f"{line.domain} is a further domain of {owners_of[line.domain]}")
    elif account is not None and account.merged_into_id is not None:
        line.problems.append(f"{line.domain} is merged into {heads[account.merged_into_id]}: take that back first")
    for domain in line.further:
        other = accounts.get(domain)
        if owners_of.get(domain, line.domain) != line.domain:
            line.problems.append(f"{domain} is a further domain of {owners_of[domain]}")
        elif other is not None and heads.get(other.merged_into_id, line.domain) != line.domain:
            line.problems.append(f"{domain} is merged into {heads[other.merged_into_id]}: take that back first")


def _fill(account: ProspectCompany, line: Line, users: Mapping[str, Any]) -> bool:
    """Put what the line says into the account; an empty cell says nothing. Whether anything changed."""
    before = len(line.does)
    admin = ProspectCompany.NameSource.ADMIN
    if line.name and (account.name, account.name_source) != (line.name, admin):
        if account.name != line.name and not account._state.adding:
            line.does.append(f"rename {account.name!r} to {line.name!r}")
        elif not account._state.adding:
            line.does.append("keep its name, whatever PostHog or a lead says")
        account.name, account.name_source = line.name, admin
    if line.owner and account.owner_id != users[line.owner].pk:
        line.does.append(f"owner {line.owner}")
        account.owner = users[line.owner]
    for name, value in line.salesforce.items():
        if getattr(account, name) != value:
            line.does.append(f"{name} {value}")
            setattr(account, name, value)
    return len(line.does) > before


def _write_further(lines: list[Line], accounts: Mapping[str, ProspectCompany], owners_of: Mapping[str, str]) -> None:
    aliases = []
    for line in lines:
        account = accounts[line.domain]
        for domain in line.further:
            other = accounts.get(domain)
            if domain == line.domain or domain in owners_of or (other and other.merged_into_id == account.pk):
                continue
            if other is None:
                line.does.append(f"alias {domain}")
                aliases.append(CompanyDomain(domain=domain, prospect_company=account))
                continue
            try:
                merge(other, account)
                line.does.append(f"merge {domain}, which has a score of {other.intent_score}")
            except CannotMerge as why:
                line.problems.append(str(why))
    CompanyDomain.objects.bulk_create(aliases)
