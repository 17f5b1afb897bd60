from __future__ import annotations

import pytest

from isp_meta import carriers
from isp_meta.errors import CarrierError, PayloadMissing


def test_each_kind_has_its_carrier(jpegs, pngs, tiffs, long_payload):
    kinds = [(jpegs, carriers.jpeg), (pngs, carriers.png), (tiffs, carriers.tiff)]
    for files, carrier in kinds:
        for name, data in files.items():
            assert carriers.places(data) == carrier.PLACES, name
            carrying = carriers.insert(data, long_payload)
            assert carrying == carrier.insert(data, long_payload), name
            assert carriers.extract(carrying) == long_payload, name
            assert carriers.strip(carrying) == data, name
            assert carriers.scan_digest(carrying) == carrier.scan_digest(data), name
            with pytest.raises(PayloadMissing):
                carriers.extract(data)


def test_places_are_those_of_the_kind(jpegs, pngs, tiffs):
    files = {"jpeg": jpegs["baseline"], "png": pngs["rgb"], "tiff": tiffs["little"]}
    known = {place for data in files.values() for place in carriers.places(data)}
    assert known == {"app11", "com", "chunk", "tag"}
    for data in files.values():
        for place in known - set(carriers.places(data)):
            with pytest.raises(CarrierError, match=f"has no place '{place}'"):
                carriers.insert(data, b"payload", place=place)
        for place in carriers.places(data):
            assert carriers.extract(carriers.insert(data, b"payload", place=place)) == b"payload"


@pytest.mark.parametrize("data", [b"", b"\xff", b"GIF89a", b"RIFF....WEBP", b"....ftypheic"])
def test_other_kinds_need_a_sidecar(data):
    for function in (
        carriers.places,
        carriers.extract,
        carriers.strip,
        carriers.scan_digest,
        lambda data: carriers.insert(data, b"payload"),
    ):
        with pytest.raises(CarrierError, match="in a sidecar"):
            function(data)
