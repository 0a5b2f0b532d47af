"""From words to an exit status."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from .answer import say
from .configuration import ConfigurationError, add_config, with_configuration
from .failures import in_one_line
from .processes import EndedElsewhere
from .stopping import Stopped, StopSignals

COMMANDS = (
    "check", "photos", "train", "explain", "report", "choose", "priors", "identifier", "suggest-noun", "export",
    "resize", "merge", "apply-check", "upscale", "score", "predict", "train-predictor", "toybase",
)  # fmt: skip
FOR_DEVELOPERS = ("demo", "bench-speed", "bench-quality", "bench-upscaling", "bench-nouns")
EXIT_STATUS = (
    "Exit status: 0 done; 1 the message on stderr says what to change; 2 flags or a configuration that cannot be "
    "read; 130 after Ctrl-C and 143 after SIGTERM, with what was trained saved; a traceback is a bug."
)


def main(words: Sequence[str], prog: str) -> int:
    """Run one command and return the process's exit status."""
    words = list(words)
    # A pipe on Windows is no UTF-8, and the texts hold λ and γ.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(prog=prog, description="DreamBooth.", epilog=EXIT_STATUS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in (*COMMANDS, *FOR_DEVELOPERS):
        _add(commands, name)
    if not words or words[0] not in COMMANDS or words[0] not in commands.choices:
        arguments = parser.parse_args(words)
        return int(arguments.run(arguments))
    try:
        words = with_configuration(words, {name: commands.choices[name] for name in COMMANDS})
    except ConfigurationError as error:
        say(f"{prog} {words[0]}: {error}")
        return 2
    return _guarded(parser.parse_args(words), f"{prog} {words[0]}")


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str) -> None:
    module_name = name.replace("-", "_")
    if not Path(__file__).with_name(f"{module_name}.py").is_file():
        return
    module = importlib.import_module(f".{module_name}", __package__)
    module.add_parser(commands)
    parser = commands.choices[name]
    parser.set_defaults(run=module.run)
    if name in COMMANDS:
        parser.epilog = EXIT_STATUS
        # An abbreviation that works today is ambiguous after the next flag.
        parser.allow_abbrev = False
        add_config(parser)


def _guarded(arguments: argparse.Namespace, prog: str) -> int:
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        with StopSignals():
            return int(arguments.run(arguments))
    except Stopped as stopped:
        say(f"{prog}: {stopped}")
        return stopped.status
    except EndedElsewhere:
        return 1
    except Exception as error:
        if (said := in_one_line(error)) is None:
            raise
        say(f"{prog}: {said}")
    return 1
