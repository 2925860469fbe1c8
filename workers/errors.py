"""The errors of the workers.

    WorkError                 code, message, hint
    ├── PermanentError        the same input fails again: record it, never retry
    │   ├── SourceError       the source cannot be had: missing, empty, forbidden, outside its root
    │   ├── AddressError      a URL, or the address that it leads to, is not open to jobs
    │   ├── LimitError        larger than a limit allows; seen before a pixel is decoded
    │   ├── DecodeError       not an image, truncated or corrupt
    │   │   └── DecoderLostError  decoding hung, crashed or ran out of memory
    │   ├── EncodeError       an encoder refused or broke
    │   │   └── EncoderLostError  it hung, crashed or ran out of memory: another time it may not
    │   ├── RecipeError       the recipe is unknown or asks for what cannot be
    │   └── OutputError       the result cannot be written: full disk, forbidden, outside the output
    ├── RetryableError        the world was unavailable: back off and retry
    │   └── StoreUnavailableError   the object store did not answer
    └── OversizeError         more than this worker's children hold: for another worker

Third-party exceptions are translated once, where the library is called. Bugs stay ordinary
exceptions and are loud.
"""

from __future__ import annotations

from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded

INTERRUPTIONS = (SoftTimeLimitExceeded,)
"""What may be raised anywhere in a step, and is no fault of what it interrupts."""


class WorkError(Exception):
    """Base of all errors that workers raise on purpose.

    ``code`` is stable and snake_case, ``message`` says what and where, ``hint`` how to mend it.
    """

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class PermanentError(WorkError):
    """The same input fails again: record it, never retry."""


class SourceError(PermanentError):
    """The source cannot be had: missing, empty, forbidden or outside its root."""


class AddressError(PermanentError):
    """A URL, or the address that it leads to, is not open to jobs."""


class LimitError(PermanentError):
    """Larger than a limit allows; raised before a pixel is decoded."""


class DecodeError(PermanentError):
    """Not an image, unsupported, truncated or corrupt."""


class DecoderLostError(DecodeError):
    """Decoding, or what follows it, hung, crashed or ran out of memory: it will again."""


class EncodeError(PermanentError):
    """An encoder refused or broke."""


class EncoderLostError(EncodeError):
    """An encoder hung, crashed or ran out of memory: another time it may not."""


class RecipeError(PermanentError):
    """The recipe is unknown or asks for what cannot be."""


class OutputError(PermanentError):
    """The result cannot be written: disk full, forbidden, or outside the output."""


class RetryableError(WorkError):
    """The world was unavailable: back off and retry, not before ``after_s`` seconds have passed."""

    def __init__(self, code: str, message: str, hint: str, after_s: float = 0) -> None:
        super().__init__(code, message, hint)
        self.after_s = after_s
        self.in_vain: Any = None
        """the receipt of what was used until then; untyped, for imaging knows no results"""


class StoreUnavailableError(RetryableError):
    """The object store did not answer."""


class OversizeError(WorkError):
    """More than this worker's children hold: for another worker, if there is one."""
