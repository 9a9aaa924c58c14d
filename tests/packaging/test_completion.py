"""packaging/postern.bash-completion: it offers what "postern --help" prints, and nothing else."""

import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "packaging/postern.bash-completion"
POSTERN = ROOT / "build/postern"


def usage():
    """{command: its options}, read from --help in a way of our own; "" is postern itself."""
    text = subprocess.run([POSTERN, "--help"], capture_output=True, text=True, check=True).stdout
    found = {}
    for words in re.split(r"(?:^|\n)\s*(?:usage:\s*)?postern ", text)[1:]:
        name = re.match(r"[a-z]*", words)[0]
        found[name] = {w for w in re.split(r"[\s\[\]|]+", words) if w.startswith("-")}
    return found


USAGE = usage()


def complete(*words, cwd=None):
    """What bash offers for the last of words."""
    line = " ".join(shlex.quote(str(w)) for w in [POSTERN, *words])
    script = (f"source {FILE}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _postern; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    assert done.stderr == ""
    return {line for line in done.stdout.splitlines() if line}


def test_help_was_understood():
    assert {"", "run", "check", "explain"} <= set(USAGE)
    assert {"--client", "--server", "--from", "--to", "-c"} <= USAGE["explain"]


def test_commands():
    assert complete("") == (set(USAGE) - {""}) | USAGE[""]
    assert complete("ex") == {"explain"}


@pytest.mark.parametrize("command", sorted(set(USAGE) - {""}))
def test_options(command):
    assert complete(command, "-") == USAGE[command]


def test_option_in_part():
    assert complete("explain", "--cl") == {"--client"}


def test_files_behind_c(tmp_path):
    (tmp_path / "first.conf").touch()
    (tmp_path / "other").touch()
    assert complete("check", "-c", "fi", cwd=tmp_path) == {"first.conf"}


def test_folders_behind_extract(tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "file").touch()
    assert complete("read", "--extract", "fi", cwd=tmp_path) == {"first"}


def test_devices():
    assert "lo" in complete("explain", "--device", "")
    assert "lo" in complete("watch", "-i", "")


def test_nothing_for_an_address():
    assert complete("explain", "--client", "") == set()
    assert complete("watch", "--filter", "") == set()


def test_nothing_for_a_command_that_is_not_there():
    assert complete("nosuch", "-") == set()


def test_registered_for_postern():
    done = subprocess.run(["bash", "-c", f"source {FILE}; complete -p postern"],
                          capture_output=True, text=True, check=True)
    assert "-F _postern postern" in done.stdout
