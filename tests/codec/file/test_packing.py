"""Packing: what was packed comes back, in no more bytes."""

import os

import pytest
from densezip.codec.errors import CorruptPayloadError
from densezip.codec.file import packing
from densezip.codec.file.packing import METHODS, pack, unpack
from hypothesis import given
from hypothesis import strategies as st

TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(400))


@given(st.binary(max_size=2000))
def test_unpack_inverts_pack(data: bytes) -> None:
    method, packed = pack(data)
    assert unpack(method, packed, len(data), CorruptPayloadError) == data
    assert len(packed) <= len(data)


@pytest.mark.parametrize("data", [b"", TEXT, TEXT[:200], bytes(10**6), os.urandom(5000)])
def test_every_method_comes_back(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    best = pack(data)
    for size in (0, 2**60):
        monkeypatch.setattr(packing, "SMALLEST_LZMA", size)
        method, packed = pack(data)
        assert len(packed) >= len(best[1]) or size == 0
        assert unpack(method, packed, len(data), CorruptPayloadError) == data


def test_text_takes_lzma_noise_nothing() -> None:
    assert pack(TEXT)[0] == packing.LZMA
    assert pack(TEXT[:100])[0] == packing.DEFLATE
    assert pack(os.urandom(1000))[0] == packing.PLAIN


@pytest.mark.parametrize("method", range(METHODS))
def test_another_length_is_an_error(method: int) -> None:
    data = TEXT[:150] if method == packing.DEFLATE else TEXT
    found, packed = (packing.PLAIN, data) if method == packing.PLAIN else pack(data)
    assert found == method
    for length in (0, len(data) - 1, len(data) + 1):
        with pytest.raises(CorruptPayloadError, match="announced"):
            unpack(method, packed, length, CorruptPayloadError)
    for damaged in (packed[:-3], packed + b"x", b""):
        with pytest.raises(CorruptPayloadError):
            unpack(method, damaged, len(data), CorruptPayloadError)
