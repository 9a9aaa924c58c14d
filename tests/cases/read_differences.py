"""What "postern read" says otherwise than a capture's source, oracle.json, tshark or tcpflow, and why ours is right."""

# {capture: (number of the packet that is damaged, what is wrong with it)}
DAMAGED = {
    "peafowl/imap.cap": (9, "corrupt on purpose: its header says that there are 1,358,954,496 octets"),
}

BARE_LF = "a bare LF: two readers would see two messages, so nothing behind it is looked at"
NO_GREETING = "the greeting is counted as the first reply to a command; the 220 is the greeting, and 331 answers USER"
TOO_LONG = "a line beyond the limit is no command, whatever it begins with"
TWO_COPIES = "the same octets twice, with different contents: those that came first stay, and no reply to DATA is among them"
HOPS = "600 Received fields: a message that goes in circles, of which the header is not read any further"
LIST_ENDS = "of replies to RCPT the first 130 are in a record"

# {capture: {pattern of a disagreement: why ours is right}}
DIFFERENT = {
    "arkime/smtp-nospaces/smtp-nospaces.pcap": {
        "stream 0 mails: *": "the capture has no 354: what the client sent ahead of it is no message"},
    "chrissanders-packets/mail_sender_attachment.pcapng (streams)": {
        "172.16.16.225.50593-172.16.16.221.25 *": "packets without a length, which the card was to cut up: holes in its stream"},
    "ndpi/ftp-start-tls/ftp-start-tls.pcap (tshark)": {
        "tshark 62092 *": "octets of TLS records, which it takes for commands"},
    "pcapplusplus/Smtp.pcap": {
        "stream 0 sessions: *": "a session of SMTP, which they take for IMAP"},
    "pcapplusplus/Smtp.pcap (tcpflow)": {
        "tcpflow *": "packets of five captures in one: streams with gaps, of which each counts other octets"},
    "profuzzbench/FTP__BFTPD/seed_5.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "profuzzbench/FTP__ProFTPD/seed_1.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "profuzzbench/FTP__ProFTPD/seed_2.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "profuzzbench/FTP__ProFTPD/seed_5.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "profuzzbench/FTP__ProFTPD/seed_6.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "profuzzbench/FTP__ProFTPD/seed_9.pcap": {"stream 0 codes of 0 USER: *": NO_GREETING},
    "suricata-verify/bug-6207-1/input.pcap": {"stream 0 mail 1 *": BARE_LF},
    "suricata-verify/detect-email-received/input.pcap": {
        "stream 0 mails: *": "replies of the server that are none (invalid_reply): nobody knows which command they answer"},
    "suricata-verify/detect-email-received/input.pcap (tshark)": {"tshark subject *": "the same"},
    "suricata-verify/ftp__ftp-too-long-command-first/ftp-too-long-command.pcap": {"stream 0 commands: *": TOO_LONG},
    "suricata-verify/ftp__ftp-too-long-command-first/ftp-too-long-command.pcap (tshark)": {"tshark 5555 *": TOO_LONG},
    "suricata-verify/ftp__ftp-too-long-command-higher-limit/ftp-too-long-command.pcap": {"stream 0 commands: *": TOO_LONG},
    "suricata-verify/ftp__ftp-too-long-command-higher-limit/ftp-too-long-command.pcap (tshark)": {"tshark 5555 *": TOO_LONG},
    "suricata-verify/ftp__ftp-too-long-command/ftp-too-long-command.pcap": {"stream 0 commands: *": TOO_LONG},
    "suricata-verify/ftp__ftp-too-long-command/ftp-too-long-command.pcap (tshark)": {"tshark 5555 *": TOO_LONG},
    "suricata-verify/smtp-bug-5989/input.pcap": {"stream 0 mails: *": TWO_COPIES},
    "suricata-verify/smtp-bug-5989/input.pcap (tshark)": {"tshark subject *": TWO_COPIES},
    "suricata-verify/smtp-extract-url-schemes/input.pcap": {"stream 0 mail 1 *": BARE_LF},
    "suricata-verify/smtp-long-command/input.pcap": {
        "stream 0 helo: *": "a text in a record is at most 1,024 octets, and says that it was cut"},
    "suricata-verify/smtp-url-base64/smtp-url-b64.pcap": {
        "stream 0 mails: *": "every line ends in LF alone, the end mark too, which is none (SMTP smuggling)"},
    "zeek/ftp__bigtransfer/bigtransfer.pcap (streams)": {
        "192.168.56.101.37150-192.168.56.1.59764 *": "a hole of more than 16 MiB: it writes nothing of what is behind it"},
    "zeek/ftp__ipv6-violation/ipv6-violation.pcap": {
        "stream 0 codes of 1 PASS: *": "what the server says is no reply; it is recorded with the code 0"},
    "zeek/pop3__redis-50-pings/redis-50-pings.pcap": {
        "stream 0 has no record": "it is no POP3: PINGs of Redis, without a greeting, at a port of neither"},
    "zeek/smtp__rfc3030-bdat-nonascii/rfc3030-bdat-nonascii.pcap (tshark)": {
        "tshark subject *": "octets that are no UTF-8: a record has them as they are, one by one"},
    "zeek/smtp__smtp-many-addresses/smtp-many-addresses.pcap": {
        "stream 0 mail 1 *": HOPS, "stream 0 replies to RCPT: *": LIST_ENDS},
    "zeek/smtp__smtp-many-addresses/smtp-many-addresses.pcap (tshark)": {"tshark subject *": HOPS},
}
