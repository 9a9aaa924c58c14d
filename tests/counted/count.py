"""
What is counted and not timed, and so the same under any load: the instructions of the parsers, the system
calls of a worker. Of instructions, a bound is some 10 % above what they were when it was set, for compilers
and libraries differ; of system calls, less than one above.
"""

import re
import shutil
import subprocess

COLLECTED = re.compile(r"Collected : (\d+)")
CALL = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)


def tool(name):
    """Without it nothing would be counted: the test fails, and does not skip itself."""
    assert shutil.which(name), f"{name} is not installed (make deps-test): nothing was counted"
    return name


def instructions(argv, folder):
    """Of one run, and what it printed."""
    done = subprocess.run([tool("valgrind"), "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind'}",
                           *map(str, argv)], capture_output=True, text=True, timeout=120)
    found = COLLECTED.search(done.stderr)
    assert done.returncode == 0 and found, done.stderr
    return int(found.group(1)), done.stdout.split()


def calls_of(summary):
    """{system call: how often}, of what strace -c -U name,calls says at its end."""
    return {name: int(n) for name, n in CALL.findall(summary) if name != "total"}


def at_most(found, bound, what, how):
    """how: to see where it comes from."""
    assert found <= bound, (
        f"{what}: {found:.1f}, and the bound is {bound}. Something got dearer by {found / bound - 1:.1%} and more. "
        f"Find what it is ({how}) and mend it. Only where what it is for is worth that to every session or "
        f"message, raise the bound in this file, by no more than it costs, and say in the commit why.")


def within(found, bound, what, how):
    """A bound that was left behind would let all that was gained be lost again."""
    at_most(found, bound, what, how)
    assert found >= bound * 0.75, (
        f"{what}: {found:.1f}, and the bound is {bound}. If it is better now, lower the bound in this file, so that "
        f"it stays so; if less is done of what has to be done, mend that.")
