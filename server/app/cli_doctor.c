/* cli_doctor.c -- "skybuild doctor": looks at a server as clients see it, through whatever
 * is between, and says what is wrong and what mends it.
 *
 * Here are the options, the order of the checks and the lines that are printed; the checks
 * are in the files doctor_*.c.  Asks for nothing but what every client may have, and needs
 * no key: any Socket.IO server of version 3 or newer can be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <sodium.h>

#include "app/command.h"
#include "app/doctor.h"

#define WAIT_MAX_S 86400L

enum { SEEN_MAX = 240, PATH_MAX_N = 256, TOKEN_LINE_MAX = 16 * 1024 };

/* ---- lines ------------------------------------------------------------------------- */

static const char *const results[] = { "ok", "skipped", "warning", "fault" };

/* What others have written may be anything: one line of plain ASCII, and not much of it. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = ' ';
}

static void put_json(struct doctor *d, const char *check, enum doctor_result result, enum doctor_cause cause, long ms,
		     const char *seen)
{
	struct buf *b = &d->json;

	buf_printf(b, "%s{\"check\":\"%s\",\"result\":\"%s\",\"seen\":", b->n ? "," : "", check, results[result]);
	buf_json(b, sio_str(seen));
	if (ms >= 0)
		buf_printf(b, ",\"ms\":%ld", ms);
	if (cause) {
		buf_printf(b, ",\"cause\":\"%s\",\"mend\":", doctor_cause_name(cause));
		buf_json(b, sio_str(doctor_cause_mend(cause)));
	}
	buf_byte(b, '}');
}

void doctor_tell(struct doctor *d, enum doctor_result result, const char *check, enum doctor_cause cause, long ms,
		 const char *fmt, ...)
{
	char seen[SEEN_MAX], took[32] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen, sizeof(seen), fmt, ap);
	va_end(ap);
	make_plain(seen);
	d->faults += result == DOCTOR_FAULT;
	d->warnings += result == DOCTOR_WARNING;
	if (d->is_json) {
		put_json(d, check, result, cause, ms, seen);
		return;
	}
	if (ms >= 0)
		snprintf(took, sizeof(took), " (%ld ms)", ms);
	printf("%-8s %-17s %s%s\n", results[result], check, seen, took);
	if (cause)
		printf("%-8s %s: %s\n", "", doctor_cause_name(cause), doctor_cause_mend(cause));
	fflush(stdout);
}

void doctor_tell_answer(struct doctor *d, const char *check, enum doctor_cause cause, const struct cli_exchange *x)
{
	sio_slice where = x->status >= 300 && x->status <= 399 ? cli_header(&x->head, "Location") : SIO_LIT("");
	sio_slice body = where.n > 0 ? where : buf_peek(&x->body);

	if (x->status)
		doctor_tell(d, DOCTOR_FAULT, check, cause, x->ms, "%ld%s%.*s", x->status, body.n > 0 ? ": " : "", (int)body.n, body.n ? body.p : "");
	else
		doctor_tell(d, DOCTOR_FAULT, check, cause, x->ms, "%s", x->error);
}

/* ---- the order ----------------------------------------------------------------------- */

static int examine(struct doctor *d)
{
	static void (*const checks[])(struct doctor *) = {
		doctor_handshake, doctor_ready, doctor_cache, doctor_polling, doctor_body, doctor_websocket,
		doctor_upgrade, doctor_origin, doctor_origin_websocket, doctor_idle,
	};

	/* Once for all threads: each request counts itself in and out. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || sodium_init() < 0)
		return command_fail("libcurl or libsodium cannot be used");
	if (!d->is_json)
		printf("looking at %s%s\n", d->target.url, d->path);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && !d->is_away; i++)
		checks[i](d);
	curl_global_cleanup();
	if (d->is_json)
		printf("{\"url\":\"%s\",\"faults\":%u,\"warnings\":%u,\"checks\":[%.*s]}\n", d->target.url, d->faults, d->warnings,
		       (int)d->json.n, d->json.n ? d->json.p : "");
	else
		printf("%u fault%s, %u warning%s\n", d->faults, d->faults == 1 ? "" : "s", d->warnings, d->warnings == 1 ? "" : "s");
	return d->faults ? EXIT_FAILED : EXIT_DONE;
}

/* ---- options -------------------------------------------------------------------------- */

struct texts {
	char path[PATH_MAX_N], origin[CLI_URL_MAX], token[TOKEN_LINE_MAX];
};

/* What may stand in a header line, in a request line and in JSON as it is. */
static bool is_plain(const char *s)
{
	size_t n = strlen(s), i = 0;

	while (i < n && isgraph((unsigned char)s[i]) && s[i] != '"' && s[i] != '\\')
		i++;
	return n > 0 && i == n;
}

/* --path with a slash at both ends. */
static bool take_path(struct doctor *d, const char *given, struct texts *texts)
{
	size_t n = strlen(given);

	snprintf(texts->path, sizeof(texts->path), "%s%s%s", given[0] == '/' ? "" : "/", given, given[n ? n - 1 : 0] == '/' ? "" : "/");
	d->path = texts->path;
	return is_plain(given) && n + 3 < sizeof(texts->path) && !strpbrk(given, "?#");
}

/* The origin that a page of the server's own has. */
static void take_origin(struct doctor *d, const char *given, struct texts *texts)
{
	const char *authority = strstr(d->target.url, "://") + 3;

	snprintf(texts->origin, sizeof(texts->origin), "%.*s", (int)(strchrnul(authority, '/') - d->target.url), d->target.url);
	d->origin = given ? given : texts->origin;
}

/* A token that is not to stand in the list of processes comes from the standard input. */
static int take_token(struct doctor *d, const char *given, struct texts *texts)
{
	d->token = given;
	if (!given || strcmp(given, "-") != 0)
		return EXIT_DONE;
	if (!fgets(texts->token, sizeof(texts->token), stdin))
		return command_fail("--token -: there is no token on the standard input");
	texts->token[strcspn(texts->token, "\r\n")] = '\0';
	d->token = texts->token;
	return EXIT_DONE;
}

struct given {
	const char *path, *origin, *token, *wait;
};

static int take(const struct command *self, struct doctor *d, const struct given *g, const char *url, struct texts *texts)
{
	long wait_s;
	int code;

	if (!take_path(d, g->path ? g->path : "/socket.io/", texts))
		return command_misuse(self, "--path %s is no path, such as /socket.io/", g->path);
	if (g->origin && (!is_plain(g->origin) || !strstr(g->origin, "://")))
		return command_misuse(self, "--origin %s is no origin, such as https://app.example", g->origin);
	if (g->wait && strcmp(g->wait, "0") != 0 && !command_number(g->wait, WAIT_MAX_S, &wait_s))
		return command_misuse(self, "--wait must be a whole number of seconds, 0 for not at all");
	d->wait_ms = !g->wait ? -1 : strcmp(g->wait, "0") == 0 ? 0 : wait_s * 1000;
	if (!is_plain(url))
		return command_misuse(self, "'%s' is no address", url);
	code = cli_find(url, NULL, &d->target);
	if (code)
		return code;
	take_origin(d, g->origin, texts);
	code = take_token(d, g->token, texts);
	if (!code && d->token && !is_plain(d->token))
		return command_misuse(self, "--token is empty, or holds a blank, a quote or what is no ASCII: that is no token");
	return code;
}

int command_doctor(const struct command *self, int argc, char **argv)
{
	struct doctor d = { 0 };
	struct given g = { 0 };
	struct texts texts;
	const struct option_spec specs[] = {
		{ .name = "--token", .value = &g.token },
		{ .name = "--origin", .value = &g.origin },
		{ .name = "--wait", .value = &g.wait },
		{ .name = "--path", .value = &g.path },
		{ .name = "--ca", .value = &d.target.ca_file },
		{ .name = "--insecure", .is_set = &d.target.is_unverified },
		{ .name = "--json", .is_set = &d.is_json },
	};
	char **words;
	int n, code = command_options(self, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), &words, &n);

	if (code)
		return code;
	if (n != 1)
		return command_misuse(self, "it needs one URL");
	code = take(self, &d, &g, words[0], &texts);
	if (!code)
		code = examine(&d);
	buf_fini(&d.json);
	return code;
}
