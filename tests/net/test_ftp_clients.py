"""
Real FTP clients before, real FTP servers behind, every way of data connections, through a firewall
that drops what it does not know. FIELD rows F1 to F6, D6; SECURITY case F-044.
"""

import pytest

import lab as L
from ftp_clients import PAIRS, pair_name
from ftp_servers import sha256
from lab import wait_for

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB
NAMES = ("vsftpd", "pureftpd", "proftpd")


def target(gate, server, way):
    """Where a client of this gateway goes."""
    if gate.transparent:
        return server.address6 if way.v6 else server.address
    return L.GATEWAY6 if way.v6 else L.GATEWAY


def fetch_and_bring(lab, gate, server, pair, folder):
    program, way = pair
    server.put("down", PAYLOAD)
    (folder / "up").write_bytes(PAYLOAD[::-1])
    (folder / "got").unlink(missing_ok=True)
    told = program.run(lab, target(gate, server, way), way, folder)
    assert sha256((folder / "got").read_bytes()) == sha256(PAYLOAD), told
    assert sha256(server.read("up")) == sha256(PAYLOAD[::-1]), told
    assert "down" in told, told  # the listing


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_each_client_to_each_server_F1_F2_F3_F6_D6(perimeter, ftp_server, guarded, tmp_path, pair):
    """Nobody is configured for the gateway, and the firewall's forward policy is drop."""
    servers = [ftp_server(name) for name in NAMES]
    gate = guarded(servers[0])
    for server in servers:
        fetch_and_bring(perimeter, gate, server, pair, tmp_path)

    def files():
        return [r for r in gate.records("ftp_data") if r["ftp_data"]["command"] in ("RETR", "STOR")]

    wait_for(lambda: len(files()) >= 6, what="the records of six files")
    assert len(files()) == 6


# In redirect mode active clients are called from the gateway's own address, and ncftp takes no call
# from another address than it called: it has to be passive there.
OTHER_MODES = [(mode, pair) for pair in PAIRS for mode in ("redirect", "forward")
               if (mode, pair_name(pair)) != ("redirect", "ncftp-active")]


@pytest.mark.parametrize("mode,pair", OTHER_MODES, ids=lambda x: x if isinstance(x, str) else pair_name(x))
def test_each_client_in_other_modes_F1_F2_F11(perimeter, ftp_server, ftp_gateway, tmp_path, mode, pair):
    server = ftp_server(NAMES[PAIRS.index(pair) % len(NAMES)])
    gate = ftp_gateway(server)
    fetch_and_bring(perimeter, gate, server, pair, tmp_path)


@pytest.mark.parametrize("pair", [p for p in PAIRS if not p[1].v6], ids=pair_name)
def test_each_client_with_what_it_chose_towards_the_server_F4(perimeter, ftp_server, guarded,
                                                              tmp_path, pair):
    server = ftp_server(NAMES[PAIRS.index(pair) % len(NAMES)])
    gate = guarded(server, ftp={"server_data": "same"})
    fetch_and_bring(perimeter, gate, server, pair, tmp_path)
