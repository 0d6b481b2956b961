/* server.h -- a Socket.IO server on one event loop.
 *
 * A server listens, speaks Engine.IO v4 and Socket.IO v5 below its path, and
 * serves the application's own HTTP routes (<sio/http.h>) beside it.  Several
 * independent servers may live in one process, each on a loop of its own.
 *
 * Thread: every call of the library belongs to the thread that runs the
 * server's loop, except those that say otherwise (sio_server_post).
 * Lifetime: sio_server_new .. sio_server_close .. (loop runs) .. sio_server_free.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_SERVER_H
#define SIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct uv_loop_s;
struct sio_server;

enum sio_log_level { SIO_LOG_DEBUG, SIO_LOG_INFO, SIO_LOG_WARNING, SIO_LOG_ERROR };

/* Called for each line the library has to say.  line is NUL-terminated, without
 * a newline, borrowed for the call. */
typedef void sio_log_fn(enum sio_log_level level, const char *line, void *arg);

/* Zero or NULL means the default that stands behind each field. */
struct sio_server_options {
	struct uv_loop_s *loop;      /* NULL: the server makes a loop of its own */
	const char *path;            /* "/socket.io" */
	uint32_t ping_interval_ms;   /* 25000 */
	uint32_t ping_timeout_ms;    /* 20000 */
	uint32_t connect_timeout_ms; /* 45000: Engine.IO session without a namespace */
	uint32_t upgrade_timeout_ms; /* 10000 */
	size_t max_payload_bytes;    /* 1000000: one POST body, one WebSocket message */
	size_t max_body_bytes;       /* 1000000: body of a request to an HTTP route */
	size_t send_queue_bytes;     /* 1048576: unsent bytes of one client, then it is cut */
	uint32_t max_connections;    /* 0: what the descriptor limit allows */
	uint32_t max_rooms;          /* 0: no limit; rooms one socket may be in */
	uint32_t events_per_second;  /* 0: no limit; events one socket may send */
	uint32_t events_burst;       /* 2 x events_per_second */
	uint32_t head_timeout_ms;    /* 10000: to send a request's head */
	uint32_t body_timeout_ms;    /* 30000: to send a request's body, or finish a message */
	uint32_t idle_timeout_ms;    /* 60000: HTTP connection between two requests */
	uint32_t write_timeout_ms;   /* 30000: peer takes no byte of an answer */
	/* Origins a browser may come from, exact ("https://app.example"), NULL-terminated;
	 * "*" allows all.  The server's own origin is always accepted, a request
	 * without an Origin header as well; any other is refused with 403. */
	const char *const *origins;
	/* Recovery (<sio/history.h>): how long a client that lost its connection may come
	 * back with nothing lost; 0: off.  history_bytes: 4194304 for the events kept. */
	uint32_t recovery_window_ms;
	size_t history_bytes;
	sio_log_fn *log;             /* NULL: silent */
	void *log_arg;
};

/* Make a server.  options may be NULL; strings in it are copied.  Does not
 * listen yet.  Returns 0 and *out, SIO_ERR_NOMEM, SIO_ERR_INVAL (an option out of
 * range; the log says which) or SIO_ERR_SYSTEM (the loop could not be made). */
SIO_API SIO_MUST_CHECK int sio_server_new(const struct sio_server_options *options, struct sio_server **out);

/* Listen on host:port ("127.0.0.1", "::1", "0.0.0.0"; port 0 picks one).  May be
 * called for several addresses.  Returns 0; SIO_ERR_SYSTEM with errno set
 * (EADDRINUSE, EACCES ...); SIO_ERR_INVAL when host is no numeric address or
 * "localhost"; SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_server_listen(struct sio_server *server, const char *host, uint16_t port);

/* The port of the first listening address, 0 when there is none. */
SIO_API uint16_t sio_server_port(const struct sio_server *server);

/* Run the server's loop until the server is closed.  Only for servers that made
 * their own loop; others run theirs. */
SIO_API void sio_server_run(struct sio_server *server);

/* End: stop listening, close every session ("server shutting down": Engine.IO
 * close, no Socket.IO packet), answer what is being answered, at most drain_ms
 * long.  Idempotent; a second call with a smaller drain_ms shortens it.  The
 * loop has nothing of the server left to do afterwards. */
SIO_API void sio_server_close(struct sio_server *server, uint32_t drain_ms);

/* Call sio_server_close(server, drain_ms) on the first SIGINT or SIGTERM of the process
 * and sio_server_close(server, 0) on the next.  For programs that watch no signals of
 * their own.  Returns 0 or SIO_ERR_SYSTEM. */
SIO_API SIO_MUST_CHECK int sio_server_close_on_signals(struct sio_server *server, uint32_t drain_ms);

/* Free a closed server whose loop has ended, or one that never listened.  NULL
 * is allowed. */
SIO_API void sio_server_free(struct sio_server *server);

/* The application's pointer. */
SIO_API void sio_server_set_data(struct sio_server *server, void *data);
SIO_API void *sio_server_data(const struct sio_server *server);

/* Milliseconds of a clock that never goes back; read once a loop turn. */
SIO_API uint64_t sio_server_now_ms(const struct sio_server *server);

/* What the server counts, since its start unless said otherwise. */
struct sio_stats {
	uint64_t connections;          /* Engine.IO sessions open now */
	uint64_t connections_total;
	uint64_t websockets;           /* sessions on WebSocket now */
	uint64_t http_connections;     /* TCP connections open now */
	uint64_t sockets;              /* Socket.IO sockets connected now */
	uint64_t rooms;                /* rooms with members now */
	uint64_t upgrades_total;
	uint64_t events_received_total;
	uint64_t broadcasts_total;
	uint64_t encodes_total;        /* packets encoded: one a message, however many receive it */
	uint64_t deliveries_total;     /* packets queued to a receiver */
	uint64_t volatile_dropped_total;
	uint64_t volatile_replaced_total; /* an older one of the same key gave way */
	uint64_t slow_disconnects_total;
	uint64_t parse_errors_total;
	uint64_t connect_refused_total;
	uint64_t rate_limited_total;
	uint64_t events_dropped_total;    /* by a middleware */
	uint64_t recoveries_total;        /* clients that came back with nothing lost */
	uint64_t replayed_total;          /* events they had missed */
	uint64_t adapter_sent_total;      /* messages to other servers (<sio/adapter.h>) */
	uint64_t adapter_received_total;  /* from other servers */
	uint64_t adapter_refused_total;   /* of these: malformed, of another version, out of place */
	uint64_t adapter_failed_total;    /* that the adapter did not take, or not for all */
	uint64_t http_requests_total;
	uint64_t http_refused_total;   /* requests answered by the library's own 4xx */
	uint64_t bytes_in_total;
	uint64_t bytes_out_total;
	uint64_t writes_total;         /* system calls that sent bytes */
	uint64_t allocations_total;    /* times the message path asked the system for memory */
	uint64_t send_queue_bytes;     /* waiting now */
};
SIO_API void sio_server_stats(const struct sio_server *server, struct sio_stats *out);

#endif
