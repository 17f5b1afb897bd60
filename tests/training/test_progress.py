import io

import pytest
from rich.console import Console

from isp_meta.training.progress import TerminalProgress

RECORDS = [{"step": 2, "loss": 0.25, "rate": 1.0}, {"step": 2, "psnr": 30.126}]


def shown(**options):
    text = io.StringIO()
    with TerminalProgress(4, Console(file=text, width=100, **options)) as progress:
        for record in RECORDS:
            progress(record)
    return text.getvalue()


def test_a_terminal_has_one_line_with_the_newest_of_every_figure():
    last = shown(force_terminal=True, color_system=None).split("\r")[-1]
    assert "step 2/4" in last
    assert "loss 0.25  psnr 30.13 dB" in last


def test_a_file_has_a_line_for_each_record():
    assert shown() == "step 2 of 4  loss 0.25\nstep 2 of 4  psnr 30.13 dB\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_the_time_left_is_that_at_the_pace_of_this_run(terminal):
    text = io.StringIO()
    # The 1,000 steps of an earlier run took a second; 10 of this one an hour.
    records = [{"step": 1000, "loss": 1.0, "seconds": 1.0}, {"step": 1010, "seconds": 3601.0}]
    with TerminalProgress(1025, Console(file=text, width=100, force_terminal=terminal)) as progress:
        for record in records:
            progress(record)
        assert "left" not in progress._left({"step": 1025, "seconds": 9001.0})
    assert text.getvalue().count("left") == text.getvalue().count("1:30 h left") > 0


def test_a_note_is_a_line_of_its_own():
    text = io.StringIO()
    TerminalProgress(4, Console(file=text, width=20)).note("as long as it may be, one line")
    assert text.getvalue() == "as long as it may be, one line\n"
