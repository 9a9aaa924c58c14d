"""Ten thousand sessions that do nothing, over two workers: what each costs, and that it stays so."""

import lab as L
import servers
from gateway import Gateway
from load import idle_sessions
from peers import Crowd

SESSIONS = 10_000
LIMITS = {"sessions_per_client": 20_000, "pending_connects_per_client": 20_000}


def test_ten_thousand_idle_sessions():
    with L.Lab() as lab:
        servers.Dns(lab)
        with Crowd(lab.server, "serve", L.FAKE, 25) as server:
            assert server.came == {}
            gate = Gateway(lab, L.FAKE, mode="tproxy", workers=2, nofile=20_000, limits=LIMITS)
            user, kernel = idle_sessions(gate, L.CLIENT, L.FAKE, SESSIONS, [L.CLIENT_OTHER])
            gate.stop()
            assert user < 32 << 10
            assert kernel < 64 << 10
