"""
Data connections to somebody else, replies and commands in disguise, and who must never see them.
SECURITY cases F-001 to F-020, F-023, F-025, F-026, F-042, F-045, F-047 to F-049; FIELD rows F5, F8, F9, F23.
"""

import re
import select
import socket
import time

import pytest

import lab as L
from ftp_peers import data_listener, endpoint_of, host_port, taken

MODES = ["tproxy", "forward"]
PORT, EPRT, PASV, EPSV = "PORT", "EPRT", "PASV", "EPSV"
VICTIM = L.CLIENT_OTHER  # a third host


def opened(gate, way=EPSV, **options):
    client = gate.client(**options)
    client.way = way
    return client.login().binary()


def verbs(server, n=0):
    return server.conversations[n].verbs()


@pytest.fixture
def server(fake_ftp):
    return fake_ftp(files={"a": b"hello"})


# ---- bounce: addresses of PORT and EPRT ----


BOUNCES = {
    "another_address": ("PORT " + host_port(VICTIM, 5000), 500),
    "smtp_of_another": ("PORT " + host_port(VICTIM, 25), 500),
    "loopback": ("PORT 127,0,0,1,20,1", 500),
    "the_server_itself": ("PORT " + host_port(L.FAKE, 25), 500),
    "the_gateway_F_045": ("PORT " + host_port(L.GATEWAY, 5000), 500),
    "extended": (f"EPRT |1|{VICTIM}|5000|", 500),
    "extended_v6": ("EPRT |2|2001:db8:100::3|5000|", 500),
    "v4_in_v6": (f"EPRT |2|::ffff:{VICTIM}|5000|", 500),
}


@pytest.mark.parametrize("what", BOUNCES)
def test_bounce_F_001_F_048_F9(lab, server, gateway, what):
    line, code = BOUNCES[what]
    gate = gateway(server)
    with opened(gate) as client, data_listener(lab.client, VICTIM, 5000) as victim:
        answer = client.cmd(line)
        assert answer.code in (code, 501, 522), answer
        assert client.cmd("RETR a").code == 425
        victim.settimeout(0.2)
        with pytest.raises(socket.timeout):
            victim.accept()
    assert not {"PORT", "EPRT", "PASV", "EPSV", "RETR"} & set(verbs(server))
    gate.anomaly("ftp_bounce" if answer.code == 500 else "file_before_port")


@pytest.mark.parametrize("port", [0, 22, 1023])
def test_low_ports_F_002_F10(server, gateway, port):
    gate = gateway(server)
    with opened(gate) as client:
        answer = client.cmd("PORT " + host_port(client.here, port))
        assert answer.code in (501, 504), answer
        assert not {"PORT", "PASV", "EPSV"} & set(verbs(server))


def test_bounce_to_an_exempt_network_F9(lab, server, gateway):
    """ftp.fxp: between servers that the administrator knows."""
    gate = gateway(server, ftp={"fxp": [VICTIM]})
    with opened(gate) as client, data_listener(lab.client, VICTIM) as third:
        assert client.cmd("PORT " + host_port(*third.getsockname())).code == 200
        assert client.cmd("RETR a").code == 150
        with taken(third) as data:
            assert data.rest() == b"hello"
        assert client.reply().code == 226


@pytest.mark.parametrize("line", [
    "PORT 1,2,3", "PORT 1,2,3,4,5,256", "PORT 1,2,3,4,5,6,7", "PORT -1,2,3,4,5,6", "PORT 0x1f,2,3,4,5,6",
    "PORT 198, 51,100,2,20,1", "PORT", "PORT " + "9" * 300, "PORT 198.51.100.2.20.1",
    "EPRT |1|198.51.100.2|0|", "EPRT |1|198.51.100.2|65536|", "EPRT 1|198.51.100.2|5000|",
    "EPRT |1|198.51.100|5000|", "EPRT |3|198.51.100.2|5000|", "EPRT \x01" "1\x01198.51.100.2\x015000\x01",
    "EPRT |2|198.51.100.2|5000|", "EPRT"])
def test_addresses_that_cannot_be_read_F_003_F_004(server, gateway, line):
    gate = gateway(server)
    with opened(gate) as client:
        answer = client.cmd(line)
        assert answer.code in (501, 522), answer
        assert (answer.code == 522) == line.startswith("EPRT |3|")
        assert not {"PORT", "EPRT", "PASV", "EPSV"} & set(verbs(server))


def test_another_delimiter_of_EPRT_F_004(server, gateway):
    gate = gateway(server)
    with opened(gate) as client:
        listener = client.listen()
        here, port = listener.getsockname()
        assert client.cmd(f"EPRT !1!{here}!{port}!").code == 200
        assert client.cmd("RETR a").code == 150
        assert taken(listener).rest() == b"hello"


# ---- 227 and 229 of the server ----


def foreign(address):
    return lambda c, listener: (address, listener.getsockname()[1])


@pytest.mark.parametrize("way", [PORT, PASV])
@pytest.mark.parametrize("address", [VICTIM, "192.168.1.1", "127.0.0.1", "0.0.0.0"])
def test_a_227_that_leads_elsewhere_F_005_F8(fake_ftp, gateway, way, address):
    """The address is the control connection's, whatever the server says."""
    server = fake_ftp(files={"a": b"hello"}, passive=foreign(address), replies={"EPSV": b"500 no\r\n"})
    gate = gateway(server)
    with opened(gate, way) as client:
        if way == PASV:
            told = client.passive()
            assert told[0] == (L.FAKE if gate.transparent else L.GATEWAY)
            with client.connect(told) as data:
                assert client.cmd("RETR a").code == 150
                assert data.rest() == b"hello"
            assert client.reply().code == 226
        else:
            assert client.get("RETR a") == b"hello"
    gate.anomaly("ftp_foreign_address")


@pytest.mark.parametrize("way", [PORT, PASV])
def test_a_227_with_a_low_port_F_005(lab, fake_ftp, gateway, way):
    with data_listener(lab.server, L.FAKE, 1000) as low:
        server = fake_ftp(files={"a": b"hello"}, replies={
            "EPSV": b"500 no\r\n", "PASV": f"227 ok ({host_port(L.FAKE, 1000)})\r\n".encode()})
        gate = gateway(server)
        with opened(gate, way) as client:
            if way == PORT:
                listener = client.listen()
                answer = client.port(listener)
            else:
                answer = client.cmd(way)
            assert answer.code in (421, 425), answer
            assert client.closed(5) or client.cmd("NOOP")
            low.settimeout(0.2)
            with pytest.raises(socket.timeout):
                low.accept()
    gate.anomaly("ftp_bad_data_address")


FORMS = {
    "brackets": ("227 Entering Passive Mode ({})", True),
    "no_brackets": ("227 Entering Passive Mode {}", True),
    "just_numbers": ("227 {}", True),
    "full_stop": ("227 Entering Passive Mode ({}).", True),
    "two": ("227 ({}) ({})", False),
    "five_numbers": ("227 (10,25,0,28,5)", False),
    "too_large": ("227 (10,25,0,28,5,256)", False),
    "signs": ("227 (+10,25,0,28,5,5)", False),
    "nothing": ("227 Entering Passive Mode", False),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_227_F_006(fake_ftp, gateway, form):
    text, good = FORMS[form]
    replies = {"PASV": None, "EPSV": b"500 no\r\n"}
    server = fake_ftp(files={"a": b"hello"}, replies=replies)

    def told(c, listener):
        to = listener.getsockname()
        replies["PASV"] = server.replies["PASV"] = text.replace("{}", host_port(*to)).encode() + b"\r\n"
        return to

    server.passive = told
    gate = gateway(server)
    with opened(gate, PASV) as client:
        answer = client.cmd("PASV")
        if form == "two":
            # one reading or none, but the same for both sides
            good = answer.code == 227
        assert (answer.code == 227) == good, answer
        if good:
            with client.connect(endpoint_of(answer.text[4:])) as data:
                assert client.cmd("RETR a").code == 150
                assert data.rest() == b"hello"
        else:
            assert answer.code in (421, 425)


@pytest.mark.parametrize("text", ["229 (|||0|)", "229 (|||65536|)", "229 (|||h|)", "229 |||5000|", "229",
                                  "229 (|1|203.0.113.5|5000|)", "229 (||5000|)"])
def test_229_that_cannot_be_used_F_017(fake_ftp, gateway, text):
    server = fake_ftp(files={"a": b"hello"}, replies={"EPSV": text.encode() + b"\r\n"})
    gate = gateway(server)
    with opened(gate) as client:
        assert client.cmd("EPSV").code in (421, 425)
    gate.anomaly("ftp_bad_data_address")


def test_229_with_another_delimiter_F_017(fake_ftp, gateway):
    server = fake_ftp(files={"a": b"hello"})
    server.passive = lambda c, listener: server.replies.update(
        EPSV=f"229 ok (!!!{listener.getsockname()[1]}!)\r\n".encode()) or listener.getsockname()
    gate = gateway(server)
    with opened(gate) as client:
        assert client.get("RETR a") == b"hello"


@pytest.mark.parametrize("line,code", [("EPSV 1", 229), ("EPSV 2", 522), ("EPSV 3", 522), ("EPSV x", 501)])
def test_EPSV_with_a_family_F_017(server, gateway, line, code):
    gate = gateway(server)
    with opened(gate) as client:
        answer = client.cmd(line)
        assert answer.code == code, answer


@pytest.mark.parametrize("line", ["PASV", "PORT {}", "EPRT |1|{}|5000|"])
def test_after_EPSV_ALL_F_016(server, gateway, line):
    gate = gateway(server)
    with opened(gate) as client:
        assert client.cmd("EPSV ALL").code == 200
        answer = client.cmd(line.format(host_port(client.here, 5000) if "PORT" in line else client.here))
        assert 500 <= answer.code <= 599, answer
        assert client.get("RETR a") == b"hello"


@pytest.mark.parametrize("way", [PORT, PASV])
@pytest.mark.parametrize("cut", ["octets", 10, 30])
def test_replies_split_over_segments_F_007(fake_ftp, gateway, way, cut):
    server = fake_ftp(files={"a": b"hello"}, replies={"EPSV": b"500 no\r\n"})

    def in_pieces(c, line):
        text = f"227 Entering Passive Mode ({host_port(*c.told)})\r\n".encode()
        if cut == "octets":
            for i in range(len(text)):
                c.send(text[i:i + 1])
                time.sleep(0.002)
        else:
            c.send(text[:cut])
            time.sleep(0.05)
            c.send(text[cut:])
        return b"227"

    original = server.answer

    def answer(c, key, line, usual):
        if key == "PASV":
            c.told = endpoint_of(usual.decode()[4:])
            return in_pieces(c, line)
        return original(c, key, line, usual)

    server.answer = answer
    gate = gateway(server)
    with opened(gate, way) as client:
        assert client.get("RETR a") == b"hello"


@pytest.mark.parametrize("text", [
    b"550-x\r\n227 Entering Passive Mode (10,25,0,28,200,13)\r\n550 end\r\n",
    b"211-x\r\n227 Entering Passive Mode (10,25,0,28,200,13)\r\n211 end\r\n",
    b"220 227 Entering Passive Mode (10,25,0,28,0,22)\r\n"])
def test_a_227_inside_another_reply_F_008(lab, fake_ftp, gateway, text):
    server = fake_ftp(files={"a": b"hello"}, replies={"CWD": text})
    gate = gateway(server)
    with opened(gate) as client:
        answer = client.cmd("CWD /x")
        assert answer.code == int(text[:3])
        assert client.cmd("RETR a").code == 425
        if not gate.transparent:
            with pytest.raises(ConnectionRefusedError):
                client.connect((L.GATEWAY, 200 * 256 + 13), timeout=1)


def test_a_227_that_nobody_asked_for_F_009(fake_ftp, gateway):
    fake = b"227 Entering Passive Mode (10,25,0,28,200,13)\r\n"
    server = fake_ftp(files={"a": b"hello"}, replies={"CWD": fake, "NOOP": b"200 ok\r\n" + fake})
    gate = gateway(server)
    with opened(gate) as client:
        client.cmd("CWD /x")
        assert client.cmd("RETR a").code == 425
        assert client.cmd("NOOP").code == 200
        assert client.silent(0.2)
        assert client.cmd("SYST").code == 215  # its own reply, not what was left over
        assert client.cmd("RETR a").code == 425
    gate.anomaly()


# ---- commands and replies from the wrong side ----


@pytest.mark.parametrize("line", ["227 Entering Passive Mode (10,25,0,28,200,13)", "GET / HTTP/1.1",
                                  "POST /x HTTP/1.1", "EHLO x"])
def test_a_client_that_speaks_something_else_F_010_F_013(server, gateway, line):
    gate = gateway(server)
    with opened(gate) as client:
        client.send(line + "\r\nHost: x\r\n\r\nPORT 198,51,100,2,20,1\r\n")
        answer = client.reply()
        assert answer.code == 421, answer
        assert client.closed()
    assert set(verbs(server)) <= {"USER", "PASS", "TYPE", "QUIT"}
    gate.anomaly("ftp_spoofed_dialogue", "unknown_protocol")


def test_a_server_that_sends_commands_F_010(fake_ftp, gateway):
    server = fake_ftp(replies={"CWD": b"PORT 10,25,0,28,200,13\r\n250 ok\r\n"})
    gate = gateway(server)
    with opened(gate) as client:
        answer = client.cmd("CWD /x")
        assert b"PORT" not in client.received
        assert answer.code in (250, 421), answer
    gate.anomaly()


@pytest.mark.parametrize("octets", [b"RETR a\rPORT 1,2,3,4,5,6\r\n", b"RETR a\0b\r\n", b"RETR a\r\0b\r\n",
                                    b"RETR a\nDELE a\r\n"])
def test_more_than_a_command_in_one_F_011(server, gateway, octets):
    gate = gateway(server)
    with opened(gate) as client:
        client.passive()
        client.send(octets)
        answer = client.reply()
        assert answer.code in (500, 501), answer
        assert client.closed()
    assert not {"RETR", "PORT", "DELE"} & set(verbs(server))


def test_a_name_that_looks_like_a_command_F_011(fake_ftp, gateway):
    name = "a%0d%0aPORT 1,2,3,4,5,6"
    server = fake_ftp(files={name: b"hello"})
    gate = gateway(server)
    with opened(gate) as client:
        assert client.get(f"RETR {name}") == b"hello"
    assert "PORT" not in verbs(server)


def test_pipelined_commands_F_012(server, gateway):
    """In their order, one at a time at the server."""
    gate = gateway(server)
    with opened(gate) as client:
        client.send("NOOP\r\nPWD\r\nSYST\r\nPASV\r\nNOOP\r\n")
        assert [client.reply().code for _ in range(5)] == [200, 257, 215, 227, 200]


def test_too_many_pipelined_commands_F_012(fake_ftp, gateway):
    server = fake_ftp(replies={"CWD": lambda c, line: time.sleep(1.5)})
    gate = gateway(server, ftp={"pending": 20})
    with opened(gate) as client:
        client.send("CWD /x\r\n" + "NOOP\r\n" * 60)
        codes = [client.reply().code]
        while codes[-1] != 421:
            codes.append(client.reply().code)
        assert len(codes) <= 22
        assert client.closed()
    gate.anomaly("too_many_transactions")


def test_telnet_within_a_command_F_019_F23(server, gateway):
    gate = gateway(server)
    with opened(gate) as client:
        client.passive()
        client.send(b"RE\xff\xf1TR a\r\n")
        assert client.reply().code == 500
        client.send(b"CWD a\xff\xffb\r\n")  # one octet 255 in a name, doubled on the wire
        assert client.reply().code == 250
    assert b"CWD a\xff\xffb\r\n" in server.commands
    assert "RETR" not in verbs(server)
    gate.anomaly("evasive_telnet")


def test_synch_goes_to_the_server_F_018(fake_ftp, gateway):
    """IAC IP, IAC DM with urgent data in front of ABOR, during a transfer."""
    urgent = []

    def endless(c, data, verb, name):
        data.sock.settimeout(0.2)
        try:
            while not c.pending:
                data.sock.send(b"x" * 1000)
                if select.select([c.sock], [], [], 0.01)[0]:
                    time.sleep(0.2)  # all of it is here, and nothing of it was read
                    urgent.extend(select.select([], [], [c.sock], 0)[2])
                    c.fill(1)
        except OSError:
            pass
        return b"426 aborted\r\n"

    server = fake_ftp(transfer=endless)
    gate = gateway(server)
    with opened(gate) as client:
        data, _ = client.begin("RETR endless")
        data.exactly(5000)
        client.send(b"\xff\xf4")
        client.sock.send(b"\xff\xf2", socket.MSG_OOB)
        client.send(b"ABOR\r\n")
        assert client.reply().code == 426
        assert client.reply().code == 226
        data.close()
    heard = server.conversations[0].received
    assert b"\xff\xf4\xff\xf2ABOR\r\n" in heard, heard[-40:]
    assert urgent


@pytest.mark.parametrize("line,code", [
    ("LPRT 4,4,198,51,100,2,2,20,1", 502), ("LPSV", 502), ("SPSV", 502), ("XYZZY", 502), ("P@SW", 502),
    ("MODE Z", 504), ("MODE B", 504), ("STRU R", 504), ("TYPE E", 504), ("TYPE L 36", 504),
    ("AUTH TLS", 534), ("REST 18446744073709551616", 501), ("REST -1", 501)])
def test_commands_that_are_not_passed_F_021_F_023_F_047(server, gateway, line, code):
    gate = gateway(server)
    with opened(gate) as client:
        assert client.cmd(line).code == code
        assert client.cmd("NOOP").code == 200
    assert line.split()[0] not in [v for v in verbs(server) if v != "TYPE"]
    assert b"TYPE E\r\n" not in server.commands


def test_denied_commands_and_the_read_only_profile_F12_F13(server, gateway):
    gate = gateway(server, ftp={"deny": ["SITE", "MDTM"], "read_only": True})
    with opened(gate) as client:
        assert client.cmd("SITE EXEC /bin/sh").code == 502
        assert client.cmd("MDTM a").code == 502
        for line in ("DELE a", "MKD x", "RNFR a", "RMD x"):
            assert client.cmd(line).code == 550
        for line in ("STOR x", "APPE x", "STOU"):
            client.passive()
            assert client.cmd(line).code == 550
        assert client.get("RETR a") == b"hello"
    assert not {"SITE", "MDTM", "DELE", "MKD", "RNFR", "RMD", "STOR"} & set(verbs(server))


def test_features_that_the_gateway_cannot_see_through_F15(server, gateway):
    gate = gateway(server)
    with opened(gate) as client:
        text = client.cmd("FEAT").text
        assert "MLST" in text and "REST STREAM" in text and "EPSV" in text
        assert not any(word in text for word in ("AUTH", "PBSZ", "PROT"))


# ---- replies without end or sense ----


def test_long_replies_pass_and_endless_ones_do_not_F_025(fake_ftp, gateway):
    def lines(n):
        return b"211-x\r\n" + b" line\r\n211 in the middle\r\n"[:7] * n + b"211 end\r\n"

    server = fake_ftp(replies={"STAT": lines(900), "SYST": lines(1200)})
    gate = gateway(server)
    with opened(gate) as client:
        assert len(client.cmd("STAT").lines) == 902
        assert client.cmd("SYST").code == 421
        assert client.closed()


def test_a_reply_ends_only_with_its_own_code_F_025(fake_ftp, gateway):
    text = b"230-hello\r\n331 not the end\r\n230not the end\r\n  230 nor this\r\n230 end\r\n"
    server = fake_ftp(replies={"PASS": text})
    gate = gateway(server)
    with opened(gate) as client:
        assert client.cmd("NOOP").code == 200
        assert client.received.count(b"230 end\r\n") == 1


@pytest.mark.parametrize("text", [b"hello\r\n", b"25x no\r\n", b"999 no\r\n"])
def test_replies_without_a_code_F_026(fake_ftp, gateway, text):
    server = fake_ftp(replies={"CWD": text})
    gate = gateway(server)
    with opened(gate) as client:
        assert client.cmd("CWD /x").code == 421
        assert client.closed()
    assert text not in client.received
    gate.anomaly()


# ---- stealing, holes left open ----


@pytest.mark.parametrize("mode", ["forward"])
def test_stealing_of_a_data_connection_F_014(lab, server, gateway, mode):
    """Whoever comes from another address is cut; the hole stays for whom it was made."""
    gate = gateway(server)
    with opened(gate) as client:
        to = client.passive()
        try:
            thief = client.connect(to, source=L.CLIENT_OTHER)
            assert thief.closed()
        except ConnectionResetError:
            pass  # the gateway had cut it before it had read that it was accepted
        with client.connect(to) as data:
            assert client.cmd("RETR a").code == 150
            assert data.rest() == b"hello"
        assert client.reply().code == 226
    gate.anomaly("ftp_data_intruder")


@pytest.mark.parametrize("mode", ["forward"])
def test_a_hole_is_for_one_connection_F_015(server, gateway, mode):
    gate = gateway(server)
    with opened(gate) as client:
        to = client.passive()
        with client.connect(to) as data:
            assert client.cmd("RETR a").code == 150
            try:
                with client.connect(to, timeout=1) as second:
                    assert second.rest() == b""
            except OSError:
                pass  # refused, or reset
            assert data.rest() == b"hello"
        assert client.reply().code == 226
        with pytest.raises(OSError):
            client.connect(to, timeout=1)


@pytest.mark.parametrize("mode", ["tproxy", "redirect", "forward"])
def test_a_hole_closes_with_its_time_F_042(server, gateway, mode):
    gate = gateway(server, ftp={"timeouts": {"data_open": 1}})
    with opened(gate) as client:
        to = client.passive()
        answer = client.cmd("RETR a", timeout=10)
        if answer.code == 150:
            answer = client.reply()
        assert answer.code == 425, answer
        if mode == "forward":
            with pytest.raises(OSError):
                client.connect(to, timeout=1)
        assert client.cmd("NOOP").code == 200
        assert client.get("RETR a") == b"hello"
    gate.anomaly("ftp_data_not_opened")


@pytest.mark.parametrize("mode", ["forward"])
def test_a_hole_closes_with_its_session_D6(server, gateway, mode):
    gate = gateway(server)
    with opened(gate) as client:
        to = client.passive()
        client.quit()
    gate.flow()
    with pytest.raises(OSError):
        opened(gate).connect(to, timeout=1)


def test_many_announcements_without_a_transfer_F_049(server, gateway):
    """Each replaces the one before: nothing grows."""
    gate = gateway(server)
    with opened(gate, EPSV) as client:
        client.passive()
        before = len(gate.workers()[0].descriptors())
        for i in range(150):
            client.way = (PASV, EPSV)[i % 2]
            client.passive()
        assert len(gate.workers()[0].descriptors()) <= before + 2
        assert client.get("RETR a") == b"hello"


# ---- servers that know less ----


def count(server, verb):
    return sum(v == verb for c in server.conversations for v in c.verbs())


@pytest.mark.parametrize("way", [PORT, EPRT, PASV, EPSV])
def test_a_server_without_EPSV_gets_PASV_F5(fake_ftp, gateway, way):
    server = fake_ftp(files={"a": b"hello"}, replies={"EPSV": b"502 no\r\n"})
    gate = gateway(server)
    for _ in range(3):
        with opened(gate, way) as client:
            assert client.get("RETR a") == b"hello"
    assert count(server, "PASV") == 3
    assert count(server, "EPSV") <= (1 if way != EPSV else 3)  # remembered


@pytest.mark.parametrize("way", [PORT, EPRT, PASV, EPSV])
def test_a_server_that_is_active_only_F5(fake_ftp, gateway, way):
    server = fake_ftp(files={"a": b"hello"}, replies={"EPSV": b"502 no\r\n", "PASV": b"502 no\r\n"})
    gate = gateway(server)
    for _ in range(2):
        with opened(gate, way) as client:
            assert client.get("RETR a") == b"hello"
            assert client.put("STOR b", b"up").code == 226
    assert server.files["b"] == b"up"
    assert count(server, "PORT") + count(server, "EPRT") == 4
