"""The command ``pixfleet compare``: pictures beside what a fixed-quality encoder makes of them."""

from __future__ import annotations

import sys
from typing import Annotated, Final, cast

import typer
from pydantic import TypeAdapter, ValidationError

from pixfleet.config.contract import Format, Quality, explain
from pixfleet.config.prices import PriceError
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.producer.terminal import (
    FAILED,
    USAGE,
    JsonOption,
    RecipeOption,
    fail,
    messages,
    print_json,
)

_LOSSY: Final = ("jpeg", "avif", "webp", "jxl")


def compare(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="files, folders, globs, s3://bucket/prefix")
    ],
    out: Annotated[
        str,
        typer.Option(metavar="FILE|FOLDER", help="the page, or the folder or s3://… it goes to"),
    ] = "compare.html",
    recipe: RecipeOption = "web",
    width: Annotated[
        int, typer.Option(min=16, max=16_383, metavar="PX", help="pictures are scaled down to this")
    ] = 1280,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="N|N/M",
            help="SSIMULACRA2, or two floors (salient/background); default: the recipe's",
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option(metavar="LIST", help="of jpeg, avif, webp, jxl; with commas")
    ] = "jpeg,avif",
    json_: JsonOption = False,
) -> None:
    """Show pictures beside a fixed-quality encoder, at the same bytes and at the same score.

    One HTML file holds everything: slider, zoom, difference maps, salient regions, figures; it also
    says where the fixed encoder is better. Exit code 0: all compared, 1: some could not be, 2:
    wrong usage.
    """
    import structlog  # noqa: PLC0415

    from .compare import CompareOrder, run_comparison  # noqa: PLC0415
    from .errors import RecipeError, WorkError  # noqa: PLC0415
    from .progress import print_comparison  # noqa: PLC0415

    resolved = load_recipe(recipe)
    if quality is not None:
        resolved = resolved.model_copy(update={"quality": _quality(quality)})
    order = CompareOrder(
        sources=tuple(files),
        out=out,
        recipe=resolved,
        formats=_formats(formats),
        width_px=width,
        settings=Settings.load(),
    )
    structlog.configure(
        processors=[
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # stdout is data
    )
    try:
        with messages.status("starting") as shown:  # on a terminal only
            result = run_comparison(order, shown.update)
    except KeyboardInterrupt:
        messages.print("interrupted; no page was written")
        raise typer.Exit(130) from None
    except PriceError as error:
        fail(str(error))
    except WorkError as error:
        code = USAGE if isinstance(error, RecipeError) else FAILED
        fail(f"{error.message}; {error.hint}", code)
    for source, failure in result.failures:
        said = f"{source.url}: {failure.code}: {failure.message}; {failure.hint}"
        messages.print(said, soft_wrap=True)
    if json_:
        print_json(result.as_json())
    else:
        print_comparison(result)
    raise typer.Exit(FAILED if result.failures else 0)


def _quality(text: str) -> Quality:
    salient, slash, background = text.partition("/")
    given = {"salient": salient, "background": background} if slash else text
    try:
        return TypeAdapter[Quality](Quality).validate_python(given)
    except ValidationError as error:
        raise typer.BadParameter(f"{text!r}: {explain(error)}") from None


def _formats(text: str) -> tuple[Format, ...]:
    names = tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    if unknown := [name for name in names if name not in _LOSSY]:
        raise typer.BadParameter(f"{', '.join(unknown)}: of {', '.join(_LOSSY)}")
    return cast("tuple[Format, ...]", names)
