"""The notations of foreign dialogues, as far as their SMTP cases use them."""

import base64
import re
import urllib.parse


def unescape(text):
    """\\r, \\n, \\t, \\\\ and \\" of a RON or curl text, as octets."""
    plain = {"r": "\r", "n": "\n", "t": "\t"}
    return re.sub(r"\\(.)", lambda m: plain.get(m[1], m[1]), text, flags=re.S).encode("latin-1")


class Ron:
    """
    The server behaviour of one fake-mail-server case: greeting, replies by verb, keywords. Only the
    fields that say something about the dialogue before TLS; a field it does not know is an error.
    """

    KNOWN = {"capabilities", "capabilities_tls", "override_response", "greeting", "stls_response",
             "stls_make_transition", "cert", "crt_path", "key_path", "implicit_tls", "hook_data",
             "ignore_commands_tls"}

    def __init__(self, text):
        comment = re.compile(r"^\s*//(.*)$", re.M)
        # what is commented out as "Step 2" is the case's own second behaviour
        steps = " ".join(m[1] for m in comment.finditer(text) if "stls_response" in m[1])
        text = comment.sub("", text)
        unknown = set(re.findall(r"^\s*(\w+):", text, re.M)) - self.KNOWN
        if unknown:
            raise ValueError(f"fields {unknown} are not understood")
        self.replies = {}
        for source in (steps, text):
            for name, verb in (("greeting", "GREETING"), ("stls_response", "STARTTLS")):
                found = re.search(rf'\b{name}:\s*"((?:[^"\\]|\\.)*)"', source)
                if found:
                    self.replies[verb] = unescape(found[1])
        block = re.search(r"override_response:\s*\{(.*?)\}", text, re.S)
        for verb, reply in re.findall(r'"(\w+)":\s*"((?:[^"\\]|\\.)*)"', block[1] if block else ""):
            self.replies[verb.upper()] = unescape(reply)
        offered = re.search(r"\bcapabilities:\s*\[(.*?)\n?\s*\],\s*\n", text, re.S)[1]
        self.capabilities = ["STARTTLS"] if "StartTLS" in offered else []
        mechanisms = re.findall(r'Other\("([^"]*)"\)', offered)
        mechanisms += [m.upper() for m in ("Plain", "Login") if re.search(rf"\b{m}\b", offered)]
        if mechanisms:
            self.capabilities.append("AUTH " + " ".join(mechanisms))


class Curl:
    """
    One of curl's tests: what the server says, what curl sends, and what must have been uploaded.
    """

    def __init__(self, number, text):
        self.number = number
        self.replies, self.capabilities = {}, []
        self.sasl = []
        for line in self.section(text, "servercmd").split("\n"):
            words = line.split(" ", 1)
            if words[0] == "CAPA":
                self.capabilities += [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', words[1])]
            elif words[0] == "AUTH":
                self.capabilities.append(line)
            elif words[0] == "REPLY":
                self.reply(words[1])
        data = self.section(text, "data", r"(?!\d)[^>]*").encode("latin-1")
        if data:
            data = re.sub(rb"\r?\n", b"\r\n", data)
            self.replies.setdefault("VRFY", data)
            self.replies.setdefault("EXPN", data)
        if self.sasl:
            self.replies["SASL"] = self.sasl
        self.lines = self.section(text, "protocol").encode("latin-1").split(b"\n")[:-1]
        upload = self.section(text, "upload").encode("latin-1")
        # without its end mark; "" where the test uploads nothing
        self.upload = re.sub(rb"(\A|\r\n)\.\r\n\Z", rb"\1", re.sub(rb"\r?\n", b"\r\n", upload))

    def section(self, text, name, attributes="[^>]*"):
        found = re.search(rf"<{name}({attributes})>\n?(.*?)</{name}>", text, re.S)
        return self.expand(found[2]) if found else ""

    def reply(self, text):
        """REPLY VERB text, REPLY "AUTH NTLM" text, or REPLY <line of a SASL exchange> text."""
        quoted = re.match(r'"([^"]*)" (.*)\Z', text, re.S)
        trigger, said = quoted.groups() if quoted else text.split(" ", 1)
        octets = unescape(said) + b"\r\n"
        verb = trigger.split(" ")[0]
        if verb == "AUTH":
            self.replies.setdefault("AUTH", []).append(octets)
        elif re.fullmatch(r"[A-Z]{4,8}", verb):
            self.replies[verb] = octets
        else:
            self.sasl.append(octets)

    def expand(self, text):
        """curl's own preprocessing, in its order."""
        values = {"TESTNUMBER": str(self.number), "LT": "<", "GT": ">", "CR": "\r", "SMTPPORT": "25",
                  "HOSTIP": "127.0.0.1", "LOGDIR": "log", "AMP": "&"}
        text = re.sub("%(" + "|".join(values) + ")", lambda m: values[m[1]], text)
        octets = lambda s: urllib.parse.unquote_to_bytes(s.encode("latin-1"))
        text = re.sub(r"%hex\[(.*?)\]hex%", lambda m: octets(m[1]).decode("latin-1"), text, flags=re.S)
        text = re.sub(r"%b64\[(.*?)\]b64%", lambda m: base64.b64encode(octets(m[1])).decode(), text,
                      flags=re.S)
        return re.sub(r"%repeat\[(\d+) x (.*?)\]%",
                      lambda m: octets(m[2]).decode("latin-1") * int(m[1]), text, flags=re.S)
