/* redis_server.c -- see redis_server.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "lib/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 40, START_TRIES = 1000, TRY_US = 10000 };

static void run_server(const struct redis_server *r, const char *const *settings)
{
	const char *usual[] = { "redis-server", "--port", "0", "--unixsocket", r->socket, "--save", "", "--appendonly", "no",
				"--dir", r->dir, "--client-output-buffer-limit", "pubsub", "0", "0", "0" };
	const char *args[ARGS_MAX] = { NULL };
	size_t n = sizeof(usual) / sizeof(usual[0]);
	int log;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed takes it with it */
	memcpy(args, usual, sizeof(usual));
	while (settings && *settings && n < ARGS_MAX - 1)
		args[n++] = *settings++;
	if (chdir(r->dir) != 0)
		_exit(127);
	log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(args[0], (char *const *)args);
	_exit(127);
}

void redis_server_start(struct redis_server *r, const char *const *settings)
{
	char answer[64] = "";

	if (!r->dir[0]) {
		snprintf(r->dir, sizeof(r->dir), "/tmp/sio-redis-XXXXXX");
		if (!mkdtemp(r->dir))
			abort();
	}
	snprintf(r->socket, sizeof(r->socket), "%s/s", r->dir);
	snprintf(r->url, sizeof(r->url), "unix://%s", r->socket);
	unlink(r->socket);
	r->pid = fork();
	if (r->pid == 0)
		run_server(r, settings);
	for (int i = 0; i < START_TRIES; i++) {
		usleep(TRY_US);
		if (access(r->socket, F_OK) == 0)
			redis_server_ask(r, "PING", answer, sizeof(answer));
		if (strstr(answer, "PONG") || strstr(answer, "NOAUTH"))
			return;
	}
	fprintf(stderr, "redis-server does not start: see %s/log\n", r->dir);
	abort();
}

void redis_server_ask(const struct redis_server *r, const char *command, char *out, int cap)
{
	char line[1024];
	size_t n;
	FILE *f;

	snprintf(line, sizeof(line), "redis-cli -s %s %s 2>&1", r->socket, command);
	f = popen(line, "r");
	if (!f)
		abort();
	n = fread(out, 1, (size_t)cap - 1, f);
	out[n] = '\0';
	pclose(f);
}

void redis_server_stop(struct redis_server *r)
{
	if (r->pid <= 0)
		return;
	kill(r->pid, SIGKILL); /* nothing of it is to be kept */
	waitpid(r->pid, NULL, 0);
	r->pid = 0;
}

void redis_server_remove(struct redis_server *r)
{
	char line[128];

	redis_server_stop(r);
	snprintf(line, sizeof(line), "rm -rf '%s'", r->dir);
	if (r->dir[0] && system(line) != 0)
		perror(line);
	r->dir[0] = '\0';
}
