"""
What sessions of POP3 and IMAP cost that do nothing, and how many may come. SECURITY cases I-019, A-016;
FIELD row I9.
"""

import pytest

import lab as L
from lab import wait_for
from load import Idle
from peers import Crowd

IDLE = 3000


@pytest.mark.parametrize("mode", ["tproxy"])
def test_thousands_in_IDLE_I_019_I9(lab, gateway):
    """Each costs memory for its state and nothing else; tests/soak has ten thousand."""
    with Crowd(lab.server, "serve", L.FAKE, 143) as server:
        assert server.came == {}
        gate = gateway((L.FAKE, 143), protocol="imap", workers=2, nofile=20_000, limits={
            "sessions_per_client": 20_000, "pending_connects_per_client": 20_000, "auth_failures_per_minute": 0})
        with Idle(gate, L.CLIENT, L.FAKE, IDLE) as idle:
            assert idle.came == {"held": IDLE}, idle.came
            print(f"{idle.user / 1024:.1f} KiB of user memory, {idle.kernel / 1024:.1f} KiB in the kernel each")
            assert idle.user < 8 << 10
            assert idle.crowd.ask() == IDLE


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_sessions_of_one_client(dovecot, gateway, protocol):
    """One too many is told so, in the words of its protocol."""
    account = dovecot.account()
    gate = gateway(dovecot, protocol=protocol, limits={"sessions_per_client": 2})
    with gate.client() as one, gate.client() as two, gate.client() as three:
        one.login(account.user, account.password)
        two.login(account.user, account.password)
        assert three.rest(5).startswith((b"-ERR", b"* BYE"))
    with gate.client() as four:
        four.login(account.user, account.password)


REFUSALS = {"refusals": 3, "refusal_window": 60, "block": 3}


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_a_client_that_is_refused_without_end_R_037(dovecot, gateway, protocol):
    """It is blocked for a while, and nobody else is."""
    gate = gateway(dovecot, protocol=protocol, limits=REFUSALS)
    with gate.client() as client:
        for _ in range(3):
            client.send(b"a NONSENSE\r\n")
        client.rest(5)
    gate.record("stats", lambda r: "client_blocked" in r["stats"])
    with gate.client() as client:
        assert client.rest(5).startswith((b"-ERR [SYS/TEMP] Too many", b"* BYE [UNAVAILABLE] Too many"))
    account = dovecot.account()
    with gate.client(L.CLIENT_OTHER) as other:
        other.login(account.user, account.password)

    def forgiven():
        with gate.client() as client:
            return client.line().startswith((b"+OK", b"* OK"))

    wait_for(forgiven, what="the end of the block", interval=0.3)


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("mode", ["tproxy"])
def test_what_only_the_configuration_refuses_blocks_nobody(dovecot, gateway, protocol):
    account = dovecot.account()
    gate = gateway(dovecot, protocol=protocol, limits=REFUSALS, **{protocol: {"deny": ["NOOP"]}})
    with gate.client() as client:
        client.login(account.user, account.password)
        for _ in range(6):
            assert not client.cmd("NOOP").ok
    with gate.client() as client:
        client.login(account.user, account.password)


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_a_server_that_is_not_there(gateway, protocol):
    """The client is told, and is not left to wait."""
    gate = gateway((L.FAKE_TWO, 110 if protocol == "pop3" else 143), protocol=protocol)
    with gate.client() as client:
        assert client.rest(5).startswith((b"-ERR", b"* BYE"))


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_a_reload_takes_no_session_with_it(dovecot, gateway, protocol):
    account = dovecot.account()
    gate = gateway(dovecot, protocol=protocol, drain=5)
    with gate.client() as client:
        client.login(account.user, account.password)
        gate.reload()
        assert client.cmd("NOOP").ok
        with gate.client() as other:
            other.login(account.user, account.password)
            assert other.cmd("NOOP").ok
