"""What the tests with installations of their own stand on."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.installation import Installation, frozen


def test_an_installation_that_goes_leaves_no_process_and_no_open_pipe():
    made = Installation({"host": "127.0.0.1", "port": 1, "user": "nobody", "password": "x"})
    ended, sleeping = made.start("--version"), made.start("shell", "--no-imports", "-c", "import time; time.sleep(600)")
    assert ended.communicate(timeout=60)[0]

    made.kill_all()

    assert (ended.returncode, sleeping.returncode) == (0, -signal.SIGKILL)
    assert all(pipe.closed for process in (ended, sleeping) for pipe in (process.stdout, process.stderr))


BUSY = """
import threading, time
for _ in range(8):
    threading.Thread(target=lambda: [time.sleep(0.0001) for _ in iter(int, 1)]).start()
print("begun", flush=True)
"""


def test_what_is_frozen_stands_still_in_all_its_threads_until_it_goes_on():
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as busy:
        assert busy.stdout.readline() == b"begun\n"
        for _ in range(20):
            with frozen(busy):
                assert {state(thread) for thread in Path(f"/proc/{busy.pid}/task").iterdir()} == {"T"}
        busy.kill()

    assert busy.returncode == -signal.SIGKILL


def state(thread: Path) -> str:
    return (thread / "stat").read_text().split(") ")[1][0]
