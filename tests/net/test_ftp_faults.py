"""
Transfers that break: resets and half-closes on either leg, stalls, peers that are not there, processes
that die. SECURITY cases F-037 to F-043; FIELD row F2. A cut transfer is never told to be complete,
and never looks whole at the server.
"""

import random
import socket
import threading
import time

import pytest

import lab as L
from ftp_peers import Refused
from ftp_servers import sha256
from lab import wait_for
from peers import RESET

MODES = ["tproxy", "forward"]
WAYS = ["PORT", "EPSV"]
BIG = random.Random(3).randbytes(1 << 20) * 8


def opened(gate, way="EPSV", **options):
    client = gate.client(**options)
    client.way = way
    return client.login().binary()


def outcome(gate, **wanted):
    record = gate.record("ftp_data", lambda r: wanted.items() <= r["ftp_data"].items())
    return record["ftp_data"]["outcome"]


def ended_badly(answer):
    assert answer.code in (425, 426, 450, 451, 550, 552), answer


def slowly(c, data, verb, name):
    """A server that sends for as long as anybody reads."""
    try:
        while True:
            data.send(b"x" * 10_000)
            time.sleep(0.01)
    except OSError:
        return b"426 the client went away\r\n"


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_resets_an_upload_F_037(fake_ftp, gateway, way):
    server = fake_ftp()
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("STOR up")
        data.send(BIG[:300_000])
        wait_for(lambda: server.files.get("up"), what="octets at the server")
        data.reset()
        ended_badly(client.reply())
        assert client.cmd("NOOP").code == 200
    wait_for(lambda: len(server.data_peers) == 1, what="the transfer")
    assert "up" not in server.whole
    assert outcome(gate, command="STOR") == "cut"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_resets_a_download_F_037(fake_ftp, gateway, way):
    def half(c, data, verb, name):
        data.send(BIG[:300_000])
        time.sleep(0.2)
        data.reset()
        return b"226 done\r\n"  # it says so all the same

    server = fake_ftp(transfer=half)
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR down")
        with pytest.raises(RESET):
            while data.sock.recv(1 << 16):
                pass
        ended_badly(client.reply())
        assert client.cmd("NOOP").code == 200
    assert outcome(gate, command="RETR") == "cut"


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves_a_download_F_037(fake_ftp, gateway, way):
    server = fake_ftp(transfer=slowly)
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR down")
        data.exactly(30_000)
        data.reset()
        ended_badly(client.reply())
        assert client.cmd("NOOP").code == 200
    assert outcome(gate, command="RETR") == "cut"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_resets_an_upload(fake_ftp, gateway, way):
    def full(c, data, verb, name):
        data.exactly(100_000)
        data.reset()
        return b"552 disk full\r\n"

    server = fake_ftp(transfer=full)
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("STOR up")
        with pytest.raises(OSError):
            while True:
                data.send(BIG)
        answer = client.reply()
        assert answer.code == 552, answer  # the server's own reason
        assert client.cmd("NOOP").code == 200
    assert outcome(gate, command="STOR") in ("cut", "failed")


@pytest.mark.parametrize("way", WAYS)
def test_half_a_close_is_the_end_of_an_upload(fake_ftp, gateway, way):
    """The client has nothing more to send and still listens: all of it arrives."""
    server = fake_ftp()
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("STOR up")
        data.send(BIG)
        data.finish()
        assert client.reply().code == 226
        assert data.rest(5) == b""
    assert server.files["up"] == BIG and "up" in server.whole


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_closes_its_sending_side_during_a_download(fake_ftp, gateway, way):
    """Which says nothing: it has nothing to send."""
    server = fake_ftp(files={"down": BIG})
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR down")
        data.finish()
        assert sha256(data.rest()) == sha256(BIG)
        assert client.reply().code == 226
    assert outcome(gate, command="RETR") == "complete"


def test_octets_the_wrong_way(fake_ftp, gateway):
    server = fake_ftp(files={"down": b"hello"})
    gate = gateway(server)
    with opened(gate) as client:
        data, _ = client.begin("RETR down")
        data.send(b"I speak too")
        data.finish()
        data.rest()
        client.reply()
        assert client.cmd("NOOP").code == 200
    assert not server.whole


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("late", ["reply", "data"])
def test_last_reply_and_end_of_data_in_either_order_F_043(fake_ftp, gateway, way, late):
    """The client hears 226 only when it has all octets."""
    def send(c, data, verb, name):
        if late == "data":
            c.send(b"226 done\r\n")
            time.sleep(0.3)
        data.send(BIG[:200_000])
        data.close()
        if late == "reply":
            time.sleep(0.3)
            c.send(b"226 done\r\n")
        return b""

    server = fake_ftp(transfer=send)
    server.answer_original = server.answer
    server.answer = lambda c, key, line, usual: usual if key == "done" else \
        server.answer_original(c, key, line, usual)
    gate = gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR down")
        if late == "data":
            time.sleep(0.15)
            assert not client.pending and client.silent(0.05)
        assert data.rest() == BIG[:200_000]
        assert client.reply().code == 226
    assert outcome(gate, command="RETR") == "complete"


def test_an_active_client_that_cannot_be_reached(fake_ftp, gateway):
    server = fake_ftp(files={"a": b"hello"})
    gate = gateway(server)
    with opened(gate, "PORT") as client:
        listener = client.listen()
        assert client.port(listener).code == 200
        listener.close()
        answer = client.cmd("RETR a")
        assert answer.code == 425, answer
        assert client.cmd("NOOP").code == 200  # nothing of the server's is left over
        assert client.get("RETR a") == b"hello"
    assert outcome(gate, command="RETR") != "complete"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_whose_data_port_is_closed(fake_ftp, gateway, way):
    def closed(c, listener):
        to = listener.getsockname()
        listener.close()
        return to[:2]

    server = fake_ftp(files={"a": b"hello"}, passive=closed)
    server.replies["RETR"] = b"425 cannot open data connection\r\n"
    gate = gateway(server)
    with opened(gate, way) as client:
        with pytest.raises(Refused) as refused:
            client.begin("RETR a")
        assert refused.value.reply.code in (425, 426)
        assert client.cmd("NOOP").code == 200


@pytest.mark.parametrize("way", WAYS)
def test_control_that_closes_takes_data_along_F_041(fake_ftp, gateway, way):
    server = fake_ftp()
    gate = gateway(server)
    client = opened(gate, way)
    data, _ = client.begin("STOR up")
    data.send(BIG[:100_000])
    wait_for(lambda: server.files.get("up"), what="octets at the server")
    client.reset()
    wait_for(lambda: server.ended(), what="the server's end")
    data.sock.settimeout(5)
    with pytest.raises(OSError):
        while True:
            data.sock.sendall(b"x" * 1000)
            time.sleep(0.01)
    assert "up" not in server.whole
    assert outcome(gate, command="STOR") != "complete"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("verb", ["RETR", "STOR"])
def test_a_stalled_transfer_is_cut_F_040(fake_ftp, gateway, way, verb):
    def stall(c, data, verb, name):
        data.send(b"x" * 1000)
        try:
            data.sock.settimeout(10)
            return b"226 done\r\n" if data.sock.recv(1) == b"" else b"226 done\r\n"
        except OSError:
            return b"426 cut\r\n"

    server = fake_ftp(**({"transfer": stall} if verb == "RETR" else {}))
    gate = gateway(server, ftp={"timeouts": {"data_idle": 1}})
    with opened(gate, way) as client:
        data, _ = client.begin(f"{verb} a")
        if verb == "STOR":
            data.send(b"x" * 1000)
        answer = client.reply(6)
        assert answer.code in (421, 426), answer
    assert "a" not in server.whole
    assert outcome(gate, command=verb) == "cut"


@pytest.mark.parametrize("mode", ["tproxy"])
def test_control_lives_through_long_transfers_F_039(fake_ftp, gateway, mode):
    """Longer than the time in which a client has to give its next command; no NOOP of our own."""
    def trickle(c, data, verb, name):
        for _ in range(24):
            data.send(b"x" * 100)
            time.sleep(0.5)

    server = fake_ftp(transfer=trickle)
    gate = gateway(server, ftp={"timeouts": {"command": 10, "data_idle": 3}})
    with opened(gate) as client:
        data, _ = client.begin("RETR long")
        assert len(data.rest(20)) == 2400
        assert client.reply().code == 226
        assert client.cmd("NOOP").code == 200
    assert "NOOP" not in server.conversations[0].verbs()[:-1]


def test_commands_during_a_transfer(fake_ftp, gateway):
    """STAT and NOOP go ahead; the others wait for its end."""
    released = threading.Event()

    def wait(c, data, verb, name):
        threading.Thread(target=listen_in, args=(c,), daemon=True).start()
        released.wait(10)
        data.send(b"hello")

    def listen_in(c):
        while not released.is_set():
            line = c.command()
            c.send(b"211 sending\r\n" if line[:4] == b"STAT" else b"200 ok\r\n")
            if line[:4] == b"NOOP":
                released.set()

    server = fake_ftp(transfer=wait)
    gate = gateway(server)
    with opened(gate) as client:
        data, _ = client.begin("RETR a")
        assert client.cmd("STAT").code == 211
        client.send("NOOP\r\nPWD\r\n")
        assert client.reply().code == 200
        assert data.rest() == b"hello"
        assert client.reply().code == 226
        assert client.reply().code == 257


# ---- sudden death ----


class Upload:
    """An upload that is under way, and goes on until it breaks."""

    def __init__(self, gate, way, name="up"):
        self.client = opened(gate, way)
        self.data, _ = self.client.begin(f"STOR {name}")
        self.data.send(BIG[:1 << 20])
        self.going = threading.Thread(target=self._go, daemon=True)
        self.going.start()

    def _go(self):
        try:
            while True:
                self.data.sock.sendall(b"x" * 10_000)
                time.sleep(0.005)
        except OSError:
            pass

    def stop(self):
        """What nothing breaks."""
        self.data.sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self):
        self.going.join(10)
        assert not self.going.is_alive()
        self.data.close()
        self.client.close()


DEATHS = {"worker": lambda gate: gate.kill_worker(), "supervisor": lambda gate: gate.kill()}


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "spliced"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("death", DEATHS)
def test_kill_9_in_the_middle_of_an_upload_F_038(fake_ftp, gateway, death, way, inspect):
    server = fake_ftp()
    gate = gateway(server, ftp={"inspect": inspect, "server_data": "passive"})
    upload = Upload(gate, way)
    wait_for(lambda: len(server.files.get("up", b"")) > 500_000, what="octets at the server")
    DEATHS[death](gate)
    broken = wait_for(lambda: getattr(server.conversations[0], "over", False) or
                      server.conversations[0].commands, what="the server's end")
    assert broken
    if gate.transparent and way == "EPSV" and not inspect:
        there = len(server.files["up"])  # let by the gateway, it goes on without it
        wait_for(lambda: len(server.files["up"]) > there, what="more")
        upload.stop()
        return
    upload.close()
    server.ended()
    assert "up" not in server.whole


@pytest.mark.parametrize("death", DEATHS)
def test_kill_9_leaves_no_whole_file_at_a_real_server_F_038(perimeter, ftp_server, guarded, death):
    """By ProFTPD's own log: "i", incomplete."""
    server = ftp_server("proftpd")
    log = server.dir / "xferlog"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    gate = guarded(server)
    upload = Upload(gate, "PORT")
    wait_for(lambda: server.path("up").exists() and server.path("up").stat().st_size > 500_000,
             what="octets at the server")
    DEATHS[death](gate)
    upload.close()
    line = wait_for(lambda: log.read_text().splitlines()[before:], what="the server's log")[0]
    assert "/up" in line and line.split()[-1] == "i", line


@pytest.mark.parametrize("way", WAYS)
def test_kill_9_in_the_middle_of_a_download_F_038(fake_ftp, gateway, way):
    server = fake_ftp(transfer=slowly)
    gate = gateway(server)
    client = opened(gate, way)
    data, _ = client.begin("RETR down")
    data.exactly(30_000)
    gate.kill_worker()
    data.sock.settimeout(5)
    with pytest.raises(OSError):  # and no end that looks like one
        while data.sock.recv(1 << 16):
            pass
    client.close()


def test_other_sessions_of_another_worker_live_F_038(fake_ftp, gateway):
    server = fake_ftp(files={"a": b"hello"})
    gate = gateway(server, workers=2)
    clients = [opened(gate) for _ in range(12)]
    victim = gate.workers()[0]
    owners = [wait_for(lambda c=c: gate.owner(c), what="an owner") for c in clients]
    safe = [c for c, owner in zip(clients, owners) if owner != victim]
    assert safe
    gate.kill_worker()
    for client in safe:
        assert client.get("RETR a") == b"hello"
    with opened(gate) as client:  # and new ones begin
        assert client.get("RETR a") == b"hello"
    for client in clients:
        client.close()


@pytest.mark.parametrize("way", WAYS)
def test_reload_during_a_transfer(fake_ftp, gateway, way):
    """The old generation finishes it; new sessions meet the new configuration."""
    go = threading.Event()

    def wait(c, data, verb, name):
        data.send(BIG)
        go.wait(20)
        data.send(BIG)

    server = fake_ftp(transfer=wait)
    gate = gateway(server, drain=20)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR down")
        data.exactly(1000)
        gate.configure(drain=20, ftp={"deny": ["SYST"]})
        gate.reload()
        with opened(gate, way) as newer:
            assert newer.cmd("SYST").code == 502
        go.set()
        assert len(data.rest(30)) == 2 * len(BIG) - 1000
        assert client.reply().code == 226
        assert client.cmd("SYST").code == 215


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_reader_does_not_fill_the_gateway(fake_ftp, gateway, way):
    """Back-pressure: what is not read stays at the server."""
    sent = [0]

    def endless(c, data, verb, name):
        try:
            while sent[0] < 1 << 30:
                sent[0] += data.sock.send(BIG)
        except OSError:
            return b"426 cut\r\n"

    server = fake_ftp(transfer=endless)
    gate = gateway(server)
    with opened(gate, way) as client:
        since = gate.memory("VmRSS")
        data, _ = client.begin("RETR down")
        data.exactly(1000)
        time.sleep(1)
        stopped = sent[0]
        assert stopped < 64 << 20
        time.sleep(0.3)
        assert sent[0] - stopped < 4 << 20
        assert gate.grew(since) < 8 << 20
        data.reset()
