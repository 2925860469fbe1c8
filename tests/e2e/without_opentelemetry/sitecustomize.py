"""A worker's environment without the extra ``tracing``."""

import sys

sys.modules["opentelemetry"] = None
