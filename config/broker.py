"""Settings → Celery options, for Redis or SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.entity import Queue

from .contract import (
    TASK_ENCODE,
    TASK_FINALIZE,
    TASK_NOTIFY,
    TASK_SUMMARIZE,
    TASK_TIDY,
)
from .queues import BULK, ENCODE, QUEUES, SQS_WAIT_S

if TYPE_CHECKING:
    from .settings import Settings


def celery_options(settings: Settings) -> dict[str, Any]:
    """Options that lose nothing: why each is there is measured in docs/architecture.md."""
    worker = settings.worker
    options: dict[str, Any] = {
        "broker_url": _verified(settings.broker.broker),
        "result_backend": redis_url(settings),
        "redis_socket_connect_timeout": 5,
        "redis_socket_timeout": 30,
        "result_expires": settings.result.ttl_s,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "task_queues": [Queue(name) for name in QUEUES],
        "task_default_queue": BULK,
        "task_create_missing_queues": False,
        "task_routes": {
            name: {"queue": ENCODE}
            for name in (TASK_ENCODE, TASK_FINALIZE, TASK_SUMMARIZE, TASK_NOTIFY, TASK_TIDY)
        },
        # Without these two a killed child or worker loses its job.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        # A job past the hard limit runs again, or fails by its attempts; acknowledged, it would
        # stay "running" for ever.
        "task_acks_on_timeout": False,
        "task_soft_time_limit": worker.soft_time_limit_s,
        "task_time_limit": worker.hard_time_limit_s,
        "worker_concurrency": worker.children,
        # Long enough to read what a child said before it died; at the default its job waits 10 s.
        "worker_lost_wait": 2,
        "worker_prefetch_multiplier": worker.prefetch,
        "worker_max_tasks_per_child": worker.max_tasks_per_child,
        "worker_max_memory_per_child": worker.max_memory_per_child_kb,
        # Cancelled, a job would be acknowledged and never run again (decisions/0009).
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A broker that is full, or not yet the primary, answers with errors: it is awaited.
        "broker_channel_error_retry": True,
    }
    if settings.broker.on_sqs:
        options["broker_transport_options"] = {
            "visibility_timeout": settings.broker.visibility_s,
            "wait_time_seconds": SQS_WAIT_S,
            "queue_name_prefix": settings.sqs.prefix,
            "polling_interval": 0,
            # These calls hold up the worker's event loop.
            "client-config": {
                "connect_timeout": 5,
                "read_timeout": 10,
                "retries": {"mode": "standard", "total_max_attempts": 3},
            },
        }
    else:
        options["broker_transport_options"] = {
            "visibility_timeout": settings.broker.visibility_s,
            # The default sweep finds a killed worker's message only after 90 s.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "priority",
            # A broker that vanished without a word must not hold the event loop for ever.
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": True,
        }
        # What is in work still counts after a connection was lost (workers/fleet/adopt.py).
        options["worker_enable_prefetch_count_reduction"] = False
    return options


def redis_url(settings: Settings) -> str:
    """The Redis of results and ledger, in Celery's form."""
    url = settings.broker.ledger or settings.broker.broker
    if url.startswith("unix://"):
        return "redis+socket://" + url.removeprefix("unix://").replace("db=", "virtual_host=")
    return _verified(url)


def _verified(url: str) -> str:
    """Over TLS the server's certificate is checked unless the URL says otherwise.

    Left alone, kombu does not check it, celery's results refuse the URL, and redis-py checks it.
    """
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
