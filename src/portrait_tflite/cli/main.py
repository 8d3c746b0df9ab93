"""The command group: finds a command's module when it is called, and no sooner.

TensorFlow, Keras and OpenCV take seconds to import; `--help` must not.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import traceback
from typing import Any

import click

from portrait_tflite import __version__
from portrait_tflite.cli.output import NORMAL, QUIET, VERBOSE, set_verbosity
from portrait_tflite.errors import PortraitError
from portrait_tflite.tflite_runtime_python import PYTHON_OPTION, PYTHON_VARIABLE

# In the order of work; the module of each has a click command named `command`.
_COMMANDS = {
    "convert": "Prune, quantize, verify and benchmark a model: the whole pipeline.",
    "audit": "Say what each delegate makes of a .tflite, and why.",
    "verify": "Score a candidate against a float model; exit 3 when it loses too much.",
    "benchmark": "Time .tflite files on this machine, interleaved.",
    "compare": "Tell what changed between two result files; exit 3 on a regression.",
    "models": "List the nets of the zoo.",
    "train": "Train a net of the zoo on your portraits.",
    "doctor": "Say which delegates, runtimes and tools this machine has.",
}
_LONGEST = 300  # characters of an unexpected error; Keras lists whole networks
_NAME = "portrait-tflite"
_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


class LazyGroup(click.Group):
    """A group whose commands are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"portrait_tflite.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="portrait-tflite")
@click.option("-q", "--quiet", is_flag=True, help="Print results only.")
@click.option("-v", "--verbose", is_flag=True, help="Let TensorFlow's own messages through.")
@click.option("--debug", is_flag=True, help="Show a traceback where something goes wrong.")
@click.option(
    PYTHON_OPTION,
    metavar="FILE",
    help=f"A Python that has tflite-runtime 2.14. [default: ${PYTHON_VARIABLE}]",
)
@click.pass_context
def group(
    context: click.Context,
    quiet: bool,
    verbose: bool,
    debug: bool,
    tflite_runtime_python: str | None,
) -> None:
    """Take a trained Keras portrait-segmentation model to the phone.

    \b
    Examples:
      portrait-tflite convert --int8
      portrait-tflite convert net.keras --input-range 0,1 --calibration photos --validation val
      portrait-tflite convert released.tflite --input-range 0,1
      portrait-tflite audit net.tflite

    Exit codes: 0 done; 2 bad usage or input file; 3 a gate failed; 4 the model cannot be
    converted; 5 not available on this machine.
    """
    context.meta["portrait_tflite.debug"] = debug
    if tflite_runtime_python is not None:
        os.environ[PYTHON_VARIABLE] = tflite_runtime_python  # of this process and its children
    set_verbosity(context, QUIET if quiet else VERBOSE if verbose else NORMAL)
    if verbose:
        from portrait_tflite.quiet import set_verbose

        set_verbose(True)
    else:
        # Read when TensorFlow is first imported: only errors, no notes on CUDA or oneDNN.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(given, debug="--debug" in given))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        result: Any = group.main(
            arguments,
            prog_name=_NAME,
            standalone_mode=False,
            obj=shlex.join([_NAME, *arguments]),  # for reports; see `output.command_line`
        )
        return result if isinstance(result, int) else 0
    except PortraitError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        # click's own `show` takes four lines.
        message = error.format_message().rstrip(".")
        click.echo(f"Error: {message}.{_where_to_look(error)}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted: no half result is left behind.", err=True)
        return _INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        first = (str(error).splitlines() or ["no message"])[0][:_LONGEST].rstrip(".")
        click.echo(
            f"Error: unexpected {type(error).__name__}: {first}.\n"
            "This is a fault of portrait-tflite: report what `portrait-tflite --debug …` says.",
            err=True,
        )
        return 1


def _where_to_look(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" See `{context.command_path} --help`." if context else ""
