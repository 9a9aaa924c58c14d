/*
 * A strict reader of Prometheus' text format 0.0.4: what the documentation of the format demands,
 * and what it only recommends too: HELP and TYPE ahead of the samples of a family, families in one
 * piece, no sample twice, names of counters with _total, histograms whole.
 */
#ifndef POSTERN_TEST_PROMETHEUS_H
#define POSTERN_TEST_PROMETHEUS_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMETHEUS_LINES 8192

struct prometheus {
	const char *fault; /* NULL: none */
	char family[128], type[16];
	char *families[512]; /* that were begun */
	size_t n_families;
	char *series[PROMETHEUS_LINES]; /* name{labels} */
	double value[PROMETHEUS_LINES];
	size_t n_series;
	/* of a histogram */
	double bucket, le, count;
	bool infinite;
};

static inline size_t
prometheus_name(const char *s)
{
	size_t n = 0;

	while (
	    isalpha((unsigned char)s[n]) || s[n] == '_' || (n > 0 && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

/* Octets of {label="value",...}; 0: it is none. */
static inline size_t
prometheus_labels(const char *s)
{
	const char *p = s + 1;

	if (*s != '{')
		return 0;
	while (*p != '}') {
		size_t n = prometheus_name(p);

		if (n == 0 || p[n] != '=' || p[n + 1] != '"')
			return 0;
		for (p += n + 2; *p != '"'; p++) {
			if (*p == '\\' && strchr("\\\"n", p[1]) == NULL)
				return 0;
			if (*p == '\\')
				p++;
			if ((unsigned char)*p < ' ')
				return 0;
		}
		p++;
		if (*p == ',')
			p++;
		else if (*p != '}')
			return 0;
	}
	return (size_t)(p + 1 - s);
}

static inline void
prometheus_close_family(struct prometheus *m)
{
	if (strcmp(m->type, "histogram") == 0 && (!m->infinite || m->count != m->bucket))
		m->fault = "a histogram that is not whole";
}

static inline void
prometheus_comment(struct prometheus *m, const char *line)
{
	bool help = strncmp(line, "# HELP ", 7) == 0;
	const char *name = line + 7;
	size_t n;

	if (!help && strncmp(line, "# TYPE ", 7) != 0) {
		m->fault = "a comment of no kind";
		return;
	}
	n = prometheus_name(name);
	if (n == 0 || n >= sizeof(m->family) || name[n] != ' ' || name[n + 1] == '\0') {
		m->fault = "HELP or TYPE without a name or text";
		return;
	}
	if (!help) {
		const char *type = name + n + 1;

		if (strlen(m->family) != n || strncmp(m->family, name, n) != 0 ||
		    m->type[0] != '\0')
			m->fault = "TYPE of another family, or twice";
		else if (strcmp(type, "counter") != 0 && strcmp(type, "gauge") != 0 &&
			 strcmp(type, "histogram") != 0)
			m->fault = "an unknown type";
		else if ((strcmp(type, "counter") == 0) !=
			 (n > 6 && strncmp(name + n - 6, "_total", 6) == 0))
			m->fault = "a counter without _total, or the reverse";
		else
			strcpy(m->type, type);
		return;
	}
	prometheus_close_family(m);
	for (size_t i = 0; i < m->n_families; i++)
		if (strlen(m->families[i]) == n && strncmp(m->families[i], name, n) == 0)
			m->fault = "a family in two pieces";
	memcpy(m->family, name, n);
	m->family[n] = '\0';
	m->type[0] = '\0';
	m->bucket = m->count = m->le = 0;
	m->infinite = false;
	m->families[m->n_families++] = strdup(m->family);
}

static inline void
prometheus_histogram(struct prometheus *m, const char *suffix, const char *labels, double value)
{
	if (strncmp(suffix, "_bucket{", 8) == 0) {
		const char *le = strstr(labels, "le=\"");
		double bound = le == NULL			   ? -1
			       : strncmp(le + 4, "+Inf\"", 5) == 0 ? 1e300
								   : strtod(le + 4, NULL);

		if (bound <= m->le || value < m->bucket || m->infinite)
			m->fault = "buckets that do not rise";
		m->le = bound;
		m->bucket = value;
		m->infinite = bound == 1e300;
	} else if (strncmp(suffix, "_count ", 7) == 0) {
		m->count = value;
	} else if (strncmp(suffix, "_sum ", 5) != 0) {
		m->fault = "no sample of a histogram";
	}
}

static inline void
prometheus_sample(struct prometheus *m, const char *line)
{
	size_t name = prometheus_name(line), labels = prometheus_labels(line + name);
	const char *number = line + name + labels;
	size_t family = strlen(m->family);
	char *end;
	double value;

	if (name == 0 || (line[name] == '{' && labels == 0) || *number != ' ' ||
	    !isdigit((unsigned char)number[1])) {
		m->fault = "no sample";
		return;
	}
	value = strtod(number + 1, &end);
	if (*end != '\0')
		m->fault = "something behind the value";
	if (m->type[0] == '\0' || strncmp(line, m->family, family) != 0)
		m->fault = "a sample without HELP and TYPE";
	else if (strcmp(m->type, "histogram") == 0)
		prometheus_histogram(m, line + family, line + name, value);
	else if (name != family)
		m->fault = "a sample of another family";
	if (m->n_series == PROMETHEUS_LINES) {
		m->fault = "too many samples";
		return;
	}
	for (size_t i = 0; i < m->n_series; i++)
		if (strlen(m->series[i]) == name + labels &&
		    strncmp(m->series[i], line, name + labels) == 0)
			m->fault = "a sample twice";
	m->value[m->n_series] = value;
	m->series[m->n_series++] = strndup(line, name + labels);
}

/* text is changed. Afterwards m->fault, series and value; to be freed. */
static inline void
prometheus_read(struct prometheus *m, char *text)
{
	char *line = text, *end;

	memset(m, 0, sizeof(*m));
	while (m->fault == NULL && *line != '\0') {
		end = strchr(line, '\n');
		if (end == NULL) {
			m->fault = "the last line has no end";
			return;
		}
		*end = '\0';
		if (*line == '#')
			prometheus_comment(m, line);
		else
			prometheus_sample(m, line);
		if (m->fault != NULL)
			fprintf(stderr, "%s: %s\n", m->fault, line);
		line = end + 1;
	}
	prometheus_close_family(m);
}

/* -1: there is no such series. */
static inline double
prometheus_value(const struct prometheus *m, const char *series)
{
	for (size_t i = 0; i < m->n_series; i++)
		if (strcmp(m->series[i], series) == 0)
			return m->value[i];
	return -1;
}

static inline void
prometheus_free(struct prometheus *m)
{
	for (size_t i = 0; i < m->n_families; i++)
		free(m->families[i]);
	for (size_t i = 0; i < m->n_series; i++)
		free(m->series[i]);
}

#endif
