"""What rewriting a network did."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_tflite.vocabulary.names import Approximation, Delegate, Level, RewriteMode


@dataclass(frozen=True)
class Candidate:
    """One form a rewrite could have taken, with what it costs the target.

    Attributes:
        form: Name of the form, e.g. `transpose_conv`; in a finished file its ops.
        outside: Ops it leaves outside the target's delegate.
        cost: Estimated cost in million cycles of the target's cost model; None where that has not
            counted an op of it.
        host_ms: What it took on this host, where `--tune` timed it.
        barred: Why it is not taken here, however little it costs; "" where cost decides.
    """

    form: str
    outside: int
    cost: float | None
    host_ms: float | None = None
    barred: str = ""


@dataclass(frozen=True)
class RewriteRecord:
    """One rewrite that was applied, and how exact it is.

    Attributes:
        max_abs_error: Largest difference on the layer's own output.
        max_rel_error: The same, relative to the tensor's largest magnitude.
        chosen: Name of the chosen form.
    """

    rewrite: str
    level: Level
    layer: str
    exact: bool
    max_abs_error: float
    max_rel_error: float
    chosen: str
    candidates: tuple[Candidate, ...]
    reason: str


@dataclass(frozen=True)
class SkippedRewrite:
    """A rewrite that matched and was not applied; `candidates` where there was a choice."""

    rewrite: str
    layer: str
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class RewriteSelection:
    """Which rewrites might be applied, and how their forms were chosen.

    Attributes:
        mode: Which exact forms they might take.
        approximations: Families of forms that are other functions, asked for by name.
        only: Names of the rewrites that were run alone, of mode `none`; else of those that were
            run besides all others, since they need their names.
        dropped: Names of the rewrites that were left out.
        own: Names of the user's own rewrites.
        tuned: Whether timing on this host chose among exact forms.
    """

    mode: RewriteMode = RewriteMode.AUTO
    approximations: tuple[Approximation, ...] = ()
    only: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    tuned: bool = False


@dataclass(frozen=True)
class RoundingError:
    """How far float32 networks are from the original in float64, relative to its largest value.

    Attributes:
        original: The network as it came.
        rewritten: The same after all rewrites.
    """

    original: float
    rewritten: float


@dataclass(frozen=True)
class WholeNetError:
    """Difference between the network before and after all rewrites, on images.

    Attributes:
        rounding: What of it is rounding; None below 1e-5 of the largest value, and where float64
            does not run.
    """

    max_abs_error: float
    max_rel_error: float
    images: int
    rounding: RoundingError | None = None


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning of approximate forms came to.

    Agreement is the mean IoU with the masks of the network as it came, on pictures held out.

    Attributes:
        source: Folder of unlabelled pictures.
        delegates: Whose plans have these weights.
        images: Pictures that were trained on.
        held_out: Pictures that agreement was scored on.
        rounds: Rounds that were made; the best one was kept.
        agreement_before: As fitted.
        agreement_after: As it went into the files.
        rewritten_before: The whole net's difference as fitted; `Report.rewritten` is after it.
        stopped_early: Whether the rounds got no better before all were made.
    """

    source: str
    delegates: tuple[Delegate, ...]
    images: int
    held_out: int
    rounds: int
    agreement_before: float
    agreement_after: float
    rewritten_before: WholeNetError
    stopped_early: bool = False
