"""A bare Debian 12 that systemd has booted, in a container with a network of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
               "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
# Into the cgroups before "--", then the command behind it.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
# Everything of it is in namespaces whose first process ends with this one's child.
BOOT = """
mount -t tmpfs tmpfs /run
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --link-journal=no \
    --resolv-conf=off --timezone=off --console=pipe --directory "$1" --boot systemd.log_target=journal
"""


def until(what, seconds=20, step=0.05):
    """Waits until what() is true; returns it, or fails."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(step)


def cgroups():
    """Our own cgroups in the hierarchies that a systemd in a container works with."""
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    found = []
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, name, path = line.split(":", 2)
        for _, where, kind, options, *_ in mounts:
            if (kind == "cgroup2" and number == "0"
                    or kind == "cgroup" and name == "name=systemd" and name in options.split(",")):
                found.append(pathlib.Path(where) / path.lstrip("/"))
    return found


def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class Machine:
    """One container; use as a context."""

    def __init__(self, name):
        self.folder = ROOT / "build/root" / name
        self.boot = None
        self.init = None
        # the container makes cgroups of its own in these, which go with it
        self.cgroups = [c / f"postern-test-{name}" for c in cgroups()]

    def __enter__(self):
        self.remove()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([ROOT / "tests/root/bare.sh", "systemd", self.folder], check=True)
        for folder in self.cgroups:
            folder.mkdir(exist_ok=True)
        self.console = open(f"{self.folder}.console", "wb")
        self.boot = subprocess.Popen(
            ["sh", "-c", ENTER, "sh", *self.cgroups, "--",
             "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork",
             "--kill-child", "sh", "-c", BOOT, "sh", self.folder],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT,
            start_new_session=True)
        try:
            self.init = until(self.find_init)
            state = until(self.state, 60)
            assert state == "running", self.run("systemctl --failed; journalctl -b -p err").stdout
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.boot is not None:
            # with the first process of its namespace everything ends that is in there
            for pid in children(self.boot.pid) or [self.boot.pid]:
                os.kill(pid, signal.SIGKILL)
            self.boot.wait()
            self.console.close()
            pathlib.Path(self.console.name).unlink()
        self.remove()

    def remove(self):
        """Also what a run that was cut off has left. Who was just killed may still be on his way out."""
        until(lambda: [shutil.rmtree(self.folder, ignore_errors=True)] and not self.folder.exists())
        for folder in self.cgroups:
            until(lambda f=folder: [subprocess.run(
                ["find", f, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"],
                stderr=subprocess.DEVNULL, check=False)] and not f.exists())

    def find_init(self):
        """The first process of the container, by its number here."""
        assert self.boot.poll() is None, pathlib.Path(self.console.name).read_text()
        todo = children(self.boot.pid)
        while todo:
            pid = todo.pop()
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid
            todo += children(pid)
        return None

    def state(self):
        text = self.run("systemctl is-system-running").stdout.strip()
        return text if text in ("running", "degraded", "maintenance") else None

    def run(self, script, ok=None):
        """A script of sh in there. With ok it must end well (True) or badly (False)."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
             "--wd", *ENVIRONMENT, "sh", "-c", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
        if ok is not None:
            assert (done.returncode == 0) == ok, (
                f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
                + self.run("journalctl -b -n 40 --no-pager").stdout)
        return done

    def says(self, script):
        """What a script that must end well prints."""
        return self.run(script, ok=True).stdout.strip()
