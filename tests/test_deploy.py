"""deploy/: the files agree with the code and with each other. No container engine here, so nobody builds the image."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from tests.test_docs import example_lines

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
NOT_DJANGOS = {"rqworker"}  # of django_rq, installed with REDIS_URL
OF_GUNICORN = {"BIND", "WEB_WORKERS", "WEB_THREADS"}


def unit(path):
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read(path)
    return found


def commands():
    """Every command line of the deployment, as one string each."""
    lines = [unit(path)["Service"]["ExecStart"] for path in UNITS]
    lines += [" ".join(service.get("command", [])) for service in SERVICES.values()]
    return [*lines, *re.findall(r"(?m)^CMD (.+)$", (DEPLOY / "Dockerfile").read_text())]


def test_every_command_of_the_deployment_exists():
    called = {name for line in commands() for name in re.findall(r"manage\.py (\w+)", line)}

    assert {"abm_scheduler", "rqworker", "migrate", "seed_registry"} <= called
    assert called - set(get_commands()) - NOT_DJANGOS == set()


def test_every_setting_of_the_deployment_is_one():
    given = {name for service in SERVICES.values() if "build" in service for name in service["environment"]}
    image = re.findall(r"(?m)(?:^ENV|\s)([A-Z_]+)=", (DEPLOY / "Dockerfile").read_text())
    config = re.findall(r'environ\.get\("(\w+)"', (DEPLOY / "gunicorn.conf.py").read_text())

    assert given <= set(example_lines())
    assert set(config) == OF_GUNICORN
    assert {name for name in image if not name.startswith(("PYTHON", "PATH"))} <= OF_GUNICORN
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in OF_GUNICORN if f"`{name}`" not in page] == []


def test_the_machine_has_all_that_a_night_needs_and_each_part_says_whether_it_is_well():
    assert set(SERVICES) == {"migrate", "web", "worker", "scheduler", "db", "redis", "proxy"}
    assert [name for name in SERVICES if name != "migrate" and "healthcheck" not in SERVICES[name]] == []
    assert SERVICES["worker"]["deploy"]["replicas"] >= 2
    assert {path.name for path in UNITS} == {"orbit-web.service", "orbit-worker@.service", "orbit-scheduler.service"}
    assert all(unit(path)["Service"]["Restart"] == "always" for path in UNITS)


def test_images_are_named_by_version_and_no_password_is_written_down():
    text = (DEPLOY / "compose.yaml").read_text()
    images = [service["image"] for service in SERVICES.values() if service["image"] != "orbit"]
    images += re.findall(r"(?m)^FROM (\S+)", (DEPLOY / "Dockerfile").read_text())

    assert len(images) >= 4
    assert [image for image in images if not re.search(r":\d", image)] == []
    assert re.findall(r"(?i)\w*PASSWORD\w*: (?!\$\{|\"1\")\S+", text) == []


def test_only_the_proxy_is_reached_from_outside_and_it_is_the_documented_one():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    documented = re.search(r"(?s)```nginx\n(.+?)```", (ROOT / "docs" / "operations.md").read_text())[1]

    def directives(text):
        renamed = {"listen", "server_name", "ssl_certificate", "ssl_certificate_key", "proxy_pass", "return"}
        lines = {line.strip() for line in text.splitlines() if line.strip().endswith(";")}
        return {line for line in lines if line.split()[0] not in renamed}

    assert directives((DEPLOY / "nginx.conf").read_text()) == directives(documented)
    assert "proxy_request_buffering on;" in directives(documented)


def test_the_page_names_settings_that_exist_and_without_systemd_the_lines_of_the_units():
    page = (ROOT / "docs" / "operations.md").read_text()
    (settings,) = re.findall(r"(?s)```\n(SECRET_KEY=.+?)```", page)
    by_hand = re.findall(r"(?m)^runuser -u orbit -- env ENV_FILE=/etc/orbit/orbit.env (.+)$", page)
    started = {unit(path)["Service"]["ExecStart"].removeprefix("/opt/orbit/") for path in UNITS}

    assert {line.split("=")[0] for line in settings.split("\n") if line} <= set(example_lines())
    assert started <= set(by_hand)


def test_the_page_installs_what_the_driver_is_compiled_with():
    pages = [(ROOT / "README.md").read_text(), (ROOT / "docs" / "operations.md").read_text()]
    (compiler,) = re.findall(r"(?m)^COMPILER = \((.+?)\)", (ROOT / "dev").read_text())

    for page in pages:
        (line,) = re.findall(r"(?m)^apt-get install -y (.*gcc.*)$", page)
        assert {*re.findall(r'"(.+?)"', compiler), "python3-venv", "git"} <= set(line.split())


def test_processes_run_as_a_user_of_their_own_that_can_write_one_folder():
    assert re.search(r"(?m)^USER orbit$", (DEPLOY / "Dockerfile").read_text())
    for path in UNITS:
        service = unit(path)["Service"]
        assert (service["User"], service["ProtectSystem"], service["ReadWritePaths"]) == (
            "orbit",
            "strict",
            "/opt/orbit/var",
        )
        assert service["NoNewPrivileges"] == "yes" and service["CapabilityBoundingSet"] == ""


def test_secrets_and_tests_stay_out_of_the_image():
    left_out = set((DEPLOY / "Dockerfile.dockerignore").read_text().split())

    assert {".env", ".git", "var", "tests"} <= left_out
    assert "--require-hashes" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("environment", [{}, {"WEB_WORKERS": "3", "WEB_THREADS": "4", "BIND": "127.0.0.1:0"}])
def test_gunicorn_takes_its_configuration(environment):
    settings = {"ENV_FILE": os.devnull, "DATABASE_URL": "sqlite://:memory:", "PATH": os.environ["PATH"]}
    argv = ["-m", "gunicorn", "--print-config", "-c", "deploy/gunicorn.conf.py", "abm_project.wsgi"]
    run = subprocess.run([sys.executable, *argv], cwd=ROOT, env=settings | environment, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert re.search(r"(?m)^limit_request_line += 8190$", run.stdout)
