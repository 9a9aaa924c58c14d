"""mail_load against mail_sink: what passes, what a gateway costs meanwhile, and that it went its way."""

import collections
import contextlib
import json

import gauge
import lab as L
import ways

PORTS = {"smtp": 25, "pop3": 110, "imap": 143}
TLS_PORTS = {"smtp": 465, "pop3": 995, "imap": 993}
COUNTS = 7  # the port where mail_sink tells what it served
HELD_MAX = ways.SESSIONS_MAX + 500  # with two descriptors each
LIMITS = {"sessions": HELD_MAX, "sessions_per_client": HELD_MAX, "pending_connects_per_client": HELD_MAX,
          "pressure": 100,  # else those that wait are sent away when there are many
          "tls_handshakes_per_minute": 0}

# nobody answers questions for names here; a gateway asks once for a domain of senders, and then knows
SMTP = {"sender_domain": {"exempt": ["example.org"]}}


def clear_ways(build, buffers, **settings):
    """Every way in the clear; buffers: large ones of nginx mail; settings: of every Postern."""
    def postern(name, **more):
        return ways.Postern(name, build, limits=LIMITS, nofile=ways.FILES, **settings, **more)

    return [
        ways.Direct("direct"),
        ways.HAProxy("HAProxy", splice=False),
        ways.Nginx("nginx stream", "stream"),
        ways.Nginx("nginx mail", "mail"),
        ways.Nginx("nginx mail, 64 KB buffers", "mail", buffers),
        ways.BareRelay("bare relay", build, "copy"),
        ways.BareRelay("bare relay, SHA-256", build, "sha256"),
        ways.BareRelay("bare relay, kernel set as for ours", build, "copy", as_ours=True),
        postern("Postern"),
        postern("Postern, no digests", mime={"digests": []}),
        postern("Postern, nothing looked at", mime={"inspect": False}),
    ]


class Bench(gauge.Gauge):
    """
    certificate  the server's, where it has one
    tls          None: sessions are in the clear; (version, "full" or "resumed"): under TLS from the first octet on
    """

    def __init__(self, lab, build, groups, certificate):
        super().__init__(lab, build, groups)
        self.certificate = certificate

    def argv(self, way, protocol, mailbox, messages, *how, tls=None):
        to = f"{way.address}:{(TLS_PORTS if tls else PORTS)[protocol]}"
        return self.generator("mail_load", protocol, to, mailbox, messages, *how,
                              *((way.certificate.chain, *tls) if tls else ()))

    def idle_argv(self, way, protocol, n, tls=None):
        return self.argv(way, protocol, "text-1024", 1, "idle", n, tls=tls)

    def served(self):
        """What the server has counted so far."""
        with self.lab.server.tcp() as sock:
            sock.settimeout(10)
            sock.connect((ways.SERVER, COUNTS))
            return json.loads(sock.makefile().readline())

    def load(self, way, protocol, mailbox, messages, at_once, seconds, tls=None):
        """One run of mail_load: what it said, the processor time of the gateway, what the server served."""
        served = self.served()
        said = {"resumed": 0} | self.run(self.argv(way, protocol, mailbox, messages, at_once, seconds, tls=tls))
        served = {name: n - served[name] for name, n in self.served().items()}
        arrived(way, said, served, messages, tls)
        return said | {"served": served}

    def octets(self, *what, **how):
        """MB/s, and seconds of the gateway for a GB."""
        r = self.load(*what, **how)
        return r | {"value": gauge.of_each(r["octets"], r["sessions"] and r["seconds"], 1e-6),
                    "cpu": gauge.of_each(r["cpu"], r["octets"], 1e9)}

    def sessions(self, *what, **how):
        """Sessions a second, and microseconds of the gateway for each."""
        r = self.load(*what, **how)
        return r | {"value": gauge.of_each(r["sessions"], r["sessions"] and r["seconds"], 1),
                    "cpu": gauge.of_each(r["cpu"], r["sessions"], 1e6)}

    def messages(self, *what, **how):
        """Messages a second, and microseconds of the gateway for each; a session that fails has none."""
        r = self.load(*what, **how)
        n = r["sessions"] * what[3]
        return r | {"value": gauge.of_each(n, n and r["seconds"], 1), "cpu": gauge.of_each(r["cpu"], n, 1e6)}

    def latency(self, *what, **how):
        """Microseconds that half of the sessions took at most, and microseconds of the gateway for each."""
        r = self.load(*what, **how)
        return r | {"value": r["p50"] if r["sessions"] else None, "cpu": gauge.of_each(r["cpu"], r["sessions"], 1e6)}


def arrived(way, said, served, messages, tls):
    """
    What the client had came from the server, of which the gateway's certificate, if any, says who carried it:
    mail_load compares every octet that comes, mail_sink every one that is sent.
    """
    shaken = served["full"] + served["resumed"]
    # "message": it came, and was another one, or it broke off; a peer may break off
    ours = isinstance(way, (ways.Direct, ways.Postern))
    if said["error"] == "certificate" or (ours and said["error"] == "message") or served["different"] or served["sessions"] < said["sessions"] or \
            served["messages"] < said["sessions"] * messages or (tls and shaken < said["sessions"]):
        raise SystemExit(f"{way.name}: the client says {said}, the server {served}")


def seen_in(records):
    """Counter of what records say."""
    seen = collections.Counter()
    for r in records:
        seen[r["event_type"]] += 1
        seen["intercepted"] += r["event_type"] == "tls" and r["tls"]["action"] == "intercepted"
        seen["digests"] += "sha256" in r.get("fileinfo", {})
    seen["messages"] = seen["smtp"] + seen["email"]
    return seen


def went_through(gateway, way, sessions, tls_sessions=0, messages=0, letters=0):
    """
    The records say so: of every session and message, and of what is attached to each letter as much as the way
    looks at it.
    """
    if gateway is None:
        return
    expected = collections.Counter({"flow": sessions, "intercepted": tls_sessions, "messages": messages,
                                    "fileinfo": way.inspects and letters, "digests": way.digests and letters})
    seen = collections.Counter()

    def written():
        seen.clear()
        seen.update(seen_in(gateway.records()))
        return expected <= seen

    try:
        L.wait_for(written, 10, interval=0.3)
    except TimeoutError:
        raise SystemExit(f"{way.name}: there were {dict(expected)}; in its records {seen}") from None
    if (seen["fileinfo"] and not way.inspects) or (seen["digests"] and not way.digests):
        raise SystemExit(f"{way.name}: its records have {seen}")


@contextlib.contextmanager
def bench(build, certificate_of=None):
    """A Bench whose server runs; certificate_of: makes the server's certificate, given the lab."""
    with gauge.laboratory() as (lab, groups):
        certificate = certificate_of(lab) if certificate_of else None
        argv = [ways.SERVER, *((certificate.chain, certificate.key) if certificate else ())]
        with gauge.serving(lab, build, groups, COUNTS, "mail_sink", *argv):
            yield Bench(lab, build, groups, certificate)
