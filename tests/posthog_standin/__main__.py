"""The stand-in as a process of its own: `python -m tests.posthog_standin --demo`. It ends when its input does, or with
Ctrl-C."""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestion.demo import DemoLead, demo_events, demo_leads
from ingestion.demo_cast import DEMO_COMPANIES, Company
from tests.posthog_standin.project import Project
from tests.posthog_standin.server import serve

DEMO_DAYS = 60


def main() -> None:
    options = _options()
    directory = Path(options.directory or tempfile.mkdtemp(prefix="orbit-posthog-", dir="/tmp"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        project = Project(directory, options.project_id, options.api_key, options.project_key)
        if options.demo:
            _load_demo(project)
        server = serve(project, options.port, os.environ.get("STANDIN_SECRET") or secrets.token_hex(16))
        url = f"http://127.0.0.1:{server.server_address[1]}"
        sys.stdout.write(f"{_shell_lines(url, project)}\n" if options.demo else f"{url}\n")
        sys.stdout.flush()
        _wait(until_input_ends=options.with_owner)
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # ClickHouse's own threads take a second to say goodbye


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.posthog_standin", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--demo", action="store_true", help="load demo events and print what a shell needs")
    parser.add_argument("--directory", help="of the data; removed at the end. Default: a temporary one")
    parser.add_argument("--project-id", type=int, default=1)
    parser.add_argument("--api-key", default="phx_" + "demo" * 8)
    parser.add_argument("--project-key", default="phc_" + "demo" * 8)
    parser.add_argument("--with-owner", action="store_true", help="end when the standard input does")
    return parser.parse_args()


def _wait(until_input_ends: bool) -> None:
    if until_input_ends:
        sys.stdin.read()
    else:
        threading.Event().wait()


def _load_demo(project: Project) -> None:
    """The demo's events up to the last full day, with what PostHog knows of its companies and people."""
    last_day = datetime.now(UTC).date() - timedelta(days=1)
    start = datetime.combine(last_day - timedelta(days=DEMO_DAYS), datetime.min.time(), UTC)
    project.capture([_named(company, start) for company in DEMO_COMPANIES])
    project.capture(list(map(_as_sent_by_posthog_js, demo_events(last_day, DEMO_DAYS))))
    project.capture([_known(lead) for lead in demo_leads(last_day) if lead.tracking_json])


def _as_sent_by_posthog_js(event: dict[str, Any]) -> dict[str, Any]:
    """A site that sent both of the demo's names for a page view would count each visit twice."""
    return {**event, "event": "$pageview"} if event["event"] == "page_view" else event


def _named(company: Company, at: datetime) -> dict[str, Any]:
    group = {"$group_type": "company", "$group_key": company.domain, "$group_set": {"name": company.name}}
    return {"event": "$groupidentify", "distinct_id": "demo", "timestamp": at.isoformat(), "properties": group}


def _known(lead: DemoLead) -> dict[str, Any]:
    """Who filled in the form is known by mail from then on."""
    person = {"$set": {"email": lead.work_email, "name": f"{lead.first_name} {lead.last_name}"}}
    who = lead.tracking_json["posthog_distinct_id"]
    at = lead.submitted_at.isoformat()
    return {"event": "$identify", "distinct_id": who, "timestamp": at, "properties": person}


def _shell_lines(url: str, project: Project) -> str:
    return (
        f"A stand-in for PostHog with {DEMO_DAYS} days of demo events answers. In another shell:\n\n"
        f"export POSTHOG_HOST={url}\n"
        f"export POSTHOG_API_KEY={project.api_key}\n"
        f"export POSTHOG_PROJECT_ID={project.id}\n"
        ".venv/bin/python manage.py check_posthog\n"
        ".venv/bin/python manage.py pull_activity\n\n"
        "Ctrl-C ends it."
    )


if __name__ == "__main__":
    main()
