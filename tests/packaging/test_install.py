"""make install into a folder, and make uninstall from it."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

FILES = {
    "etc/logrotate.d/postern",
    "etc/postern/postern.conf",
    "usr/lib/systemd/system/postern-guard.service",
    "usr/lib/systemd/system/postern.service",
    "usr/lib/sysusers.d/postern.conf",
    "usr/lib/tmpfiles.d/postern.conf",
    "usr/sbin/postern",
    "usr/share/bash-completion/completions/postern",
    "usr/share/doc/postern/LICENSE",
    "usr/share/doc/postern/README.md",
    "usr/share/doc/postern/docs/trust.md",
    "usr/share/doc/postern/postern.conf",
    "usr/share/man/man5/postern.conf.5",
    "usr/share/man/man8/postern.8",
}


def make(target, folder, *variables):
    # what an outer make hands down is not for this one
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    # the binary was made before the tests began
    done = subprocess.run(["make", "-s", "-o", "all", target, f"DESTDIR={folder}", *variables],
                          cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def installed(tmp_path):
    make("install", tmp_path)
    return tmp_path


def test_everything_is_there(installed):
    found = files(installed)
    assert FILES <= found
    assert all(f in FILES or f.startswith("usr/share/doc/postern/docs/") for f in found)


def test_modes(installed):
    for name in files(installed):
        mode = (installed / name).stat().st_mode & 0o7777
        assert mode == (0o755 if name == "usr/sbin/postern" else 0o644), name


def test_an_existing_configuration_stays(tmp_path):
    conf = tmp_path / "etc/postern/postern.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("# mine\n")
    make("install", tmp_path)
    assert conf.read_text() == "# mine\n"
    assert "inside" in (tmp_path / "usr/share/doc/postern/postern.conf").read_text()


def test_uninstall_leaves_the_configuration_and_what_is_not_ours(installed):
    other = installed / "usr/sbin/other"
    other.touch()
    make("uninstall", installed)
    assert files(installed) == {"etc/postern/postern.conf", "usr/sbin/other"}


def test_another_prefix_is_the_one_in_the_unit(tmp_path):
    make("install", tmp_path, "PREFIX=/usr/local")
    for name, command in (("postern", "run"), ("postern-guard", "guard")):
        unit = (tmp_path / f"usr/local/lib/systemd/system/{name}.service").read_text()
        assert f"ExecStart=/usr/local/sbin/postern {command}" in unit
        assert "/usr/sbin/postern" not in unit


def test_the_installed_sample_is_a_good_configuration(installed):
    """The package starts the gateway with it: it must serve on loopback and touch nothing else."""
    done = subprocess.run([installed / "usr/sbin/postern", "check", "-c",
                           installed / "etc/postern/postern.conf"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    intercept = done.stdout.split("intercept {", 1)[1].split("}", 1)[0]
    assert 'mode' in intercept and "off" in intercept.split("mode", 1)[1].splitlines()[0]
    assert done.stdout.count("listen ") == 1 and '"127.0.0.1:2525"' in done.stdout


@pytest.mark.parametrize("argv,code,made", [(["configure", ""], 0, True), (["configure", ""], 1, True),
                                            (["configure", "0.1"], 0, False),
                                            (["abort-upgrade", "0.1"], 0, False)])
def test_the_package_makes_a_certificate_once(tmp_path, argv, code, made):
    """Of its own, when it is first installed; that it cannot is no reason not to be installed."""
    postern, called = tmp_path / "postern", tmp_path / "called"
    postern.write_text(f'#!/bin/sh\necho "$@" >>{called}\nexit {code}\n')
    postern.chmod(0o755)
    script = (ROOT / "packaging/debian/postern.postinst").read_text()
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", script, "postinst", *argv], env={**os.environ, "PATH": path},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (called.read_text() if called.exists() else "") == ("certificate make\n" if made else "")
    assert ("refused" in done.stderr) == (made and code != 0)
