"""The worker: rq's own, less the two ways in which one unreadable job stops it for ever."""

from typing import Any

from redis.exceptions import ConnectionError, TimeoutError
from rq import Worker as RqWorker
from rq.utils import now


class Worker(RqWorker):
    """rq quits over a job that it cannot read, and again at every start while that job lies among those being fetched.
    Ours can be thrown away: the next reconciliation sends another wake-up."""

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> Any:
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(*args, **kwargs)
            except Exception as error:
                if not hasattr(error, "job_id"):
                    raise
                self.log.exception("Job %s cannot be read and is thrown away.", error.job_id)
                self.throw_away(error.job_id)

    def clean_registries(self) -> None:
        try:
            super().clean_registries()
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            self.log.exception("A job cannot be read: the cleaning up is left for later.")
            self.last_cleaned_at = now()

    def throw_away(self, job_id: str) -> None:
        self.connection.delete(self.job_class.key_for(job_id))
        for queue in self.queues:
            queue.intermediate_queue.remove(job_id)
