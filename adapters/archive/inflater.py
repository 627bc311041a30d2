"""zlib's decompressor, shaped like those of `bz2` and `lzma`."""

from __future__ import annotations

import zlib

# zlib's manual, inflateInit2: 15 bits of window, +16 for a gzip frame, negative for none.
GZIP_WINDOW = 31
RAW_DEFLATE_WINDOW = -15


class Inflater:
    """One member of gzip or raw DEFLATE data.

    Args:
        window: GZIP_WINDOW, where zlib checks the CRC and the length, or RAW_DEFLATE_WINDOW.
    """

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)
        self._output_pending = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._output_pending

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # A full piece may leave output inside zlib although it took all the input.
        self._output_pending = len(piece) == max_length
        return piece
