from isp_meta.capture.loop.decibels import won


def test_decibels_are_told_once_there_are_some():
    assert won(1.0, 1.0) == won(1.0, 2.0) == ""
    assert won(1.0, 0.1) == " (+10.0 dB)"
    assert won(1.0, 0.0) == " (+200.0 dB)"
