/*
 * mime_anomaly - the odd things about the structure of messages, by name. An anomaly is not an
 * error: parsing goes on as the common mail programs do. Where an intrusion detector has a name for
 * it (Suricata's smtp-events.rules), it is theirs.
 */
#ifndef POSTERN_MIME_ANOMALY_H
#define POSTERN_MIME_ANOMALY_H

/* X(enumerator, name in records, source) */
#define MIME_ANOMALIES(X)                                                                          \
	X(MIME_ODD_NONE, "none", "")                                                               \
	X(MIME_ODD_AMBIGUOUS, "ambiguous", "two mail programs read it in two ways")                \
	X(MIME_ODD_BASE64, "mime_invalid_base64", "RFC 2045 s6.8")                                 \
	X(MIME_ODD_QP, "mime_invalid_qp", "RFC 2045 s6.7")                                         \
	X(MIME_ODD_LONG_BOUNDARY, "mime_long_boundary", "RFC 2046 s5.1.1")

enum mime_anomaly {
#define X(id, name, source) id,
	MIME_ANOMALIES(X)
#undef X
	    MIME_ANOMALY_COUNT
};

const char *mime_anomaly_name(enum mime_anomaly);

#endif
