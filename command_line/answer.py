"""What a command says: its result on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any


def answer(arguments: argparse.Namespace, fields: dict[str, Any], text: str) -> None:
    """Print the result: `fields` as one JSON object where --json was given, else `text`."""
    print(json.dumps(fields) if arguments.json else text, flush=True)


def say(text: str) -> None:
    """Print what is no result."""
    print(text, file=sys.stderr, flush=True)


def say_warnings(warnings: Sequence[str]) -> None:
    """What speaks against a choice that is followed all the same."""
    for warning in warnings:
        say(f"warning: {warning}")
