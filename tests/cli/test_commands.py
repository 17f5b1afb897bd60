"""The list of commands: complete, true, and shown without importing what the commands need."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

from isp_meta import cli
from isp_meta.cli.commands import COMMANDS

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


@pytest.mark.parametrize("arguments", [["--help"], ["no-such-command"]], ids=" ".join)
def test_what_does_no_work_loads_no_torch(arguments):
    script = f"""
import sys
from isp_meta.cli import app
try:
    app({arguments!r})
finally:
    assert "isp_meta" in sys.modules
    assert not {{"torch", "numpy", "scipy", "PIL"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "AssertionError" not in done.stderr
    assert "Usage" in done.stdout + done.stderr


def test_the_command_itself_answers(run):
    assert "JPEG" in run("verify", "--help").out
    assert run("no-such-command").code == 2
