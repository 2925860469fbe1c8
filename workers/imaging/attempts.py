"""One format's attempt: whatever goes wrong in an encoder stays with that format."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from pixfleet.workers.errors import INTERRUPTIONS, EncodeError, EncoderLostError

from .candidate import Abandoned
from .codec import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Watch = Callable[[str], AbstractContextManager[None]]


def unwatched(_format: str) -> AbstractContextManager[None]:
    """The ``Watch`` of a caller that keeps no record of attempts."""
    return nullcontext()


@contextmanager
def contained(format_name: str, watch: Watch) -> Generator[None]:
    """The body encodes one format; ``watch`` surrounds it and may refuse it.

    Raises:
        EncodeError: whatever the body raised, but ``Abandoned`` and interruptions.
    """
    try:
        with watch(format_name):
            yield
    except (EncodeError, Abandoned, *INTERRUPTIONS):
        raise
    except MemoryError as error:
        raise EncoderLostError(
            "encoder_out_of_memory",
            f"there was not enough memory to encode {format_name}",
            "Run fewer children on this machine, or ask for a smaller size or another format.",
        ) from error
    except Exception as error:
        raise refused(format_name, error) from error
