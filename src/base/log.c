/* log.c -- see log.h.  Builds a line on the stack and hands it to stderr in one write.
 *
 * A line is made in three steps: the message is printed, message and fields are
 * escaped into the line's form (text or JSON), and the result is written unless
 * the same warning or error has just been said often enough.  Such a storm is
 * cut after STORM_BURST lines in STORM_WINDOW_S seconds; what was kept back is
 * told as "repeated N times" by the first line after the window, or at exit.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 4096,
	TEXT_END = LINE_MAX_BYTES - 64, /* text is cut here, so that closing quotes always fit */
	MESSAGE_MAX_BYTES = 2048,
	STORM_SLOTS = 16,    /* different lines watched at a time */
	STORM_BURST = 5,     /* equal lines that pass in one window */
	STORM_WINDOW_S = 10,
	STORM_KEEP = 256,    /* bytes of the line quoted in "repeated N times" */
};

/* A line under construction.  Past the end bytes are dropped, never written. */
struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
};

struct storm {
	uint64_t hash;        /* of level, message and fields; 0: slot unused */
	time_t since;         /* start of the window */
	unsigned seen;        /* lines in this window, written or not */
	enum sio_log_level level;
	char text[STORM_KEEP];
};

static struct {
	atomic_int level;
	atomic_bool is_json;
	atomic_bool is_journal;
	pthread_mutex_t lock; /* guards storms */
	struct storm storms[STORM_SLOTS];
} logger = { .level = SIO_LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

/* name in text, name in JSON, priority of the journal */
static const struct {
	const char *text, *json, *priority;
} levels[] = {
	[SIO_LOG_DEBUG] = { "DEBUG", "debug", "<7>" },
	[SIO_LOG_INFO] = { "INFO", "info", "<6>" },
	[SIO_LOG_WARNING] = { "WARNING", "warning", "<4>" },
	[SIO_LOG_ERROR] = { "ERROR", "error", "<3>" },
};

/* ---- escaping -------------------------------------------------------------- */

static void line_put(struct line *l, const char *p, size_t n)
{
	/* One byte stays free for the newline. */
	size_t room = sizeof(l->p) - 1 - l->n;

	if (n > room)
		n = room;
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void line_str(struct line *l, const char *s)
{
	line_put(l, s, strlen(s));
}

/* Bytes of the printable UTF-8 character at s, 0 when there is none: a control
 * character (C0, DEL, C1), an overlong form, a surrogate or a stray byte. */
static size_t printable(const unsigned char *s)
{
	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 && !(s[0] == 0xc2 && s[1] < 0xa0) ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		bool is_bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f);

		return !is_bad && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		bool is_bad = (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);

		return !is_bad && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
	}
	return 0;
}

/* One byte that may not stand in a line as it is. */
static void put_escape(struct line *l, unsigned char c, bool is_json)
{
	char hex[8];

	if (c == '\n' || c == '\r' || c == '\t') {
		line_str(l, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
		return;
	}
	/* In JSON a stray byte has no spelling of its own. */
	if (is_json && c >= 0x80)
		line_str(l, "\\ufffd");
	else {
		snprintf(hex, sizeof(hex), is_json ? "\\u%04x" : "\\x%02x", c);
		line_str(l, hex);
	}
}

/* Text as it may stand in a line; inside quotes, quote and backslash as well. */
static void put_text(struct line *l, const char *text, bool is_quoted, bool is_json)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t n = printable(s);

		if (l->n + 6 > TEXT_END) { /* the longest escape has six bytes */
			line_str(l, "...");
			return;
		}
		if (n == 0)
			put_escape(l, *s++, is_json);
		else if (is_quoted && (*s == '"' || *s == '\\')) {
			char pair[2] = { '\\', (char)*s++ };

			line_put(l, pair, 2);
		} else {
			line_put(l, (const char *)s, n);
			s += n;
		}
	}
}

static void put_quoted(struct line *l, const char *text, bool is_json)
{
	line_put(l, "\"", 1);
	put_text(l, text, true, is_json);
	line_put(l, "\"", 1);
}

/* ---- one line -------------------------------------------------------------- */

static void put_head(struct line *l, enum sio_log_level level, bool is_json)
{
	struct timespec now;
	struct tm tm;
	char at[64];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(at + n, sizeof(at) - n, ".%03ldZ", now.tv_nsec / 1000000);
	if (atomic_load(&logger.is_journal))
		line_str(l, levels[level].priority);
	if (!is_json) {
		line_str(l, at);
		line_put(l, " ", 1);
		line_str(l, levels[level].text);
		line_put(l, " ", 1);
		return;
	}
	line_str(l, "{\"ts\":\"");
	line_str(l, at);
	line_str(l, "\",\"level\":\"");
	line_str(l, levels[level].json);
	line_str(l, "\",\"msg\":");
}

/* A value needs quotes in the text form when a reader could not tell its end. */
static bool needs_quotes(const char *value)
{
	return *value == '\0' || strpbrk(value, " \t\"=\n\r") != NULL;
}

static void put_field(struct line *l, const char *key, const char *value, bool is_json)
{
	if (is_json) {
		line_put(l, ",", 1);
		put_quoted(l, key, true);
		line_put(l, ":", 1);
		put_quoted(l, value, true);
		return;
	}
	line_put(l, " ", 1);
	line_str(l, key);
	line_put(l, "=", 1);
	if (needs_quotes(value))
		put_quoted(l, value, false);
	else
		put_text(l, value, false, false);
}

static void line_write(struct line *l)
{
	l->p[l->n++] = '\n'; /* line_put keeps this byte free */
	/* A log that cannot be written has nobody left to be told. */
	if (write(STDERR_FILENO, l->p, l->n) < 0)
		return;
}

static void put_message(struct line *l, enum sio_log_level level, const char *message, bool is_json)
{
	put_head(l, level, is_json);
	if (is_json)
		put_quoted(l, message, true);
	else
		put_text(l, message, false, false);
}

/* ---- storms ---------------------------------------------------------------- */

static uint64_t fnv(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

/* Tell how many lines of the slot were kept back, and forget it. */
static void storm_end(struct storm *s)
{
	unsigned kept_back = s->seen > STORM_BURST ? s->seen - STORM_BURST : 0;

	s->hash = 0;
	if (kept_back) {
		struct line l = { .n = 0 };
		bool is_json = atomic_load(&logger.is_json);
		char message[STORM_KEEP + 64];

		snprintf(message, sizeof(message), "%s (repeated %u times)", s->text, kept_back);
		put_message(&l, s->level, message, is_json);
		if (is_json)
			line_put(&l, "}", 1);
		line_write(&l);
	}
}

static void storms_end(time_t before)
{
	for (int i = 0; i < STORM_SLOTS; i++) {
		struct storm *s = &logger.storms[i];

		if (s->hash && s->since <= before)
			storm_end(s);
	}
}

/* The slot of hash: its own, a free one, or the oldest, which ends for it. */
static struct storm *storm_slot(uint64_t hash)
{
	struct storm *at = &logger.storms[0];

	for (int i = 0; i < STORM_SLOTS; i++) {
		struct storm *s = &logger.storms[i];

		if (s->hash == hash)
			return s;
		if (at->hash && (!s->hash || s->since < at->since))
			at = s;
	}
	if (at->hash)
		storm_end(at);
	return at;
}

/* May this line be written?  Also lets finished storms tell their count. */
static bool storm_passes(enum sio_log_level level, uint64_t hash, const char *message)
{
	struct timespec now;
	struct storm *s;
	bool passes;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&logger.lock);
	storms_end(now.tv_sec - STORM_WINDOW_S);
	s = storm_slot(hash);
	if (!s->hash) {
		*s = (struct storm){ .hash = hash, .since = now.tv_sec, .level = level };
		snprintf(s->text, sizeof(s->text), "%s", message);
	}
	passes = ++s->seen <= STORM_BURST;
	pthread_mutex_unlock(&logger.lock);
	return passes;
}

static void storms_at_exit(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&logger.lock);
	storms_end(now.tv_sec + 1);
	pthread_mutex_unlock(&logger.lock);
}

/* ---- the interface ----------------------------------------------------------- */

void log_setup(enum sio_log_level level, bool is_json)
{
	static atomic_flag registered = ATOMIC_FLAG_INIT;
	const char *journal = getenv("JOURNAL_STREAM");

	atomic_store(&logger.level, (int)level);
	atomic_store(&logger.is_json, is_json);
	atomic_store(&logger.is_journal, journal && *journal);
	if (!atomic_flag_test_and_set(&registered))
		atexit(storms_at_exit);
}

bool log_is_on(enum sio_log_level level)
{
	return (int)level >= atomic_load(&logger.level);
}

static void log_line(enum sio_log_level level, const char *message, va_list fields)
{
	struct line l = { .n = 0 };
	bool is_json = atomic_load(&logger.is_json);
	uint64_t hash = fnv(0xcbf29ce484222325u + (uint64_t)level, message);
	const char *key;

	put_message(&l, level, message, is_json);
	while ((key = va_arg(fields, const char *)) != NULL) {
		const char *value = va_arg(fields, const char *);

		if (!value)
			value = "";
		hash = fnv(fnv(hash, key), value);
		/* A field that might not fit is left out whole, so that the line stays readable. */
		if (l.n + 6 * (strlen(key) + strlen(value)) + 8 < TEXT_END)
			put_field(&l, key, value, is_json);
	}
	if (is_json)
		line_put(&l, "}", 1);
	if (level < SIO_LOG_WARNING || storm_passes(level, hash | 1, message))
		line_write(&l);
}

void log_fields(enum sio_log_level level, const char *message, ...)
{
	va_list ap;

	if (!log_is_on(level))
		return;
	va_start(ap, message);
	log_line(level, message, ap);
	va_end(ap);
}

static void log_printf(enum sio_log_level level, const char *fmt, va_list ap)
{
	char message[MESSAGE_MAX_BYTES];

	if (!log_is_on(level))
		return;
	vsnprintf(message, sizeof(message), fmt, ap);
	log_fields(level, message, (char *)NULL);
}

#define LOG_AT(name, level)                                                   \
	void log_##name(const char *fmt, ...)                                 \
	{                                                                     \
		va_list ap;                                                   \
                                                                              \
		va_start(ap, fmt);                                            \
		log_printf(level, fmt, ap);                                   \
		va_end(ap);                                                   \
	}

LOG_AT(debug, SIO_LOG_DEBUG)
LOG_AT(info, SIO_LOG_INFO)
LOG_AT(warning, SIO_LOG_WARNING)
LOG_AT(error, SIO_LOG_ERROR)
