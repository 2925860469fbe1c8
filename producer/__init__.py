"""What other applications install and call.

>>> from pixfleet.producer import ImageJob, Producer
>>> producer = Producer("redis://127.0.0.1:6379/0")
>>> job = ImageJob(source="s3://photos/cat.jpg", recipe="web", output="s3://site/img")
>>> manifest = producer.submit(job).result(timeout_s=60)
"""

from pixfleet.config.contract import ImageJob, Recipe, VariantSpec
from pixfleet.config.results import Manifest

from .admission import BacklogFullError, BudgetClosedError
from .client import JobHandle, Producer
from .connection import LedgerUnavailableError
from .ledger import JobStatus, ResultTimeoutError, UnknownJobError
from .picture import picture_html
from .sqs import MessageTooLargeError, SqsUnavailableError
from .webhooks import WebhookInvalidError, verify_webhook

__all__ = [
    "BacklogFullError",
    "BudgetClosedError",
    "ImageJob",
    "JobHandle",
    "JobStatus",
    "LedgerUnavailableError",
    "Manifest",
    "MessageTooLargeError",
    "Producer",
    "Recipe",
    "ResultTimeoutError",
    "SqsUnavailableError",
    "UnknownJobError",
    "VariantSpec",
    "WebhookInvalidError",
    "picture_html",
    "verify_webhook",
]
