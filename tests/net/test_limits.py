"""Limits and floods: SECURITY cases S-070 to S-077, A-014, A-015, A-016, A-017, A-018, R-037."""

import socket
import threading
import time

import pytest

import lab as L
from lab import wait_for
from peers import Closed

MODES = ["forward", "tproxy"]


def test_too_many_recipients_S_070(fake, gateway):
    server = fake()
    gate = gateway(server, smtp={"recipients": 100})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        lines = b"".join(b"RCPT TO:<u%d@campus.example>\r\n" % i for i in range(101))
        client.send(lines)
        codes = [client.reply() for _ in range(101)]
        assert all(answer.code == 250 for answer in codes[:100])
        assert codes[100].is_(452, "4.5.3")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails[0].recipients) == 100


def test_too_many_errors_S_071(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        codes = []
        try:
            for i in range(30):
                codes.append(client.cmd(f"RCPT TO:<x{i}@evil.example>"))
        except (Closed, OSError):
            pass
        assert codes[-1].is_(421, "4.7.0"), codes[-1]
        assert 15 <= len(codes) <= 21
        assert all(answer.code == 550 for answer in codes[:-1])


@pytest.mark.parametrize("line", ["NOOP", "RSET", "VRFY otto", "HELP"])
def test_too_many_idle_commands_S_072(fake, gateway, line):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        count = 0
        while count < 130:
            answer = client.cmd(line)
            count += 1
            if answer.code == 421:
                break
        assert answer.is_(421, "4.7.0"), answer
        assert 100 < count <= 125
        assert client.closed()


LABEL = "d" * 63
LONGEST = {
    "local-64": ("l" * 64 + "@campus.example", 250),
    "local-65": ("l" * 65 + "@campus.example", 501),
    # 254 octets between the brackets: 256 with them (RFC 5321 s4.5.3.1.3)
    "path-256": ("l" * 46 + f"@{LABEL}.{LABEL}.{LABEL}." + "campus.example", 250),
    "path-257": ("l" * 48 + f"@{LABEL}.{LABEL}.{LABEL}." + "campus.example", 501),
    "domain-256": (f"l@{LABEL}.{LABEL}.{LABEL}." + "d" * 49 + ".campus.example", 501),
    "label-64": ("l@" + "d" * 64 + ".campus.example", 501),
}


@pytest.mark.parametrize("address,code", LONGEST.values(), ids=LONGEST.keys())
def test_long_addresses_S_073(fake, gateway, address, code):
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        answer = client.cmd(f"RCPT TO:<{address}>")
        assert answer.is_(code, "5.1.3" if code == 501 else None), answer


@pytest.mark.parametrize("size,code,enhanced", [
    ("99999999999999999999", 501, "5.5.4"), ("x", 501, "5.5.4"), ("-1", 501, "5.5.4"),
    ("100001", 552, "5.3.4"), ("100000", 250, None)])
def test_declared_size_S_074(fake, gateway, size, code, enhanced):
    gate = gateway(fake(), smtp={"message_size": 100000})
    with gate.client() as client:
        assert "SIZE 100000" in client.hello().text
        assert client.cmd(f"MAIL FROM:<anna@good.example> SIZE={size}").is_(code, enhanced)


def test_undeclared_size_S_075(fake, gateway):
    server = fake()
    gate = gateway(server, smtp={"message_size": 100000})
    with gate.client() as client:
        client.hello()
        client.envelope()
        body = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 12000
        assert client.data(body + b".\r\n").is_(552, "5.3.4")
        assert client.cmd("NOOP").code == 421
    assert len(server.ended().received) < 110_000
    assert not server.mails


def test_size_exactly_at_the_limit_S_075(fake, gateway):
    server = fake()
    gate = gateway(server, smtp={"message_size": 100000})
    body = (b"Subject: x\r\n\r\n" + b"01234567\r\n" * 10000)[:99998] + b"\r\n"
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(body + b".\r\n").code == 250
    assert len(server.mails[0].content) == 100000


@pytest.mark.parametrize("hops,code", [(100, 250), (101, 554)])
def test_mail_loop_S_076(fake, gateway, hops, code):
    server = fake()
    gate = gateway(server)
    header = b"".join(b"Received: from h%d by h\r\n" % i for i in range(hops))
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(header + b"Subject: x\r\n\r\nReceived: not one\r\n.\r\n")
        assert answer.is_(code, "5.4.6" if code == 554 else None), answer
    assert len(server.mails) == (1 if code == 250 else 0)


def test_endless_header(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b"X-More: 0123456789\r\n" * 60_000 + b"\r\nx\r\n.\r\n")
        assert answer.is_(550, "5.6.0"), answer
    assert not server.mails


@pytest.mark.parametrize("key", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_slow_server_is_waited_for_S_077(fake, gateway, key):
    server = fake(replies={key: lambda c, line: time.sleep(1.5)})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250


def test_timeouts_below_the_rfc_are_no_configuration_S_077(fake, gateway):
    with pytest.raises(L.LabError, match="timeouts"):
        gateway(fake(), smtp={"timeouts": {"data_end": 60}})


def test_sessions_per_client_A_015(fake, gateway):
    gate = gateway(fake(), limits={"sessions_per_client": 3})
    clients = [gate.client() for _ in range(3)]
    for client in clients:
        client.hello()
    with gate.client() as fourth:
        assert fourth.reply().is_(421, "4.7.0")
        assert fourth.closed()
    with gate.client(L.CLIENT_OTHER) as other:
        other.hello()
    clients.pop().close()

    def again():
        with gate.client() as client:
            return client.reply().code == 220

    wait_for(again, what="room for another session", interval=0.1)
    for client in clients:
        client.close()


def test_sessions_per_client_by_prefix_A_015(fake, gateway):
    six = fake(L.FAKE6)
    gate = gateway(fake(), to6=(six.address, six.port), limits={"sessions_per_client": 1})
    with gate.client(v6=True) as first:
        first.hello()
        with gate.client(L.OUTSIDE6 + "3", v6=True) as second:  # the same /64
            assert second.reply().is_(421, "4.7.0")


def test_sessions_in_total_A_015(fake, gateway):
    gate = gateway(fake(), limits={"sessions": 5})
    clients = [gate.client() for _ in range(5)]
    for client in clients:
        client.hello()
    with gate.client(L.CLIENT_OTHER) as sixth:
        # told so, or left waiting for room: never a hang of those inside
        try:
            assert sixth.reply(1).code == 421
        except (TimeoutError, socket.timeout):
            pass
        assert clients[0].cmd("NOOP").code == 250
    for client in clients:
        client.close()


def test_idle_clients_under_pressure_A_014(fake, gateway):
    """Nearly full: who says nothing makes room, who works stays."""
    gate = gateway(fake(), limits={"sessions": 4, "pressure": 50, "pressed_timeout": 1})
    idle = [gate.client() for _ in range(3)]
    for client in idle:
        client.hello()
    with gate.client(L.CLIENT_OTHER) as busy:
        busy.hello()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert busy.cmd("NOOP").code == 250
            time.sleep(0.3)
    assert any(client.rest(5).startswith(b"421 ") for client in idle)
    for client in idle:
        client.close()


def test_connects_that_wait_A_015(gateway):
    """A server that does not answer must not let one client take everything."""
    gate = gateway((L.NOBODY_THERE, 25), limits={"pending_connects_per_client": 3,
                                                 "connect_timeout": 3})
    waiting = [gate.client() for _ in range(3)]
    began = time.monotonic()
    with gate.client() as fourth:
        assert fourth.reply().code == 421
        assert time.monotonic() - began < 1
    for client in waiting:
        assert client.reply().is_(421, "4.4.1")
        client.close()


@pytest.mark.parametrize("mode", ["forward"])
def test_descriptor_limit_A_016(fake, gateway):
    gate = gateway(fake(), nofile=64, limits={"sessions_per_client": 1000})
    with gate.client() as old:
        old.hello()
        flood = []
        for _ in range(80):
            client = gate.client()
            flood.append(client)
        before, began = gate.cpu(), time.monotonic()
        for _ in range(5):
            assert old.cmd("NOOP").code == 250
            time.sleep(0.2)
        busy = (gate.cpu() - before) / (time.monotonic() - began)
        assert busy < 0.5, f"spins at the descriptor limit: {busy:.0%} of a core"
        for client in flood:
            client.close()
        assert old.cmd("NOOP").code == 250

    def serves():
        try:
            with gate.client(timeout=1) as client:
                return client.reply().code == 220
        except (OSError, Closed):
            return False

    wait_for(serves, what="service after the flood", interval=0.1)


def pour(client, octets, result):
    """Sends octets of message lines in a thread; result gets how many went out."""
    line = (b"x" * 998 + b"\r\n") * 64
    sent = 0
    try:
        client.sock.sendall(b"Subject: much\r\n\r\n")
        while sent < octets:
            client.sock.sendall(line)
            sent += len(line)
            result[0] = sent
        client.sock.sendall(b".\r\n")
    except OSError:
        result[0] = sent


def test_back_pressure_A_018(fake, gateway):
    """
    30 MB to a server that does not read: the sender is stopped, memory stays flat. The kernel's
    own buffers on the way take up to some 10 MB.
    """
    size = 30_000_000
    go = threading.Event()

    def lazy(c):
        c.send(b"220 lazy ESMTP\r\n")
        for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            c.command()
            c.send(answer)
        go.wait(20)
        c.until(b"\r\n.\r\n")
        c.send(b"250 got it\r\n")
        c.rest()

    server = fake(script=lazy, rcvbuf=65536)
    gate = gateway(server)
    with gate.client(timeout=30) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.hello()
        client.envelope()
        before = gate.memory("VmRSS")
        assert client.cmd("DATA").code == 354
        sent = [0]
        sender = threading.Thread(target=pour, args=(client, size, sent))
        sender.start()
        quiet = [0, 0.0]

        def stalled():
            if sent[0] != quiet[0]:
                quiet[:] = sent[0], time.monotonic()
            return quiet[1] and time.monotonic() - quiet[1] > 0.5

        wait_for(stalled, what="the sender to be stopped")
        assert sent[0] < size - 1_000_000, "the whole message went into somebody's memory"
        assert gate.grew(before) < 4 << 20
        cpu = gate.cpu()
        time.sleep(0.5)
        assert gate.cpu() - cpu < 0.2, "spins while it waits"
        go.set()
        assert client.reply().text == "250 got it"
        sender.join()
        assert gate.grew(before) < 4 << 20


def test_slow_client_stops_the_server_A_018(fake, gateway):
    """The other direction: a client that does not read its replies."""
    flood = b"".join(b"250-%04d %s\r\n" % (i, b"y" * 400) for i in range(100)) + b"250 end\r\n"
    server = fake(replies={"NOOP": flood})
    gate = gateway(server, smtp={"junk_commands": 10000})
    with gate.client(rcvbuf=4096) as client:
        client.hello()
        before = gate.memory("VmRSS")
        client.sock.settimeout(1)
        try:
            for _ in range(5000):
                client.sock.sendall(b"NOOP\r\n" * 10)
        except (TimeoutError, OSError):
            pass
        assert gate.grew(before) < 8 << 20


def test_half_close_after_quit_A_018(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(b"DATA\r\n")
        assert client.reply().code == 354
        client.send(b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
        client.finish()
        assert client.reply().code == 250
        assert client.reply().code == 221
        assert client.closed()
    assert len(server.mails) == 1


def test_many_streams_in_bounded_memory_A_017(fake, gateway):
    server = fake()
    gate = gateway(server)
    clients, threads, size = [], [], 2_000_000
    for _ in range(20):
        client = gate.client(timeout=30)
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        clients.append(client)
    before = gate.memory("VmRSS")
    for client in clients:
        threads.append(threading.Thread(target=pour, args=(client, size, [0])))
        threads[-1].start()
    for thread, client in zip(threads, clients):
        thread.join()
        assert client.reply().code == 250
        client.close()
    assert len(server.mails) == 20
    # 256 KiB for a session is promised
    assert gate.grew(before) < 20 * (256 << 10) + (2 << 20)


def test_relay_attempts_without_end_R_037(fake, gateway):
    gate = gateway(fake(), limits={"refusals": 10, "refusal_window": 60, "block": 2})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        for i in range(10):
            assert client.cmd(f"RCPT TO:<x{i}@evil.example>").code in (550, 421)
    with gate.client() as client:
        assert client.reply().is_(421, "4.7.0")
        assert client.closed()
    with gate.client(L.CLIENT_OTHER) as other:
        other.hello()

    def forgiven():
        with gate.client() as client:
            return client.reply().code == 220

    wait_for(forgiven, what="the end of the block", interval=0.3)
