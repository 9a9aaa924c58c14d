"""The xferlog goes with the log: opened again, rotated, begun and ended by a reload, its losses counted. L13, L14."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab import wait_for

PAYLOAD = b"x" * 1000


@pytest.fixture
def gate(fake_ftp, gateway):
    return lambda **settings: gateway(fake_ftp(files={"f": PAYLOAD}), mode="forward", **settings)


def fetch(gate, times=1):
    with gate.client() as client:
        client.way = "EPSV"
        client.login().binary()
        for _ in range(times):
            assert client.get("RETR f") == PAYLOAD
        client.quit()


def lines(path, n):
    def read():
        text = path.read_text() if path.exists() else ""
        return len(text.splitlines()) >= n and text.splitlines()

    return wait_for(read, what=f"{n} lines in {path}")


def open_files(gate):
    return set(gate.logger().descriptors().values())


def test_opened_again_with_the_log_L13_L14(gate):
    gate = gate(log_format="eve_xferlog")
    xferlog = gate.log.with_name("xferlog")
    fetch(gate)
    lines(xferlog, 1)
    old = xferlog.with_name("xferlog.1")
    xferlog.rename(old)
    gate.log.rename(f"{gate.log}.1")
    gate.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: xferlog.exists() and gate.log.exists(), what="both files")
    wait_for(lambda: str(old) not in open_files(gate), what="the old one to be closed")
    fetch(gate)
    assert len(lines(xferlog, 1)) == 1
    assert len(lines(old, 1)) == 1
    assert oct(xferlog.stat().st_mode)[-3:] == "640"


def test_rotated_with_the_log_L13_L14(gate):
    """None is lost, none is there twice."""
    gate = gate(log_format="eve_xferlog", rotation={"size": 65536, "keep": 3})
    xferlog = gate.log.with_name("xferlog")
    old = xferlog.with_name("xferlog.1")
    for _ in range(40):
        fetch(gate, 10)
        if old.exists():
            break
    wait_for(old.exists, what="xferlog.1")
    assert gate.log.with_name(gate.log.name + ".1").exists()
    assert lines(old, 1)
    fetch(gate)
    assert lines(xferlog, 1)
    gate.stop()
    folder = gate.log.parent
    done = sum(text.count('"event_type":"ftp_data"') for text in map(Path.read_text, folder.glob("eve.json*")))
    assert done % 10 == 1
    assert sum(len(p.read_text().splitlines()) for p in folder.glob("xferlog*")) == done


def test_begun_and_ended_by_reload_L13(gate):
    gate = gate()
    xferlog = gate.log.with_name("xferlog")
    fetch(gate)
    gate.flow()
    assert not xferlog.exists()
    gate.configure(log_format="eve_xferlog")
    gate.reload()
    fetch(gate)
    assert len(lines(xferlog, 1)) == 1
    gate.configure()
    gate.reload()
    wait_for(lambda: str(xferlog) not in open_files(gate), what="the file to be closed")
    fetch(gate)
    wait_for(lambda: len(gate.records("ftp_data")) == 3, what="the third transfer")
    assert len(xferlog.read_text().splitlines()) == 1


def test_a_folder_that_takes_no_file_L13(gate, tmp_path):
    """Found at start and at reload; then nothing changes."""
    gate = gate(log_format="eve_xferlog")
    fetch(gate)
    place = tmp_path / "other"
    place.mkdir()
    (place / "xferlog").mkdir()
    gate.configure(log_format="eve_xferlog", log=str(place / "eve.json"))
    gate.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "is no file, FIFO or character device" in gate.stderr, what="the reason")
    fetch(gate)
    assert len(lines(gate.log.with_name("xferlog"), 2)) == 2
    assert not os.listdir(place / "xferlog")


def test_standard_output_has_none_L13(gate):
    """A fault of the configuration, with its line."""
    gate = gate(log_format="eve_xferlog")
    gate.configure(log_format="eve_xferlog", log="-")
    result = subprocess.run(gate.command("check", "-c", gate.file), capture_output=True, text=True)
    assert result.returncode == 2
    assert 'log_format: eve_xferlog writes a file beside the log, and log, "-", is no file' in result.stderr
