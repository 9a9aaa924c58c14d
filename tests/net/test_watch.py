"""
"postern watch": what goes by on an interface while it goes by. No gateway runs: the gateway's host is
a router here, and the watcher stands on the client's link or on one of the router's.
"""

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lab as L
from ftp_peers import FtpClient
from gateway import SANITIZER
from peers import EHLO, FakeServer, RawClient
from tls_peers import client_context, starttls_reply

POSTERN = Path(os.environ.get("POSTERN", L.ROOT / "build/postern"))

LETTER = (b"From: anna@good.example\r\nTo: otto@campus.example\r\nSubject: watched\r\n"
          b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
          b"--b\r\n\r\n..hello\r\n"
          b"--b\r\nContent-Type: application/octet-stream; name=\"../../x\"\r\n"
          b"Content-Disposition: attachment\r\n\r\n" + b"0123456789abcdef\r\n" * 20000 +
          b"--b--\r\n")
FILE = bytes(range(256)) * 4096


class Watcher:
    """postern watch in a namespace, until stop()."""

    def __init__(self, namespace, device, *options, before=()):
        argv = namespace.command(*before, POSTERN, "watch", "-i", device, *options)
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL)
        self.stderr = self.stdout = ""
        for line in self.process.stderr:
            self.stderr += line.decode()
            if ": watching\n" in self.stderr:
                return
        self.process.wait()
        raise L.LabError(self.stderr)

    def tell(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Its records; it must end well."""
        if number:
            self.tell(number)
        out, err = self.process.communicate(timeout=30)
        self.stdout, self.stderr = out.decode(), self.stderr + err.decode()
        assert not SANITIZER.search(self.stderr), self.stderr
        return [json.loads(line) for line in self.stdout.splitlines()]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def watcher():
    made = []

    def make(*args, **options):
        made.append(Watcher(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def smtp(lab):
    server = FakeServer(lab.server, L.FAKE, 25)
    yield server
    server.close()


def run(namespace, *argv):
    """postern to its end: (exit code, stdout, stderr)."""
    done = subprocess.run(namespace.command(POSTERN, *argv), capture_output=True, text=True,
                          timeout=30, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done.returncode, done.stdout, done.stderr


def without_stats(records):
    return [r for r in records if r["event_type"] != "stats"]


TIMES = {"timestamp", "start", "end", "started", "ended", "age", "duration_ms", "idle_ms", "rate"}


def without_times(value):
    """Two sockets on one device do not stamp a frame in the same microsecond."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return list(map(without_times, value)) if isinstance(value, list) else value


def comparable(records):
    """
    Two sockets on one device do not see frames of different connections in the same order either,
    where two processors have them.
    """
    return sorted(json.dumps({**without_times(r), "flow_id": 0}, sort_keys=True)
                  for r in records if r["event_type"] != "stats")


def stats(records):
    return [r["stats"]["capture"] for r in records if r["event_type"] == "stats"]


def mail(lab, to=L.FAKE, letter=LETTER):
    with RawClient(lab.client, to) as client:
        client.hello()
        client.envelope()
        assert client.data(letter.replace(b"\r\n.", b"\r\n..") + b".\r\n").code == 250
        assert client.cmd("QUIT").code == 221


def file_transfer(lab, way="PORT"):
    with FtpClient(lab.client, L.FAKE) as client:
        client.way = way
        client.login().binary()
        assert client.get("RETR a.bin") == FILE
        client.quit()


class Tcpdump:
    """tcpdump beside the watcher, with no filter."""

    def __init__(self, namespace, device, path):
        self.path = path
        self.process = subprocess.Popen(
            namespace.command("tcpdump", "-i", device, "-U", "-Z", "root", "-B", "65536",
                              "--immediate-mode", "-w", path),
            stderr=subprocess.PIPE)
        while b"listening" not in self.process.stderr.readline():
            assert self.process.poll() is None

    def stop(self):
        time.sleep(0.3)  # what it has not seen yet is not in the file
        self.process.terminate()
        self.process.communicate(timeout=10)


# ---- the same session, live and from a file ----


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_X_009_live_records_are_those_of_a_capture(lab, campus, fake_ftp, watcher, tmp_path, way):
    fake_ftp(files={"a.bin": FILE})
    tcpdump = Tcpdump(lab.client, "eth0", tmp_path / "a.pcap")
    live = watcher(lab.client, "eth0")
    mail(lab, campus.address)
    file_transfer(lab, way)
    records = live.stop()
    tcpdump.stop()
    code, out, err = run(lab.client, "read", tmp_path / "a.pcap")
    assert (code, live.process.returncode) == (0, 0), err
    assert without_stats(records) and comparable(records) == comparable(map(json.loads, out.splitlines()))
    kinds = [r["event_type"] for r in records]
    assert {"smtp", "fileinfo", "ftp", "ftp_data", "flow"} <= set(kinds)
    transfer = next(r for r in records if r["event_type"] == "ftp_data")
    assert transfer["ftp_data"]["filename"] == "a.bin"
    file = [r["fileinfo"] for r in records if r["event_type"] == "fileinfo" and r["app_proto"] == "ftp-data"]
    assert [f["sha256"] for f in file] == [hashlib.sha256(FILE).hexdigest()]


def frames_of(path):
    """The frames of a pcap file as tcpdump writes it here."""
    octets = path.read_bytes()[24:]
    while octets:
        n = int.from_bytes(octets[8:12], sys.byteorder)
        yield octets[16:16 + n]
        octets = octets[16 + n:]


def test_frames_with_tags_are_seen(lab, smtp, watcher, tmp_path):
    """802.1ad outside of 802.1Q: the outer tag is gone before the kernel filters, the inner one is not."""
    tcpdump = Tcpdump(lab.client, "eth0", tmp_path / "a.pcap")
    mail(lab)
    tcpdump.stop()
    live = watcher(lab.client, "eth0")
    with lab.gateway.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as wire:
        wire.bind(("outside", 0))
        for frame in frames_of(tmp_path / "a.pcap"):
            if len(frame) <= 1500:  # what the link takes with two tags, but not what is offloaded
                wire.send(frame[:12] + b"\x88\xa8\0\7\x81\0\0\x08" + frame[12:])
    records = live.stop()
    assert [r["smtp"]["mail_from"] for r in records if r["event_type"] == "smtp"] == \
        ["<anna@good.example>"]


def test_any_device(lab, smtp, watcher):
    live = watcher(lab.client, "any")
    mail(lab)
    assert [r["event_type"] for r in live.stop()].count("smtp") == 1


def test_filter_narrows(lab, smtp, fake_ftp, watcher):
    fake_ftp(files={"a.bin": FILE})
    live = watcher(lab.client, "eth0", "--filter", "port 25 or port 26")
    file_transfer(lab)
    mail(lab)
    assert {r["app_proto"] for r in without_stats(live.stop())} == {"smtp"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_key_log_that_grows(lab, theirs, watcher, tmp_path, version):
    """The client writes its secrets down while it is watched; the watcher has the file open."""
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    context = client_context()
    context.minimum_version = context.maximum_version = version
    context.keylog_filename = str(keys)
    server = FakeServer(lab.server, L.FAKE, 25, ehlo=(*EHLO, "STARTTLS"),
                        replies={"STARTTLS": starttls_reply(theirs.server_context())})
    try:
        live = watcher(lab.client, "eth0", "--keylog", keys)
        with RawClient(lab.client, L.FAKE) as client:
            client.hello()
            assert client.cmd("STARTTLS").code == 220
            client.sock = context.wrap_socket(client.sock)
            assert client.cmd("EHLO inside.good.example").code == 250
            client.envelope("inside@good.example")
            assert client.data(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n").code == 250
            assert client.cmd("QUIT").code == 221
        records = live.stop()
    finally:
        server.close()
    sender, = [r["smtp"]["mail_from"] for r in records if r["event_type"] == "smtp"]
    assert sender == "<inside@good.example>"
    assert [r["fileinfo"]["filename"] for r in records if r["event_type"] == "fileinfo"] == ["../../x"]


# ---- its end ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_a_session(lab, smtp, watcher, number):
    """What was seen is recorded, to the last segment ahead of the signal."""
    live = watcher(lab.client, "eth0")
    with RawClient(lab.client, L.FAKE) as client:
        client.hello()
        client.envelope("first@good.example")
        records = live.stop(number)
        assert live.process.returncode == 0
    sender, = [r["smtp"]["mail_from"] for r in records if r["event_type"] == "smtp"]
    assert sender == "<first@good.example>"
    assert [r["event_type"] for r in without_stats(records)][-1] == "flow"
    assert len(stats(records)) == 1


def test_records_come_while_it_watches(lab, smtp, watcher):
    live = watcher(lab.client, "eth0")
    os.set_blocking(live.process.stdout.fileno(), False)
    mail(lab)
    got = b""

    def has_flow():
        nonlocal got
        got += live.process.stdout.read() or b""
        return b'"event_type":"flow"' in got

    L.wait_for(has_flow, 5, "the session's records")
    live.tell(signal.SIGTERM)


def test_reader_that_goes(lab, smtp, watcher):
    """Nobody reads the records any more: it ends, and says so."""
    live = watcher(lab.client, "eth0")
    live.process.stdout.close()
    mail(lab)
    assert live.process.wait(timeout=10) == 1
    assert "standard output: Broken pipe" in live.process.stderr.read().decode()


def test_device_that_goes(lab, watcher):
    lab.client.ip("link add gone type veth peer name gone-too", "link set gone up",
                  "link set gone-too up")
    live = watcher(lab.client, "gone")
    lab.client.ip("link del gone")
    records = live.stop(None)
    assert live.process.returncode == 1
    assert "postern watch: gone: " in live.stderr.splitlines()[-1]
    assert records[-1]["event_type"] == "stats"


def test_counts_on_request(lab, smtp, watcher):
    live = watcher(lab.client, "eth0")
    mail(lab)
    live.tell(signal.SIGUSR1)
    line = live.process.stderr.readline().decode()
    assert re.fullmatch(r"postern watch: eth0: \d+ frames, 0 lost for want of room, 0 lost by the device; "
                        r"\d+ connections, \d+ sessions, \d+ records\n", line), line
    assert int(re.search(r"(\d+) frames", line).group(1)) > 20
    live.tell(signal.SIGTERM)


# ---- what was lost ----


def flood(lab, seconds=2.0):
    """Octets as fast as they go, in an FTP session's place: all of them are wanted."""
    listener = lab.server.tcp()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((L.FAKE, 2100))
    listener.listen(1)
    sender = lab.client.tcp()
    sender.connect((L.FAKE, 2100))
    taker, _ = listener.accept()
    taker.setblocking(False)
    piece, end = b"x" * 65536, time.monotonic() + seconds
    with listener, sender, taker:
        sender.setblocking(False)
        while time.monotonic() < end:
            for move in (lambda: sender.send(piece), lambda: taker.recv(1 << 20)):
                try:
                    move()
                except BlockingIOError:
                    pass


def test_X_008_lost_frames_are_told(lab, watcher):
    """The smallest buffer, and a watcher that stands still while octets go by."""
    live = watcher(lab.client, "eth0", "--buffer", "1")
    live.tell(signal.SIGSTOP)
    flood(lab)
    live.tell(signal.SIGCONT)
    time.sleep(1.5)
    records = live.stop()
    counts = stats(records)
    assert len(counts) >= 2  # when it grew, and at the end
    assert counts[0]["kernel_drops"] > 0
    assert counts[-1]["kernel_packets"] > counts[-1]["kernel_drops"] >= counts[0]["kernel_drops"]
    assert all(c["device"] == "eth0" and c["kernel_ifdrops"] == 0 for c in counts)


def test_X_008_nothing_lost_is_told_at_the_end(lab, smtp, watcher):
    live = watcher(lab.client, "eth0")
    mail(lab)
    counts, = stats(live.stop())
    assert counts["kernel_drops"] == 0 and counts["kernel_packets"] > 20


# ---- what it may do ----


def test_privileges_are_gone(lab, watcher):
    live = watcher(lab.client, "eth0")
    status = dict(re.findall(r"^(\w+):[ \t]*(.*?)\s*$", Path(f"/proc/{live.process.pid}/status").read_text(),
                             re.MULTILINE))
    assert 0 not in map(int, status["Uid"].split() + status["Gid"].split())
    assert {status[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"]) == ("1", "2", "")


def test_promiscuous_only_on_request(lab, watcher):
    def promiscuity():
        link, = json.loads(lab.client.output("ip", "-j", "-d", "link", "show", "eth0"))
        return link["promiscuity"]

    before = promiscuity()
    live = watcher(lab.client, "eth0")
    assert promiscuity() == before
    live.stop()
    live = watcher(lab.client, "eth0", "--promiscuous")
    assert promiscuity() == before + 1
    live.stop()
    assert promiscuity() == before


@pytest.mark.parametrize("argv, code, says", [
    (["-i", "nosuch"], 1, r"postern watch: nosuch: there is no such device\n"
                          r"postern watch: there are: .*eth0"),
    (["-i", "eth0", "--filter", "tcp) or (udp"], 1, r"postern watch: eth0: --filter: "),
    ([], 2, r"postern watch: names no device: -i DEVICE"),
    (["-i", "eth0", "file"], 2, r"postern watch: takes options alone"),
    (["-i", "eth0", "--buffer", "1025"], 2, r"postern watch: --buffer: a number of MiB from 1 to 1024"),
    (["-i", "eth0", "--resolve"], 2, r"postern watch: --resolve: "),
    (["-i", "eth0", "-c", "/nonexistent"], 2, r"/nonexistent: No such file"),
])
def test_wrong_use(lab, argv, code, says):
    got, out, err = run(lab.client, "watch", *argv)
    assert (got, out) == (code, "")
    assert re.match(says, err), err


def test_without_the_privilege(lab):
    done = subprocess.run(lab.client.command("setpriv", "--reuid", "65534", "--regid", "65534",
                                             "--clear-groups", POSTERN, "watch", "-i", "eth0"),
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "postern watch: eth0: may not be watched: that takes root, or CAP_NET_RAW" in done.stderr


# ---- --extract ----


def test_extract(lab, smtp, fake_ftp, watcher, tmp_path):
    """Files are made by a process that can open none to read, and belongs to nobody."""
    fake_ftp(files={"a.bin": FILE})
    tmp_path.chmod(0o755)
    live = watcher(lab.client, "eth0", "--extract", tmp_path / "out")
    mail(lab)
    file_transfer(lab)
    records = live.stop()
    part = b"0123456789abcdef\r\n" * 20000
    want = {hashlib.sha256(LETTER).hexdigest() + ".eml": LETTER,
            hashlib.sha256(FILE).hexdigest(): FILE,
            hashlib.sha256(b"..hello").hexdigest(): b"..hello",
            hashlib.sha256(part[:-2]).hexdigest(): part[:-2]}
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == want
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").iterdir()}
    assert (modes, stat.S_IMODE((tmp_path / "out").stat().st_mode)) == ({0o600}, 0o700)
    assert all(p.stat().st_uid != 0 for p in (tmp_path / "out").iterdir())
    stored = {r["fileinfo"]["sha256"]: r["fileinfo"]["stored"] for r in records
              if r["event_type"] == "fileinfo"}
    assert stored == {hashlib.sha256(FILE).hexdigest(): True,
                      hashlib.sha256(part[:-2]).hexdigest(): True}


def test_extract_where_it_may_not_write(lab, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "roots").mkdir(mode=0o755)
    code, out, err = run(lab.client, "watch", "-i", "eth0", "--extract", tmp_path / "roots")
    assert (code, out) == (1, "")
    assert f"{tmp_path}/roots: cannot make files in it: Permission denied" in err
