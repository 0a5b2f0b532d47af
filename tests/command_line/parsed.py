"""A command run in this process."""

from __future__ import annotations

import argparse
from types import ModuleType


def parsed(module: ModuleType, *words: object) -> int:
    """The exit status of a command's module, run on these words, its name the first."""
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    return int(module.run(parser.parse_args([str(word) for word in words])))
