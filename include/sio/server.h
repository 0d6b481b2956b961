/* server.h -- a Socket.IO or Engine.IO server on one event loop.
 *
 * A server listens, speaks Engine.IO v4 and Socket.IO v5 below its path, and
 * serves the application's own HTTP routes (<sio/http.h>) beside it.  With engine_only
 * it speaks Engine.IO alone (<sio/engine.h>).  Several independent servers may live in
 * one process, each on a loop of its own.
 *
 * Thread: every call of the library belongs to the thread that runs the
 * server's loop, except those that say otherwise (sio_server_post).  Before the
 * loop runs and after it has ended that is any one thread; with a loop of the
 * application's own, the thread of its last turn until the server is closed.  Calls
 * that change something check it: from a wrong thread they print a line and abort.
 * Lifetime: sio_server_new .. sio_server_close .. (loop runs) .. sio_server_free.
 * Calls that name no error cannot fail.
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

SIO_BEGIN

struct uv_loop_s;
struct sio_server;

enum sio_log_level { SIO_LOG_DEBUG, SIO_LOG_INFO, SIO_LOG_WARNING, SIO_LOG_ERROR };

/* Called for each line the library has to say.  line is NUL-terminated, without
 * a newline, borrowed for the call. */
typedef void sio_log_fn(enum sio_log_level level, const char *line, void *arg);

enum sio_same_site { SIO_SAME_SITE_LAX, SIO_SAME_SITE_STRICT, SIO_SAME_SITE_NONE, SIO_SAME_SITE_UNSET };

/* A cookie with the session's id, for load balancers that keep a client on one server:
 * set by the answer to a polling handshake and never read (Engine.IO, section 4.3).
 * Zero means the default behind each field; a name must be given. */
struct sio_cookie {
	const char *name;              /* a token; the reference's is "io" */
	const char *path;              /* "/"; "" sets no Path */
	bool is_for_scripts;           /* false: HttpOnly */
	bool is_secure;                /* false: no Secure */
	enum sio_same_site same_site;  /* Lax; SIO_SAME_SITE_NONE needs is_secure */
	uint32_t max_age_s;            /* 0: no Max-Age, the cookie ends with the browser */
};

enum { SIO_TRANSPORT_POLLING = 1, SIO_TRANSPORT_WEBSOCKET = 2 };

/* Zero or NULL means the default that stands behind each field. */
struct sio_server_options {
	struct uv_loop_s *loop;      /* NULL: the server makes a loop of its own */
	/* "/socket.io", or "/engine.io" with engine_only.  One slash at its end is dropped;
	 * requests may come with one or without, any longer path is not the server's.  Empty:
	 * no Engine.IO, only what the application serves itself. */
	const char *path;
	bool engine_only;            /* plain Engine.IO, <sio/engine.h>, in the place of Socket.IO */
	/* Which ways in are open, SIO_TRANSPORT_* together; 0: both.  A request over another
	 * is refused with 400, code 0. */
	unsigned transports;
	bool no_upgrades;            /* clients are told of none; one that tries still may */
	const struct sio_cookie *cookie; /* NULL: none */
	uint32_t ping_interval_ms;   /* 25000 */
	uint32_t ping_timeout_ms;    /* 20000 */
	uint32_t connect_timeout_ms; /* 45000: Engine.IO session without a namespace */
	uint32_t upgrade_timeout_ms; /* 10000 */
	uint32_t handshake_timeout_ms; /* 30000: for the application to answer, <sio/handshake.h> */
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
	/* Compress WebSocket messages for Engine.IO clients that offer permessage-deflate (RFC
	 * 7692): a message of deflate_threshold_bytes (1024) or more, once for all its
	 * receivers.  Off: the extension is declined. */
	bool per_message_deflate;
	uint32_t deflate_threshold_bytes;
	/* Compress polling answers, and answers of routes that are text, of
	 * http_compression_threshold_bytes (1024) or more with gzip or deflate as
	 * Accept-Encoding asks for.  Bodies over 4 MiB, and those that have a Content-Encoding or
	 * Cache-Control: no-transform, go as they are. */
	bool http_compression;
	uint32_t http_compression_threshold_bytes;
	/* Origins a browser may come from, exact ("https://app.example"), NULL-terminated;
	 * "*" allows all.  The server's own origin is always accepted, a request
	 * without an Origin header as well; any other is refused with 403. */
	const char *const *origins;
	bool keep_facts;             /* keep what <sio/facts.h> tells: some 500 bytes a client */
	/* Recovery (<sio/history.h>): how long a client that lost its connection may come
	 * back with nothing lost; 0: off.  history_bytes: 4194304 for the events kept. */
	uint32_t recovery_window_ms;
	size_t history_bytes;
	/* TLS (https, wss) on every listening address: PEM files of the certificate with its
	 * chain and of its key, without a passphrase; both or neither.  TLS 1.2 and 1.3.  The
	 * server's own origin is https then. */
	const char *tls_cert;        /* NULL: plain */
	const char *tls_key;
	/* Proxies whose X-Forwarded-For, -Proto and -Host are believed: addresses and networks
	 * ("10.0.0.0/8", "::1"), NULL-terminated.  Of everybody else they are ignored.  They say
	 * who a client is (sio_request_address, sio_connect_address), whether it came over TLS,
	 * and what the server's own origin is. */
	const char *const *trusted_proxies; /* NULL: none */
	/* Other servers of the same user, with this option too, may listen on the same address
	 * and port; the kernel gives each a share of the connections (SO_REUSEPORT). */
	bool share_port;
	sio_log_fn *log;             /* NULL: silent */
	void *log_arg;
};

/* Make a server.  options may be NULL; strings in it are copied.  Does not
 * listen yet.  Returns 0 and *out, SIO_ERR_NOMEM, SIO_ERR_INVAL (an option out of
 * range, a file of TLS that cannot be used: a line in the log, "option=value ...", says
 * which and why) or SIO_ERR_SYSTEM (the loop could not be made). */
SIO_API SIO_MUST_CHECK int sio_server_new(const struct sio_server_options *options, struct sio_server **out);

/* Listen on host:port ("127.0.0.1", "::1", "0.0.0.0"; port 0 picks one).  May be
 * called for several addresses.  Returns 0; SIO_ERR_SYSTEM with errno set
 * (EADDRINUSE, EACCES ...); SIO_ERR_INVAL when host is no numeric address or
 * "localhost"; SIO_ERR_CLOSED; SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_server_listen(struct sio_server *server, const char *host, uint16_t port);

/* The port of the first listening address, 0 when there is none. */
SIO_API uint16_t sio_server_port(const struct sio_server *server);

/* Read the files of tls_cert and tls_key again.  New handshakes use what they hold now;
 * connections that are open keep what they have.  On an error nothing changes.  Reads
 * two small files on the calling thread.  Either way one line in the log says what was
 * read or what is wrong.  Returns 0, SIO_ERR_INVAL (a file cannot be used), SIO_ERR_NOMEM,
 * or SIO_ERR_NOENT (the server has no TLS; not logged). */
SIO_API SIO_MUST_CHECK int sio_server_tls_reload(struct sio_server *server);

/* Run the server's loop until the server is closed.  Only for servers that made
 * their own loop; others run theirs.  Not from inside a handler (it aborts). */
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
 * is allowed.  Not from inside a handler (it aborts): close it there, and free it
 * behind sio_server_run. */
SIO_API void sio_server_free(struct sio_server *server);

/* The application's pointer. */
SIO_API void sio_server_set_data(struct sio_server *server, void *data);
SIO_API void *sio_server_data(const struct sio_server *server);

/* Milliseconds of a clock that never goes back; read once a loop turn. */
SIO_API uint64_t sio_server_now_ms(const struct sio_server *server);

/* How long something took, by how often: n[i] of them took at most sio_times_bound_us(i) and
 * longer than the bound before. */
enum { SIO_TIMES_N = 18 };
struct sio_times {
	uint64_t n[SIO_TIMES_N];
	uint64_t total_ns;             /* all of them together */
};

/* Microseconds; 0 for the last, which has no bound, and past it.  Any thread. */
SIO_API uint32_t sio_times_bound_us(unsigned i);

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
	uint64_t carried;                 /* requests of sessions elsewhere, and for ours from elsewhere, now */
	uint64_t carried_out_total;       /* requests that belonged to a session of another server */
	uint64_t carried_in_total;        /* that reached another server and belonged to a session here */
	uint64_t carried_strays_total;    /* messages about one of these that is over */
	uint64_t carried_passed_total;    /* of carried_out_total: given to a server of this process with their connection */
	uint64_t http_requests_total;
	uint64_t http_refused_total;   /* requests answered by the library's own 4xx */
	uint64_t tls_handshakes_total; /* completed */
	uint64_t tls_failures_total;   /* connections that ended before that, or broke TLS later */
	uint64_t bytes_in_total;       /* as received, with TLS encrypted */
	uint64_t bytes_out_total;
	uint64_t writes_total;         /* system calls that sent bytes */
	uint64_t allocations_total;    /* times the message path asked the system for memory */
	uint64_t send_queue_bytes;     /* waiting now */
	uint64_t plain_websockets;     /* of the application's endpoints, open now */
	uint64_t plain_websockets_total;
	uint64_t deflated_messages_total; /* WebSocket messages compressed: once, however many receive it */
	uint64_t deflate_in_bytes_total;  /* their bytes before */
	uint64_t deflate_out_bytes_total; /* and after */
	uint64_t http_compressed_total;   /* HTTP answers compressed */
	uint64_t http_compress_in_bytes_total;
	uint64_t http_compress_out_bytes_total;
	/* Turns of the loop in which something was handled, from waking up to the last write: what comes meanwhile
	 * waits no longer.  Not in it: how long the system let the thread wait.  Servers of <sio/testing.h>
	 * have no clock, and measure neither. */
	struct sio_times turn_times;
	/* One for each broadcast: from the beginning of its turn, in which its cause was read (an event of a
	 * client, an answer of the database, a message of another server), to the end of the turn, when it is
	 * written to each receiver here whose socket takes it. */
	struct sio_times broadcast_times;
};
SIO_API void sio_server_stats(const struct sio_server *server, struct sio_stats *out);

SIO_END

#endif
