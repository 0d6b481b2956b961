/* cli_trace.c -- "skybuild trace": begins a trace at a running server, fetches what passes
 * and prints it, and ends the trace when it is ended itself.
 *
 * A server that is not asked any more ends the trace by itself (server/api/trace.h), so
 * that nothing is left behind by a kill -9 here either.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sio/json.h>

#include "app/cli_probe.h"
#include "app/cli_remote.h"
#include "app/command.h"

enum { PAUSE_MS = 200, ID_MAX = 64, TEXT_MAX = 512 };
#define NUMBER_MAX 1000000000L

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
	(void)number;
	is_interrupted = 1;
}

/* ---- printing ----------------------------------------------------------------------- */

/* What others have written goes to a terminal: no control character, in one byte or in two. */
static void print_plain(sio_slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i], next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;

		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			putchar('?');
			i++;
		} else {
			putchar(c < 0x20 || c == 0x7f ? '?' : c);
		}
	}
}

static void print_text(sio_slice packet, const char *key, const char *format)
{
	char text[TEXT_MAX];

	remote_text(packet, key, text, sizeof(text));
	printf(format, text);
}

/* 12:34:56.789Z USER SID out websocket event cursor:moved [..] 120 bytes */
static void print_packet(sio_slice packet)
{
	enum { EVENT, ARGS, BEGIN, HIDDEN, ACK, TIME, N };
	struct sio_json_field f[N] = {
		{ .key = "event" }, { .key = "args" }, { .key = "begin" }, { .key = "is_hidden" }, { .key = "ack" }, { .key = "time" },
	};

	if (sio_json_pick(packet, f, N))
		return;
	if (f[TIME].value.n > 13) /* without its date */
		print_plain(sio_bytes(f[TIME].value.p + 12, f[TIME].value.n - 13));
	print_text(packet, "user", " %s");
	print_text(packet, "sid", " %s");
	print_text(packet, "direction", " %-3s");
	print_text(packet, "transport", " %-9s");
	print_text(packet, "type", " %s ");
	print_plain(f[EVENT].value);
	if (f[ACK].type)
		printf(" #%.*s", (int)f[ACK].value.n, f[ACK].value.p);
	putchar(' ');
	print_plain(f[ARGS].type ? f[ARGS].value : f[BEGIN].value);
	fputs(f[BEGIN].type ? " ... (cut)" : f[HIDDEN].type ? "(not shown: it holds a token)" : "", stdout);
	printf(" %" PRId64 " bytes", remote_number(packet, "bytes"));
	if (remote_number(packet, "attachments"))
		printf(" and %" PRId64 " attachments", remote_number(packet, "attachments"));
	putchar('\n');
}

/* ---- the trace -------------------------------------------------------------------------- */

struct trace {
	struct remote remote;
	const char *user, *project, *sid, *url, *seconds_text, *count_text;
	bool is_json;
	long seconds, count; /* 0: without end */
	char path[ID_MAX + sizeof("/api/traces/")];
	long shown;
};

static bool is_over(const struct trace *t, int64_t until)
{
	return is_interrupted || (t->count && t->shown >= t->count) || (t->seconds && cli_now_ms() >= until);
}

static int begin(struct trace *t)
{
	struct buf body = { 0 }, answer = { 0 };
	struct cli_request request = { .path = "/api/traces", .is_post = true };
	char id[ID_MAX];
	int code;

	buf_printf(&body, "{\"by\":\"%s\",\"id\":", t->user ? "user" : t->project ? "project" : "sid");
	buf_json(&body, sio_str(t->user ? t->user : t->project ? t->project : t->sid));
	buf_byte(&body, '}');
	request.body = buf_peek(&body);
	code = body.failed ? command_fail("out of memory") : remote_ask(&t->remote, request, "id", &answer);
	if (!code) {
		remote_text(buf_peek(&answer), "id", id, sizeof(id));
		snprintf(t->path, sizeof(t->path), "/api/traces/%s", id);
		remote_text(buf_peek(&answer), "node", id, sizeof(id));
		fprintf(stderr, "skybuild: tracing at %s (node %s); Ctrl-C ends it\n", t->remote.target.url, id);
	}
	buf_fini(&body);
	buf_fini(&answer);
	return code;
}

/* Print what has passed.  *n: how many packets that was. */
static int fetch(struct trace *t, long *n)
{
	struct sio_json_field packets = { .key = "packets" };
	struct buf answer = { 0 };
	int code = remote_ask(&t->remote, (struct cli_request){ .path = t->path }, "packets", &answer);
	sio_slice rest = SIO_LIT(""), packet;
	int64_t missed = code ? 0 : remote_number(buf_peek(&answer), "missed");

	if (!code && !sio_json_pick(buf_peek(&answer), &packets, 1))
		rest = sio_json_inside(packets.value);
	for (*n = 0; (!t->count || t->shown < t->count) && sio_json_next(&rest, &packet) == SIO_OK; ++*n, t->shown++) {
		if (t->is_json)
			remote_print(packet);
		else
			print_packet(packet);
	}
	fflush(stdout);
	if (missed > 0)
		fprintf(stderr, "skybuild: %" PRId64 " packets were not shown: there were more than could be kept\n", missed);
	buf_fini(&answer);
	return code;
}

static int follow(struct trace *t)
{
	int64_t until = cli_now_ms() + t->seconds * 1000;
	struct buf answer = { 0 };
	long n;
	int code = EXIT_DONE;

	while (!code && !is_over(t, until)) {
		code = fetch(t, &n);
		if (!code && n == 0)
			poll(NULL, 0, PAUSE_MS);
		if (ferror(stdout)) /* nobody reads any more */
			break;
	}
	if (!code)
		code = remote_ask(&t->remote, (struct cli_request){ .path = t->path, .is_delete = true }, "ended", &answer);
	buf_fini(&answer);
	return code;
}

static void catch_signals(void)
{
	struct sigaction catching = { .sa_handler = on_signal }, ignoring = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &catching, NULL);
	sigaction(SIGTERM, &catching, NULL);
	sigaction(SIGPIPE, &ignoring, NULL);
}

int command_trace(const struct command *self, int argc, char **argv)
{
	struct trace t = { .user = NULL };
	const struct option_spec specs[] = {
		{ .name = "--user", .value = &t.user },
		{ .name = "--project", .value = &t.project },
		{ .name = "--sid", .value = &t.sid },
		{ .name = "--seconds", .value = &t.seconds_text },
		{ .name = "--count", .value = &t.count_text },
		{ .name = "--json", .is_set = &t.is_json },
		CLI_TARGET_OPTIONS(&t.url, &t.remote.target),
	};
	char **words;
	int n, code = command_options(self, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), &words, &n);

	if (code)
		return code;
	if (n > 0 || !!t.user + !!t.project + !!t.sid != 1)
		return command_misuse(self, "it needs one of --user, --project and --sid");
	if ((t.seconds_text && !command_number(t.seconds_text, NUMBER_MAX, &t.seconds)) ||
	    (t.count_text && !command_number(t.count_text, NUMBER_MAX, &t.count)))
		return command_misuse(self, "--seconds and --count must be whole numbers, at least 1");
	catch_signals();
	code = remote_open(&t.remote, t.url);
	if (!code)
		code = begin(&t);
	if (!code)
		code = follow(&t);
	remote_close(&t.remote);
	return code;
}
