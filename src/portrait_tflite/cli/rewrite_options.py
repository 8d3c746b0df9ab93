"""The options that say what may be rewritten, and how forms are chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portrait_tflite.cli.spec_options import one_of
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, RewriteMode, Target

if TYPE_CHECKING:
    from portrait_tflite.convert.plan import RewriteRequest

METAVAR = f"{'|'.join((*RewriteMode, *Approximation))}[,[-]NAME...]"


@dataclass(frozen=True)
class RewriteChoice:
    """What `--rewrite` says.

    Attributes:
        approximate: Families of forms that may be other functions.
        only: Names without a sign: what `none` runs alone, or what needs its name; not yet looked
            up.
        dropped: Names behind a minus: what is left out; not yet looked up.
    """

    mode: RewriteMode = RewriteMode.AUTO
    approximate: frozenset[Approximation] = frozenset()
    only: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class RewriteArguments:
    """What the options said.

    Attributes:
        rewrite_report: The layer to explain instead of converting.
        list_rewrites: Whether to list the rewrites instead.
    """

    rewrite: RewriteChoice
    rewrite_plan: Path | None
    target: Target
    tune: bool
    rewrite_report: str | None
    list_rewrites: bool

    def request(self) -> RewriteRequest:
        """Hand the options on to the pipeline. Imports Keras."""
        from portrait_tflite.convert.plan import RewriteRequest, read_plans

        said = self.rewrite
        return RewriteRequest(
            mode=said.mode,
            approximate=said.approximate,
            plans=read_plans(self.rewrite_plan) if self.rewrite_plan else None,
            only=said.only,
            dropped=said.dropped,
            tune=self.tune,
        )


def rewrite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as one `rewriting: RewriteArguments`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        said = {each.name: given.pop(each.name) for each in fields(RewriteArguments)}
        return command(*args, rewriting=RewriteArguments(**said), **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def parse_rewrite(text: str) -> RewriteChoice:
    """Read a mode, names of approximations and names of rewrites, separated by commas.

    Raises:
        UsageError: Nothing, two modes, or something besides `none` that `none` excludes.
    """
    words = [word.strip() for word in text.split(",")]
    modes = [RewriteMode(word) for word in words if word in list(RewriteMode)]
    families = frozenset(Approximation(word) for word in words if word in list(Approximation))
    names = [word for word in words if word not in [*RewriteMode, *Approximation]]
    dropped = tuple(word[1:].strip() for word in names if word.startswith("-"))
    only = tuple(word for word in names if not word.startswith("-"))
    nothing = RewriteMode.NONE in modes
    if (
        len(modes) > 1
        or not all((*only, *dropped))
        or (nothing and dropped)
        or (nothing and families and not only)
    ):
        raise UsageError(
            f"--rewrite must be one of {', '.join(RewriteMode)}; {', '.join(Approximation)} and "
            "-NAME, which leaves a rewrite out, or the NAME of one that needs it, may stand alone "
            "or behind auto or exact and a comma; behind none names what is run alone. "
            f"Received: {text!r}."
        )
    return RewriteChoice(modes[0] if modes else RewriteMode.AUTO, families, only, dropped)


_OPTIONS = (
    click.option(
        "--rewrite",
        metavar=METAVAR,
        type=parse_rewrite,
        default=RewriteMode.AUTO.value,
        show_default=True,
        help="auto: exact forms, the cheapest for the target. exact: all exact forms. none: batch "
        "1 only. Other functions, fitted, by name: resize for transposed convolutions, strided for "
        "convolution + max-pooling, relu6 for swish and GELU, channels8 for odd channel counts. "
        "-NAME leaves a rewrite out, none,NAME runs it alone, NAME adds one that --list-rewrites "
        "says is applied by name; a .tflite takes names, too.",
    ),
    click.option(
        "--rewrite-plan",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Take the forms of an earlier run's rewrites.json.",
    ),
    click.option(
        "--target",
        metavar="|".join(Target),
        type=one_of("--target", Target),
        default=Target.BOTH.value,
        show_default=True,
        help="What rewriting aims at; both: int8 at the CPU, float16 at the GPU.",
    ),
    click.option(
        "--tune",
        is_flag=True,
        help="Choose among exact forms by timing them here, not by the cost table. This machine "
        "is no phone.",
    ),
    click.option(
        "--rewrite-report",
        metavar="LAYER",
        help="Write nothing; explain what each rewrite made of a layer, and what its forms cost.",
    ),
    click.option(
        "--list-rewrites",
        is_flag=True,
        help="Write nothing; list all rewrites in their order, with those of --custom-objects.",
    ),
)
