"""The units of packaging/: what they leave open, and that they say why."""

import json
import pathlib
import re
import subprocess

import pytest

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
NAMES = ["postern.service", "postern-guard.service"]
MOST = 2.5

pytestmark = pytest.mark.parametrize("name", NAMES)


def security(name, *options):
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", *options, PACKAGING / name],
        capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.stdout


def open_points(name):
    """The names that count against the unit, as systemd-analyze writes them."""
    rows = json.loads(security(name, "--json=short"))
    assert len(rows) > 50
    return {row["name"] for row in rows if row["exposure"]}


def test_score_is_at_most_two_and_a_half(name):
    """V-007."""
    score = re.search(f"exposure level for {re.escape(name)}: ([0-9.]+) ", security(name))
    assert float(score[1]) <= MOST


def test_each_open_point_has_its_reason_in_the_unit(name):
    text = (PACKAGING / name).read_text()
    said = set(re.findall(r"^# ([A-Z][A-Za-z]+=\S*?)   *\S", text, re.M))
    assert said == open_points(name)


def test_systemd_knows_every_line(tmp_path, name):
    """A line that systemd does not know is one that it ignores."""
    program = tmp_path / "postern"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for each in NAMES:
        text = (PACKAGING / each).read_text()
        (tmp_path / each).write_text(text.replace("/usr/sbin/postern", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / name],
                          capture_output=True, text=True, check=False)
    assert name not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
