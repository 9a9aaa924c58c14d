"""packaging/postern.logrotate, by logrotate itself over a folder of ours."""

import grp
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def rotate(tmp_path):
    """Runs logrotate once; systemctl is a script that writes down how it was called."""
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o750)
    tools = tmp_path / "bin"
    tools.mkdir()
    calls = tmp_path / "calls"
    calls.touch()
    systemctl = tools / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{calls}\nexec true\n')
    systemctl.chmod(0o755)
    conf = tmp_path / "postern.logrotate"
    conf.write_text((ROOT / "packaging/postern.logrotate").read_text()
                    .replace("/var/log/postern", str(logs)))
    conf.chmod(0o644)

    def run():
        subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", conf], check=True,
                       env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
        return calls.read_text().splitlines()

    run.logs = logs
    return run


def test_a_new_file_and_a_signal(rotate):
    (rotate.logs / "eve.json").write_text("{}\n")
    calls = rotate()
    assert (rotate.logs / "eve.json.1").read_text() == "{}\n"
    fresh = (rotate.logs / "eve.json").stat()
    assert fresh.st_size == 0
    assert fresh.st_mode & 0o7777 == 0o640
    assert fresh.st_gid == grp.getgrnam("adm").gr_gid
    assert calls[-1] == "kill --kill-whom=main --signal=SIGUSR1 postern.service"


def test_the_xferlog_too(rotate):
    (rotate.logs / "xferlog").write_text("a line\n")
    assert rotate()[-1] == "kill --kill-whom=main --signal=SIGUSR1 postern.service"
    assert (rotate.logs / "xferlog.1").read_text() == "a line\n"
    assert (rotate.logs / "xferlog").stat().st_size == 0


def test_what_is_still_written_to_is_not_compressed(rotate):
    for line in ("1\n", "2\n"):
        (rotate.logs / "eve.json").write_text(line)
        rotate()
    assert (rotate.logs / "eve.json.1").read_text() == "2\n"
    assert (rotate.logs / "eve.json.2.gz").exists()


def test_an_empty_log_stays(rotate):
    (rotate.logs / "eve.json").touch()
    assert rotate() == []
    assert [p.name for p in rotate.logs.iterdir()] == ["eve.json"]
