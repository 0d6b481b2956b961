/* command.h -- the table of subcommands, and what they share.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "app/config.h"
#include "store/store.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv holds what follows the command's words, argv[argc] is NULL. */
struct command {
	const char *name;  /* "user add": one word or two */
	const char *usage; /* what follows the name */
	const char *text;  /* one line for the list */
	const char *help;  /* more lines, for --help of the command; may be NULL */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command commands[];
extern const size_t commands_n;

int command_serve(const struct command *self, int argc, char **argv);
int command_token(const struct command *self, int argc, char **argv);
int command_user_add(const struct command *self, int argc, char **argv);
int command_user_list(const struct command *self, int argc, char **argv);
int command_project_add(const struct command *self, int argc, char **argv);
int command_project_share(const struct command *self, int argc, char **argv);
int command_project_unshare(const struct command *self, int argc, char **argv);
int command_project_list(const struct command *self, int argc, char **argv);
int command_demo(const struct command *self, int argc, char **argv);
int command_status(const struct command *self, int argc, char **argv);
int command_healthcheck(const struct command *self, int argc, char **argv);
int command_emit(const struct command *self, int argc, char **argv);
int command_who(const struct command *self, int argc, char **argv);
int command_kick(const struct command *self, int argc, char **argv);
int command_trace(const struct command *self, int argc, char **argv);
int command_doctor(const struct command *self, int argc, char **argv);
int command_version(const struct command *self, int argc, char **argv);

/* ---- shared --------------------------------------------------------------------- */

/* Run the command that argv names.  Returns the exit code. */
int command_main(int argc, char **argv);

/* "skybuild: ..." on stderr; returns EXIT_FAILED. */
int command_fail(const char *fmt, ...) SIO_PRINTF(1, 2);
/* The same with the usage behind it; returns EXIT_USAGE. */
int command_misuse(const struct command *self, const char *fmt, ...) SIO_PRINTF(2, 3);

/* One option of a command: "--name VALUE" or "--name=VALUE", or a switch. */
struct option_spec {
	const char *name;   /* "--ttl" */
	const char **value; /* NULL for a switch */
	bool *is_set;       /* may be NULL when value is not */
	/* Instead of value: called for each, for options that may come often.  False
	 * means the value is not accepted. */
	bool (*each)(const char *value, void *arg);
	void *arg;
};

/* Take the options out of argv; what is left are the words, *words_n of them at
 * words (which points into argv, reordered).  Returns EXIT_DONE, or EXIT_USAGE
 * after telling what is wrong. */
int command_options(const struct command *self, int argc, char **argv, const struct option_spec *specs, size_t specs_n,
		    char ***words, int *words_n);

/* A whole number from 1 to max. */
bool command_number(const char *text, long max, long *out);

/* Load the configuration; on failure tells why and returns EXIT_FAILED. */
int command_config(struct config *config);

/* Configuration and store (without a thread) for a command that works on it.  A
 * command that only reads or changes may not make a store: in the wrong folder it
 * would answer from an empty one. */
struct command_store {
	struct config config;
	struct store *store;
};
int command_store_open(struct command_store *cs, bool may_make);
void command_store_close(struct command_store *cs);

/* Run one ask.  OK: the result (free it); else NULL after telling why. */
struct store_result *command_ask(struct command_store *cs, const struct store_ask *ask);

/* Print members of a row (JSON) as one line: names[0..n), separated by tabs. */
void command_print_row(sio_slice row, const char *const *names, size_t n);

/* Print every row of a paged list: the members names[0..n), separated by tabs. */
int command_print_list(struct command_store *cs, struct store_ask ask, const char *const *names, size_t n);

#endif
