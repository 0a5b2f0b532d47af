"""Flags from a TOML file: keys are the flags' names, in the file itself or in a table for each command."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..trainer.files.text import read_text

BACKSLASH_IN_QUOTES = re.compile(r'"[^"]*\\')
BACKSLASH = r" (a backslash in double quotes begins a special character: write '…' or /, as in 'C:\Users\me\photos')"


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the message names the file and the key."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """--config."""
    text = "flags from a file: batch_size = 2, bare or in a table of the command's name; flags here win"
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help=text)


def with_configuration(words: list[str], commands: Mapping[str, argparse.ArgumentParser]) -> list[str]:
    """`words`, the command first, with what --config names put between it and its flags: later flags win.

    commands: each one's parser. What is another command's, a table or a bare flag, is passed over.
    Raises ConfigurationError.
    """
    command, parser = words[0], commands[words[0]]
    early = argparse.ArgumentParser(prog=parser.prog, add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    add_config(early)
    file = early.parse_known_args(words[1:])[0].config
    if file is None:
        return words
    read = _read(file)
    table = read.pop(command) if isinstance(read.get(command), dict) else {}
    values = {key: value for key, value in read.items() if not _of_another(key, value, parser, commands)}
    added = [word for key, value in {**values, **table}.items() for word in _words(file, key, value, parser)]
    # A flag of one value at their end: what follows a list of files would be one more of them.
    return [command, *added, f"--config={file}", *words[1:]]


def _of_another(
    key: str, value: Any, parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]
) -> bool:
    """Whether a key of the file itself is a table of another command, or a flag that only others have."""
    if isinstance(value, dict):
        return key in commands
    flag = key.replace("_", "-")
    return flag not in dict(_flags(parser)) and any(flag in dict(_flags(other)) for other in commands.values())


def _read(file: Path) -> dict[str, Any]:
    toml = _toml()
    try:
        text = read_text(file)
        read: dict[str, Any] = toml.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        shown = "" if line is None else _shown_line(text, int(line[1]))
        raise ConfigurationError(f"{file} is not TOML: {error}{shown}") from error
    return read


def _shown_line(text: str, number: int) -> str:
    """The line of a file that cannot be read, and what to do about a backslash in it."""
    lines = text.splitlines()
    line = lines[number - 1].strip() if number <= len(lines) else ""
    return f": {line[:200]}{BACKSLASH if BACKSLASH_IN_QUOTES.search(line) else ''}" if line else ""


def _toml() -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ConfigurationError("--config takes Python 3.11 or newer, or the package tomli: pip install tomli")


def _words(file: Path, key: str, value: Any, parser: argparse.ArgumentParser) -> Iterator[str]:
    known = dict(_flags(parser))
    action = known.get(key.replace("_", "-"))
    if action is None:
        near = difflib.get_close_matches(key.replace("_", "-"), known, n=1, cutoff=0.0)
        raise ConfigurationError(f"{file}: there is no {key!r}; the nearest is {near[0].replace('-', '_')!r}")
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        yield from _switch(file, key, value, action)
        return
    several = action.nargs in ("+", "*") or isinstance(action.nargs, int)
    if isinstance(value, bool | dict) or isinstance(value, list) is not several:
        raise ConfigurationError(f"{file}: {key} = {value!r}; it takes {'a list' if several else 'one value'}")
    texts = [_text(file, one, action) for one in (value if several else [value])]
    # With the sign of equality a value may begin with a dash.
    yield from [action.option_strings[0], *texts] if several else [f"{action.option_strings[0]}={texts[0]}"]


def _switch(file: Path, key: str, value: Any, action: argparse.Action) -> Iterator[str]:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{file}: {key} = {value!r}; it takes true or false")
    if value:
        yield action.option_strings[0]
    elif len(action.option_strings) > 1:
        yield action.option_strings[1]


def _text(file: Path, value: Any, action: argparse.Action) -> str:
    if action.type is Path and not str(value).isprintable():
        raise ConfigurationError(f"{file}: the path {str(value)!r} holds a control character{BACKSLASH}")
    return str(file.parent / value) if action.type is Path else str(value)


def _flags(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        name = next((flag for flag in action.option_strings if flag.startswith("--")), "--")[2:]
        if name not in ("", "help", "config"):
            yield name, action
