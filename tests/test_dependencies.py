"""What may drift under us is pinned, and what we use of it is there (reliability 43).

`./dev drift` runs the suite on the newest versions; what stands here then says which name it was.
"""

import inspect
import re
from pathlib import Path

import anthropic
import httpx2
import pytest
import rq.exceptions
import rq.job
import rq.utils
import rq_scheduler
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ai_summaries.llm import _Bounded

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {name: (ROOT / f"{name}.txt").read_text() for name in ("requirements", "requirements-dev")}


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)(?:\[\S+\])?==(\S+)", LOCKS[name]))


def wanted(name: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / f"{name}.in").read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", LOCKS)
def test_reliability_43_every_package_is_pinned_with_its_hashes(name):
    entries = re.split(r"(?m)^(?=[a-z0-9])", LOCKS[name])[1:]
    assert len(entries) == len(pins(name)) > 10
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_reliability_43_the_pins_are_what_the_requirements_ask_for(name):
    pinned = pins(name)
    assert wanted(name)
    for requirement in wanted(name):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version}"


def test_reliability_43_both_locks_pin_a_shared_package_alike():
    ours, tools = pins("requirements"), pins("requirements-dev")
    assert {name for name in ours.keys() & tools.keys() if ours[name] != tools[name]} == set()


USED = [
    (rq.Queue.enqueue_call, {"func", "args", "timeout", "result_ttl", "ttl", "failure_ttl", "job_id", "unique"}),
    (rq.Queue.__init__, {"name", "connection"}),
    (rq.Worker.dequeue_job_and_maintain_ttl, {"timeout"}),
    (rq.job.Job.fetch, {"id", "connection"}),
    (rq_scheduler.Scheduler.__init__, {"queue_name", "interval", "connection"}),
    (rq_scheduler.Scheduler._create_job, {"func", "commit", "result_ttl", "id"}),
    (rq_scheduler.Scheduler.enqueue_job, {"job"}),
    (rq_scheduler.Scheduler.get_queue_for_job, {"job"}),
    (
        anthropic.Anthropic.__init__,
        {"api_key", "base_url", "webhook_key", "max_retries", "timeout", "http_client", "default_headers"},
    ),
    (anthropic.resources.Messages.create, {"model", "max_tokens", "system", "messages"}),
    (httpx2.Client.__init__, {"transport", "trust_env", "follow_redirects", "timeout"}),
    (httpx2.HTTPTransport.__init__, {"trust_env"}),
]


@pytest.mark.parametrize(("function", "arguments"), USED, ids=lambda used: getattr(used, "__qualname__", ""))
def test_reliability_43_what_we_call_takes_what_we_pass(function, arguments):
    assert arguments - set(inspect.signature(function).parameters) == set()


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (rq.Worker, {"clean_registries", "dequeue_job_and_maintain_ttl"}),
        (rq.Queue, {"intermediate_queue", "remove", "count"}),
        (rq.exceptions, {"DuplicateJobError", "NoSuchJobError"}),
        (rq.utils, {"now"}),
        (rq_scheduler.Scheduler, {"scheduled_jobs_key", "scheduler_lock_key", "job_class"}),
        (anthropic, {"APIStatusError", "AnthropicError"}),
        (httpx2, {"HTTPError", "Timeout", "Response"}),
        (_Bounded, set(httpx2.BaseTransport.__dict__) & {"handle_request", "close", "__enter__", "__exit__"}),
    ],
)
def test_reliability_43_the_names_we_use_are_there(owner, names):
    assert {name for name in names if not hasattr(owner, name)} == set()
