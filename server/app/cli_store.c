/* cli_store.c -- "skybuild user ..." and "skybuild project ...": accounts and roles
 * in the store, which a running server sees at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "app/command.h"
#include "auth/password.h"

static sio_slice actor_of_cli(void)
{
	return SIO_LIT("cli");
}

/* Are these the ids of a user and a project?  NULL skips one.  Tells what is wrong. */
static int check_ids(const struct command *self, const char *user, const char *project)
{
	if (user && !access_user_id_ok(sio_str(user)))
		return command_misuse(self, "'%s' is no user id (letters, digits and . _ - @ | + :)", user);
	if (project && !access_id_ok(sio_str(project)))
		return command_misuse(self, "'%s' is no project id (letters, digits and . _ -)", project);
	return EXIT_DONE;
}

/* Run the one ask of a command and print what was done. */
static int run_ask(const struct store_ask *ask, const char *done)
{
	struct command_store cs;
	struct store_result *result;
	int code = command_store_open(&cs, ask->op == STORE_USER_ADD || ask->op == STORE_PROJECT_ADD);

	if (code)
		return code;
	result = command_ask(&cs, ask);
	if (result)
		puts(done);
	code = result ? EXIT_DONE : EXIT_FAILED;
	store_result_free(result);
	command_store_close(&cs);
	return code;
}

/* {"name":NAME} */
static void put_name(struct buf *b, const char *name)
{
	buf_str(b, "{\"name\":");
	buf_json(b, sio_str(name));
	buf_byte(b, '}');
}

/* ---- users ------------------------------------------------------------------------- */

/* The hash of the password on the first line of the standard input. */
static int read_hash(char hash[PASSWORD_HASH_MAX])
{
	char password[PASSWORD_MAX + 2];
	int err;

	if (!fgets(password, sizeof(password), stdin))
		return command_fail("the standard input holds no password");
	password[strcspn(password, "\r\n")] = '\0';
	err = password_hash(password, hash, PASSWORD_HASH_MAX);
	explicit_bzero(password, sizeof(password));
	if (err == SIO_ERR_INVAL)
		return command_fail("the password must have 1 to %d bytes", PASSWORD_MAX);
	return err ? command_fail("the password could not be hashed: %s", sio_strerror(err)) : EXIT_DONE;
}

int command_user_add(const struct command *self, int argc, char **argv)
{
	const char *name = NULL;
	bool has_password = false;
	const struct option_spec specs[] = {
		{ .name = "--name", .value = &name },
		{ .name = "--password-stdin", .is_set = &has_password },
	};
	char hash[PASSWORD_HASH_MAX] = "", **words;
	struct buf body = { 0 };
	int n, code = command_options(self, argc, argv, specs, 2, &words, &n);

	if (code)
		return code;
	if (n != 1 || !name || !*name)
		return command_misuse(self, "USER and --name are needed");
	code = check_ids(self, words[0], NULL);
	if (!code && has_password)
		code = read_hash(hash);
	if (code)
		return code;
	put_name(&body, name);
	code = run_ask(&(struct store_ask){ .op = STORE_USER_ADD, .user = sio_str(words[0]), .actor = actor_of_cli(),
					    .body = buf_peek(&body), .secret = sio_str(hash) },
		       words[0]);
	buf_fini(&body);
	return code;
}

/* Both lists: a table of members. */
static int print_list(const struct command *self, int argc, enum store_op op, const char *const names[2])
{
	struct command_store cs;
	int code;

	if (argc > 0)
		return command_misuse(self, "it takes no arguments");
	code = command_store_open(&cs, false);
	if (code)
		return code;
	code = command_print_list(&cs, (struct store_ask){ .op = op }, names, 2);
	command_store_close(&cs);
	return code;
}

int command_user_list(const struct command *self, int argc, char **argv)
{
	(void)argv;
	return print_list(self, argc, STORE_USER_LIST, (const char *const[]){ "user_id", "name" });
}

/* ---- projects ------------------------------------------------------------------------ */

int command_project_add(const struct command *self, int argc, char **argv)
{
	const char *name = NULL, *owner = NULL;
	const struct option_spec specs[] = {
		{ .name = "--name", .value = &name },
		{ .name = "--owner", .value = &owner },
	};
	struct buf body = { 0 };
	char **words;
	int n, code = command_options(self, argc, argv, specs, 2, &words, &n);

	if (code)
		return code;
	if (n != 1 || !name || !*name || !owner)
		return command_misuse(self, "ID, --name and --owner are needed");
	code = check_ids(self, owner, words[0]);
	if (code)
		return code;
	put_name(&body, name);
	code = run_ask(&(struct store_ask){ .op = STORE_PROJECT_ADD, .project = sio_str(words[0]), .user = sio_str(owner),
					    .actor = actor_of_cli(), .body = buf_peek(&body) },
		       words[0]);
	buf_fini(&body);
	return code;
}

int command_project_share(const struct command *self, int argc, char **argv)
{
	char body[64], done[512];
	int code;

	if (argc != 3)
		return command_misuse(self, "ID, USER and ROLE are needed");
	if (access_role_parse(sio_str(argv[2])) == ROLE_NONE)
		return command_misuse(self, "'%s' is no role; roles are owner, editor, commenter, viewer", argv[2]);
	code = check_ids(self, argv[1], argv[0]);
	if (code)
		return code;
	snprintf(body, sizeof(body), "{\"role\":\"%s\"}", argv[2]);
	snprintf(done, sizeof(done), "%s\t%s\t%s", argv[0], argv[1], argv[2]);
	return run_ask(&(struct store_ask){ .op = STORE_COLLAB_PUT, .project = sio_str(argv[0]), .user = sio_str(argv[1]),
					    .actor = actor_of_cli(), .body = sio_str(body) },
		       done);
}

int command_project_unshare(const struct command *self, int argc, char **argv)
{
	char done[512];
	int code;

	if (argc != 2)
		return command_misuse(self, "ID and USER are needed");
	code = check_ids(self, argv[1], argv[0]);
	if (code)
		return code;
	snprintf(done, sizeof(done), "%s\t%s", argv[0], argv[1]);
	return run_ask(&(struct store_ask){ .op = STORE_COLLAB_DELETE, .project = sio_str(argv[0]), .user = sio_str(argv[1]),
					    .actor = actor_of_cli() },
		       done);
}

int command_project_list(const struct command *self, int argc, char **argv)
{
	(void)argv;
	return print_list(self, argc, STORE_PROJECT_LIST, (const char *const[]){ "project_id", "name" });
}

/* ---- demonstration data ---------------------------------------------------------------- */

static int fill(struct command_store *cs, long users, long projects)
{
	char error[STORE_ERROR_MAX];
	enum store_status status;

	if (users)
		status = store_demo_bulk(cs->store, (uint32_t)users, (uint32_t)projects, error);
	else
		status = store_demo(cs->store, password_hash, error);
	if (status != STORE_OK)
		return command_fail("%s", error);
	if (users)
		printf("users user-0 .. user-%ld and projects proj-0 .. proj-%ld are there\n", users - 1, projects - 1);
	else
		puts("project proj-riverside is there, with users anna, ben and others (password demo-<user>)");
	return EXIT_DONE;
}

int command_demo(const struct command *self, int argc, char **argv)
{
	const char *users_text = NULL, *projects_text = NULL;
	const struct option_spec specs[] = {
		{ .name = "--users", .value = &users_text },
		{ .name = "--projects", .value = &projects_text },
	};
	struct command_store cs;
	long users = 0, projects = 0;
	char **words;
	int n, code = command_options(self, argc, argv, specs, 2, &words, &n);

	if (code)
		return code;
	if (n > 0 || !users_text != !projects_text)
		return command_misuse(self, "--users and --projects come together, and nothing else");
	if (users_text && (!command_number(users_text, 1000000, &users) || !command_number(projects_text, 100000, &projects)))
		return command_misuse(self, "--users must be 1 to 1000000 and --projects 1 to 100000");
	code = command_store_open(&cs, true);
	if (code)
		return code;
	if (!users && cs.config.env == CONFIG_PRODUCTION)
		code = command_fail("SKYBUILD_ENV=production refuses demo accounts: their passwords are known to everybody");
	else
		code = fill(&cs, users, projects);
	command_store_close(&cs);
	return code;
}
