"""What the tests with installations of their own stand on."""

import signal

from tests.installation import Installation


def test_an_installation_that_goes_leaves_no_process_and_no_open_pipe():
    made = Installation({"host": "127.0.0.1", "port": 1, "user": "nobody", "password": "x"})
    ended, sleeping = made.start("--version"), made.start("shell", "--no-imports", "-c", "import time; time.sleep(600)")
    assert ended.communicate(timeout=60)[0]

    made.kill_all()

    assert (ended.returncode, sleeping.returncode) == (0, -signal.SIGKILL)
    assert all(pipe.closed for process in (ended, sleeping) for pipe in (process.stdout, process.stderr))
