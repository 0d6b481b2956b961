/* command.c -- see command.h: the table, --help, options, and opening the store.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sio/json.h>

#include "base/log.h"

#define TARGET_HELP                                                                                      \
	"URL is the server's address.  When it is not given, it is HOST:PORT of the configuration, with https\n"  \
	"if TLS_CERT is set, and whatever certificate is shown there will do.  An https URL is verified by the\n"  \
	"system's certificates or those of the PEM file FILE; --insecure takes any.\n"
#define REMOTE_HELP                                                                                      \
	"Needs the server's SERVICE_API_KEY, from the environment or .env; SKYBUILD_URL stands for a --url.\n"   \
	"--json prints the server's answer as it is.\n" TARGET_HELP

const struct command commands[] = {
	{ "serve", "[--check]", "run the server",
	  "--check reads the configuration, says what is wrong with it, and ends.\n", command_serve },
	{ "token", "USER [--ttl SECONDS] [--claim NAME=VALUE]...", "print a token for USER, signed with JWT_SECRET",
	  "--ttl is 86400 (a day) when it is not given.  A VALUE that is JSON (true, 3, [\"a\"])\n"
	  "is taken as such, any other as a string.\n",
	  command_token },
	{ "user add", "USER --name NAME [--password-stdin]", "add an account",
	  "--password-stdin reads the password from the first line of the standard input.\n", command_user_add },
	{ "user list", "", "print the accounts: id, name", NULL, command_user_list },
	{ "project add", "ID --name NAME --owner USER", "add a project", NULL, command_project_add },
	{ "project share", "ID USER ROLE", "give USER a role: owner, editor, commenter or viewer", NULL,
	  command_project_share },
	{ "project unshare", "ID USER", "take USER out of a project", NULL, command_project_unshare },
	{ "project list", "", "print the projects: id, name", NULL, command_project_list },
	{ "demo", "[--users N --projects M]", "fill the store with a believable project, or with many for load tests",
	  "Without options: project proj-riverside with users anna, ben and others, whose passwords\n"
	  "are demo-<user>.  With options: users user-0 .. and projects proj-0 .., every user an\n"
	  "editor of every project.\n",
	  command_demo },
	{ "status", "[--url URL] [--ca FILE | --insecure] [--json]", "print the status of a running server", TARGET_HELP,
	  command_status },
	{ "healthcheck", "[--url URL] [--ca FILE | --insecure]", "end with 0 when a running server is ready, with 1 when not",
	  TARGET_HELP, command_healthcheck },
	{ "emit",
	  "EVENT --room ROOM --data JSON [--except SID] [--volatile] [--url URL] [--ca FILE | --insecure] [--json]",
	  "send an event to a room of a running server",
	  "ROOM is project:ID, user:ID or another; the connection SID is left out.  Without --volatile\n"
	  "the event is stored before it is sent.  A text is JSON with its quotes: --data '\"text\"'.\n" REMOTE_HELP,
	  command_emit },
	{ "who", "PROJECT [--url URL] [--ca FILE | --insecure] [--json]",
	  "print who is in a project: id, name, connections, since when", REMOTE_HELP, command_who },
	{ "kick", "USER [--url URL] [--ca FILE | --insecure] [--json]", "close every connection of a user",
	  "The stock client does not come back by itself.\n" REMOTE_HELP, command_kick },
	{ "trace",
	  "--user USER | --project PROJECT | --sid SID [--seconds N] [--count N] [--url URL] [--ca FILE | --insecure] [--json]",
	  "print the packets of a user, a project or a connection as they pass",
	  "Needs no restart, and costs nothing while nobody looks.  A line for each packet in or out, until N seconds\n"
	  "or N packets have passed, or Ctrl-C.  Tokens are not shown.  Shows the clients of the server that is asked,\n"
	  "with all of its workers; of several servers each is asked for itself.\n" REMOTE_HELP,
	  command_trace },
	{ "doctor",
	  "URL [--token TOKEN] [--origin ORIGIN] [--wait SECONDS] [--path PATH] [--ca FILE | --insecure] [--json]",
	  "look at a server from outside, through its proxies, and name what is wrong",
	  "Any Socket.IO server from version 3 on, at the address that clients use.  A line for each check: ok,\n"
	  "warning or fault, what was seen, and for a fault what mends it; ends with 1 if there is one.\n"
	  "TOKEN is what a client would have (skybuild token USER prints one); - reads it from the standard\n"
	  "input.  ORIGIN is that of the page that clients are in, the URL's own if it is not given.  For SECONDS\n"
	  "a poll and a WebSocket are left idle: one ping interval and three seconds if it is not given, 0 for\n"
	  "not at all.  PATH is /socket.io/ unless the server has another.\n",
	  command_doctor },
	{ "version", "", "print the version", NULL, command_version },
};
const size_t commands_n = sizeof(commands) / sizeof(commands[0]);

/* ---- telling ---------------------------------------------------------------------- */

int command_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("skybuild: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int command_misuse(const struct command *self, const char *fmt, ...)
{
	va_list ap;

	fputs("skybuild: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: skybuild %s %s\n", self->name, self->usage);
	return EXIT_USAGE;
}

static void print_overview(FILE *to)
{
	fputs("usage: skybuild COMMAND ...\n\n", to);
	for (size_t i = 0; i < commands_n; i++)
		fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].text);
	fputs("\nskybuild COMMAND --help tells more.  Settings come from the environment and from .env in\n"
	      "the working directory; skybuild serve --help lists them.\n",
	      to);
}

static int print_help(const struct command *c)
{
	printf("usage: skybuild %s %s\n\n%s\n", c->name, c->usage, c->text);
	if (c->help)
		printf("\n%s", c->help);
	if (c->run == command_serve) {
		struct buf b = { 0 };

		config_describe(&b);
		printf("\nSettings (environment, or .env in the working directory):\n%.*s", (int)b.n, b.n ? b.p : "");
		buf_fini(&b);
	}
	return EXIT_DONE;
}

/* ---- choosing ---------------------------------------------------------------------- */

/* How many of the words are the command's name; 0: they are another's. */
static int name_words(const struct command *c, int argc, char **argv)
{
	const char *second = strchr(c->name, ' ');
	size_t first_n = second ? (size_t)(second - c->name) : strlen(c->name);

	if (argc < 1 || strlen(argv[0]) != first_n || strncmp(argv[0], c->name, first_n) != 0)
		return 0;
	if (!second)
		return 1;
	return argc >= 2 && strcmp(argv[1], second + 1) == 0 ? 2 : 0;
}

static bool asks_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* The commands that start with this word ("skybuild user --help"). */
static int print_group(const char *word, bool is_asked)
{
	size_t n = strlen(word);
	bool is_any = false;

	for (size_t i = 0; i < commands_n; i++)
		if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ') {
			fprintf(is_asked ? stdout : stderr, "%s skybuild %s %s\n", is_any ? "      " : "usage:", commands[i].name,
				commands[i].usage);
			is_any = true;
		}
	if (is_any)
		return is_asked ? EXIT_DONE : EXIT_USAGE;
	fprintf(stderr, "skybuild: there is no command '%s'\n\n", word);
	print_overview(stderr);
	return EXIT_USAGE;
}

int command_main(int argc, char **argv)
{
	static char version[] = "version";

	argc--;
	argv++;
	if (argc == 0) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "help") == 0) {
		print_overview(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[0], "--version") == 0)
		argv[0] = version;
	for (size_t i = 0; i < commands_n; i++) {
		int n = name_words(&commands[i], argc, argv);

		if (n > 0 && asks_help(argc - n, argv + n))
			return print_help(&commands[i]);
		if (n > 0)
			return commands[i].run(&commands[i], argc - n, argv + n);
	}
	return print_group(argv[0], asks_help(argc, argv));
}

/* ---- options ------------------------------------------------------------------------- */

/* The spec that the argument names, and the value that follows a '='. */
static const struct option_spec *find_option(const char *argument, const struct option_spec *specs, size_t n,
					     const char **inline_value)
{
	const char *eq = strchrnul(argument, '=');

	*inline_value = *eq ? eq + 1 : NULL;
	for (size_t i = 0; i < n; i++)
		if (strlen(specs[i].name) == (size_t)(eq - argument) && strncmp(specs[i].name, argument, (size_t)(eq - argument)) == 0)
			return &specs[i];
	return NULL;
}

int command_options(const struct command *self, int argc, char **argv, const struct option_spec *specs, size_t specs_n,
		    char ***words, int *words_n)
{
	bool is_word_only = false; /* behind "--" */

	*words = argv;
	*words_n = 0;
	for (int i = 0; i < argc; i++) {
		const struct option_spec *spec;
		const char *value;

		if (!is_word_only && strcmp(argv[i], "--") == 0) {
			is_word_only = true;
			continue;
		}
		if (is_word_only || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[(*words_n)++] = argv[i];
			continue;
		}
		spec = find_option(argv[i], specs, specs_n, &value);
		if (!spec)
			return command_misuse(self, "there is no option '%s'", argv[i]);
		if (spec->is_set)
			*spec->is_set = true;
		if (!spec->value && !spec->each) {
			if (value)
				return command_misuse(self, "%s takes no value", spec->name);
			continue;
		}
		if (!value)
			value = ++i < argc ? argv[i] : NULL;
		if (!value)
			return command_misuse(self, "%s needs a value", spec->name);
		if (spec->value)
			*spec->value = value;
		else if (!spec->each(value, spec->arg))
			return command_misuse(self, "%s %s is not accepted", spec->name, value);
	}
	return EXIT_DONE;
}

bool command_number(const char *text, long max, long *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*out = strtol(text, &end, 10);
	return !*end && *out >= 1 && *out <= max;
}

/* ---- configuration and store ----------------------------------------------------------- */

int command_config(struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	*config = (struct config){ 0 };
	if (config_load(config, environ, ".env", error) == SIO_OK)
		return EXIT_DONE;
	config_fini(config);
	return command_fail("%s", error);
}

static bool is_missing(const struct config *c)
{
	const char *path = config_sqlite_path(c);

	return path && strcmp(path, ":memory:") != 0 && access(path, F_OK) != 0;
}

int command_store_open(struct command_store *cs, bool may_make)
{
	char error[STORE_ERROR_MAX];
	struct store_options options = { 0 };
	int code = command_config(&cs->config);

	cs->store = NULL;
	if (code)
		return code;
	log_setup(SIO_LOG_WARNING, false);
	options.url = cs->config.database_url;
	if (!may_make && is_missing(&cs->config)) {
		code = command_fail("there is no store at DATABASE_URL=%s yet; user add, project add, demo and serve make one",
				    cs->config.database_url);
		config_fini(&cs->config);
		return code;
	}
	if (store_open(&options, &cs->store, error) == SIO_OK)
		return EXIT_DONE;
	config_fini(&cs->config);
	return command_fail("%s", error);
}

void command_store_close(struct command_store *cs)
{
	store_close(cs->store);
	config_fini(&cs->config);
}

struct store_result *command_ask(struct command_store *cs, const struct store_ask *ask)
{
	struct store_result *result = store_run(cs->store, ask);

	if (result && result->status == STORE_OK)
		return result;
	command_fail("%s", result ? result->error : "out of memory");
	store_result_free(result);
	return NULL;
}

/* One member of a row as a column: strings without quotes, no control bytes. */
static void print_member(sio_slice row, const char *name)
{
	struct sio_json_field field = { .key = name };
	char text[1024];

	if (sio_json_pick(row, &field, 1) || field.type == SIO_JSON_NULL)
		return;
	if (field.type == SIO_JSON_STRING && sio_json_unquote(field.value, text, sizeof(text)) >= 0) {
		for (char *p = text; *p; p++)
			putchar((unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
		return;
	}
	printf("%.*s", (int)field.value.n, field.value.p);
}

void command_print_row(sio_slice row, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			putchar('\t');
		print_member(row, names[i]);
	}
	putchar('\n');
}

int command_print_list(struct command_store *cs, struct store_ask ask, const char *const *names, size_t n)
{
	struct store_result *page = NULL;

	ask.limit = STORE_LIMIT_MAX;
	do {
		struct store_result *next = command_ask(cs, &ask);
		sio_slice rest, row;

		store_result_free(page); /* ask.cursor pointed into it */
		page = next;
		if (!page)
			return EXIT_FAILED;
		rest = sio_json_inside(page->json);
		while (sio_json_next(&rest, &row) == SIO_OK)
			command_print_row(row, names, n);
		ask.cursor = page->cursor;
	} while (page->cursor.n > 0);
	store_result_free(page);
	return EXIT_DONE;
}
