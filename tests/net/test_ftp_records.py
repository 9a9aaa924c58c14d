"""
What is written down of FTP, against what really went through. SECURITY case F-046; FIELD rows F24, L8, L13.
"""

import json
import random

import pytest

import lab as L
from ftp_servers import PASSWORD, USER, sha256
from lab import wait_for

MODES = ["tproxy", "forward"]
WAYS = ["PORT", "EPRT", "PASV", "EPSV"]
SENT = random.Random(6).randbytes(123_456)


def opened(gate, way="EPSV", **options):
    client = gate.client(**options)
    client.way = way
    return client.login().binary()


def commands(gate):
    return [r["ftp"] for r in gate.records("ftp")]


def test_commands_with_their_replies(fake_ftp, gateway):
    server = fake_ftp(replies={"STAT": b"211-one\r\n two\r\n211 end\r\n"})
    gate = gateway(server)
    with opened(gate) as client:
        client.cmd("STAT")
        client.cmd("XYZZY hello")
        client.quit()
    gate.flow()
    made = commands(gate)
    assert [c.get("command") for c in made] == [None, "USER", "PASS", "TYPE", "STAT", "XYZZY", "QUIT"]
    assert [c["completion_code"] for c in made] == [["220"], ["331"], ["230"], ["200"], ["211"], ["502"],
                                                    ["221"]]
    assert [c["reply_source"] for c in made][4:6] == [["server"], ["gateway"]]
    assert made[1]["command_data"] == USER
    assert "two" in made[4]["reply"][0]
    assert [r["tx_id"] for r in gate.records("ftp")] == list(range(7))


def test_secrets_are_nowhere_F_046(fake_ftp, gateway):
    """Not in an argument, not in a reply that quotes it, not in the log of faults."""
    quoting = b"500 'PASS %s' not understood\r\n" % PASSWORD.encode()
    server = fake_ftp(replies={"PASS": lambda c, line: quoting if c.verbs().count("PASS") == 1 else None})
    gate = gateway(server)
    with gate.client() as client:
        assert client.reply().code == 220
        client.cmd(f"USER {USER}")
        assert client.cmd(f"PASS {PASSWORD}").code == 500
        client.cmd(f"pass  {PASSWORD}")
        client.cmd(f"ACCT {PASSWORD}")
        client.cmd(f"PASS {PASSWORD}" + "x" * 3000)
        client.send(f"PASS {PASSWORD}" + "x" * 9000 + "\r\n")
        client.reply()
    gate.flow()
    assert [c.get("command") for c in commands(gate)].count("PASS") >= 2
    text = gate.log.read_text() + gate.stderr
    assert PASSWORD not in text
    assert PASSWORD in b"".join(server.commands).decode()


@pytest.mark.parametrize("server_data", ["passive", "same"])
@pytest.mark.parametrize("way", WAYS)
def test_a_transfer_with_both_legs_L8(fake_ftp, gateway, way, server_data):
    server = fake_ftp()
    gate = gateway(server, ftp={"server_data": server_data})
    with opened(gate, way) as client:
        assert client.put("STOR up", SENT).code == 226
        control = client.sock.getsockname()[:2]
    record = gate.record("ftp_data")
    flow = gate.flow()
    assert record["flow_id"] == flow["flow_id"]
    assert (record["src_ip"], record["src_port"]) == control
    data = record["ftp_data"]
    assert (data["command"], data["filename"], data["user"]) == ("STOR", "up", USER)
    assert (data["direction"], data["type"], data["outcome"], data["code"]) == \
        ("upload", "I", "complete", 226)
    assert data["octets_in"] == data["octets_out"] == len(SENT)
    client_passive = way in ("PASV", "EPSV")
    assert data["client"]["mode"] == ("passive" if client_passive else "active")
    same = server_data == "same" and not client_passive
    assert data["server"]["mode"] == ("active" if same else "passive")
    for leg in ("client", "server"):
        assert data[leg]["community_id"].startswith("1:")
    legs = [{data[leg]["src_ip"], data[leg]["dest_ip"]} for leg in ("client", "server")]
    assert L.CLIENT in legs[0] and L.FAKE in legs[1]
    # the server's own view of its data connection
    peer = server.data_peers[0]
    assert peer in ((data["server"]["src_ip"], data["server"]["src_port"]),
                    (data["server"]["dest_ip"], data["server"]["dest_port"]))
    info = gate.record("fileinfo")
    assert info["fileinfo"]["sha256"] == sha256(SENT) and info["fileinfo"]["size"] == len(SENT)
    assert info["flow_id"] == flow["flow_id"] and info["tx_id"] == record["tx_id"]


def test_every_file_has_its_full_path_F24(ftp_server, guarded):
    """The server's own idea of where it is, over CWD, CDUP and PWD."""
    server = ftp_server("proftpd")
    (server.home / "incoming/deep").mkdir()
    (server.home / "incoming/deep/x").write_bytes(b"x")
    server.put("top", b"top")
    gate = guarded(server)
    with opened(gate) as client:
        client.cmd("PWD")
        client.get("RETR top")
        assert client.cmd("CWD incoming").code == 250
        assert client.cmd("CWD deep").code == 250
        client.get("RETR x")
        client.get("RETR ../../top")
        assert client.cmd("CWD no-such").code == 550
        client.get("RETR x")
        assert client.cmd("CDUP").code == 250
        client.get("RETR deep/x")
        client.get("RETR /top")
    wait_for(lambda: len(gate.records("ftp_data")) == 6, what="six transfers")
    paths = [r["ftp_data"]["path"] for r in gate.records("ftp_data")]
    assert paths == ["/top", "/incoming/deep/x", "/top", "/incoming/deep/x", "/incoming/deep/x", "/top"]


def test_dynamic_ports_are_in_the_commands(fake_ftp, gateway):
    server = fake_ftp(files={"a": b"x"})
    gate = gateway(server)
    with opened(gate, "EPSV") as client:
        to = client.passive()
        listener = client.listen()
        client.way = "PORT"
        client.port(listener)
        port = listener.getsockname()[1]
        listener.close()
        client.quit()
    gate.flow()
    made = {c["command"]: c for c in commands(gate) if "dynamic_port" in c}
    assert made["EPSV"]["dynamic_port"] == to[1] and made["EPSV"]["mode"] == "passive"
    assert made["PORT"]["dynamic_port"] == port and made["PORT"]["mode"] == "active"


def test_classic_xferlog_L13(fake_ftp, gateway):
    """One line each, as programs for it read it: 18 words."""
    server = fake_ftp(files={"down": SENT})
    gate = gateway(server, log_format="eve_xferlog")
    with opened(gate) as client:
        client.get("RETR down")
        client.put("STOR a file", b"x")
        client.cmd("TYPE A")
        data, _ = client.begin("STOR cut")
        data.send(b"half")
        wait_for(lambda: server.files.get("cut"), what="octets")
        data.reset()
        client.reply()
    path = gate.log.with_name("xferlog")
    lines = wait_for(lambda: path.exists() and len(t := path.read_text().splitlines()) >= 3 and t,
                     what="three lines")
    words = [line.split() for line in lines]
    assert all(len(w) == 18 for w in words), lines
    assert [w[6] for w in words] == [L.CLIENT] * 3
    assert [w[7] for w in words] == [str(len(SENT)), "1", "4"]
    assert [w[9] for w in words] == ["b", "b", "a"]
    assert [w[11] for w in words] == ["o", "i", "i"]
    assert [w[13] for w in words] == [USER] * 3
    assert [w[17] for w in words] == ["c", "c", "i"]
    assert "a_file" in lines[1]
    assert "xferlog" not in gate.log.read_text()


def test_what_records_say_went_through_really_did(ftpd, guarded):
    """Twenty files of all sizes: records, server and client agree on every digest."""
    rand = random.Random(7)
    files = {f"f{i}": rand.randbytes(rand.choice([0, 1, 100, 70_000, 300_000])) for i in range(20)}
    gate = guarded(ftpd)
    with opened(gate) as client:
        for i, (name, octets) in enumerate(files.items()):
            client.way = WAYS[i % 4]
            assert client.put(f"STOR {name}", octets).code == 226
            assert client.get(f"RETR {name}") == octets
        client.quit()
    gate.flow()
    infos = [r["fileinfo"] for r in gate.records("fileinfo")]
    assert len(infos) == 40
    for info in infos:
        assert info["sha256"] == sha256(ftpd.read(info["filename"])), info
    assert sum(r["ftp_data"]["octets_out"] for r in gate.records("ftp_data")) == \
        2 * sum(map(len, files.values()))


def test_names_that_are_not_UTF_8(fake_ftp, gateway):
    server = fake_ftp(files={b"\xe9t\xe9".decode("utf-8", "surrogateescape"): b"x"})
    gate = gateway(server)
    with opened(gate) as client:
        data = client.connect(client.passive())
        client.send(b"RETR \xe9t\xe9\r\n")
        assert client.reply().code == 150
        assert data.rest() == b"x"
    record = gate.record("ftp_data")
    json.dumps(record, ensure_ascii=False).encode()
