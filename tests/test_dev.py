"""./dev: the parts that need no set-up. What it starts and stops is proved by running it."""

import json
import os
import re
import socket
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "dev"


@pytest.fixture(scope="module")
def dev():
    spec = spec_from_loader("dev", SourceFileLoader("dev", str(SCRIPT)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*args):
    return subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True, timeout=30)


def pinned(lock):
    return set(re.findall(r"(?m)^([a-z0-9.-]+)==", lock))


LOCK = """# made by ./dev lock
django==5.2 \\
    --hash=sha256:d1
    # via -r requirements.in
mysqlclient==2.3 \\
    --hash=sha256:m1 \\
    --hash=sha256:m2
    # via -r requirements.in
mysqlclient-extras==1.0 \\
    --hash=sha256:e1
redis==8.1 \\
    --hash=sha256:r1
"""


# --- the demo's requirements ---
def test_the_package_goes_with_its_hashes_and_nothing_else_goes(dev):
    entry = LOCK[LOCK.index("mysqlclient==") : LOCK.index("mysqlclient-extras")]
    assert dev.without_package(LOCK, "mysqlclient") == LOCK.replace(entry, "")


def test_the_demo_installs_everything_pinned_but_mysqlclient(dev):
    lock = dev.read_lock("requirements.txt")
    filtered = dev.without_package(lock, "mysqlclient")
    assert pinned(lock) - pinned(filtered) == {"mysqlclient"}
    assert "mysqlclient==" not in filtered
    gone = [line for line in lock.splitlines() if line not in set(filtered.splitlines())]
    assert gone[0].startswith("mysqlclient==")
    assert all("--hash=" in line for line in gone[1:])


def test_a_lock_without_the_package_is_left_alone(dev):
    assert dev.without_package(LOCK, "psycopg") == LOCK


# --- versions that drift ---
def test_what_moved_between_two_locks_is_named_with_both_versions(dev):
    newer = LOCK.replace("django==5.2", "django==5.3").replace("redis==8.1", "valkey==1.0")
    assert dev.moved(LOCK, newer) == ["django 5.2 → 5.3", "redis 8.1 → none", "valkey none → 1.0"]
    assert dev.moved(LOCK, LOCK) == []


# --- Debian packages ---
def test_the_apt_line_names_exactly_the_missing_packages(dev):
    here, gone = (lambda: True), (lambda: False)
    probes = {"gcc": here, "pkg-config": gone, "redis-server": gone, "chromium": gone}
    missing = dev.missing_packages(["gcc", "pkg-config", "redis-server"], probes)
    assert dev.apt_line(missing) == "sudo apt-get install -y --no-install-recommends pkg-config redis-server"


def test_every_package_a_command_needs_has_a_probe(dev):
    assert {*dev.VENV, *dev.COMPILER, *dev.SERVERS, *dev.BROWSER, *dev.PROXY, *dev.BACKUP} == set(dev.PROBES)


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 104\n"])
def test_apt_is_kept_from_starting_daemons_and_the_policy_comes_back(dev, tmp_path, before):
    policy = tmp_path / "policy-rc.d"
    if before:
        policy.write_text(before)
    with dev.no_daemons_from_apt(policy):
        assert subprocess.run([policy]).returncode == 101
    assert (policy.read_text() if policy.exists() else None) == before
    assert [file.name for file in tmp_path.iterdir()] == (["policy-rc.d"] if before else [])


def test_a_policy_left_by_a_killed_run_does_not_become_the_policy(dev, tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    (tmp_path / "policy-rc.d.kept-by-dev").write_text("#!/bin/sh\nexit 104\n")
    with dev.no_daemons_from_apt(policy):
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


# --- what children may know ---
@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_URL", "REDIS_URL", "POSTHOG_API_KEY", "ANTHROPIC_API_KEY", "AI_MODEL", "SECRET_KEY", "DEBUG", "HTTPS",
        "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "A_NEW_API_KEY",
    ],
)  # fmt: skip
def test_nothing_that_configures_orbit_or_python_reaches_a_child(dev, name):
    assert name not in dev.kept_environment({"PATH": "/bin", name: "x"})


@pytest.mark.parametrize("name", ["HOME", "LANG", "LC_ALL", "CI", "PIP_INDEX_URL", "https_proxy", "HTTPS_PROXY"])
def test_what_a_machine_needs_to_reach_its_package_index_is_kept(dev, name):
    assert dev.kept_environment({"PATH": "/bin", name: "x"})[name] == "x"


def test_a_dot_env_file_of_the_checkout_is_not_read_and_settings_win(dev):
    child = dev.kept_environment({"DATABASE_URL": "mysql://production"}, DATABASE_URL="sqlite://:memory:")
    assert child["ENV_FILE"] == os.devnull
    assert child["DATABASE_URL"] == "sqlite://:memory:"


def test_programs_of_sbin_are_found_without_home_or_path(dev):
    assert dev.kept_environment({})["PATH"].endswith(":/usr/local/sbin:/usr/sbin:/sbin")


# --- Python and its venv ---
@pytest.mark.parametrize(("version", "good"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_the_python_is_one_the_lock_was_made_for(dev, version, good):
    problem = dev.python_problem(version)
    assert problem is None if good else f"this is {version[0]}.{version[1]}" in problem


def test_a_venv_is_made_anew_when_the_lock_or_the_place_changes(dev):
    here, there = Path("/a/.venv"), Path("/b/.venv")
    assert dev.stamp_of(here, LOCK) == dev.stamp_of(here, LOCK)
    assert len({dev.stamp_of(here, LOCK), dev.stamp_of(here, LOCK + "\n"), dev.stamp_of(there, LOCK)}) == 3


# --- ports, processes and pytest ---
def test_the_demo_says_when_the_chosen_port_is_taken(dev):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(dev.SetUpError, match="is taken"):
            dev.demo_port(taken.getsockname()[1])
        assert dev.demo_port(None) in range(8000, 8100)


def test_the_two_services_get_two_ports(dev):
    assert len(set(dev.free_ports(5))) == 5


def test_services_down_takes_no_stranger_for_its_own_process(dev, tmp_path):
    state = tmp_path / "services.json"
    assert dev.holder_of(state) is None
    state.write_text(json.dumps({"pid": os.getpid(), "directory": "/tmp/orbit-gone"}))  # a number given out again
    assert dev.holder_of(state) is None
    state.write_text("{")
    assert dev.holder_of(state) is None


@pytest.mark.parametrize(
    ("args", "both_cores"),
    [
        ([], True), (["tests/test_dev.py", "-k", "name"], True), (["--no-header"], True), (["-n", "4"], False),
        (["-n0"], False), (["--numprocesses=3"], False), (["--dist", "load"], False), (["--pdb"], False),
        (["-p", "no:xdist"], False),
    ],
)  # fmt: skip
def test_both_cores_are_used_unless_the_caller_decides(dev, args, both_cores):
    assert dev.parallel(args) == (["-n", "2", "--dist", "loadfile"] if both_cores else [])


# --- the command line ---
def test_an_unknown_command_exits_2_and_lists_the_commands(dev):
    done = run("tset")
    assert done.returncode == 2
    assert "'tset'" in done.stderr
    assert all(name in done.stderr for name in dev.COMMANDS)


@pytest.mark.parametrize("args", [["help"], ["--help"], []])
def test_help_lists_every_command_with_what_it_does(dev, args):
    done = run(*args)
    assert done.returncode == 0
    for name, command in dev.COMMANDS.items():
        assert re.search(rf"(?m)^  {name} +{re.escape(command.__doc__)}$", done.stdout)


def test_bench_without_a_name_lists_the_benchmarks_and_refuses_a_wrong_one():
    assert run("bench").returncode == 0
    wrong = run("bench", "no_such_benchmark")
    assert wrong.returncode == 1
    assert "no_such_benchmark" in wrong.stderr
