"""postern explain says beforehand what the gateway then says: same rules, same resolver."""

import pytest

import lab as L
from gateway import BINARY

# (client, from, to, exit code, what the client is told)
CASES = {
    "good": (L.CLIENT, "anna@good.example", "otto@campus.example", 0, "250"),
    "relay": (L.CLIENT, "anna@good.example", "r@evil.example", 1, "550 5.7.1"),
    "percent": (L.CLIENT, "anna@good.example", "r%evil.example@campus.example", 1, "550 5.7.1"),
    "inside": (L.CLIENT_INSIDE, "anna@good.example", "r@evil.example", 0, "250"),
    "by-mx": (L.CLIENT, "anna@good.example", "u@hosted.example", 0, "250"),
    "nxdomain": (L.CLIENT, "a@nosuch.example", "otto@campus.example", 1, "451 4.1.8"),
    "null-mx": (L.CLIENT, "a@nullmx.example", "otto@campus.example", 1, "550 5.7.27"),
    "servfail": (L.CLIENT, "a@servfail.example", "otto@campus.example", 3, "451 4.4.3"),
    "null-sender": (L.CLIENT, "", "otto@campus.example", 0, "250"),
}


@pytest.mark.parametrize("client,sender,recipient,code,told", CASES.values(), ids=CASES.keys())
def test_explain_agrees(lab, fake, gateway, client, sender, recipient, code, told):
    server = fake()
    gate = gateway(server)
    done = lab.gateway.run(BINARY, "explain", "--client", client, "--server",
                           f"{server.address}:{server.port}", "--from", sender, "--to", recipient,
                           "-c", gate.file)
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        assert told in done.stdout, done.stdout
    with gate.client(client) as session:
        session.hello()
        answer = session.cmd(f"MAIL FROM:<{sender}>")
        if answer.code == 250:
            answer = session.cmd(f"RCPT TO:<{recipient}>")
        assert answer.text.startswith(told), answer


def test_check_accepts_what_runs(lab, fake, gateway):
    gate = gateway(fake())
    done = lab.gateway.run(BINARY, "check", "-c", gate.file)
    assert done.returncode == 0, done.stderr
    assert "campus.example" in done.stdout
