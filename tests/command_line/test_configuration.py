"""Flags from a TOML file: below the command line's own, and checked like them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.command_line.configuration import ConfigurationError, add_config, with_configuration

if sys.version_info < (3, 11):
    pytest.importorskip("tomli")

Parsers = dict[str, argparse.ArgumentParser]


@pytest.fixture
def parsers() -> Parsers:
    """Of two commands; the second one's name is a flag of the first."""
    parser = argparse.ArgumentParser(prog="train")
    parser.add_argument("--export", default="")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, default=1.0)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--prompt", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--deep", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--sizes", type=int, nargs="+")
    export = argparse.ArgumentParser(prog="export")
    export.add_argument("source")
    export.add_argument("--rank", type=int)
    export.add_argument("--files", nargs="+")
    for each in (parser, export):
        add_config(each)
    return {"train": parser, "export": export}


def read(parsers: Parsers, file: Path, text: str, *words: str) -> argparse.Namespace:
    file.write_text(text, encoding="utf-8")
    words = tuple(with_configuration(["train", "--config", str(file), *words], parsers))
    assert words[0] == "train"
    return parsers["train"].parse_args(words[1:])


def test_the_command_line_wins_and_the_file_gives_the_rest(parsers: Parsers, tmp_path: Path) -> None:
    text = 'steps = 5\nlearning_rate = 1e-5\nprompt = "-a\\n \\"b\\""\ndeep = false\njson = true\nsizes = [1, 2]\n'
    found = read(parsers, tmp_path / "a.toml", text, "--steps", "7", "--sizes", "3")
    assert (found.steps, found.learning_rate, found.prompt) == (7, 1e-5, '-a\n "b"')
    assert (found.deep, found.json, found.sizes) == (False, True, [3])
    assert read(parsers, tmp_path / "a.toml", text, "--deep").deep is True


def test_a_table_is_for_its_command(parsers: Parsers, tmp_path: Path) -> None:
    text = "steps = 5\n[train]\nlearning-rate = 2\n[export]\nanything = 1\n"
    found = read(parsers, tmp_path / "a.toml", text)
    assert (found.steps, found.learning_rate) == (5, 2.0)


def test_a_bare_flag_is_for_the_commands_that_have_it(parsers: Parsers, tmp_path: Path) -> None:
    text = 'steps = 5\nexport = "to a file"\nrank = 3\nfiles = ["a", "b"]\n'
    found = read(parsers, tmp_path / "a.toml", text)
    assert (found.steps, found.export) == (5, "to a file")
    words = with_configuration(["export", "a LoRA", f"--config={tmp_path / 'a.toml'}"], parsers)
    read_too = parsers["export"].parse_args(words[1:])
    assert (read_too.source, read_too.rank, read_too.files) == ("a LoRA", 3, ["a", "b"])


def test_paths_are_relative_to_the_file(parsers: Parsers, tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere"
    for said, meant in (("dog", tmp_path / "dog"), (absolute.as_posix(), absolute)):
        assert read(parsers, tmp_path / "a.toml", f'steps = 1\nphotos = "{said}"\n').photos == meant


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stepps = 5", "'stepps'; the nearest is 'steps'"),
        ("[train]\nlearning_rat = 5", "'learning_rat'; the nearest is 'learning_rate'"),
        ("[trian]\nsteps = 5", "'trian'"),
        ('config = "b.toml"', "'config'"),
        ("steps = true", "one value"),
        ("steps = [1]", "one value"),
        ("sizes = 1", "a list"),
        ('json = "yes"', "true or false"),
        ("train = 1", "'train'"),
        ("[train]\nrank = 1", "'rank'"),
        ("steps = ", "not TOML"),
    ],
)
def test_what_is_not_known_is_named(text: str, complaint: str, parsers: Parsers, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.toml.*" + complaint):
        read(parsers, tmp_path / "a.toml", text)


def test_a_file_that_is_not_there_is_named(parsers: Parsers, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        with_configuration(["train", f"--config={tmp_path / 'none.toml'}"], parsers)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_file_as_windows_editors_save_it_is_read(
    encoding: str, line_end: str, parsers: Parsers, tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_bytes(f'steps = 5{line_end}prompt = "ein Hund, groß"{line_end}'.encode(encoding))
    found = parsers["train"].parse_args(with_configuration(["train", f"--config={tmp_path / 'a.toml'}"], parsers)[1:])
    assert (found.steps, found.prompt) == (5, "ein Hund, groß")


@pytest.mark.parametrize(
    "line",
    [
        r'photos = "C:\Users\me\photos"',
        r'photos = "C:\temp\new"',
        r'photos = "D:\data\dog"',
        r'photos = "\\server\xmas"',
        r'photos = "C:\photos\"',
        r'photos = "C:\boot\fast"',
    ],
)
def test_a_path_with_backslashes_shows_its_line_and_the_way_out(line: str, parsers: Parsers, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.toml.*write '…' or /") as raised:
        read(parsers, tmp_path / "a.toml", f"steps = 1\n{line}\n")
    assert line in str(raised.value) or "control character" in str(raised.value)


def test_a_path_in_single_quotes_is_as_it_is_written(parsers: Parsers, tmp_path: Path) -> None:
    found = read(parsers, tmp_path / "a.toml", "steps = 1\nphotos = 'C:\\Users\\new'\n")
    assert str(found.photos).endswith("C:\\Users\\new")


def test_another_encoding_is_named(parsers: Parsers, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes('prompt = "groß"'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"a\.toml.*save it as UTF-8"):
        with_configuration(["train", f"--config={tmp_path / 'a.toml'}"], parsers)
