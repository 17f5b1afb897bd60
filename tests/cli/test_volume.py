"""``--quiet``, ``--verbose``, NO_COLOR, Ctrl-C, ``--version``."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

import isp_meta

from .conftest import PROGRAM


def test_version(run):
    assert run("--version").out == run("-V").out == f"isp-meta {isp_meta.__version__}\n"


@pytest.mark.parametrize("place", ["before", "behind"])
def test_quiet(run, photo, count, place):
    def quiet(*arguments):
        return run("-q", *arguments) if place == "before" else run(*arguments, "--quiet")

    result = quiet("recover", photo)
    assert (result.code, result.out, result.lines) == (0, "", [])
    assert quiet("recover", photo).failed(1, "exists already")
    assert f'"samples": {count},' in quiet("inspect", photo, "--json").out
    assert run("verify", photo).out != ""


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose(run, photo, option):
    result = run("recover", photo, option)
    assert result.code == 0
    assert result.lines[-1].endswith(" s  photo.jpg: done")
    assert any(line.endswith(" s  photo.jpg: writing") for line in result.lines)
    again = run(option, "recover", photo)
    assert again.lines[0] == "Traceback (most recent call last):"
    assert again.lines[-1].startswith("error: ")
    assert len(run("recover", photo).lines) == 1


def on_a_terminal(**environment):
    """What a failing program writes to a terminal."""
    terminal, program = pty.openpty()
    known = {name: text for name, text in os.environ.items() if name != "NO_COLOR"}
    subprocess.run([PROGRAM, "verify", "nothing.jpg"], stderr=program, env={**known, **environment})
    os.close(program)
    text = os.read(terminal, 4096)
    os.close(terminal)
    return text


def test_color():
    assert b"\x1b[31merror: " in on_a_terminal()
    assert on_a_terminal(NO_COLOR="1").startswith(b"error: nothing.jpg")


def test_an_interruption_is_one_line_and_leaves_nothing(raw, names):
    script = (
        "import sys, time, isp_meta.capture.embed\n"
        "def render(*_, progress, **__): progress('rendering'); time.sleep(60)\n"
        "isp_meta.capture.embed.embed = render\n"
        f"sys.argv = ['isp-meta', 'embed', {str(raw)!r}, '--verbose']\n"
        "from isp_meta.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert "rendering" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == "interrupted; no file is left half done\n"
    assert process.stdout.read() == ""
    assert process.wait() == 130
    assert names() == ["photo.dng"]
    process.stderr.close()
    process.stdout.close()
