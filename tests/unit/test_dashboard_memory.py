"""Workers that are gone are forgotten: a spot fleet has new ones every hour."""

import asyncio
import time

from celery import Celery
from flower.urls import settings as flower_settings
from prometheus_client import generate_latest
from tornado.options import options

from pixfleet.config.settings import Settings
from pixfleet.workers.dashboard.access import Access
from pixfleet.workers.dashboard.app import Dashboard


def test_a_worker_that_is_gone_leaves_nothing_in_flowers_memory():
    async def forget():
        access = Access(authenticated=False, hosts=frozenset())
        dashboard = Dashboard(
            Settings.load(), access, capp=Celery(), options=options, **flower_settings
        )
        state = dashboard.events.state
        for name, age_s in (("old@spot-1", 7200), ("new@spot-2", 0)):
            beat = {"hostname": name, "timestamp": time.time() - age_s, "clock": 1, "utcoffset": 0}
            state.event({**beat, "type": "worker-heartbeat", "local_received": beat["timestamp"]})
            dashboard.inspector.workers[name]["stats"] = {}
        dashboard.forget_gone()
        dashboard.executor.shutdown()
        return state, dashboard.inspector.workers

    options.purge_offline_workers = 3600
    state, inspected = asyncio.run(forget())
    assert set(state.workers) == set(state.counter) == set(inspected) == {"new@spot-2"}
    assert b"old@spot-1" not in generate_latest()
    assert b"new@spot-2" in generate_latest()
