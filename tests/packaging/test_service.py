"""packaging/postern.service: what it leaves open, and that it says why."""

import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging/postern.service"
MOST = 2.5


def security(*options):
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", *options, UNIT],
        capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.stdout


def open_points():
    """The names that count against the unit, as systemd-analyze writes them."""
    rows = json.loads(security("--json=short"))
    assert len(rows) > 50
    return {row["name"] for row in rows if row["exposure"]}


def test_score_is_at_most_two_and_a_half():
    """V-007."""
    score = re.search(r"exposure level for postern[.]service: ([0-9.]+) ", security())
    assert float(score[1]) <= MOST


def test_each_open_point_has_its_reason_in_the_unit():
    text = UNIT.read_text()
    said = set(re.findall(r"^# ([A-Z][A-Za-z]+=\S*?)   *\S", text, re.M))
    assert said == open_points()


def test_systemd_knows_every_line(tmp_path):
    """A line that systemd does not know is one that it ignores."""
    program = tmp_path / "postern"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "postern.service"
    unit.write_text(UNIT.read_text().replace("/usr/sbin/postern", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                          capture_output=True, text=True, check=False)
    assert "postern.service" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
