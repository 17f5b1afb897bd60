"""The list of commands: complete, true, and shown without importing what the commands need."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import isp_meta
from isp_meta import cli
from isp_meta.cli.commands import COMMANDS, load
from isp_meta.cli.console import EXIT, INTERRUPTED

from .conftest import PROGRAM

LINES = {name: line for commands in COMMANDS.values() for name, line in commands.items()}


def module_of(name):
    return importlib.import_module(f"isp_meta.cli.{name.replace('-', '_')}")


@pytest.mark.parametrize("name", LINES)
def test_the_list_says_what_the_command_says_of_itself(name):
    module = module_of(name)
    text = module.app.info.help if hasattr(module, "app") else inspect.getdoc(module.command)
    assert text.partition("\n")[0] == LINES[name]


def test_every_command_is_in_the_list():
    names = {module.name for module in pkgutil.iter_modules(cli.__path__)}
    commands = {n for n in names if {"command", "app"} & set(vars(module_of(n)))}
    assert commands == {name.replace("-", "_") for name in LINES}


def leaves(name, command):
    """A command's own, or those of a group, by what a user types."""
    if not hasattr(command, "commands"):
        return {name: command}
    members = [leaves(f"{name} {key}", member) for key, member in command.commands.items()]
    return {typed: leaf for member in members for typed, leaf in member.items()}


ALL = {typed: leaf for name in LINES for typed, leaf in leaves(name, load(name)).items()}


@pytest.mark.parametrize("typed", ALL)
def test_examples_are_calls_that_the_command_takes(typed):
    examples = re.findall(rf"isp-meta {typed} ?([^|&<>\n]*)", ALL[typed].help)
    assert examples, "no example in its help"
    for example in examples:
        # Complains about options and values that there are not; runs nothing.
        ALL[typed].make_context(typed, shlex.split(example))


@pytest.mark.parametrize(
    "command", [*ALL.values(), *map(load, LINES)], ids=lambda command: command.name
)
def test_common_options_are_called_the_same(command):
    options = {name: option.opts for option in command.params for name in option.opts}
    assert options["--quiet"] == ["--quiet", "-q"]
    assert options["--verbose"] == ["--verbose", "-v"]
    assert set(options.get("--output", ["-o", "--output"])) == {"-o", "--output"}
    assert "-h" not in options


def test_what_does_no_work_loads_no_torch():
    calls = [["--help"], ["--version"], ["no-such-command"], *([name, "--help"] for name in LINES)]
    script = f"""
import sys
from isp_meta.cli import app
for arguments in {calls!r}:
    try:
        app(arguments, prog_name="isp-meta")
    except SystemExit:
        loaded = {{"torch", "numpy", "scipy", "PIL"}} & set(sys.modules)
        assert not loaded, (arguments, loaded)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: isp-meta") == len(LINES) + 1


def texts(tree):
    """The texts in a program's tree, but for the flags of a parser of its own."""
    own = {
        text
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument"
        for text in call.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in own:
            yield node.value


def test_the_library_names_no_flag():
    ours = {flag for command in ALL.values() for option in command.params for flag in option.opts}
    package = Path(isp_meta.__file__).parent
    library = [path for path in package.rglob("*.py") if path.parent.name != "cli"]
    assert len(library) > 200
    for path in library:
        for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            assert not ours & set(re.findall(r"--[a-z][a-z-]+", text)), f"{path}: {text}"


def test_a_flag_is_found():
    tree = ast.parse('parser.add_argument("--seed")\nraise ValueError(f"{x}: use --force")')
    assert [*texts(tree)] == [": use --force"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("isp-meta ver", ["verify"]),
        ("isp-meta embed --qua", ["--quality"]),
        ("isp-meta embed --sampler ", ["superpixel", "uniform", "random"]),
    ],
)
def test_completion(words, found):
    typed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    environment = {**os.environ, "_ISP_META_COMPLETE": "complete_bash", **typed}
    done = subprocess.run([PROGRAM], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == found, done.stderr


def test_completion_can_be_shown():
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [PROGRAM, "--show-completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "_ISP_META_COMPLETE=complete_bash" in done.stdout


def test_the_command_itself_answers(run):
    assert "JPEG" in run("verify", "--help").out
    assert run("no-such-command").code == 2


def test_every_exit_code_is_documented():
    page = Path(__file__).parents[2].joinpath("docs", "command-line.md").read_text("utf-8")
    documented = re.findall(r"^\| (\d+) \|", page.partition("## Exit codes")[2], re.MULTILINE)
    assert documented == [str(code) for code in sorted({0, 1, 2, *EXIT.values(), INTERRUPTED})]


def test_every_command_is_documented():
    page = Path(__file__).parents[2].joinpath("docs", "command-line.md").read_text("utf-8")
    assert set(LINES) <= set(re.findall(r"^## (.*)$", page, re.MULTILINE))
