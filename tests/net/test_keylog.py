"""
Sessions under TLS between real clients and real servers, nobody in between: recorded with tcpdump, and
read with the key log that the client wrote (OpenSSL in curl, GnuTLS in lftp). SECURITY case X-006; FIELD
rows L11, T13.
"""

import hashlib
import os

import pytest

import mails
from ftp_servers import PASSWORD, USER, sha256
from test_watch import Watcher
from wire_lab import Wire, run_read

PAYLOAD = os.urandom(1 << 20)
CURL = ["curl", "-sS", "--noproxy", "*", "-k", "--connect-timeout", "10", "-m", "50"]
VERSIONS = {"1.2": ["--tlsv1.2", "--tls-max", "1.2"], "1.3": ["--tlsv1.3"]}
# curl lets nobody choose a cipher of TLS 1.3 among those that it has anyway
CURLS = {"1.3": VERSIONS["1.3"], "1.2": VERSIONS["1.2"],
         "1.2-CBC": [*VERSIONS["1.2"], "--ciphers", "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA"],
         "1.2-ChaCha20": [*VERSIONS["1.2"], "--ciphers", "ECDHE+CHACHA20"],
         "1.3-ChaCha20": [*VERSIONS["1.3"], "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"]}
# GnuTLS's names
PRIORITIES = {"1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3", "1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2",
              "1.2-CBC": "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC",
              "1.3-ChaCha20": "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"}


class Keyed:
    """A capture of what a client in namespace does, and its key log."""

    def __init__(self, namespace, folder):
        self.namespace, self.folder = namespace, folder
        self.keys = folder / "keys"
        self.wire = Wire(namespace, folder / "wire.pcap", filter="tcp")

    def run(self, *argv, **options):
        env = {**os.environ, "SSLKEYLOGFILE": str(self.keys), "HOME": str(self.folder), "TERM": "dumb"}
        done = self.namespace.run(*argv, env=env, cwd=self.folder, timeout=60, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, keys=None):
        self.wire.stop()
        records, said = run_read("--keylog", keys or self.keys, self.wire.path)
        assert not said, said
        return records


@pytest.fixture
def keyed(tmp_path):
    made = []

    def make(namespace):
        made.append(Keyed(namespace, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.wire.kill()


def of(records, kind):
    return [r for r in records if r["event_type"] == kind]


def sent(keyed, lab, campus, options, subject):
    """A mail by curl to Postfix."""
    keyed = keyed(lab.client)
    (keyed.folder / "mail").write_bytes(mails.with_file(subject, payload=PAYLOAD))
    keyed.run(*CURL, *options, "--ssl-reqd", f"smtp://{campus.address}", "--mail-from", "anna@good.example",
              "--mail-rcpt", "otto@campus.example", "--upload-file", "mail")
    campus.box.wait(f"Subject: {subject}".encode())
    return keyed


@pytest.mark.parametrize("options", CURLS.values(), ids=CURLS)
def test_a_mail_after_starttls_T13(keyed, lab, campus, options):
    records = sent(keyed, lab, campus, options, "keyed").read()
    tls, = of(records, "tls")
    assert tls["tls"]["action"] == "opened"
    mail, = of(records, "smtp")
    assert mail["smtp"]["state"] == "accepted" and mail["email"]["subject"] == "keyed"
    assert hashlib.sha256(PAYLOAD).hexdigest() in {r["fileinfo"]["sha256"] for r in of(records, "fileinfo")}
    assert not of(records, "anomaly"), of(records, "anomaly")


@pytest.mark.parametrize("options", CURLS.values(), ids=CURLS)
def test_messages_over_imaps_T13(keyed, lab, tls_dovecot, options):
    account = tls_dovecot.account([mails.with_file("first", payload=PAYLOAD), mails.plain("second")])
    keyed = keyed(lab.client)
    url = f"imaps://{tls_dovecot.address}/INBOX"
    keyed.run(*CURL, *options, "-u", f"{account.user}:{account.password}", url + ";MAILINDEX=1", url + ";MAILINDEX=2")
    records = keyed.read()
    assert [r["email"]["subject"] for r in of(records, "email")] == ["first", "second"]
    assert hashlib.sha256(PAYLOAD).hexdigest() in {r["fileinfo"]["sha256"] for r in of(records, "fileinfo")}
    assert account.user in {r["imap"].get("user") for r in of(records, "imap")}
    assert not of(records, "anomaly"), of(records, "anomaly")


@pytest.mark.parametrize("priority", PRIORITIES.values(), ids=PRIORITIES)
@pytest.mark.parametrize("way", ["passive", "active"])
@pytest.mark.parametrize("server", ["vsftpd", "proftpd"])
def test_files_over_ftps_T13(keyed, perimeter, ftp_server, server, way, priority):
    """Each data connection is a session of its own, which resumes that of the control connection."""
    ftpd = ftp_server(server)
    perimeter.no_firewall()
    ftpd.put("down", PAYLOAD)
    keyed = keyed(perimeter.client)
    (keyed.folder / "up").write_bytes(PAYLOAD[::-1])
    keyed.run("lftp", "-c", f"""set net:max-retries 1; set net:timeout 10; set ssl:verify-certificate no
        set ssl:priority {priority}
        set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ftp:ssl-protect-list yes
        set ftp:passive-mode {'yes' if way == 'passive' else 'no'}; set cmd:fail-exit yes
        open ftp://{USER}:{PASSWORD}@{ftpd.address}/
        get down -o got; put up; cls -1""")
    records = keyed.read()
    data = {r["ftp_data"]["command"]: r["ftp_data"] for r in of(records, "ftp_data")}
    assert all(one["outcome"] == "complete" for one in data.values()), data
    assert {"RETR", "STOR"} <= set(data)
    digests = {r["fileinfo"]["sha256"] for r in of(records, "fileinfo")}
    assert {sha256(PAYLOAD), sha256(PAYLOAD[::-1])} <= digests
    assert not of(records, "anomaly"), of(records, "anomaly")


def test_keys_of_somebody_else_open_nothing_X_006(keyed, lab, campus):
    keyed = sent(keyed, lab, campus, VERSIONS["1.3"], "sealed")
    wrong = keyed.folder / "wrong"
    lines = (line.split() for line in keyed.keys.read_text().splitlines() if not line.startswith("#"))
    wrong.write_text("".join(f"{label} {random} {secret[::-1]}\n" for label, random, secret in lines))
    records = keyed.read(wrong)
    assert not of(records, "smtp") and not of(records, "fileinfo")
    assert of(records, "flow")[0]["flow"]["opaque"]
    assert of(records, "tls")


@pytest.fixture
def watcher(lab, tmp_path):
    (tmp_path / "keys").touch()
    one = Watcher(lab.client, "eth0", "--keylog", tmp_path / "keys")
    yield one
    one.kill()


@pytest.mark.parametrize("version", VERSIONS)
def test_keys_are_read_while_they_are_written_T13(watcher, lab, tls_dovecot, tmp_path, version):
    """The watcher began when there was no key yet, and cannot open the file again."""
    account = tls_dovecot.account([mails.with_file("live", payload=PAYLOAD)])
    for _ in range(3):
        done = lab.client.run(*CURL, *VERSIONS[version], "-u", f"{account.user}:{account.password}",
                              f"imaps://{tls_dovecot.address}/INBOX;MAILINDEX=1",
                              env={**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")})
        assert done.returncode == 0, done.stderr
    records = watcher.stop()
    assert [r["email"]["subject"] for r in of(records, "email")] == ["live"] * 3
    assert {r["tls"]["action"] for r in of(records, "tls")} == {"opened"}
