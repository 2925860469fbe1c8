"""``pixfleet estimate``: what a run will cost and take, before it is begun."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pixfleet.config.prices import PriceError
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.terminal import (
    FAILED,
    JsonOption,
    RecipeOption,
    StateOption,
    fail,
    messages,
    print_json,
)


def estimate(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="file, folder, glob, s3://bucket/prefix, https:// URL"),
    ],
    recipe: RecipeOption = "web",
    sample: Annotated[
        int, typer.Option(min=1, metavar="N", help="images to process, spread over all sizes")
    ] = 20,
    workers: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="whose time is told; 0: as many as cores here"),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="of the choice of the sample")] = 0,
    out: Annotated[
        str,
        typer.Option(
            metavar="OUT",
            help="where results would go, so that s3:// requests are counted; nothing is written",
        ),
    ] = "",
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what a run will cost and how long it will take, from a sample.

    The sample is processed in a fleet of its own, and its results are thrown away. Exit code 0:
    done, whatever failed in the sample, 1: nothing of it could be made, 2: wrong usage.
    """
    # What only this command needs is imported here: `pixfleet submit` should answer at once.
    from .cli import STARTED_S  # noqa: PLC0415
    from .embedded import BrokerError  # noqa: PLC0415
    from .estimate import estimate as answer  # noqa: PLC0415
    from .estimate_tables import print_estimate  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415
    from .run import RunFailedError  # noqa: PLC0415
    from .sample import EstimateFailedError, Question  # noqa: PLC0415

    question = Question(
        source=source,
        out=out,
        recipe=load_recipe(recipe),
        sample=sample,
        workers=workers or Settings.load().worker.children,
        seed=seed,
        state=(state or state_dir()).expanduser().absolute(),
    )
    ready_s = time.monotonic() - STARTED_S
    try:
        with Progress() as progress:
            found = answer(question, ready_s, progress.show)
    except KeyboardInterrupt:
        messages.print("interrupted; nothing was kept")
        raise typer.Exit(130) from None
    except PriceError as error:
        fail(str(error))
    except (EstimateFailedError, RunFailedError, WorkerStartError, BrokerError) as error:
        fail(str(error), FAILED)
    if json_:
        print_json(found.as_json())
    else:
        print_estimate(found)
