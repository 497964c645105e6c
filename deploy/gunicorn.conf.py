"""gunicorn for pages, API and hook: `python -m gunicorn -c deploy/gunicorn.conf.py abm_project.wsgi`.

Threads, since a request mostly waits for the database. A buffering proxy stands before it (docs/operations.md): a
client that sends a byte a second would hold a thread.
"""

import os
import shutil
from pathlib import Path

bind = os.environ.get("BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 60  # a brief takes up to 45 s
graceful_timeout = 30
limit_request_line = 8190  # its most: beyond 4,094 it would answer a long address itself, with HTML
max_requests, max_requests_jitter = 10_000, 1_000  # whatever leaks starts anew
control_socket_disable = True
forwarded_allow_ips = "127.0.0.1"


def on_starting(server):
    """What dead processes counted would be added up with the living for ever."""
    counted = Path(__file__).resolve().parent.parent / "var" / "metrics"
    shutil.rmtree(counted, ignore_errors=True)
    counted.mkdir(parents=True, exist_ok=True)
