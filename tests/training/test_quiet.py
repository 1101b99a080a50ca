"""Native chatter is kept back, and comes out when something fails."""

from __future__ import annotations

import os

import pytest

from audotics.training.quiet import quiet_native_logs


def test_what_native_code_writes_is_kept_back(capfd):
    with quiet_native_logs():
        os.write(2, b"I0000 port.cc: chatter\n")
    os.write(2, b"afterwards\n")

    assert capfd.readouterr().err == "afterwards\n"


def test_what_was_kept_back_comes_out_with_a_failure(capfd):
    @quiet_native_logs()
    def import_library():
        os.write(2, b"libcudart.so: cannot open\n")
        raise ImportError("no library")

    with pytest.raises(ImportError, match="no library"):
        import_library()

    assert "libcudart.so: cannot open" in capfd.readouterr().err
