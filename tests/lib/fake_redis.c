/* fake_redis.c -- see fake_redis.h.  hiredis' reader reads commands as well as answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "lib/fake_redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void on_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void drop(struct fake_conn *c)
{
	if (!c->is_open)
		return;
	c->is_open = false;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* Without libuv's streams, which raise SIGPIPE: that the adapter raises none is tested, too. */
static void send_piece(struct fake_conn *c, const char *p, size_t n)
{
	uv_os_fd_t fd;

	if (c->is_open && uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0 && send(fd, p, n, MSG_NOSIGNAL) < 0)
		drop(c);
}

static void say(const struct fake_redis *f, struct fake_conn *c, const char *p, size_t n)
{
	if (!f->is_bytewise)
		send_piece(c, p, n);
	for (size_t i = 0; f->is_bytewise && i < n; i++)
		send_piece(c, p + i, 1);
}

static bool hears(const struct fake_conn *c, const redisReply *channel)
{
	for (int i = 0; i < FAKE_CHANNELS; i++)
		if (c->is_open && c->channels[i][0] && strcmp(c->channels[i], channel->str) == 0)
			return true;
	return false;
}

static void publish(struct fake_redis *f, const redisReply *channel, const redisReply *message, bool is_sharded)
{
	size_t cap = channel->len + message->len + 100;
	char *text = malloc(cap);
	int n = snprintf(text, cap, "*3\r\n$%d\r\n%smessage\r\n$%zu\r\n%s\r\n$%zu\r\n", is_sharded ? 8 : 7, is_sharded ? "s" : "",
			 channel->len, channel->str, message->len);

	f->published_n++;
	memcpy(text + n, message->str, message->len);
	memcpy(text + n + message->len, "\r\n", 2);
	for (unsigned i = 0; i < f->conns_n && !f->is_mute; i++)
		if (hears(f->conns[i], channel))
			say(f, f->conns[i], text, (size_t)n + message->len + 2);
	free(text);
}

static void subscribe(struct fake_redis *f, struct fake_conn *c, const char *word, const redisReply *channel)
{
	char text[512];
	int at = 0, n;

	while (at < FAKE_CHANNELS - 1 && c->channels[at][0])
		at++;
	snprintf(c->channels[at], sizeof(c->channels[at]), "%s", channel->str);
	n = snprintf(text, sizeof(text), "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:1\r\n", strlen(word), word, channel->len, channel->str);
	say(f, c, text, (size_t)n);
}

static void note(struct fake_redis *f, const redisReply *cmd)
{
	size_t n = strlen(f->said);

	for (size_t i = 0; i < cmd->elements; i++)
		n += (size_t)snprintf(f->said + n, n < sizeof(f->said) ? sizeof(f->said) - n : 0, "%s%s", i ? " " : "", cmd->element[i]->str);
	snprintf(f->said + n, n < sizeof(f->said) ? sizeof(f->said) - n : 0, "|");
	f->said[sizeof(f->said) - 1] = '\0';
}

static void carry_out(struct fake_redis *f, struct fake_conn *c, const redisReply *cmd)
{
	const char *word = cmd->element[0]->str;

	if (strcmp(word, "PUBLISH") == 0) {
		publish(f, cmd->element[1], cmd->element[2], false);
		say(f, c, ":1\r\n", 4);
		return;
	}
	if (strcmp(word, "SUBSCRIBE") == 0)
		subscribe(f, c, "subscribe", cmd->element[1]);
	else if (strcmp(word, "PSUBSCRIBE") == 0) /* confirmed; nothing fits a pattern */
		subscribe(f, c, "psubscribe", cmd->element[1]);
	else if (strcmp(word, "INFO") == 0)
		say(f, c, "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n", 37);
	else
		say(f, c, "+OK\r\n", 5);
}

static void on_command(struct fake_redis *f, struct fake_conn *c, const redisReply *cmd)
{
	const char *word = cmd->element[0]->str;

	if (strcmp(word, "PUBLISH") != 0)
		note(f, cmd);
	if (!f->command || strcmp(f->command, word) != 0 || f->times == 0) {
		carry_out(f, c, cmd);
		return;
	}
	f->times--;
	if (f->does_both)
		publish(f, cmd->element[1], cmd->element[2], false);
	if (f->fault && f->fault[0])
		say(f, c, f->fault, strlen(f->fault));
	else if (f->fault)
		drop(c);
}

static void on_alloc(uv_handle_t *handle, size_t n, uv_buf_t *out)
{
	struct fake_conn *c = (struct fake_conn *)(void *)handle;

	(void)n;
	*out = uv_buf_init(c->bytes, sizeof(c->bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct fake_conn *c = (struct fake_conn *)(void *)stream;
	struct fake_redis *f = stream->data;
	void *cmd = NULL;

	if (n < 0) {
		drop(c);
		return;
	}
	redisReaderFeed(c->reader, buf->base, (size_t)n);
	while (c->is_open && redisReaderGetReply(c->reader, &cmd) == REDIS_OK && cmd) {
		on_command(f, c, cmd);
		freeReplyObject(cmd);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct fake_redis *f = listener->data;
	struct fake_conn *c = calloc(1, sizeof(*c));

	(void)status;
	if (f->conns_n == FAKE_CONNS)
		abort();
	f->conns[f->conns_n++] = c;
	c->reader = redisReaderCreate();
	uv_tcp_init(f->loop, &c->tcp);
	c->tcp.data = f;
	c->is_open = true;
	uv_accept(listener, (uv_stream_t *)&c->tcp);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void fake_redis_start(struct fake_redis *f, uv_loop_t *loop, int port)
{
	struct sockaddr_in at;
	int n = sizeof(at);

	*f = (struct fake_redis){ .loop = loop };
	uv_ip4_addr("127.0.0.1", port, &at);
	uv_tcp_init(loop, &f->listener);
	f->listener.data = f;
	if (uv_tcp_bind(&f->listener, (struct sockaddr *)&at, 0) < 0 || uv_listen((uv_stream_t *)&f->listener, 16, on_connection) < 0)
		abort();
	uv_tcp_getsockname(&f->listener, (struct sockaddr *)&at, &n);
	f->port = ntohs(at.sin_port);
}

void fake_redis_drop_all(struct fake_redis *f)
{
	for (unsigned i = 0; i < f->conns_n; i++)
		drop(f->conns[i]);
}

void fake_redis_stop(struct fake_redis *f)
{
	fake_redis_drop_all(f);
	if (!uv_is_closing((uv_handle_t *)&f->listener))
		uv_close((uv_handle_t *)&f->listener, on_closed);
}

void fake_redis_free(struct fake_redis *f)
{
	for (unsigned i = 0; i < f->conns_n; i++) {
		redisReaderFree(f->conns[i]->reader);
		free(f->conns[i]);
	}
	f->conns_n = 0;
}
