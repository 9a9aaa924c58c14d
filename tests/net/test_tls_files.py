"""Certificates and keys of a running gateway: read by root at start and at reload, used by workers."""

import signal
import subprocess

import pytest
from lab import wait_for


def make_pair(folder, name, days=365, options=("-newkey", "rsa:2048")):
    """NAME.pem and NAME.key, signed by itself."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-nodes", *options, "-keyout", key, "-out", chain,
                    "-days", str(days), "-subj", f"/CN={name}.campus.example",
                    "-addext", f"subjectAltName=DNS:{name}.campus.example"],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return chain, key


@pytest.fixture
def pair(lab, tmp_path):
    return make_pair(tmp_path, "mail")


def sections(pair, trust=None):
    chain, key = pair
    return {"tls": {"trust": str(trust or chain)},
            "certificate": {"mail": {"chain": str(chain), "key": str(key)}}}


def refused(gate):
    """SIGHUP, and waits until the reload was refused; gives what was said of it."""
    before = gate.stderr.count("reload refused")
    said = len(gate.stderr)
    gate.process.send_signal(signal.SIGHUP)
    wait_for(lambda: gate.stderr.count("reload refused") > before, 20, "reload refused")
    return gate.stderr[said:]


def test_workers_have_keys_that_only_root_may_read_T_016(fake, gateway, pair):
    """They run as nobody, and no file of them is open."""
    gate = gateway(fake(port=25), workers=2, **sections(pair))
    with gate.client() as client:
        client.hello()
    for worker in gate.workers():
        assert worker.status()["Uid"].split()[0] != "0"
        opened = worker.descriptors().values()
        assert not [name for name in opened if name.endswith((".key", ".pem"))]


def test_a_reload_takes_new_files_and_refuses_wrong_ones_R1(fake, gateway, pair, tmp_path):
    gate = gateway(fake(port=25), **sections(pair))
    chain, key = pair
    good = chain.read_bytes(), key.read_bytes()
    other, other_key = make_pair(tmp_path, "other")
    first = gate.workers()
    # the key of another certificate: everything stays as it was
    key.write_bytes(other_key.read_bytes())
    said = refused(gate)
    assert f"certificate.key: {key}: is not the key of the first certificate of {chain}" in said
    assert f"{gate.file}:" in said
    assert gate.workers() == first
    with gate.client() as client:
        client.hello()
    # no key at all
    key.unlink()
    assert f"certificate.key: {key}: No such file or directory" in refused(gate)
    assert gate.workers() == first
    # another certificate with its key
    chain.write_bytes(other.read_bytes())
    key.write_bytes(other_key.read_bytes())
    key.chmod(0o600)
    gate.reload()
    wait_for(lambda: not set(first) & set(gate.workers()), what="new workers")
    with gate.client() as client:
        client.hello()
    # and back
    chain.write_bytes(good[0])
    key.write_bytes(good[1])
    gate.reload()


def test_warnings_stop_nothing(fake, gateway, tmp_path):
    chain, key = make_pair(tmp_path, "mail", days=3)
    key.chmod(0o644)
    gate = gateway(fake(port=25), **sections((chain, key)))
    assert "certificate 1 expires in less than 14 days" in gate.stderr
    assert "others than its owner and group may read or write it (mode 0644)" in gate.stderr
    with gate.client() as client:
        client.hello()


def test_key_log_is_said_loudly_T_023(fake, gateway, pair, tmp_path):
    """Root makes the file, for itself, and workers have it open."""
    settings = sections(pair)
    settings["tls"]["key_log"] = str(tmp_path / "keys")
    gate = gateway(fake(port=25), **settings)
    assert "warning: tls.key_log: whoever can read" in gate.stderr
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert str(tmp_path / "keys") in gate.workers()[0].descriptors().values()
