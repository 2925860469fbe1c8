"""The worker's application without Celery's events: what they cost is the difference."""

from pixfleet.workers.app import app

app.conf.worker_send_task_events = False

__all__ = ["app"]
