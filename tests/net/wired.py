"""
With WIRE=1 in the environment the tests of these modules are run once more, their sessions are recorded
on the client's side, and what "postern read" says of the capture must be what the gateway wrote.

The captures hold no answers of the gateway's resolver, so "--resolve" asks it again.
"""

import fnmatch
import tempfile
from pathlib import Path

from wire_lab import Wire, agree

MODULES = {
    "test_bdat", "test_content", "test_dialogue", "test_framing", "test_ftp_attacks", "test_ftp_clients",
    "test_ftp_content", "test_ftp_records", "test_ftp_transfers", "test_imap", "test_pop3", "test_records",
    "test_relay", "test_retrieval_clients", "test_retrieval_records", "test_sender", "test_starttls",
    "test_tls_ftp", "test_tls_retrieval", "test_tls_smtp", "test_clients",
}

# Tests that are not run once more, and why. A pattern of names, with the module where it is not enough.
APART = {
    "*without_a_gateway*": "there is no gateway",
    "*two_hundred_sessions*": "hundreds of megabytes of capture",
    "*50_MB*": "the same",
    "*back_pressure*": "the same",
    "*of_thousands*": "the same",
    "*two_million*": "the same",
    "*100_000*": "the same",
    "*gateway_dies*": "a gateway that is killed writes no records",
    "*gateway_that_dies*": "the same",
    "*dead_resolver*": "the resolver that answers now did not answer then",
    "*broken_server_says*": "the same: the server of these answers is gone",
    "*malformed_answer*": "the same",
    "*answers_are_kept*": "the same",
    "*slow_lookup*": "the same",
    "*silence*": "the same",
    "*let_by*": "octets that the kernel counted, with their headers",
    "*uninspected*": "the same",
    "*memory*": "it looks at the gateway's memory",
    "*nothing_weak*": "hundreds of handshakes and no session",
    "*handshake_that_stalls*": "no session",
    "*inside_may_send*": "the client is not on the side of the wire that is recorded",
}


def chosen(module, name):
    return module in MODULES and not any(fnmatch.fnmatch(name, pattern) for pattern in APART)


class Watch:
    """The wire of one test's gateways."""

    def __init__(self, lab):
        self.lab, self.wire = lab, None
        self.folder = Path(tempfile.mkdtemp(dir=lab.dir, prefix="wire-"))
        self.keys = self.folder / "keys"

    def begin(self, options):
        """A gateway is made of these options: the wire is recorded from the first one on."""
        if self.wire is None:
            self.wire = Wire(self.lab.client, self.folder / "pcap")
        if "certificate" in options or "ca" in options.get("tls", {}):
            options["tls"] = {"key_log": str(self.keys), **options.get("tls", {})}

    def end(self, made):
        for gate in made:
            gate.stop()
        if self.wire is None:
            return
        self.wire.stop()
        keylog = ["--keylog", self.keys] if self.keys.exists() else []
        for gate in made:
            if not gate.cut_lines:  # it was not killed
                agree(gate, self.wire, "--resolve", *keylog, namespace=gate.namespace, at_least=0)
