"""
F-001 to F-026: what attackers and evaders say to FTP servers and clients, through the real gateway.

The cases name 192.0.2.10 as the client and 198.51.100.21 as the server; here both are on loopback, each at
an address of its own, and the cases are told so.
"""

import hashlib
import json
import os
import socket

import pytest

from conftest import Lab, cases_folder
from ftp import FtpClient, FtpServer
from gate import Gateway

ATTACKS = cases_folder() / "attacks"
BOUNCES = {c["id"]: c for c in json.loads((ATTACKS / "ftp-bounce.json").read_text())["cases"]}
EVASIONS = {c["id"]: c for c in json.loads((ATTACKS / "ftp-evasion.json").read_text())["cases"]}
PID = os.getpid()
CLIENT = f"127.78.{PID >> 8 & 0xFF}.{PID & 0xFF}"
SERVER = f"127.79.{PID >> 8 & 0xFF}.{PID & 0xFF}"
FROM_HERE = [c for c in BOUNCES if "cmd" in BOUNCES[c] and BOUNCES[c]["cmd"].split()[0].isupper()
             and BOUNCES[c]["cmd"].split()[0] in ("PORT", "EPRT", "LPRT")]


def local(text):
    """The case's addresses are ours, however they are written."""
    client, server = CLIENT.split("."), SERVER.split(".")
    table = {
        "192.0.2.10": CLIENT,
        "192,0,2,10": ",".join(client),
        "448,256,258,266": ",".join(str(int(n) + 256) for n in client),
        "192,000,002,010": ",".join(f"{int(n):03}" for n in client),
        "198,51,100,21": ",".join(server),
        "198,51,": ",".join(server[:2]) + ",",  # of a reply in two pieces
        "100,21,": ",".join(server[2:]) + ",",
    }
    for foreign, own in table.items():
        text = text.replace(foreign, own)
    return text


class FtpLab(Lab):
    def start(self, server=None, ftp="", **options):
        self.server = server or FtpServer(SERVER, files={b"a": b"hello"})
        self.gateway = Gateway(self.binary, self.folder, self.server.port, protocol="ftp", server=SERVER,
                               ftp=ftp, **options)
        return self

    def client(self):
        self.clients.append(FtpClient(self.gateway.address, (CLIENT, 0)))
        return self.clients[-1]

    def login(self):
        return self.client().login()

    def heard(self):
        """What the server was told behind the login."""
        lines = self.server.sessions[0].commands
        return [line for line in lines if line.split(b" ")[0].upper() not in (b"USER", b"PASS")]

    def anomalies(self):
        return {r["anomaly"]["event"] for r in self.gateway.records("anomaly")}

    def end(self):
        """Every session is over and written down."""
        for client in self.clients:
            client.close()
        self.gateway.wait_flow()
        return self.gateway.records()


@pytest.fixture(params=os.environ.get("POSTERN", "build/postern build/san/postern").split())
def ftp(request, tmp_path):
    here = FtpLab(request.param, tmp_path)
    yield here
    here.stop()


def test_every_case_is_known():
    """A case that nobody looks at would look like one that passed."""
    assert set(FROM_HERE) | set(REPLIES) == set(BOUNCES)
    assert set(CONVERSATIONS) == set(EVASIONS)


# ---- bounce: what clients say ----


@pytest.mark.parametrize("case", FROM_HERE)
def test_F_001_F_002_F_003_F_004_bounce(ftp, case):
    bounce = BOUNCES[case]
    ftp.start()
    client = ftp.login()
    code = client.code(local(bounce["cmd"]).encode())
    if bounce["expect"].startswith("accept"):
        assert code == 200
        return
    assert 500 <= code < 600
    assert client.code(b"RETR a") in (425, None)
    ftp.end()
    # neither as it was nor made into anything else
    assert not ftp.heard(), ftp.heard()
    assert not ftp.server.data_peers
    if "thirdparty" in case or case in ("port-loopback", "port-server-itself"):
        assert "ftp_bounce" in ftp.anomalies()


# ---- bounce: what servers say ----


def reply_of(case):
    return local(BOUNCES[case]["reply"]).replace("\\r\\n", "\r\n").encode() + b"\r\n"


def pasv_foreign(ftp, case):
    """The data connection goes to the server, whatever it says."""
    foreign = BOUNCES[case]["reply"].split("(")[1].split(",")[:4]
    server = FtpServer(SERVER, files={b"a": b"hello"})
    server.replies = {"PASV": lambda s: server.told(s, ".".join(foreign)), "EPSV": b"502 no\r\n"}
    ftp.start(server)
    assert ftp_get_by_pasv(ftp.login()) == b"hello"
    ftp.end()
    assert "ftp_foreign_address" in ftp.anomalies()


def ftp_get_by_pasv(client):
    """RETR a over PASV; the gateway must have told its own address."""
    code, text = client.ask(b"PASV")
    assert code == 227, text
    numbers = text.split(b"(")[1].split(b")")[0].split(b",")
    assert b".".join(numbers[:4]).decode() == client.sock.getpeername()[0]
    with socket.create_connection((client.sock.getpeername()[0], int(numbers[4]) * 256 + int(numbers[5])), 10,
                                  source_address=(CLIENT, 0)) as data:
        assert client.code(b"RETR a") == 150
        octets = b"".join(iter(lambda: data.recv(65536), b""))
    assert client.reply()[0] == 226
    return octets


def pasv_fragment(ftp, case):
    pieces = [local(p).encode() for p in BOUNCES[case]["reply"]]
    server = FtpServer(SERVER, files={b"a": b"hello"})

    def told(session):
        port = server.open(session)
        first, second = pieces
        assert second.endswith(b"200,13)")
        return first, second.replace(b"200,13", b"%d,%d" % (port >> 8, port & 255)) + b"\r\n"

    server.replies = {"PASV": told}
    ftp.start(server)
    assert ftp_get_by_pasv(ftp.login()) == b"hello"
    ftp.end()
    assert not ftp.anomalies()


def no_hole(ftp, **replies):
    """Whatever the server says there: nothing was agreed."""
    ftp.start(FtpServer(SERVER, replies=replies, files={b"a": b"hello"}))
    client = ftp.client()
    assert client.reply()[0] == 220
    assert client.code(b"USER u") == 331
    assert client.code(b"PASS p") == 230
    client.ask(b"FEAT")
    assert client.code(b"RETR a") == 425
    ftp.end()
    assert not ftp.server.data_peers
    assert b"RETR a" not in ftp.heard()
    assert "file_before_port" in ftp.anomalies()
    return client


def pasv_in_220(ftp, case):
    no_hole(ftp, GREETING=reply_of(case))


def pasv_in_multiline(ftp, case):
    client = no_hole(ftp, FEAT=reply_of(case))
    # no line that a client in a hurry could take for a reply of its own
    assert not any(b"\r\n227" in octets for _, octets in client.replies)


def pasv_unsolicited(ftp, case):
    client = no_hole(ftp, FEAT=b"211 none\r\n" + reply_of(case))
    assert not any(b"227" in octets for _, octets in client.replies)
    assert "unable_to_match_reply_with_request" in ftp.anomalies()


def epsv_bad(ftp, case):
    server = FtpServer(SERVER, replies={"EPSV": reply_of(case), "PASV": b"502 no\r\n"})
    ftp.start(server)
    client = ftp.login()
    assert client.code(b"EPSV") in (425, 502, None)
    ftp.end()
    assert not server.data_peers
    assert "ftp_bad_data_address" in ftp.anomalies()


def port_as_content(ftp, _):
    """F-013: a data connection is never read as control."""
    content = b"PORT 192,0,2,10,0,22\r\n227 Entering Passive Mode (192,0,2,10,0,22)\r\n"
    ftp.start(FtpServer(SERVER, files={b"a": content}))
    assert ftp.login().get(b"RETR a") == content
    ftp.end()
    assert not ftp.anomalies()


REPLIES = {
    "pasv-foreign": pasv_foreign,
    "pasv-fragment": pasv_fragment,
    "pasv-in-220": pasv_in_220,
    "pasv-in-multiline": pasv_in_multiline,
    "pasv-unsolicited": pasv_unsolicited,
    "epsv-bad": epsv_bad,
    "stor-ftp-upload-of-port": port_as_content,
}


@pytest.mark.parametrize("case", REPLIES)
def test_F_005_to_F_009_replies(ftp, case):
    REPLIES[case](ftp, case)


# ---- evasion ----


def octets_of(case):
    return bytes.fromhex(EVASIONS[case]["hex"])


def refused(ftp, case, codes, anomaly=None):
    """One reply that says no, and not an octet of it at the server."""
    ftp.start()
    client = ftp.login()
    client.send(octets_of(case))
    assert client.reply()[0] in codes
    client.send(b"NOOP\r\n")
    after = client.reply()
    ftp.end()
    assert after is None or after[0] == 200
    assert ftp.heard() in ([], [b"NOOP"])
    assert ftp.server.sessions[0].commands[:2] == [b"USER anonymous", b"PASS guest@"]
    assert len(ftp.server.sessions[0].commands) <= 3
    assert anomaly is None or anomaly in ftp.anomalies()
    return after


def telnet(ftp, case):
    assert refused(ftp, case, (500,), "evasive_telnet") is not None


def ends(*codes, anomaly):
    def check(ftp, case):
        assert refused(ftp, case, codes, anomaly) is None

    return check


def syntax(ftp, case):
    assert refused(ftp, case, (501,)) is not None


def iac_iac(ftp, case):
    name = octets_of(case)[5:-2].replace(b"\xff\xff", b"\xff")
    ftp.start(FtpServer(SERVER, files={name.replace(b"\xff", b"\xff\xff"): b"hello"}))
    assert ftp.login().get(octets_of(case)[:-2]) == b"hello"
    assert octets_of(case)[:-2] in ftp.heard()  # doubled on the wire


def abor_with_synch(ftp, case):
    ftp.start()
    client = ftp.login()
    client.send(octets_of(case))
    assert client.reply()[0] == 225
    ftp.end()
    assert ftp.heard() == [b"ABOR"]
    assert bytes(ftp.server.sessions[0].octets).endswith(b"PASS guest@\r\n\xff\xf4\xff\xf2ABOR\r\n")


def mixed_case(ftp, case):
    ftp.start()
    client = ftp.client()
    assert client.reply()[0] == 220
    assert client.code(octets_of(case)[:-2]) == 331
    ftp.end()
    assert [r["ftp"].get("command") for r in ftp.gateway.records("ftp")][-1] == "USER"


def pipelined(ftp, case):
    """One after the other, and every one has its reply in its place."""
    ftp.start()
    client = ftp.client()
    assert client.reply()[0] == 220
    client.send(local(octets_of(case).decode()).encode())
    codes = [client.reply()[0] for _ in range(5)]
    assert codes[:4] == [331, 230, 250, 200] and codes[4] in (425, 550), codes


def split_each_octet(ftp, case):
    command = EVASIONS[case]["text"].split("\\r")[0].encode()
    ftp.start(FtpServer(SERVER, files={command.split(b" ")[1]: b"hello"}))
    client = ftp.login()
    with client.passive() as data:
        client.send(command + b"\r\n", 1)
        assert client.reply()[0] == 150
        assert data.recv(100) == b"hello"
    assert client.reply()[0] == 226
    assert command in ftp.heard()


def long_command(ftp, case):
    count = int(EVASIONS[case]["text"].split("+ ")[1].split(" ")[0])
    ftp.start()
    client = ftp.login()
    client.send(b"USER " + count * b"A" + b"\r\n")
    assert client.reply()[0] in (421, 500)
    ftp.end()
    assert "max_command_line_len_exceeded" in ftp.anomalies()
    assert len(ftp.server.octets) < 1000


def format_string(ftp, case):
    ftp.start()
    client = ftp.client()
    assert client.reply()[0] == 220
    assert client.code(octets_of(case)[:-2]) == 331
    ftp.end()
    record = [r["ftp"] for r in ftp.gateway.records("ftp") if r["ftp"].get("command") == "USER"]
    assert record[0]["command_data"].encode() == octets_of(case)[5:-2]
    assert ftp.server.sessions[0].commands == [octets_of(case)[:-2]]


def site_exec(ftp, case):
    ftp.start(ftp='deny = {"SITE EXEC"}')
    client = ftp.login()
    assert client.code(octets_of(case)[:-2]) == 502
    assert client.code(b"SITE HELP") == 200
    assert ftp.heard() == [b"SITE HELP"]


def traversal(ftp, case):
    up, get = octets_of(case).split(b"\r\n")[:2]
    ftp.start(FtpServer(SERVER, files={b"passwd": b"root"}))
    client = ftp.login()
    assert client.code(b"PWD") == 257
    assert client.code(up) == 250
    assert client.get(get) == b"root"
    ftp.end()
    assert [r["ftp_data"]["path"] for r in ftp.gateway.records("ftp_data")] == ["/etc/passwd"]


def rest_hides(ftp, _):
    ftp.start()
    client = ftp.login()
    assert client.code(b"REST 100") == 350
    assert client.get(b"RETR a") == b"hello"
    ftp.end()
    assert ftp.gateway.records("ftp_data")[0]["ftp_data"]["offset"] == 100
    assert ftp.gateway.records("fileinfo")[0]["fileinfo"]["start"] == 100


def odd_modes(ftp, case):
    ftp.start()
    client = ftp.login()
    codes = [client.code(line) for line in octets_of(case).split(b"\r\n")[:-1]]
    assert codes[0] == 504 and codes[1] in (425, 504)
    ftp.end()
    assert not ftp.heard()


def type_a(ftp, _):
    """What is looked at is what was on the wire."""
    content = b"one\r\ntwo\r\n"
    ftp.start(FtpServer(SERVER, files={b"a": content}))
    client = ftp.login()
    assert client.code(b"TYPE A") == 200
    assert client.get(b"RETR a") == content
    ftp.end()
    assert ftp.gateway.records("ftp_data")[0]["ftp_data"]["type"] == "A"
    assert ftp.gateway.records("fileinfo")[0]["fileinfo"]["sha256"] == hashlib.sha256(content).hexdigest()


def tls_then_clear(ftp, _):
    ftp.start()
    client = ftp.client()
    assert client.reply()[0] == 220
    assert client.code(b"AUTH TLS") == 534
    assert client.code(b"USER anonymous") == 331
    assert client.code(b"PASS guest@") == 230
    assert client.get(b"RETR a") == b"hello"
    assert b"AUTH TLS" not in ftp.heard()


def ccc(ftp, _):
    ftp.start()
    client = ftp.login()
    assert client.code(b"CCC") == 533
    assert not ftp.heard()


def file_before_port(ftp, case):
    ftp.start()
    client = ftp.login()
    assert client.code(octets_of(case)[:-2]) == 425
    ftp.end()
    assert not ftp.heard()
    assert "file_before_port" in ftp.anomalies()


def fake_end(ftp, case):
    """The client reads one reply, and the next is its own."""
    ftp.start(FtpServer(SERVER, replies={"PASS": octets_of(case)}))
    client = ftp.login()
    assert client.replies[-1][1].endswith(b"\r\n230 end\r\n")
    assert b"\r\n230x" not in client.replies[-1][1]
    assert client.code(b"NOOP") == 200
    ftp.end()
    assert not ftp.anomalies()


def many_ports(ftp, case):
    count = int(EVASIONS[case]["text"].split(" ")[0])
    ftp.start()
    client = ftp.login()
    for n in range(count):
        port = 20000 + n
        assert client.code(f"PORT {','.join(CLIENT.split('.'))},{port >> 8},{port & 255}".encode()) == 200
    assert client.get(b"RETR a") == b"hello"
    ftp.end()
    assert len(ftp.gateway.records("ftp_data")) == 1


CONVERSATIONS = {
    "iac-nop-in-command": telnet,
    "iac-iac": iac_iac,
    "iac-incomplete": telnet,
    "iac-ip-synch-abor": abor_with_synch,
    "iac-subneg-no-se": telnet,
    "iac-erase-line": telnet,
    "case-mix": mixed_case,
    "lf-only": ends(500, anomaly="bare_lf"),
    "cr-only": ends(501, anomaly="bare_cr"),
    "cr-nul": ends(501, anomaly="nul_octet"),
    "leading-space": syntax,
    "tab-sep": syntax,
    "pipelined": pipelined,
    "split-each-byte": split_each_octet,
    "long-command": long_command,
    "format-string": format_string,
    "site-exec": site_exec,
    "path-traversal": traversal,
    "rest-hide": rest_hides,
    "mode-z": odd_modes,
    "mode-b-c": odd_modes,
    "type-a-cr": type_a,
    "auth-tls-then-clear": tls_then_clear,
    "ccc": ccc,
    "file-before-port": file_before_port,
    "file-without-name": syntax,
    "multi-line-reply-fake-end": fake_end,
    "many-port": many_ports,
}


@pytest.mark.parametrize("case", CONVERSATIONS)
def test_F_011_to_F_026_F23_evasion(ftp, case):
    CONVERSATIONS[case](ftp, case)
