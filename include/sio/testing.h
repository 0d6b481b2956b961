/* testing.h -- a server without a network, for tests of what is built on the library.
 *
 * A server made here is a struct sio_server like any other: handlers, namespaces, rooms,
 * timers, routes, posts and work do what they always do, for it is the same code.  But it
 * has no descriptor and no loop, and its time is a number that stands still until
 * sio_test_run moves it.  Clients speak Socket.IO over a WebSocket to it, through memory,
 * and answer its heartbeats as stock clients do.
 *
 *   sio_test_server_new(NULL, &server);
 *   chat_register(server);                                  // the program under test
 *   anna = sio_test_connect(server, "/", "{\"name\":\"Anna\"}");
 *   sio_test_ask(anna, "join", "\"kitchen\"");
 *   SIO_TEST_EXPECT(anna, "connected; ack 0({\"ok\":true})");
 *   sio_server_free(server);
 *
 * What a client does is handled by the server, and what the server says to it has
 * arrived, before the call returns; only timers wait for sio_test_run.  Called from inside
 * a handler these calls return at once, and what they started follows when the handler
 * has returned.  Jobs of sio_server_work run on the test's thread.  A certificate of the
 * options is read, but nothing is encrypted: clients are not secure (sio_connect_is_secure),
 * unless a trusted proxy says so of them.  sio_server_listen and
 * sio_server_close_on_signals fail with SIO_ERR_SYSTEM and EOPNOTSUPP, sio_server_run
 * returns at once.
 *
 * All that is handed out belongs to the server and goes with sio_server_free.  Loop
 * thread only, which is the test's.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_TESTING_H
#define SIO_TESTING_H

#include <sio/error.h>
#include <sio/server.h>
#include <sio/slice.h>
#include <sio/socket.h>

SIO_BEGIN

struct sio_test_client;
struct sio_test_request;

/* Make a server without a network; as sio_server_new.  Returns 0 and *out,
 * SIO_ERR_INVAL (an option out of range, options->loop is not NULL, or engine_only: its
 * clients speak Socket.IO) or SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_test_server_new(const struct sio_server_options *options, struct sio_server **out);

/* Let ms milliseconds pass: every timer, heartbeat and time-out that is due meanwhile
 * comes at its time, in order.  0 only hands over what waits (posts of other threads,
 * what was emitted outside of handlers).  A timer of N ms has fired after N + 32.  From
 * inside a handler it does nothing. */
SIO_API void sio_test_run(struct sio_server *server, uint32_t ms);

/* ---- clients ---------------------------------------------------------------- */

/* What a client's first request looks like.  Zero or NULL means the default. */
struct sio_test_handshake {
	const char *query;   /* behind "EIO=4&transport=websocket", such as "v=2" */
	const char *headers; /* "Cookie: a=b\r\nOrigin: https://app.example\r\n" */
	const char *address; /* "192.0.2.1", the peer's */
};

/* Open a session on a new connection and ask for the namespace; auth_json is the text of
 * a JSON object, NULL for none.  What came of it is the first thing the client hears.
 * Returns NULL when memory ran out, the server is closed, or no client could send such a
 * namespace or auth. */
SIO_API struct sio_test_client *sio_test_connect(struct sio_server *server, const char *nsp, const char *auth_json);
/* The same with a handshake that is not the usual one.  NULL as above. */
SIO_API struct sio_test_client *sio_test_connect_as(struct sio_server *server, const char *nsp, const char *auth_json,
						    const struct sio_test_handshake *handshake);

/* Ask for one more namespace on the connection of client, or for the same one again
 * after a refusal.  Returns a client of its own; NULL as above, or when the connection has
 * ended. */
SIO_API struct sio_test_client *sio_test_connect_also(struct sio_test_client *client, const char *nsp,
						      const char *auth_json);

/* Is it in its namespace? */
SIO_API bool sio_test_is_connected(const struct sio_test_client *client);

/* Send an event; args_json is a list of JSON values ("1, \"two\""), NULL or "" for none.
 * Returns 0, SIO_ERR_CLOSED when the client is not connected, SIO_ERR_INVAL when
 * args_json is not such a list or the name is a reserved one (then nothing is sent),
 * SIO_ERR_NOMEM. */
SIO_API int sio_test_emit(struct sio_test_client *client, const char *name, const char *args_json);

/* The same, and ask for an acknowledgement.  Returns its number (0, 1, 2 ... for each
 * client), which the answer carries; or SIO_ERR_CLOSED, SIO_ERR_INVAL, SIO_ERR_NOMEM. */
SIO_API long sio_test_ask(struct sio_test_client *client, const char *name, const char *args_json);

/* The same with attachments: as sio_test_ask when wants_ack, else as sio_test_emit.
 * SIO_ERR_INVAL also when the placeholders in args->json do not fit the attachments. */
SIO_API long sio_test_send(struct sio_test_client *client, sio_slice name, const struct sio_args *args,
			   bool wants_ack);

/* Answer an event that wanted an acknowledgement.  Returns as sio_test_emit:
 * 0, SIO_ERR_CLOSED, SIO_ERR_INVAL, SIO_ERR_NOMEM. */
SIO_API int sio_test_ack(struct sio_test_client *client, uint64_t ack, const char *args_json);

/* From now on the client reads at most that many bytes more (a broadcast is some 50 and
 * its arguments); SIZE_MAX: everything at once, as at the beginning.  What it does not
 * read waits in the server, counts against send_queue_bytes, and makes the client one
 * that lags for volatile events. */
SIO_API void sio_test_lag(struct sio_test_client *client, size_t bytes);

/* How a client goes, and the reason that its disconnect handler is told. */
enum sio_test_ending {
	SIO_TEST_LEAVE,  /* "client namespace disconnect": it calls disconnect() */
	SIO_TEST_CLOSE,  /* "transport close": its page is closed */
	SIO_TEST_CUT,    /* "transport close": the connection breaks, nothing was said */
	SIO_TEST_SILENT, /* "ping timeout", once the heartbeat's time has passed: it says nothing any more */
	SIO_TEST_BABBLE, /* "parse error": it breaks the protocol */
};

/* End a client.  All but SIO_TEST_LEAVE end each client of the same connection. */
SIO_API void sio_test_end(struct sio_test_client *client, enum sio_test_ending how);

/* ---- what a client hears ------------------------------------------------------ */

enum sio_test_kind {
	SIO_TEST_CONNECTED,    /* let in; args: {"sid":"..."} */
	SIO_TEST_REFUSED,      /* refused; args: {"message":"...","data":...} */
	SIO_TEST_EVENT,        /* name, args; ack: SIO_ACK_NONE, or to be used with sio_test_ack */
	SIO_TEST_ACK,          /* the answer to the question number ack; args */
	SIO_TEST_DISCONNECTED, /* put out of the namespace (sio_socket_disconnect) */
	SIO_TEST_BROKEN,       /* args.json: a packet no client can read, such as arguments that are not
				* JSON; a stock client closes the connection, and so does this one */
	SIO_TEST_CLOSED,       /* the connection has ended; code: of the close frame, or the status of the
				* answer that refused the handshake; 0: none */
};

struct sio_test_event {
	enum sio_test_kind kind;
	sio_slice name;
	struct sio_args args;
	uint64_t ack;
	int code;
};

/* The next thing the client has heard, in order; false when there is none.  The slices
 * are good until the next call for the same client. */
SIO_API bool sio_test_next(struct sio_test_client *client, struct sio_test_event *out);

/* All that the client has heard since the last call, in words, "; " between them:
 *   connected    refused({"message":"no"})    said("hi",{"a":1})    ask("x") wants ack 3
 *   ack 0({"ok":true})    disconnected    broken(...)    closed    closed 1009
 * and " +5 bytes" for each attachment.  "" when nothing.  Good until the next call for
 * the same client.  Never NULL. */
SIO_API const char *sio_test_heard(struct sio_test_client *client);

/* Is that what the client has heard?  If not, both are printed to stderr with the place,
 * and the program is aborted. */
#define SIO_TEST_EXPECT(client, words) sio_test_expect(client, words, __FILE__, __LINE__)
SIO_API void sio_test_expect(struct sio_test_client *client, const char *words, const char *file, int line);

/* ---- HTTP routes ----------------------------------------------------------------- */

/* Send a request, on a connection of its own: method, target ("/orders?open=1"), header
 * lines as in sio_test_handshake or NULL, and a body.  Host and Content-Length are added
 * when they are missing.  Returns NULL when memory ran out or the server is closed. */
SIO_API struct sio_test_request *sio_test_request(struct sio_server *server, const char *method, const char *target,
						  const char *headers, sio_slice body);

/* The status of its answer; 0 as long as there is none; SIO_ERR_CLOSED when the
 * connection has ended without one. */
SIO_API int sio_test_request_status(struct sio_test_request *req);

/* A header of the answer, by name in any case; empty when absent.  And its body. */
SIO_API sio_slice sio_test_request_header(struct sio_test_request *req, const char *name);
SIO_API sio_slice sio_test_request_body(struct sio_test_request *req);

/* The client does not wait for the answer any more. */
SIO_API void sio_test_request_drop(struct sio_test_request *req);

SIO_END

#endif
