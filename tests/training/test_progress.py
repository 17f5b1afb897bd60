import io

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
    assert shown() == "step 2  loss 0.25\nstep 2  psnr 30.13 dB\n"
