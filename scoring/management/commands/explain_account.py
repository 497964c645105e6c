"""Why an account has the score it has: every contribution, their sum, and the bridge from the snapshot before."""

from dataclasses import asdict
from datetime import date
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.domains import normalize_domain_from_url
from accounts.models import ProspectCompany
from scoring.explain import Bridge
from scoring.ledger import AccountLedger, account_ledger


class Command(BaseCommand):
    help = "Explain an account's score: contributions that sum to it, and what changed since the snapshot before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", help="The account's domain or one of its further domains.")
        parser.add_argument("--date", type=date.fromisoformat, help="Date of the snapshot (default: the newest).")
        parser.add_argument("--json", action="store_true", help="The whole ledger as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        company = find(options["domain"])
        ledger = account_ledger(company, options["date"])
        if ledger is None:
            raise CommandError(
                f"{company.domain} has no snapshot" + (f" of {options['date']}." if options["date"] else ".")
            )
        if options["json"]:
            self.stdout.write(orjson.dumps(as_json(ledger), option=orjson.OPT_INDENT_2).decode())
        else:
            self.stdout.write("\n".join(as_text(ledger)))


def find(text: str) -> ProspectCompany:
    domain = normalize_domain_from_url(text)
    if domain is None:
        raise CommandError(f"{text!r} is no domain.")
    company = ProspectCompany.objects.for_domain(domain).select_related("merged_into").first()
    if company is None:
        raise CommandError(f"No account has the domain {domain}.")
    return company


def as_json(ledger: AccountLedger) -> dict[str, Any]:
    s = ledger.snapshot
    return {
        "account_key": ledger.company.domain,
        "date": s.date,
        "intent_score": s.intent_score,
        "raw_score_30d": s.raw_score_30d,
        "total": ledger.total,
        "drift": ledger.drift,
        "config": asdict(ledger.parameters),
        "registry_revision": s.registry_revision.digest,
        "contributions": [asdict(line) for line in ledger.contributions],
        "categories": [asdict(line) for line in ledger.categories],
        "bridge": ledger.bridge and asdict(ledger.bridge),
        "paths_cut": ledger.paths_cut,
        "purged_days": ledger.purged,
    }


def as_text(ledger: AccountLedger) -> list[str]:
    s, p = ledger.snapshot, ledger.parameters
    said = [
        f"{ledger.company} on {s.date}: {s.intent_score} ({s.intent_stage}, {s.surge_level}, lane {s.top_lane})",
        f"{s.intent_score} = round(100 × (1 − e^(−{s.raw_score_30d:.4f} / {p.normalize_k})))",
        f"surge {s.surge_ratio:.3f} = ({s.raw_score_7d:.4f} + {p.surge_smoothing:g})"
        f" / ({s.raw_score_prev_7d:.4f} + {p.surge_smoothing:g})",
        "",
        f"{'day':10}  {'age':>3}  {'event':14}  {'category':20}  {'lane':16}"
        f"  {'count × weight × decay':>24}  {'points':>10}",
    ]
    said += [
        f"{line.date}  {line.age:>3}  {line.event:14.14}  {line.category:20.20}  {line.lane or '–':16.16}"
        f"  {f'{line.count} × {line.weight} × {line.decay:.4f}':>24}  {line.points:>10.4f}  {line.weight_source}"
        for line in ledger.contributions
    ]
    said += ["", f"sum of the contributions {ledger.total:.9f}, stored {s.raw_score_30d:.9f}"]
    if ledger.purged:
        said.append(f"The facts of {ledger.purged} days before it are too old to be kept: the rest no longer adds up.")
        return said
    if abs(ledger.drift) > 1e-9:
        said.append(f"The facts changed after this snapshot was made: {ledger.drift:+.4f}. --restate rewrites it.")
    if ledger.paths_cut:
        said.append(f"{ledger.paths_cut} paths were shortened because a day had too many different ones.")
    return said + (bridge_text(ledger.bridge) if ledger.bridge else ["This is the account's first snapshot."])


def bridge_text(bridge: Bridge) -> list[str]:
    parts = {
        f"raw score of {bridge.previous_date}": bridge.previous_raw,
        "facts restated since": bridge.restated,
        "rules or weights changed": bridge.rules_changed,
        "aged out of the window": bridge.aged_out,
        "decayed": bridge.decayed,
        "new": bridge.new,
    }
    return [
        "",
        *(f"  {name:28} {points:>+12.4f}" for name, points in parts.items()),
        f"  {'now':28} {bridge.raw:>+12.4f}",
    ]
