"""The run that this thread is at, for its log lines."""

from contextvars import ContextVar

current: ContextVar[str] = ContextVar("run_id", default="-")
