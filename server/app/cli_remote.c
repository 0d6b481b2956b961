/* cli_remote.c -- "skybuild emit", "who" and "kick": what a back end may ask of a
 * running server, from a shell.
 *
 * They use the service key, and the variables that clients/python uses: SKYBUILD_URL
 * and SERVICE_API_KEY.  What can be judged here is judged before anything is sent;
 * the rest is the server's word, told as it came.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sio/json.h>

#include "app/cli_remote.h"
#include "app/command.h"

enum { CODE_MAX = 64, DETAIL_MAX = 1024 };

/* ---- the server and its answers ------------------------------------------------------ */

static bool is_header_text(const char *s)
{
	while (isgraph((unsigned char)*s))
		s++;
	return !*s;
}

int remote_open(struct remote *r, const char *given_url)
{
	int code;

	code = command_config(&r->config);
	if (code)
		return code;
	if (!r->config.service_api_key)
		return command_fail("there is no service key: set SERVICE_API_KEY or SERVICE_API_KEY_FILE, in the environment "
				    "or in .env, to that of the server");
	if (!is_header_text(r->config.service_api_key))
		return command_fail("SERVICE_API_KEY holds a blank, a line end or a character that is not ASCII");
	return cli_find(given_url ? given_url : r->config.skybuild_url, &r->config, &r->target);
}

void remote_close(struct remote *r)
{
	config_fini(&r->config);
}

void remote_text(sio_slice object, const char *key, char *out, size_t cap)
{
	struct sio_json_field field = { .key = key };

	if (sio_json_pick(object, &field, 1) || sio_json_unquote(field.value, out, cap) < 0)
		out[0] = '\0';
	for (; *out; out++)
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			*out = ' ';
}

/* Why an answer that is not 2xx is none, in the server's own words where it has some. */
static int tell_problem(const struct remote *r, long status, sio_slice body)
{
	char code[CODE_MAX], detail[DETAIL_MAX];

	remote_text(body, "code", code, sizeof(code));
	remote_text(body, "detail", detail, sizeof(detail));
	if (!code[0])
		return command_fail("%s answers %ld, and not as a skybuild server does: is it the right address?", r->target.url, status);
	if (strcmp(code, "service_key_wrong") == 0)
		return command_fail("%s does not accept this service key: is SERVICE_API_KEY that of the server? (%s)", r->target.url, code);
	return command_fail("%s refused: %s (%s)", r->target.url, detail, code);
}

int remote_ask(const struct remote *r, struct cli_request request, const char *member, struct buf *answer)
{
	struct sio_json_field field = { .key = member };
	char error[CLI_ERROR_MAX];
	long status;

	request.target = &r->target;
	request.key = r->config.service_api_key;
	status = cli_ask(&request, answer, error);
	if (!status)
		return command_fail("%s does not answer: %s", r->target.url, error);
	if (status < 200 || status > 299)
		return tell_problem(r, status, buf_peek(answer));
	if (sio_json_check(buf_peek(answer)) || sio_json_pick(buf_peek(answer), &field, 1) || field.type == SIO_JSON_NONE)
		return tell_problem(r, status, SIO_LIT("{}"));
	return EXIT_DONE;
}

int64_t remote_number(sio_slice object, const char *key)
{
	struct sio_json_field field = { .key = key };
	int64_t number;

	return sio_json_pick(object, &field, 1) || sio_json_int(field.value, &number) ? 0 : number;
}

/* In a cluster a node may not have answered in time: then the rest was printed, and
 * the command has failed. */
static int check_complete(sio_slice answer)
{
	struct sio_json_field nodes = { .key = "missing_nodes" };

	if (sio_json_pick(answer, &nodes, 1) || nodes.type != SIO_JSON_ARRAY || !sio_json_inside(nodes.value).n)
		return EXIT_DONE;
	return command_fail("this is not the whole: %.*s did not answer in time", (int)nodes.value.n, nodes.value.p);
}

void remote_print(sio_slice answer)
{
	printf("%.*s\n", (int)answer.n, answer.p);
}

/* ---- emit ------------------------------------------------------------------------------ */

struct emit {
	const char *event, *room, *data, *except, *url;
	bool is_volatile, is_json;
};

static void put_member(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, "%c\"%s\":", b->n ? ',' : '{', name);
	buf_json(b, sio_str(text));
}

static void put_body(struct buf *b, const struct emit *e)
{
	put_member(b, "room", e->room);
	put_member(b, "event", e->event);
	if (e->except)
		put_member(b, "except_sid", e->except);
	if (e->is_volatile)
		buf_str(b, ",\"volatile\":true");
	buf_printf(b, ",\"data\":%s}", e->data);
}

static int send_event(const struct remote *r, const struct emit *e, sio_slice body)
{
	struct cli_request request = { .path = "/api/broadcast/emit", .is_post = true, .body = body };
	struct buf answer = { 0 };
	int code = remote_ask(r, request, "recipients", &answer);
	int64_t n;
	char id[DETAIL_MAX];

	if (!code && e->is_json) {
		remote_print(buf_peek(&answer));
	} else if (!code) {
		n = remote_number(buf_peek(&answer), "recipients");
		remote_text(buf_peek(&answer), "id", id, sizeof(id));
		printf("sent %s to %s: %" PRId64 " recipient%s (id %s)\n", e->event, e->room, n, n == 1 ? "" : "s", id);
	}
	buf_fini(&answer);
	return code;
}

int command_emit(const struct command *self, int argc, char **argv)
{
	struct emit e = { 0 };
	struct remote r = { 0 };
	const struct option_spec specs[] = {
		{ .name = "--room", .value = &e.room },
		{ .name = "--data", .value = &e.data },
		{ .name = "--except", .value = &e.except },
		{ .name = "--volatile", .is_set = &e.is_volatile },
		{ .name = "--json", .is_set = &e.is_json },
		CLI_TARGET_OPTIONS(&e.url, &r.target),
	};
	struct buf body = { 0 };
	char **words;
	int n, code = command_options(self, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), &words, &n);

	if (code)
		return code;
	if (n != 1 || !e.room || !e.data)
		return command_misuse(self, "it needs one EVENT, --room and --data");
	e.event = words[0];
	if (sio_json_check(sio_str(e.data)))
		return command_misuse(self, "--data %s is no JSON; a text is JSON with its quotes: --data '\"text\"'", e.data);
	put_body(&body, &e);
	if (body.failed || sio_json_check(buf_peek(&body))) {
		buf_fini(&body);
		return command_misuse(self, "the event, the room or the sid is no UTF-8 text");
	}
	code = remote_open(&r, e.url);
	if (!code)
		code = send_event(&r, &e, buf_peek(&body));
	remote_close(&r);
	buf_fini(&body);
	return code;
}

/* ---- who and kick -------------------------------------------------------------------------- */

/* One word, --url and --json; what is asked at prefix + word + suffix. */
struct question {
	const char *what; /* the word, for a sentence */
	const char *prefix, *suffix, *member;
	bool is_post;
	void (*print)(const char *word, sio_slice answer);
};

static int put_question(const struct remote *r, const struct question *q, const char *word, bool is_json)
{
	struct buf path = { 0 }, answer = { 0 };
	struct cli_request request = { .is_post = q->is_post };
	int code;

	buf_str(&path, q->prefix);
	cli_path_part(&path, word);
	buf_str(&path, q->suffix);
	buf_byte(&path, '\0');
	request.path = path.p;
	code = path.failed ? command_fail("out of memory") : remote_ask(r, request, q->member, &answer);
	if (!code && is_json)
		remote_print(buf_peek(&answer));
	else if (!code)
		q->print(word, buf_peek(&answer));
	if (!code)
		code = check_complete(buf_peek(&answer));
	buf_fini(&path);
	buf_fini(&answer);
	return code;
}

static int ask(const struct command *self, int argc, char **argv, const struct question *q)
{
	const char *url = NULL;
	bool is_json = false;
	struct remote r = { 0 };
	const struct option_spec specs[] = {
		{ .name = "--json", .is_set = &is_json },
		CLI_TARGET_OPTIONS(&url, &r.target),
	};
	char **words;
	int n, code = command_options(self, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), &words, &n);

	if (code)
		return code;
	if (n != 1 || !words[0][0])
		return command_misuse(self, "it needs one %s", q->what);
	code = remote_open(&r, url);
	if (!code)
		code = put_question(&r, q, words[0], is_json);
	remote_close(&r);
	return code;
}

static void print_users(const char *project, sio_slice answer)
{
	static const char *const columns[] = { "user_id", "name", "connections", "joined_at" };
	struct sio_json_field users = { .key = "users" };
	sio_slice rest, row;

	if (sio_json_pick(answer, &users, 1))
		return;
	rest = sio_json_inside(users.value);
	if (!rest.n)
		fprintf(stderr, "skybuild: nobody is in %s\n", project);
	while (sio_json_next(&rest, &row) == SIO_OK)
		command_print_row(row, columns, sizeof(columns) / sizeof(columns[0]));
}

static void print_disconnected(const char *user, sio_slice answer)
{
	int64_t n = remote_number(answer, "disconnected");

	printf("closed %" PRId64 " connection%s of %s\n", n, n == 1 ? "" : "s", user);
}

int command_who(const struct command *self, int argc, char **argv)
{
	static const struct question q = { "PROJECT", "/api/projects/", "/presence", "users", false, print_users };

	return ask(self, argc, argv, &q);
}

int command_kick(const struct command *self, int argc, char **argv)
{
	static const struct question q = { "USER", "/api/users/", "/disconnect", "disconnected", true, print_disconnected };

	return ask(self, argc, argv, &q);
}
