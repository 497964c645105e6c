"""What the documents say exists, and what exists is in the documents. No database."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import BaseCommand, get_commands, load_command_class
from django.db.models import CharField, TextField

from accounts.models import Contact, ProspectCompany
from ingestion.models import LeadRequest
from registry.csv_import import TABLES
from registry.models import DomainRule
from registry.values import MatchType
from scoring.management.commands.export_snapshots import COLUMNS
from tests.markdown import table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGES = ("abm_project", "registry", "accounts", "ingestion", "scoring", "ai_summaries")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
]
CODE = re.compile(r"`([^`\n]+)`")


def text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- The environment --------------------------------------------------------------------------------------------------
def variables_read() -> set[str]:
    """First arguments of `env.X("NAME")`, `choice("NAME")`, `os.environ.get("NAME")` and `os.environ["NAME"]`."""
    found = set()
    for node in ast.walk(ast.parse(text(ROOT / "abm_project" / "settings.py"))):
        if isinstance(node, ast.Call) and node.args:
            asked, named = ast.unparse(node.func), node.args[0]
        elif isinstance(node, ast.Subscript):
            asked, named = ast.unparse(node.value), node.slice
        else:
            continue
        reads = re.fullmatch(r"env(\.\w+)?|choice|literal|os\.getenv|os\.environ(\.\w+)?", asked)
        if reads and isinstance(named, ast.Constant) and isinstance(named.value, str):
            found.add(named.value)
    return found


def example_lines() -> dict[str, str]:
    lines = re.findall(r"(?m)^#?([A-Z][A-Z0-9_]*)=(.*)$", text(ROOT / ".env.example"))
    assert len(lines) == len(dict(lines)), "a variable stands twice"
    return dict(lines)


def test_the_env_example_lists_exactly_the_variables_that_settings_read() -> None:
    assert set(example_lines()) == variables_read()


def test_operations_explains_exactly_the_variables_that_settings_read() -> None:
    assert {row["variable"] for row in table(DOCS / "operations.md", "Settings")} == variables_read()


def test_the_env_example_is_commented_out_so_that_a_copy_changes_nothing() -> None:
    lines = text(ROOT / ".env.example").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_values_of_the_env_example_are_the_defaults(tmp_path: Path) -> None:
    """Uncommented, line by line, they give the same settings as nothing does."""
    uncommented = tmp_path / "env"
    uncommented.write_text("".join(f"{name}={value}\n" for name, value in example_lines().items()))

    assert settings_with(ENV_FILE=str(uncommented)) == settings_with(ENV_FILE="/dev/null")


def settings_with(**environment: str) -> str:
    show = (
        "from abm_project import settings as s; from pathlib import Path\n"
        "for database in s.DATABASES.values(): database['NAME'] = str(Path(database['NAME']).resolve())\n"
        "print({k: getattr(s, k) for k in dir(s) if k.isupper() and k != 'ENV_FILE'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_only_settings_read_the_environment() -> None:
    """Entry points may say what the environment is to be (setdefault), and read nothing."""
    reading = re.compile(r"os\.environ|os\.getenv|from os import|environ\.Env|getenv\(")
    allowed = re.compile(r"os\.environ\.setdefault\(\"(DJANGO_SETTINGS_MODULE|DATABASE_PROFILE)\"")
    entry_points = {ROOT / "manage.py", ROOT / "abm_project" / "wsgi.py"}
    found = [
        f"{name_of(path)}: {line.strip()}"
        for path in (*SOURCES, ROOT / "manage.py")
        for line in text(path).splitlines()
        if reading.search(line) and not (path in entry_points and allowed.search(line))
        if path != ROOT / "abm_project" / "settings.py"
    ]

    assert found == []


# --- Commands ---------------------------------------------------------------------------------------------------------
OUR_COMMANDS = sorted((name, app) for name, app in get_commands().items() if app in PACKAGES)


@pytest.mark.parametrize(("name", "app"), OUR_COMMANDS)
def test_a_command_of_ours_has_help_and_stands_in_the_documents(name: str, app: str) -> None:
    assert load_command_class(app, name).help, f"{name} has no help text"
    assert re.search(rf"\b{name}\b", text(ROOT / "README.md", *DOCS.rglob("*.md"))), f"{name} is documented nowhere"


def test_a_command_that_the_documents_call_exists() -> None:
    called = set(re.findall(r"manage\.py (\w+)", text(*PAGES)))

    assert called - set(get_commands()) - {"COMMAND", "rqworker"} == set()  # of django_rq, installed with REDIS_URL


@pytest.mark.parametrize(("name", "app"), OUR_COMMANDS)
def test_the_synopsis_of_a_command_of_ours_names_its_options(name: str, app: str) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    inherited = BaseCommand().create_parser("manage.py", "any")._option_string_actions
    options = {option for option in parser._option_string_actions if option.startswith("--")} - set(inherited)
    synopses = re.findall(rf"(?m)^`({name} [^`]*)`$", text(DOCS / "operations.md"))

    assert [set(re.findall(r"--[a-z-]+", synopsis)) for synopsis in synopses] == [options] * bool(options)


def test_every_dev_command_stands_in_readme_or_contributing() -> None:
    listed = subprocess.run([sys.executable, ROOT / "dev", "help"], capture_output=True, text=True, timeout=60).stdout
    commands = re.findall(r"(?m)^  (\w+) ", listed)
    said = text(ROOT / "README.md", ROOT / "CONTRIBUTING.md")

    assert "demo" in commands
    assert [name for name in commands if f"./dev {name}" not in said] == []


# --- Columns ----------------------------------------------------------------------------------------------------------
def code_in(*cells: str) -> list[str]:
    """The words in backticks of some cells; a cell that was all code comes without them."""
    return [word for cell in cells for word in (CODE.findall(cell) or [cell])]


def test_the_columns_of_import_registry_are_those_of_the_documents() -> None:
    stated = {row["kind"]: (code_in(row["columns"]), code_in(row["key"])) for row in rows_of("import_registry")}

    assert stated == {kind: (list(found.columns), list(found.key)) for kind, found in TABLES.items()}


def test_the_choices_of_import_registry_are_named_in_the_documents() -> None:
    page = text(DOCS / "operations.md")

    missing = [name for name in (*MatchType, *(kind for kind, _ in DomainRule.KINDS)) if f"`{name}`" not in page]
    assert missing == []


def test_the_columns_of_export_snapshots_are_those_of_the_documents() -> None:
    stated = code_in(*(row["column"] for row in rows_of("export_snapshots")))

    assert sorted(stated) == sorted(["account_key", *COLUMNS])


def rows_of(heading: str) -> list[dict[str, str]]:
    return table(DOCS / "operations.md", heading)


SALESFORCE_TABLES = {
    "Account: `prospect_companies`": ProspectCompany,
    "Contact: `contacts`": Contact,
    "Lead: `lead_requests`": LeadRequest,
}


def test_every_salesforce_column_of_every_model_is_in_the_salesforce_page() -> None:
    page = text(DOCS / "salesforce.md")
    columns = {
        f"{model._meta.db_table}.{field.name}"
        for app in PACKAGES
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.concrete_fields
        if field.name.startswith("salesforce_")
    }

    assert len(columns) >= 7
    assert [column for column in columns if f"`{column.partition('.')[2]}`" not in page] == []
    for heading, model in SALESFORCE_TABLES.items():
        ours = {name for name in columns if name.startswith(f"{model._meta.db_table}.")}
        section = page.partition(f"## {heading}\n")[2] + page.partition("## Task\n")[2]
        assert [name for name in ours if f"`{name.partition('.')[2]}`" not in section] == []


@pytest.mark.parametrize(("heading", "model"), SALESFORCE_TABLES.items(), ids=lambda part: str(part))
def test_the_salesforce_page_sends_or_leaves_out_every_field(heading: str, model: type) -> None:
    page = text(DOCS / "salesforce.md")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    known = {field.name for field in model._meta.concrete_fields} - {"salesforce_task_id"}  # in the table of Task

    left_out = set(CODE.findall(section.partition("Not sent:")[2].partition("\n\n")[0])) & known
    sent = {row["our field"] for row in table(DOCS / "salesforce.md", heading)}
    assert sent | left_out == known
    assert sent & left_out == set()


@pytest.mark.parametrize(("heading", "model"), SALESFORCE_TABLES.items(), ids=lambda part: str(part))
def test_the_salesforce_page_states_our_lengths_and_nulls(heading: str, model: type) -> None:
    for row in table(DOCS / "salesforce.md", heading):
        field = model._meta.get_field(row["our field"])
        if field.max_length:
            assert row["our type"] == f"text {field.max_length}", field.name
        assert row["null"].startswith("yes" if field.null else "no"), field.name
        can_be_empty = field.blank and not field.null and isinstance(field, CharField | TextField)
        assert ("may be empty" in row["null"]) == can_be_empty, field.name


# --- Links ------------------------------------------------------------------------------------------------------------
def links(page: Path) -> Iterator[Path]:
    """Files that a page links to, or names as `docs/….md`."""
    said = text(page)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", said):
        if "://" not in target:
            yield (page.parent / target).resolve()
    for target in re.findall(r"`(docs/[^`\s]+\.md)`", said):
        if "N" not in target:  # docs/decisions/NNNN-title.md
            yield ROOT / target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_resolve(page: Path) -> None:
    assert [name_of(target) for target in links(page) if not target.exists()] == []


def test_a_document_that_the_code_names_exists() -> None:
    named = {target for path in SOURCES for target in re.findall(r"docs/[\w/-]+\.md", text(path))}

    assert sorted(target for target in named if not (ROOT / target).exists()) == []


def test_decisions_are_numbered_without_a_gap_and_say_what_would_change_them() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert text(page).startswith(f"# {int(page.name[:4])}. "), page.name
        assert "## What would change it" in text(page), page.name


# --- Reliability ------------------------------------------------------------------------------------------------------
def test_each_of_the_forty_four_faults_names_tests_that_exist() -> None:
    rows = table(DOCS / "reliability.md", "Forty-four faults")
    numbers = [int(number) for row in rows for number in row["#"].split(",")]
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text(DOCS / "reliability.md"))

    assert numbers == list(range(1, 45))
    assert [row["#"] for row in rows if "::test_" not in row["test"]] == []
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in text(*ROOT.glob(f"tests/{file}"))]
    assert missing == []


def test_the_marks_of_soak_in_the_table_are_those_of_the_tests() -> None:
    page = text(DOCS / "reliability.md")
    for mark, file in re.findall(r"(● )?`(test_\w+\.py)::", page):
        source = text(ROOT / "tests" / file)
        is_soak = "pytest.mark.soak" in source or "pytestmark,  # noqa: F401 - soak" in source
        assert bool(mark) <= is_soak, file


# --- Habits -----------------------------------------------------------------------------------------------------------
def test_no_file_is_a_drawer_without_a_subject() -> None:
    drawers = {
        "utils.py",
        "helpers.py",
        "services.py",
        "selectors.py",
        "managers.py",
        "common.py",
        "base.py",
        "misc.py",
    }

    assert [name_of(path) for path in SOURCES if path.name in drawers] == []


def pure_modules() -> list[Path]:
    """Those of the import contract, so that a module added there is held to this too."""
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["name"].startswith("Pure modules")]
    return [ROOT / (name.replace(".", "/") + ".py") for name in contract["source_modules"]]


def test_time_is_an_argument_of_pure_modules_and_of_scoring() -> None:
    clock = re.compile(r"timezone\.now|localdate|localtime|(date|datetime)\.(today|now|utcnow)|time\.time\(")
    scoring = [path for path in SOURCES if path.is_relative_to(ROOT / "scoring")]
    runs = {ROOT / "scoring" / name for name in ("runs.py", "nights.py", "jobs.py", "scheduler.py")}  # when a run ends
    allowed = {path for path in scoring if "commands" in path.parts} | runs

    held = {*pure_modules(), *scoring} - allowed
    assert ROOT / "scoring" / "engine.py" in held
    assert [name_of(path) for path in sorted(held) if clock.search(text(path))] == []
