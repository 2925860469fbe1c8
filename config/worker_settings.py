"""How a worker works: its processes and times, its machine, what it refuses, and what it keeps."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from .access import prefixed


def usable_cores() -> int:
    """Cores that this process may use; where the system does not tell, all of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class WorkerSettings(BaseSettings):
    """One worker process and its children."""

    model_config = prefixed("WORKER_")

    concurrency: int = Field(
        default=0,
        ge=0,
        validation_alias="PIXFLEET_CONCURRENCY",
        description="children of a worker; 0: one a core that it may use",
    )
    prefetch: int = Field(
        default=1,
        ge=1,
        le=16,
        description="messages that a worker holds for each child, the one in work among them; more "
        "than 1 spares short jobs a wait, and lets long ones wait behind each other",
    )
    soft_time_limit_s: int = Field(default=240, ge=1, description="seconds; the job then fails")
    hard_time_limit_s: int = Field(default=300, ge=1, description="seconds; the child is killed")
    encode_time_limit_s: float = Field(
        default=60, gt=0, description="seconds for one format of one variant, all its probes"
    )
    encode_time_limit_s_per_mp: float = Field(
        default=30,
        ge=0,
        description="seconds more for each megapixel; past the sum the child is ended and the job "
        "goes on without the format",
    )
    decode_time_limit_s: float = Field(
        default=30,
        gt=0,
        description="seconds for reading a header, decoding, features or resizing, each",
    )
    decode_time_limit_s_per_mp: float = Field(
        default=1,
        ge=0,
        description="seconds more for each megapixel of all frames; past the sum the child is "
        "ended and the job fails as decode_time_limit",
    )
    child_memory_bytes: int = Field(
        default=0,
        ge=0,
        description="bytes that a child may map (Linux: RLIMIT_DATA); 0: its share of 90% of the "
        "machine's or container's memory, at least 1 GB",
    )
    queues: str = Field(
        default="",
        pattern=r"^((interactive|encode|large|bulk)(,(interactive|encode|large|bulk))*)?$",
        description="queues to take jobs from, with commas; empty: interactive, encode and bulk, "
        "and large where a child may map what the largest allowed image needs",
    )
    large_wait_s: int = Field(
        default=3600,
        ge=0,
        validation_alias="PIXFLEET_LARGE_WAIT_S",
        description="seconds that a job waits for a worker with enough memory before it fails",
    )
    max_tasks_per_child: int = Field(default=500, ge=1, description="tasks before a fresh child")
    max_memory_per_child_kb: int = Field(
        default=1_500_000, ge=100_000, description="KiB resident before a fresh child"
    )
    soft_shutdown_s: float = Field(
        default=10,
        ge=0,
        description="seconds to finish in after SIGTERM; the rest is given back, which takes up to "
        "4 s more: set it that much below what SIGKILL follows after",
    )
    lease_s: float = Field(
        default=60, gt=0, description="seconds a claim lasts unless its heartbeat renews it"
    )
    max_attempts: int = Field(
        default=3, ge=1, description="claims after which a job fails as worker_lost"
    )
    max_retries: int = Field(
        default=4, ge=0, description="retries while the world is unavailable (a store, a network)"
    )
    retry_backoff_s: float = Field(
        default=1, gt=0, description="seconds before the first retry; doubles, with jitter"
    )
    sweep_interval_s: float = Field(
        default=2,
        gt=0,
        description="seconds between two looks for jobs whose worker, message or turn was lost",
    )

    @property
    def children(self) -> int:
        """``concurrency``, or a child per core that this process may use."""
        return self.concurrency or usable_cores()


class SpotSettings(BaseSettings):
    """Being told to go: spot instances and drain."""

    model_config = prefixed("SPOT_")

    watch: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="ask the EC2 metadata service for notices: on, off, or auto: where it answers "
        "at the start within a second, or AWS_EC2_METADATA_SERVICE_ENDPOINT is set",
    )
    poll_s: float = Field(
        default=2,
        gt=0,
        description="seconds between two questions to the metadata service, and between two looks "
        "at whether `pixfleet drain` was called",
    )


class LimitSettings(BaseSettings):
    """What is refused before a pixel is decoded."""

    model_config = prefixed("LIMITS_")

    max_file_bytes: int = Field(default=200_000_000, ge=1, description="bytes of a source")
    max_pixels: int = Field(default=100_000_000, ge=1, description="pixels of one frame")
    max_side_px: int = Field(default=30_000, ge=1, description="px of the longer side")
    max_frames: int = Field(default=1_000, ge=1, description="frames of an animation")
    max_animation_pixels: int = Field(
        default=100_000_000, ge=1, description="pixels of all frames of an animation together"
    )
    max_encoder_bytes: int = Field(
        default=2_000_000_000,
        ge=1,
        description="bytes of memory that encoding one picture may take (AVIF: 39 a pixel); a "
        "format beyond is refused",
    )
    fanout_pixels: int = Field(
        default=24_000_000,
        ge=1,
        description="source pixels from which a bulk job's encodes fan out to a chord",
    )


class StoreSettings(BaseSettings):
    """Where blobs and work files live."""

    model_config = prefixed("STORE_")

    url: str = Field(
        default="",
        description="folder or s3://bucket/prefix for memoized blobs and work files; empty: "
        "the state folder (PIXFLEET_STATE)",
    )
    state: str = Field(
        default="",
        validation_alias="PIXFLEET_STATE",
        description="folder for the embedded broker and local blobs; empty: the user's cache",
    )


class MemoSettings(BaseSettings):
    """How much is remembered."""

    model_config = prefixed("MEMO_")

    enabled: bool = Field(default=True, description="true or false")
    max_bytes: int = Field(default=10_000_000_000, ge=0, description="bytes of blobs kept")
    max_age_days: float = Field(default=30, gt=0, description="days since last use")
    lock_s: float = Field(
        default=10, gt=0, description="seconds after which a dead computation's lock expires"
    )


class ResultSettings(BaseSettings):
    """How long answers can be fetched."""

    model_config = prefixed("RESULT_")

    ttl_s: int = Field(
        default=86_400, ge=60, description="seconds that an ended job and its manifest stay"
    )


class RecipeSettings(BaseSettings):
    """Where a worker finds recipes beyond the built-in ones."""

    model_config = prefixed("RECIPES_")

    folder: str = Field(default="", description="folder of TOML recipes; empty: built-in only")
