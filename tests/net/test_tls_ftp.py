"""
FTP under TLS: AUTH TLS, and TLS from the first octet on, both legs, control and data, before real servers
of which vsftpd and ProFTPD demand that data connections resume their session, for real clients. SECURITY
cases F-027 to F-036, N-004; FIELD rows F16 to F20.
"""

import ftplib
import os
import ssl
import threading

import pytest

import lab as L
from ftp_clients import ACTIVE, ACTIVE6, PASSIVE, PASSIVE6, host
from ftp_peers import FtpClient
from ftp_servers import PASSWORD, USER, sha256
from lab import wait_for
from peers import RESET, Closed
from tls_ftp_peers import TlsFtpClient
from tls_peers import VERSIONS, Certificate, client_context

MODES = ["tproxy"]
PAYLOAD = os.urandom(1 << 20)


@pytest.fixture
def tls_gateway(ftp_gateway, ours):
    """A gateway that has a certificate for every server inside."""

    def start(to, ftp=None, **settings):
        return ftp_gateway(to, ftp={"tls_ports": [990], **(ftp or {})}, certificate={"ours": ours.section},
                           **settings)

    return start


class Resuming(ftplib.FTP_TLS):
    """As FileZilla and others: data connections resume the session of the control connection."""

    resumed = None

    def ntransfercmd(self, command, rest=None):
        sock, size = ftplib.FTP.ntransfercmd(self, command, rest)
        if self._prot_p:
            sock = self.context.wrap_socket(sock, server_hostname=self.host, session=self.sock.session)
            self.resumed = sock.session_reused
        return sock, size


def open_tls(address, ours, version=None, kind=Resuming):
    context = client_context(version, ours)
    context.check_hostname = False
    client = kind(context=context, timeout=10)
    client.connect(address, 21)
    client.login(USER, PASSWORD)
    return client


def records_of(gate, n):
    def files():
        return [r for r in gate.records("ftp_data") if r["ftp_data"]["command"] in ("RETR", "STOR")]

    wait_for(lambda: len(files()) >= n, what=f"the records of {n} files")
    return files()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", [PASSIVE, ACTIVE], ids=str)
def test_files_go_both_ways_under_TLS_F_027_F_030_F_031(perimeter, ftpd, tls_gateway, ours, version, way):
    """Ten transfers in a row: each resumes, on both legs."""
    gate = tls_gateway(ftpd)
    ftpd.put("down", PAYLOAD)

    def work():
        got = []
        with open_tls(ftpd.address, ours, version) as client:
            client.prot_p()
            client.set_pasv(not way.active)
            for i in range(5):
                octets = bytearray()
                client.retrbinary("RETR down", octets.extend)
                got.append(sha256(octets))
                assert client.resumed
                with open("/dev/zero", "rb") as zeros:
                    client.storbinary(f"STOR up{i}", _First(zeros, 70_000 + i))
        return got

    got = perimeter.client.call(work)
    assert got == [sha256(PAYLOAD)] * 5
    for i in range(5):
        assert ftpd.read(f"up{i}") == bytes(70_000 + i)
    for record in records_of(gate, 10):
        data = record["ftp_data"]
        assert data["outcome"] == "complete", data
        assert data["server"]["tls"] == {"version": "TLSv1.3", "session_resumed": ftpd.resumes}, data
        assert data["client"]["tls"] == {"version": f"TLSv{version}", "session_resumed": True}, data
    assert gate.records("tls")[0]["tls"]["action"] == "intercepted"
    told = [r["anomaly"]["event"] for r in gate.records("anomaly")]
    assert told.count("ftp_data_not_resumed") == (0 if ftpd.resumes else 1), told  # said once


class _First:
    """The first n octets of a file."""

    def __init__(self, file, n):
        self.file, self.left = file, n

    def read(self, n):
        octets = self.file.read(min(n, self.left))
        self.left -= len(octets)
        return octets


# ---- programs ----

class Curl:
    """Not active: curl 7.88 hangs in that under TLS, also straight to a server."""

    name, ways = "curl", [PASSIVE, PASSIVE6]

    @staticmethod
    def argv(way, url):
        own = ["-sS", "--noproxy", "*", "--connect-timeout", "10", "--ssl-reqd", "-k",
               *(["-P", "-"] if way.active else ["--ftp-pasv"])]
        return ["curl", *own, url + "down", "-o", "got", "--next", *own, "-T", "up", url,
                "--next", *own, url]


class Lftp:
    name, ways = "lftp", [PASSIVE, ACTIVE, PASSIVE6, ACTIVE6]

    @staticmethod
    def argv(way, url):
        script = f"""set net:max-retries 1; set net:timeout 10; set ssl:verify-certificate no
            set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ftp:ssl-protect-list yes
            set ftp:passive-mode {'no' if way.active else 'yes'}; set cmd:fail-exit yes
            open {url}
            get down -o got; put up; cls -1"""
        return ["lftp", "-c", script]


PAIRS = [(program, way) for program in (Curl, Lftp) for way in program.ways]
PAIRS4 = [pair for pair in PAIRS if not pair[1].v6]


def pair_name(pair):
    return f"{pair[0].name}-{pair[1]}"


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_real_clients_F16_F18(perimeter, ftpd, tls_gateway, tmp_path, pair):
    gate = tls_gateway(ftpd)
    fetch_and_bring(perimeter, ftpd, *pair, tmp_path)
    for record in records_of(gate, 2):
        data = record["ftp_data"]
        assert data["outcome"] == "complete" and data["client"]["tls"] and data["server"]["tls"], data


def fetch_and_bring(perimeter, server, program, way, folder, scheme="ftp", address=None):
    """Lists, fetches, brings."""
    server.put("down", PAYLOAD)
    (folder / "up").write_bytes(PAYLOAD[::-1])
    address = address or (server.address6 if way.v6 else server.address)
    url = f"{scheme}://{USER}:{PASSWORD}@{host(address)}/"
    done = perimeter.client.run(*program.argv(way, url), cwd=folder, timeout=60,
                                env={**os.environ, "HOME": str(folder), "TERM": "dumb"})
    assert done.returncode == 0, done.stderr
    assert sha256((folder / "got").read_bytes()) == sha256(PAYLOAD)
    assert sha256(server.read("up")) == sha256(PAYLOAD[::-1])
    assert "down" in done.stdout


@pytest.mark.parametrize("mode", ["redirect", "forward"])
@pytest.mark.parametrize("pair", PAIRS4, ids=pair_name)
def test_real_clients_in_other_modes_F16(perimeter, vsftpd, tls_gateway, tmp_path, pair, mode):
    tls_gateway(vsftpd)
    fetch_and_bring(perimeter, vsftpd, *pair, tmp_path,
                    address=L.GATEWAY if mode == "forward" else None)


@pytest.mark.parametrize("pair", PAIRS4, ids=pair_name)
def test_TLS_from_the_first_octet_on_F_027_F17(perimeter, vsftpd, tls_gateway, tmp_path, pair):
    """Clients say PROT P there too; vsftpd wants its sessions resumed."""
    gate = tls_gateway(vsftpd)
    fetch_and_bring(perimeter, vsftpd, *pair, tmp_path, scheme="ftps")
    for record in records_of(gate, 2):
        assert record["dest_port"] == 990 and record["ftp_data"]["server"]["tls"]["session_resumed"], record


# ---- one leg alone ----

class PlainCurl(Curl):
    """Knows nothing of TLS."""

    ways = [PASSIVE, ACTIVE]

    @staticmethod
    def argv(way, url):
        return [word for word in Curl.argv(way, url) if word != "--ssl-reqd"]


@pytest.mark.parametrize("way", PlainCurl.ways, ids=str)
def test_a_plain_client_before_a_server_under_TLS_F20(perimeter, vsftpd, ftp_gateway, tmp_path, way):
    gate = ftp_gateway(vsftpd, ftp={"server_data_protection": "private"},
                       tls_rule={"up": {"protocols": ["ftp"], "upstream": "starttls"}})
    fetch_and_bring(perimeter, vsftpd, PlainCurl, way, tmp_path)
    for record in records_of(gate, 2):
        data = record["ftp_data"]
        assert "tls" not in data["client"] and data["server"]["tls"]["session_resumed"], data
    assert gate.records("tls")[0]["tls"]["one_sided"] == "server"


# ---- what is resumed ----

def test_a_client_that_does_not_resume_is_recorded_F_033(perimeter, vsftpd, tls_gateway, ours):
    gate = tls_gateway(vsftpd)
    vsftpd.put("down", b"hello")
    perimeter.client.call(lambda: retrieve(open_tls(vsftpd.address, ours, kind=ftplib.FTP_TLS)))
    data = records_of(gate, 1)[0]["ftp_data"]
    assert data["outcome"] == "complete"
    assert not data["client"]["tls"]["session_resumed"] and data["server"]["tls"]["session_resumed"]


def retrieve(client):
    got = bytearray()
    with client:
        client.prot_p()
        client.retrbinary("RETR down", got.extend)
    return bytes(got)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_does_not_resume_is_refused_F_033(perimeter, vsftpd, tls_gateway, ours, version):
    gate = tls_gateway(vsftpd, ftp={"data_resumption": "require"})
    vsftpd.put("down", b"hello")

    def work(kind):
        return retrieve(open_tls(vsftpd.address, ours, version, kind))

    with pytest.raises((*RESET, ftplib.Error)):  # the client may read before it is told why
        perimeter.client.call(lambda: work(ftplib.FTP_TLS))
    data = records_of(gate, 1)[0]["ftp_data"]
    assert (data["outcome"], data["reason"]) == ("cut", "tls_not_resumed"), data
    assert perimeter.client.call(lambda: work(Resuming)) == b"hello"


def test_tickets_are_those_of_their_own_control_connection_F_034(perimeter, ftp_server, tls_gateway, ours):
    """ProFTPD knows its tickets: one of another control connection would be no resumption."""
    server = ftp_server("proftpd")
    gate = tls_gateway(server)
    server.put("down", b"hello")

    def work():
        clients = [open_tls(server.address, ours) for _ in range(3)]
        for client in clients:
            client.prot_p()
        for _ in range(3):
            for client in clients:
                client.retrbinary("RETR down", lambda octets: None)
        for client in clients:
            client.quit()

    perimeter.client.call(work)
    for record in records_of(gate, 9):
        assert record["ftp_data"]["server"]["tls"]["session_resumed"], record


# ---- scripted peers ----

@pytest.fixture
def inside(gateway, ours):
    """A gateway in the laboratory without a firewall, and a way to open sessions under TLS."""

    def start(server, ftp=None, **settings):
        gate = gateway(server, ftp={"starttls": "intercept", **(ftp or {})},
                       certificate={"ours": ours.section}, **settings)
        gate.opened = lambda way="EPSV", **kinds: opened(gate, way, **kinds)
        return gate

    return start


def opened(gate, way, **kinds):
    client = gate.client(cls=TlsFtpClient)
    for name, value in kinds.items():
        setattr(client, name, value)
    client.way = way
    return client.login().binary()


WAYS = ["PORT", "EPSV"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_the_server_s_side_resumes_whatever_it_speaks_F_030_F_031(tls_ftp, inside, way, version):
    server = tls_ftp(version=version, files={"a": b"hello"})
    gate = inside(server)
    with gate.opened(way) as client:
        for i in range(4):
            assert client.get("RETR a") == b"hello"
            assert client.put(f"STOR {i}", b"up").code == 226
    assert server.resumed == [True] * 8
    assert server.whole == {"0", "1", "2", "3"}


@pytest.mark.parametrize("version", VERSIONS)
def test_data_from_another_server_F_030(lab, tls_ftp, inside, version):
    """Another certificate than the control connection's; nor does a session of its make it the server."""
    server = tls_ftp(data_certificate=Certificate(lab, "fake.campus.example"), files={"a": b"not yours"},
                     version=version)
    gate = inside(server)
    with gate.opened() as client:
        for _ in range(3):
            data, _ = FtpClient.begin(client, "RETR a")
            with data, pytest.raises((Closed, OSError)):
                client.protect(data)
                data.fill(10)
            assert client.reply().code == 426
    for record in gate.records("ftp_data"):
        data = record["ftp_data"]
        assert (data["outcome"], data["reason"]) == ("cut", "tls_verify"), data


def test_a_ticket_of_another_control_connection_is_another_client_s_F_033(tls_ftp, inside):
    """Two sessions of one address: the data port of one is not the other's, whatever its ticket."""
    gate = inside(tls_ftp(files={"a": b"hello"}), ftp={"data_resumption": "require"})
    with gate.opened() as mine, gate.opened() as other:
        assert mine.get("RETR a") == b"hello" and other.get("RETR a") == b"hello"
        data, _ = FtpClient.begin(mine, "RETR a")
        with data, pytest.raises((Closed, OSError)):
            other.protect(data)
            data.fill(10)
        answer = mine.reply()
        assert answer.code == 522, answer
        assert other.get("RETR a") == b"hello"


@pytest.mark.parametrize("way", WAYS)
def test_a_FIN_is_no_end_of_an_upload_F_036(tls_ftp, inside, way):
    server = tls_ftp()
    gate = inside(server)
    with gate.opened(way) as client:
        data, _ = client.begin("STOR half")
        data.send(b"x" * 100_000)
        wait_for(lambda: len(server.files.get("half", b"")) == 100_000, what="octets at the server")
        data.cut()
        assert client.reply().code == 426
    assert "half" not in server.whole
    data = gate.record("ftp_data")["ftp_data"]
    assert (data["outcome"], data["reason"]) == ("cut", "tls_cut"), data


def test_a_FIN_is_an_end_where_it_is_said_so_F_036(tls_ftp, inside):
    server = tls_ftp()
    gate = inside(server, ftp={"data_end": "fin"})
    with gate.opened() as client:
        data, _ = client.begin("STOR all")
        data.send(b"x" * 100_000)
        data.cut()
        assert client.reply().code == 226
    assert "all" in server.whole and server.files["all"] == b"x" * 100_000
    assert gate.record("ftp_data")["ftp_data"]["outcome"] == "complete"


def test_a_FIN_is_no_end_of_a_download_F_036(tls_ftp, inside):
    def half(conversation, data, verb, name):
        data.send(b"x" * 50_000)
        data.cut()
        return b"226 done\r\n"

    gate = inside(tls_ftp(transfer=half))
    with gate.opened() as client:
        data, _ = client.begin("RETR a")
        with pytest.raises((ConnectionError, OSError)):
            while data.sock.recv(65536):
                pass
        assert client.reply().code == 426
    assert gate.record("ftp_data")["ftp_data"]["reason"] == "tls_cut"


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not_inspected"])
@pytest.mark.parametrize("way", WAYS)
def test_large_files_whoever_looks_at_them_F16(tls_ftp, inside, way, inspect):
    """Under TLS nothing goes past the gateway, or from socket to socket in the kernel."""
    big = os.urandom(8 << 20)
    server = tls_ftp(files={"a": big})
    gate = inside(server, ftp={"inspect": inspect})
    with gate.opened(way) as client:
        assert sha256(client.get("RETR a")) == sha256(big)
        assert client.put("STOR b", big).code == 226
    assert sha256(server.files["b"]) == sha256(big)
    for record in gate.records("ftp_data"):
        assert "let_by" not in record["ftp_data"] and record["ftp_data"]["octets_in"] == len(big), record


@pytest.mark.parametrize("level,towards", [("C", "private"), ("P", "clear")])
def test_each_side_has_its_own_PROT_F17(tls_ftp, inside, level, towards):
    server = tls_ftp(files={"a": PAYLOAD})
    gate = inside(server, ftp={"server_data_protection": towards})
    with gate.opened(level=level) as client:
        assert client.get("RETR a") == PAYLOAD
        assert client.put("STOR b", PAYLOAD).code == 226
    assert server.files["b"] == PAYLOAD and "b" in server.whole
    assert server.resumed == ([True] * 2 if towards == "private" else [])
    for record in gate.records("ftp_data"):
        data = record["ftp_data"]
        assert ("tls" in data["client"], "tls" in data["server"]) == (level == "P", level == "C"), data


def test_a_reload_during_a_transfer(tls_ftp, inside, ours):
    """The old generation finishes it, and shakes hands for the next one of its session."""
    go = threading.Event()

    def wait(c, data, verb, name):
        data.send(PAYLOAD)
        go.wait(20)
        data.send(PAYLOAD)

    server = tls_ftp(transfer=wait)
    gate = inside(server, drain=20)
    with gate.opened() as client:
        data, _ = client.begin("RETR down")
        data.exactly(1000)
        gate.configure(drain=20, ftp={"starttls": "intercept", "deny": ["SYST"]},
                       certificate={"ours": ours.section})
        gate.reload()
        with gate.opened() as newer:
            assert newer.cmd("SYST").code == 502
        go.set()
        assert len(data.rest(30)) == 2 * len(PAYLOAD) - 1000
        assert client.reply().code == 226
        assert len(client.get("RETR again")) == 2 * len(PAYLOAD)


def test_PROT_C_inside_of_TLS_F_028(tls_ftp, inside):
    server = tls_ftp(files={"a": b"hello"})
    gate = inside(server)
    with gate.opened(level="C") as client:
        assert client.get("RETR a") == b"hello"
    data = gate.record("ftp_data")["ftp_data"]
    assert "tls" not in data["client"] and "tls" not in data["server"]


def test_a_hello_that_never_comes_N_021(tls_ftp, inside):
    """The client is connected, and says nothing: 30 seconds, and the transfer is cut."""
    gate = inside(tls_ftp(transfer=lambda c, data, verb, name: data.rest(60) or b"426 nothing came\r\n"))
    with gate.opened() as client:
        data, _ = FtpClient.begin(client, "STOR a")
        answer = client.reply(45)
        assert answer.code == 426, answer
        data.close()
        assert client.cmd("NOOP").code == 200
    assert gate.record("ftp_data")["ftp_data"]["reason"] == "tls_timeout"


def test_a_data_connection_that_speaks_no_TLS_F_036(tls_ftp, inside):
    server = tls_ftp()
    gate = inside(server)
    with gate.opened() as client:
        data, _ = FtpClient.begin(client, "STOR a")
        data.send(b"this is a file in the clear\n" * 100)
        assert client.reply().code == 426
        data.close()
    assert server.files.get("a", b"") == b""
    assert gate.record("ftp_data")["ftp_data"]["reason"] == "tls_plain"


@pytest.mark.parametrize("offered,fits", [(["ftp-data"], True), (["ftp"], True), (["http/1.1", "h2"], False)],
                         ids=lambda x: x[0] if isinstance(x, list) else "")
def test_who_wants_another_protocol_gets_no_data_T_010(tls_ftp, inside, offered, fits):
    gate = inside(tls_ftp(files={"a": b"hello"}))
    with gate.opened() as client:
        client.context, client.resumes = client_context(alpn=offered), False
        if fits:
            assert client.get("RETR a") == b"hello"
        else:
            data, _ = FtpClient.begin(client, "RETR a")
            with data, pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
                client.protect(data)
            assert client.reply().code == 426


def test_full_handshakes_of_data_connections_are_counted_too(tls_ftp, inside):
    gate = inside(tls_ftp(files={"a": b"hello"}), limits={"tls_handshakes_per_minute": 4})
    with gate.opened(resumes=False) as client:
        for _ in range(3):
            assert client.get("RETR a") == b"hello"
        data, _ = FtpClient.begin(client, "RETR a")
        with data, pytest.raises((Closed, OSError)):
            client.protect(data)
            data.fill(10)
        assert client.reply().code == 426
        client.resumes = True
        assert client.get("RETR a") == b"hello"
    assert gate.record("ftp_data", lambda r: r["ftp_data"]["outcome"] == "cut")["ftp_data"]["reason"] == \
        "tls_client_rate"


def test_kill_9_in_the_middle_of_an_upload_F_038(tls_ftp, inside):
    server = tls_ftp()
    gate = inside(server)
    client = gate.opened()
    data, _ = client.begin("STOR up")
    data.send(os.urandom(1 << 20))
    wait_for(lambda: len(server.files.get("up", b"")) > 500_000, what="octets at the server")
    gate.kill_worker()
    server.ended()
    assert "up" not in server.whole
    data.sock.close()
    client.close()
