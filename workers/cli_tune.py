"""``pixfleet tune``: which settings are best here, by experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixfleet.config.prices import PriceError
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.producer.terminal import (
    FAILED,
    JsonOption,
    RecipeOption,
    fail,
    messages,
    print_json,
)


def tune(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="file, folder, glob, s3://bucket/prefix, https:// URL"),
    ],
    recipe: RecipeOption = "web",
    seconds: Annotated[
        float, typer.Option(min=10, metavar="S", help="for all experiments together")
    ] = 120,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="file of settings to write, with the evidence")
    ] = Path("pixfleet.env"),
    json_: JsonOption = False,
) -> None:
    """Try settings on your images and this machine, and write those that are surely better.

    Concurrency, encoder effort, prefetch, shrink-on-load. Results are thrown away, and nothing is
    remembered. Exit code 0: done, 1: no image could be processed, 2: wrong usage.
    """
    # What only this command needs is imported here: `pixfleet submit` should answer at once.
    from .embedded import BrokerError  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .measurement import NothingMadeError  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415
    from .run import RunFailedError  # noqa: PLC0415
    from .tune import TimeUpError, Wish  # noqa: PLC0415
    from .tune import tune as experiment  # noqa: PLC0415
    from .tuned import print_tuning, tuning_json  # noqa: PLC0415
    from .tuned_file import OutFileError, check_place, write_settings  # noqa: PLC0415

    path = out.expanduser().absolute()
    wish = Wish(source, load_recipe(recipe, Settings.load().recipes.folder), seconds)
    try:
        check_place(path)
        with Progress() as progress:
            found = experiment(wish, progress.show, _say)
        write_settings(found, path)
    except KeyboardInterrupt:
        messages.print("interrupted; nothing was written")
        raise typer.Exit(130) from None
    except (PriceError, OutFileError) as error:
        fail(str(error))
    except TimeUpError as error:
        fail(f"{error} before the first images were done: give --seconds more", FAILED)
    except (NothingMadeError, RunFailedError, WorkerStartError, BrokerError, OSError) as error:
        fail(str(error), FAILED)
    if json_:
        print_json(tuning_json(found, path))
        return
    print_tuning(found)
    messages.print(f"{path} holds the settings: set -a; . {path}; set +a", soft_wrap=True)


def _say(what: str) -> None:
    if messages.is_terminal:
        messages.print(what)
