"""The worker: rq's own, less the ways in which one unreadable job, or a request to stop at an awkward moment, leaves it
useless: quitting at every start, or running on until it is killed."""

from redis.exceptions import ConnectionError, TimeoutError
from rq import Queue
from rq import Worker as RqWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.utils import now


class Worker(RqWorker):
    """rq quits over a job that it cannot read, and again at every start while that job lies among those being fetched.
    Ours can be thrown away: the next reconciliation sends another wake-up.

    rq stops, when it is idle, by an exception out of the signal handler. Where that is caught, as in the midst of a
    line for the log, nothing stops; so it also looks up every few seconds whether it was asked to.
    """

    looks_up_every = 5  # seconds

    def handle_warm_shutdown_request(self) -> None:
        self._stop_requested = True
        super().handle_warm_shutdown_request()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        while not self._stop_requested:
            try:
                found = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time or self.looks_up_every)
            except StopRequested:  # which bears the id of the job that was just being read
                raise
            except Exception as error:
                if not hasattr(error, "job_id"):
                    raise
                self.log.exception("Job %s cannot be read and is thrown away.", error.job_id)
                self.throw_away(error.job_id)
            else:
                if found or timeout is None or max_idle_time:
                    return found
        raise StopRequested

    def clean_registries(self) -> None:
        try:
            super().clean_registries()
        except (ConnectionError, TimeoutError, StopRequested):
            raise
        except Exception:
            self.log.exception("A job cannot be read: the cleaning up is left for later.")
            self.last_cleaned_at = now()

    def throw_away(self, job_id: str) -> None:
        self.connection.delete(self.job_class.key_for(job_id))
        for queue in self.queues:
            queue.intermediate_queue.remove(job_id)
