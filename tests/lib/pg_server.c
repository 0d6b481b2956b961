/* pg_server.c -- see pg_server.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "lib/pg_server.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64], bin[256], url[256];
static pid_t server, owner;

static void give_up(const char *what)
{
	fprintf(stderr, "pg_server: %s (packages: postgresql)\n", what);
	exit(1);
}

/* In the child: not root, no sanitizer's settings, silent; the server ends with the test. */
static void become_somebody(void)
{
	const struct passwd *who = geteuid() == 0 ? getpwnam("postgres") : NULL;
	int fd = open("/dev/null", O_RDWR);

	if (who && (setgroups(0, NULL) < 0 || setgid(who->pw_gid) < 0 || setuid(who->pw_uid) < 0))
		_exit(127);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (chdir(folder) < 0)
		_exit(127);
}

static pid_t spawn(const char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		become_somebody();
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static char *program(const char *name)
{
	static char path[320];

	snprintf(path, sizeof(path), "%s/%s", bin, name);
	return path;
}

static void find_programs(void)
{
	glob_t found;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0)
		snprintf(bin, sizeof(bin), "%.*s", (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
			 found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	if (!bin[0])
		give_up("no PostgreSQL in /usr/lib/postgresql");
}

static void make_cluster(void)
{
	const struct passwd *who = geteuid() == 0 ? getpwnam("postgres") : NULL;
	char data[80];
	int status = -1;

	strcpy(folder, "/tmp/skybuild-pg-XXXXXX");
	if (!mkdtemp(folder) || (who && chown(folder, who->pw_uid, who->pw_gid) < 0))
		give_up("no temporary folder");
	snprintf(data, sizeof(data), "%s/data", folder);
	waitpid(spawn((const char *[]){ program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N",
				  "--no-instructions", NULL }), &status, 0);
	if (status != 0)
		give_up("initdb failed");
	snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%%2Ftmp%%2F%s", folder + strlen("/tmp/"));
}

void pg_server_start(void)
{
	char data[80], sockets[128];

	snprintf(data, sizeof(data), "%s/data", folder);
	snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", folder);
	/* No test here pulls the plug of the machine: fsync would only cost time. */
	server = spawn((const char *[]){ program("postgres"), "-D", data, "-c", sockets, "-c", "listen_addresses=", "-c", "fsync=off", "-c",
				   "full_page_writes=off", "-c", "max_connections=40", "-c", "shared_buffers=16MB", "-c", "autovacuum=off",
				   NULL });
	for (int i = 0; i < 1000; i++) {
		if (PQping(url) == PQPING_OK)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	give_up("postgres does not answer");
}

void pg_server_stop(bool is_crash)
{
	if (server <= 0)
		return;
	kill(server, is_crash ? SIGQUIT : SIGINT);
	waitpid(server, NULL, 0);
	server = 0;
}

static void end(void)
{
	char command[128];

	if (getpid() != owner) /* a child of the test */
		return;
	pg_server_stop(true);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		fprintf(stderr, "pg_server: %s is left\n", folder);
}

const char *pg_server_url(void)
{
	if (server == 0 && !folder[0]) {
		find_programs();
		owner = getpid();
		make_cluster();
		atexit(end);
		pg_server_start();
	}
	return url;
}

void pg_server_run(const char *where, const char *sql)
{
	PGconn *conn = PQconnectdb(where);
	PGresult *quiet = PQexec(conn, "SET client_min_messages = warning"), *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		fprintf(stderr, "pg_server_run: %s%s\n", sql, PQerrorMessage(conn));
		abort();
	}
	PQclear(quiet);
	PQclear(result);
	PQfinish(conn);
}
