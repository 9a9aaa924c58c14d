"""
The keys of our CAs: who has them, what becomes of sessions when the process that has them dies, and how an
administrator makes them. SECURITY cases T-016, V-001, V-006, V-009.
"""

import base64
import os
import pwd
import re
import signal
import ssl
import subprocess
import time
from pathlib import Path

import pytest

import lab as L
import mails
from gateway import BINARY
from lab import LabError, wait_for
from mail_servers import Dovecot
from outside_peers import NAME, Authorities, Issued, parsed, trusting
from tls_peers import Certificate, client_context


NOBODY = pwd.getpwnam("nobody").pw_uid


def signer(gate):
    return wait_for(lambda: gate.of_role("signer"), 5, "the signer")[0]


def confined(process):
    wait_for(lambda: process.status().get("Seccomp") == "2", 5, f"the sandbox of {process}")


# ---- key isolation ----


def integers(der):
    """The numbers of an RSAPrivateKey (RFC 8017 A.1.2)."""

    def length(at):
        n = der[at]
        if n < 0x80:
            return n, at + 1
        return int.from_bytes(der[at + 1:at + 1 + (n & 0x7F)], "big"), at + 1 + (n & 0x7F)

    assert der[0] == 0x30
    end, at = length(1)
    found = []
    while at < len(der):
        assert der[at] == 0x02
        n, at = length(at + 1)
        found.append(int.from_bytes(der[at:at + n], "big"))
        at += n
    return found


def secrets(path):
    """
    Pieces of a key as it may stand in memory: d, p, q and what is precomputed of them, as texts of a file
    have them, and as OpenSSL's numbers do, whose lowest octet comes first; and the file itself.
    """
    pem = path.read_bytes()
    der = subprocess.run(["openssl", "pkey", "-in", path, "-traditional", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    numbers = integers(der)[3:]
    assert len(numbers) == 6
    pieces = [n.to_bytes((n.bit_length() + 7) // 8, order) for n in numbers for order in ("big", "little")]
    lines = pem.splitlines()
    # an inner piece of each: its ends may be overwritten
    return [piece[24:64] for piece in pieces] + [line for line in lines[8:-3:4]]


def memory(process):
    """Everything that its address space holds, piece by piece."""
    with open(f"/proc/{process.pid}/maps") as maps, open(f"/proc/{process.pid}/mem", "rb", 0) as mem:
        for line in maps:
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if rights[0] != "r" or "[vvar" in line or "[vsyscall" in line:
                continue
            mem.seek(int(begin, 16))
            try:
                yield mem.read(int(end, 16) - int(begin, 16))
            except OSError:  # pages of a file beyond its end
                continue


def opened_files(process):
    """What can be read of what it has open: files in memory, among others."""
    for fd, what in process.descriptors().items():
        if what.startswith(("/memfd:", "/dev/shm", "/")) and not what.startswith(("/dev/", "/proc/")):
            with open(f"/proc/{process.pid}/fd/{fd}", "rb") as file:
                yield file.read()


def has_any(texts, pieces):
    return any(piece in text for text in texts for piece in pieces)


def test_no_other_process_ever_holds_a_key_of_a_CA_T_016(lab, world, good, authorities, outside, intercepting,
                                                         connect):
    """
    Address spaces and descriptors of all processes, while leaves of both CAs are in use. That the same
    search finds the keys in the signer shows that it would find them elsewhere.
    """
    pieces = [piece for key in authorities.keys for piece in secrets(key)]
    assert len(pieces) > 24 and all(len(piece) >= 40 for piece in pieces)
    bad = Issued(lab)
    server = outside("imap", good)
    gate = intercepting(server, tls={"verify": "untrusted"}, workers=2)
    with connect(gate, trusting(authorities.trusted)) as client:
        client.login()
        server.script.context.load_cert_chain(bad.chain, bad.key)
        with connect(gate, client_context()) as other:
            other.login()
            assert "UNTRUSTED" in parsed(other.sock.getpeercert(True))["issuer"]
            for process in gate.processes():
                if process.role in ("worker", "logger", "status-process"):
                    assert not has_any(memory(process), pieces), process
                    assert not has_any(opened_files(process), pieces), process
                    assert "postern-ca" not in str(process.descriptors()), process
    holder = signer(gate)
    assert has_any(memory(holder), pieces)
    assert "postern-ca" not in str(holder.descriptors())  # it was read, and closed
    # the supervisor has the file, sealed, for the next signer; what it has read itself it has wiped
    assert not has_any(memory(gate.supervisor()), pieces)
    before = gate.workers()
    gate.reload()
    wait_for(lambda: not any(worker.alive() for worker in before), 20, "the workers of before to end")
    for worker in gate.workers():
        assert not has_any(memory(worker), pieces)


def test_what_the_signer_may_V_001_V_006(good, outside, intercepting):
    """As the kernel sees it: nobody, no capability, a filter, no dump; and no socket of the network."""
    gate = intercepting(outside("imap", good))
    process = signer(gate)
    confined(process)
    status = process.status()
    assert set(status["Uid"].split()) == {str(NOBODY)} == set(status["Gid"].split())
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[which], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert os.stat(f"/proc/{process.pid}/environ").st_uid == 0
    assert Path(f"/proc/{process.pid}/limits").read_text().split("Max core file size")[1].split()[0] == "0"
    tables = "".join(Path(f"/proc/{gate.pid}/net/{name}").read_text()
                     for name in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"))
    opened = process.descriptors()
    inodes = {f"socket:[{number}]" for number in re.findall(r"\b\d+\b", tables)}
    assert not inodes & set(opened.values())
    files = [what for fd, what in opened.items() if fd > 2 and what.startswith("/")]
    assert files == []
    assert not process.children()


def test_no_signer_where_there_is_no_CA_V_001(fake, gateway):
    gate = gateway(fake(port=25))
    wait_for(lambda: gate.of_role("status-process"), 5, "all processes")
    assert not gate.of_role("signer")


# ---- it dies ----


def test_it_dies_and_the_next_one_serves(lab, world, good, authorities, outside, intercepting, connect):
    """What is kept needs no signer; what is asked for while it dies is asked again."""
    server = outside("imap", good)
    gate = intercepting(server)
    context = trusting(authorities.trusted)
    with connect(gate, context) as client:
        client.login()
        first = signer(gate)
        first.signal(signal.SIGKILL)
        wait_for(lambda: gate.of_role("signer") and signer(gate) != first, 5, "another signer")
        client.did("NOOP")
    assert "the signer died" in gate.stderr
    new = Issued(lab, issuer=world)
    server.script.context.load_cert_chain(new.chain, new.key)
    with connect(gate, context) as client:
        client.login()
    # it does not answer, and then it is gone
    second = signer(gate)
    second.signal(signal.SIGSTOP)
    newer = Issued(lab, issuer=world)
    server.script.context.load_cert_chain(newer.chain, newer.key)
    waiting = connect(gate, None)
    waiting.sock.settimeout(20)
    killer = subprocess.Popen(["sh", "-c", f"sleep 1; kill -KILL {second.pid}"])
    began = time.monotonic()
    with waiting:
        waiting.wrap(context, NAME)
        assert time.monotonic() - began > 0.8
        waiting.login()
    killer.wait()


def test_it_keeps_dying_and_everything_else_goes_on(good, authorities, outside, intercepting, connect):
    """After three deaths it rests; sessions that need it wait, and those that do not are served."""
    gate = intercepting(outside("imap", good))
    context = trusting(authorities.trusted)
    with connect(gate, context) as client:
        client.login()
    workers = gate.workers()
    for _ in range(3):
        one = signer(gate)
        one.signal(signal.SIGKILL)
        wait_for(lambda: not one.alive(), 5, "its death")
    time.sleep(2)
    assert not gate.of_role("signer")
    with connect(gate, context) as client:
        client.login()
    assert gate.workers() == workers
    wait_for(lambda: gate.of_role("signer"), 15, "a signer again")


def test_a_reload_replaces_the_CA_R1(lab, world, good, authorities, outside, intercepting, connect):
    """Sessions go on; a client that trusts the new one alone is served from then on."""
    gate = intercepting(outside("imap", good), drain=30)
    others = Authorities(lab)
    with connect(gate, trusting(authorities.trusted)) as client:
        client.login()
        before = signer(gate)
        gate.configure(tls={**others.settings, "trust": str(world.chain)}, drain=30,
                       **{k: gate.settings[k] for k in ("imap", "forward")})
        gate.reload()
        with connect(gate, trusting(others.trusted)) as other:
            other.login()
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(gate, trusting(authorities.trusted))
        client.did("NOOP")
        assert signer(gate) != before and len(gate.of_role("signer")) == 1
        # and none at all
        gate.configure(drain=30, **{k: gate.settings[k] for k in ("imap", "forward")})
        gate.reload()
        wait_for(lambda: not gate.of_role("signer"), 5, "its end")
        client.did("NOOP")


def test_many_new_servers_at_once_are_bounded(lab, world, authorities, outside, intercepting, connect):
    """A stopped signer: questions wait, and beyond the bound sessions fail at once, not the gateway."""
    server = outside("imap", Issued(lab, issuer=world))
    gate = intercepting(server)
    signer(gate).signal(signal.SIGSTOP)
    waiting = connect(gate, None)
    waiting.sock.settimeout(0.5)
    with pytest.raises((TimeoutError, ssl.SSLError)):
        waiting.wrap(trusting(authorities.trusted), NAME)
    waiting.close()
    signer(gate).signal(signal.SIGCONT)
    with connect(gate, trusting(authorities.trusted)) as client:
        client.login()


# ---- how they are made, and what is refused ----


def run(*argv):
    return subprocess.run([BINARY, *argv], capture_output=True, text=True, timeout=60)


def test_init_and_show_T_016(tmp_path):
    done = run("ca", "init", "-d", tmp_path, "-o", "Campus")
    assert done.returncode == 0 and not done.stderr, done
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == {"ca.pem": "0o444", "ca.key": "0o400", "untrusted-ca.pem": "0o444",
                     "untrusted-ca.key": "0o400"}
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = run("ca", "init", "-d", tmp_path)
    assert again.returncode == 1 and "nothing is overwritten" in again.stderr
    (tmp_path / "ca.pem").unlink()
    again = run("ca", "init", "-d", tmp_path)
    assert again.returncode == 1 and not (tmp_path / "ca.pem").exists()
    for path, octets in before.items():
        assert path.name == "ca.pem" or path.read_bytes() == octets
    shown = run("ca", "show", tmp_path / "untrusted-ca.pem")
    der = base64.b64decode("".join((tmp_path / "untrusted-ca.pem").read_text().splitlines()[1:-1]))
    digest = subprocess.run(["sha256sum"], input=der, capture_output=True, check=True).stdout.split()[0]
    assert shown.returncode == 0 and digest.decode() in shown.stdout and "UNTRUSTED" in shown.stdout
    # another installation has other keys
    other = tmp_path / "other"
    other.mkdir()
    assert run("ca", "init", "-d", other).returncode == 0
    assert (other / "ca.key").read_bytes() != before[tmp_path / "ca.key"]


@pytest.mark.parametrize("argv", [(), ("make",), ("init", "-x"), ("init", "more"), ("show", "-c", "x", "y")])
def test_wrong_usage_of_ca(argv):
    done = run("ca", *argv)
    assert done.returncode == 2 and "usage: postern ca init" in done.stderr


def test_nothing_is_left_of_an_init_that_fails(tmp_path):
    (tmp_path / "untrusted-ca.key").symlink_to(tmp_path / "nowhere")
    assert run("ca", "init", "-d", tmp_path).returncode == 1
    assert run("ca", "init", "-d", tmp_path / "missing").returncode == 1
    assert run("ca", "init", "-d", tmp_path, "-o", "x" * 65).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["untrusted-ca.key"]


def chmod(number):
    return lambda made: made.keys[0].chmod(number)


def swap(made):
    made.keys[0].chmod(0o600)
    made.keys[0].write_bytes(made.keys[1].read_bytes())


def same(made):
    made.untrusted.chmod(0o644)
    made.untrusted.write_bytes(made.trusted.read_bytes())
    made.keys[1].chmod(0o600)
    made.keys[1].write_bytes(made.keys[0].read_bytes())


def leaf(made):
    lab = type("Somewhere", (), {"dir": made.folder})
    own = Certificate(lab, "x.example")
    pem = subprocess.run(["openssl", "x509", "-x509toreq", "-in", own.chain, "-signkey", own.key],
                         check=True, capture_output=True).stdout
    made.trusted.chmod(0o644)
    made.trusted.write_bytes(subprocess.run(["openssl", "x509", "-req", "-signkey", own.key], input=pem,
                                            check=True, capture_output=True).stdout)
    made.keys[0].chmod(0o600)
    made.keys[0].write_bytes(own.key.read_bytes())


@pytest.mark.parametrize("break_it,said", [
    (chmod(0o444), "others than its owner may read or write it (mode 0444)"),
    (chmod(0o440), "others than its owner may read or write it (mode 0440)"),
    (lambda made: os.chown(made.keys[1], 12345, 0), "belongs to user 12345"),
    (swap, "is not the key of the CA's certificate"),
    (same, "is the CA of tls.ca too"),
    (leaf, "is no certificate of a CA"),
    (lambda made: made.keys[1].unlink(), "No such file"),
], ids=["world", "group", "owner", "key", "same", "leaf", "missing"])
def test_refuses_to_start_V_009(lab, good, outside, intercepting, break_it, said):
    made = Authorities(lab)
    break_it(made)
    with pytest.raises(LabError) as fault:
        intercepting(outside("imap", good), tls=made.settings)
    assert said in str(fault.value) and re.search(r"conf:\d+: tls\.(untrusted_)?ca", str(fault.value))


def test_one_without_the_others(lab, authorities, good, outside, intercepting):
    with pytest.raises(LabError, match=r"conf:\d+: tls.untrusted_ca_key: missing; .*postern ca init"):
        intercepting(outside("imap", good), tls={**authorities.settings, "untrusted_ca_key": ""})


# ---- real servers and clients ----

@pytest.fixture(scope="module")
def far_dovecot(lab, good):
    return Dovecot(lab, "far-dovecot", (L.FAKE_TWO, L.FAKE6_TWO), certificate=good)


@pytest.mark.parametrize("trusts", [True, False], ids=["trusts", "does_not"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "upgrade"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_and_dovecot(lab, world, authorities, far_dovecot, gateway, client_folder, protocol, implicit,
                          version, trusts):
    account = far_dovecot.account(mails.WILD)
    held = account.messages()
    port = {("imap", True): 993, ("pop3", True): 995, ("imap", False): 143, ("pop3", False): 110}[
        protocol, implicit]
    gateway((far_dovecot.address, port), protocol=protocol, **{protocol: {"starttls": "intercept"}},
            forward={"mx": {"implicit_tls": implicit, "outside": True, "listen": f"{L.GATEWAY}:{port}"}},
            tls={**authorities.settings, "trust": str(world.chain)})
    path = f"INBOX;MAILINDEX={len(held)}" if protocol == "imap" else str(len(held))
    done = lab.client.run(
        "curl", "-sS", "--noproxy", "*", "--cacert", authorities.trusted if trusts else world.chain,
        "--ssl-reqd", f"--tlsv{version}", "--tls-max", version, "--connect-to",
        f"{NAME}:{port}:{L.GATEWAY}:{port}", "-u", f"{account.user}:{account.password}",
        "-o", client_folder / "got", f"{protocol}{'s' if implicit else ''}://{NAME}:{port}/{path}")
    if not trusts:
        assert done.returncode == 60, done  # the certificate is not believed
        return
    assert done.returncode == 0, done.stderr
    assert (client_folder / "got").read_bytes() in (held[-1], held[-1] + b"\r\n")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("rsa", [True, False], ids=["rsa", "ecdsa"])
def test_openssl_s_client_verifies_strictly(lab, world, authorities, outside, intercepting, rsa, version):
    gate = intercepting(outside("imap", Issued(lab, issuer=world, rsa=rsa), port=993))
    done = lab.client.run(
        "openssl", "s_client", "-connect", f"{L.GATEWAY}:{gate.port}", "-servername", NAME, "-verify_hostname",
        NAME, "-CAfile", authorities.trusted, "-x509_strict", "-verify_return_error", "-brief",
        f"-tls{version.replace('.', '_')}", "-purpose", "sslserver", input="a LOGOUT\r\n")
    assert done.returncode == 0 and "Verification: OK" in done.stderr, done
    assert ("RSA" in done.stderr.split("Signature type:")[1].split("\n")[0]) == rsa


@pytest.mark.parametrize("trusts", [True, False], ids=["trusts", "does_not"])
def test_swaks_and_postfix(lab, world, authorities, good, gateway, trusts):
    """A mail server outside behind submission; swaks says no name unless it is told one."""
    from outside_peers import outside_server
    server = outside_server(lab.server, L.FAKE_TWO, "smtp", good, port=587, implicit=False)
    gateway((server.address, server.port), smtp={"starttls": "intercept"},
            forward={"mx": {"outside": True}}, tls={**authorities.settings, "trust": str(world.chain)})
    done = lab.client.run(
        "swaks", "--server", L.GATEWAY, "--helo", "client.good.example", "--from", "anna@good.example", "--to",
        "otto@campus.example", "--tls", "--tls-sni", NAME, "--tls-verify", "--tls-ca-path",
        authorities.trusted if trusts else world.chain, "--header", "Subject: by swaks", timeout=60)
    server.close()
    assert (done.returncode == 0) == trusts, done
    assert len(server.mails) == (1 if trusts else 0)
    assert server.names and server.names[-1] == NAME
