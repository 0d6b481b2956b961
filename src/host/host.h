/* host.h -- engine, hub and network put together: what struct sio_server is.
 *
 * A link is one client: its Engine.IO session, what stands on it (Socket.IO's client, or
 * the session of an application of plain Engine.IO), and the connections that carry them
 * now.  A connection's owner is a link and the wire it serves, a plain WebSocket of the
 * application, a request of one of its routes, one that asks to come in, or one for a
 * session of another node; the low bits of the pointer tell which (owner_of_wire).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <sio/http.h>
#include <sio/server.h>
#include <sio/websocket.h>

#include "engine/app.h"
#include "host/carry.h"
#include "host/hooks.h"
#include "host/proxy.h"
#include "host/request.h"
#include "hub/hub.h"
#include "net/net.h"

struct link {
	struct eio_session session;
	union {
		struct hub_client client;
		struct sio_session app;
	};
	struct net_conn *wire[EIO_NWIRES];
	struct link *next_dead;
};

/* What stands on the sessions of a server: Socket.IO (socketio.c), or an application of
 * plain Engine.IO (engineio.c). */
struct app_ops {
	/* A handshake has passed: take what is needed of its request.  The session cannot be
	 * used yet.  false: out of memory. */
	bool (*open)(struct link *link, struct sio_server *server, struct net_conn *c, const struct http1_request *req);
	/* It has its wire.  From here on what is called may end the session. */
	void (*opened)(struct link *link);
	void (*message)(struct link *link, char *data, size_t n, bool is_binary);
	void (*upgraded)(struct link *link);
	void (*drained)(struct link *link);
	/* Also without opened, when that did not come to be. */
	void (*closed)(struct link *link, const char *reason);
};
extern const struct app_ops socketio_app, engineio_app;

struct visitor;

struct sio_server {
	const struct app_ops *app;
	struct hub hub;
	struct eio_app engine_app;
	struct eio_engine engine;
	struct hooks hooks;
	struct net *net;
	struct uv_loop_s *loop;
	bool owns_loop;
	bool is_closing, is_stopped;
	uint32_t signal_drain_ms;     /* of sio_server_close_on_signals */
	void *data;
	char *path;                   /* without a trailing slash */
	char **origins;               /* NULL-terminated */
	bool allows_any_origin;
	char *tls_cert, *tls_key;     /* paths; NULL: plain */
	struct proxy_list proxies;
	size_t max_body_bytes;
	uint32_t max_connections;
	struct route *routes;
	struct ws_limits ws_limits;   /* of Engine.IO's WebSockets */
	struct deflater *deflater;
	bool per_message_deflate;     /* for Engine.IO's WebSockets */
	bool http_compression;
	uint32_t http_compression_min;
	struct {
		uint64_t answers, in_bytes, out_bytes;
	} http_compress;
	struct sio_ws *ws_all;        /* plain WebSockets that have not ended */
	struct sio_ws *ws_dirty;      /* have something to write */
	struct sio_ws *ws_dead;       /* freed at the end of the turn */
	uint64_t ws_n, ws_total, ws_queued_bytes;
	struct pool openings;         /* facts of clients that are connecting */
	struct carry carry;           /* requests for sessions of other nodes, and theirs for ours */
	struct link *dead;            /* ended links, freed at the end of the turn */
	uint64_t links, websockets, links_total;
	struct sio_times turn_times, broadcast_times;
	uint64_t broadcasts_timed;    /* of hub.broadcasts: in broadcast_times */
	uint32_t visitors;            /* requests that wait for the application's yes or no */
	uint32_t handshake_timeout_ms; /* how long one may */
	struct sio_request view;      /* what sio_session_request gives */
	struct sio_timer relax;       /* the next look at memory that is not needed any more */
	uint64_t moves_seen, moves_trimmed; /* links opened and closed; see on_relax */
	struct buf payload;           /* scratch for polling answers and headers */
	sio_log_fn *log;
	void *log_arg;
	struct testing *testing;      /* clients of a server without a network; NULL: it has one */
	void (*testing_free)(struct testing *testing);
};

/* is_still: no network and no loop; net_step moves it. */
int server_new(const struct sio_server_options *options, bool is_still, struct sio_server **out);

/* In each public call that changes something; see HUB_CHECK. */
#define SERVER_CHECK(server) guard_check(&(server)->hub.guard, __func__)

bool server_is_full(const struct sio_server *server);  /* no more clients now */
void host_log(const struct sio_server *server, enum sio_log_level level, const char *fmt, ...) SIO_PRINTF(3, 4);

/* ---- dispatch.c: what connections and the loop tell ------------------------------ */

extern const struct net_ops dispatch_ops;

/* ---- options.c ------------------------------------------------------------------- */

void options_defaults(struct sio_server_options *o);   /* for what is 0 or NULL */
/* 0, or SIO_ERR_INVAL with one line in the log that says which and why. */
int options_check(const struct sio_server *server, const struct sio_server_options *o);
int options_keep(struct sio_server *server, const struct sio_server_options *o); /* 0 or SIO_ERR_NOMEM */

/* ---- edge.c: TLS and trusted proxies ------------------------------------------- */

/* Take the options; on an error one line in the log says what is wrong. */
int edge_tls(struct sio_server *server, const struct sio_server_options *o);
int edge_proxies(struct sio_server *server, const struct sio_server_options *o);

/* Who asks: the peer, or whom a trusted proxy speaks for. */
void edge_view(const struct sio_server *server, const struct net_conn *c, const struct http1_request *req,
	       struct proxy_view *view);

/* ---- link.c: sessions and their wires ----------------------------------------- */

extern const struct eio_ops link_eio_ops;
struct link *link_open(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		       enum eio_transport transport);
void link_attach(struct link *link, enum eio_wire wire, struct net_conn *c);
void link_opened(struct link *link); /* its wire is attached: those above may use it */
void link_flush_all(struct sio_server *server);
void link_ws_message(struct link *link, enum eio_wire wire, enum ws_op op, char *data, size_t n);
void link_ws_fault(struct link *link, enum eio_wire wire, int code);
void link_wire_gone(struct link *link, enum eio_wire wire);

static inline struct link *link_of(struct eio_session *s)
{
	return MAP_OWNER(s, struct link, session);
}

static inline struct sio_server *link_server(struct link *link)
{
	return link->session.engine->owner;
}

/* The owner pointer of a connection that serves a wire of link; in the place of a wire's
 * number OWNER_CARRIAGE: of a session elsewhere, OWNER_WS: of a plain WebSocket,
 * OWNER_VISITOR: of one that asks to come in. */
enum { OWNER_WIRE_BITS = 7, OWNER_CARRIAGE = 5, OWNER_WS = 6, OWNER_VISITOR = 7 };
static inline void *owner_of_wire(struct link *link, enum eio_wire wire)
{
	return (void *)((uintptr_t)link | (uintptr_t)(wire + 1));
}

/* The link and wire of an owner; NULL when it is something else. */
static inline struct link *owner_link(void *owner, enum eio_wire *wire)
{
	uintptr_t bits = (uintptr_t)owner & OWNER_WIRE_BITS;
	bool is_wire = bits > 0 && bits <= EIO_NWIRES;

	*wire = (enum eio_wire)(is_wire ? bits - 1 : 0);
	return is_wire ? (struct link *)((uintptr_t)owner & ~(uintptr_t)OWNER_WIRE_BITS) : NULL;
}

static inline void *owner_of_visitor(struct visitor *v)
{
	return (void *)((uintptr_t)v | OWNER_VISITOR);
}

static inline struct visitor *owner_visitor(void *owner)
{
	bool is_visitor = ((uintptr_t)owner & OWNER_WIRE_BITS) == OWNER_VISITOR;

	return is_visitor ? (struct visitor *)((uintptr_t)owner & ~(uintptr_t)OWNER_WIRE_BITS) : NULL;
}

static inline void *owner_of_carriage(struct carriage *k)
{
	return (void *)((uintptr_t)k | OWNER_CARRIAGE);
}

static inline struct carriage *owner_carriage(void *owner)
{
	bool is_carriage = ((uintptr_t)owner & OWNER_WIRE_BITS) == OWNER_CARRIAGE;

	return is_carriage ? (struct carriage *)((uintptr_t)owner & ~(uintptr_t)OWNER_WIRE_BITS) : NULL;
}

static inline void *owner_of_ws(struct sio_ws *ws)
{
	return (void *)((uintptr_t)ws | OWNER_WS);
}

static inline struct sio_ws *owner_ws(void *owner)
{
	uintptr_t bits = (uintptr_t)owner & OWNER_WIRE_BITS;

	return bits == OWNER_WS ? (struct sio_ws *)((uintptr_t)owner & ~(uintptr_t)OWNER_WIRE_BITS) : NULL;
}

/* ---- endpoint.c: requests to the Engine.IO path ---------------------------------- */

bool endpoint_owns(const struct sio_server *server, sio_slice path);
void endpoint_head(struct sio_server *server, struct net_conn *c, struct http1_request *req);
void endpoint_request(struct sio_server *server, struct net_conn *c, struct http1_request *req);

/* The application has let it in, or has not.  Checked anew: time may have passed. */
void endpoint_enter(struct sio_server *server, struct net_conn *c, struct http1_request *req);
void endpoint_refuse(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		     enum eio_error code, sio_slice message);
void endpoint_refuse_busy(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
			  const char *message);

/* ---- visitor.c: requests that ask to come in ------------------------------------- */

/* Ask the application; it goes on with endpoint_enter or endpoint_refuse. */
void visitor_ask(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		 enum sio_handshake_kind kind);
/* The connection of one that waits has gone, or has nobody left to read the answer. */
void visitor_gone(struct visitor *v);

/* ---- handshake.c: WebSocket handshakes ---------------------------------------------- */

bool handshake_is_websocket(const struct http1_request *req);
/* Why a handshake is none, as it is to be answered. */
struct handshake_fault {
	int status;
	sio_slice headers, message;
};
/* RFC 6455 4.2.1.  false, and why, when the handshake is not one. */
bool handshake_check(const struct http1_request *req, char accept[29], struct handshake_fault *fault);
/* Take an offer of permessage-deflate: appends the answer's header and returns the bits of
 * the client's window; 0 when there is none to take. */
unsigned handshake_deflate(const struct http1_request *req, struct buf *headers);

/* ---- compress.c: HTTP answers ---------------------------------------------------------- */

/* The body to send instead, which is valid until the next call, when the answer is to be
 * compressed; body itself when not.  headers: the answer's own, to which what follows
 * from it is added. */
sio_slice compress_answer(struct sio_server *server, const struct http1_request *req, int status, const char *type,
			  sio_slice body, struct buf *headers);
/* The same for a body of which only the client's wish is not known yet. */
sio_slice compress_body(struct sio_server *server, const struct http1_request *req, sio_slice body, struct buf *headers);

/* ---- websocket.c: plain WebSockets of the application ------------------------------------ */

struct ws_route;
/* The head of a handshake for an endpoint: accept or refuse it. */
void websocket_head(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		    const struct route *route);
struct ws_limits websocket_limits(const struct sio_ws *ws);
void websocket_message(struct sio_ws *ws, enum ws_op op, char *data, size_t n);
void websocket_fault(struct sio_ws *ws, int code);
void websocket_writable(struct sio_ws *ws);
void websocket_gone(struct sio_ws *ws);
bool websocket_flush_all(struct sio_server *server); /* true: there is something for the next turn */
void websocket_close_all(struct sio_server *server);

/* ---- origin.c: who may call from a browser ------------------------------------------ */

/* May this request's Origin come in?  No Origin is no browser and may. */
bool origin_is_allowed(const struct sio_server *server, const struct net_conn *c, const struct http1_request *req);
/* Append the CORS headers of an answer to an allowed origin. */
void origin_headers(const struct sio_server *server, const struct http1_request *req, struct buf *out);
bool origin_is_preflight(const struct http1_request *req);
/* Append the headers of an answer to one that tell what may be sent. */
void origin_preflight_headers(const struct http1_request *req, sio_slice methods, struct buf *out);
void origin_preflight(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		      sio_slice methods);

/* ---- route.c: the application's routes -------------------------------------------------- */

/* Put a route into the table; ws_route is owned by it then, NULL for an HTTP route. */
int route_add(struct sio_server *server, const char *method, const char *pattern, sio_request_fn *fn, void *arg,
	      struct ws_route *ws);
struct ws_route *route_ws(const struct route *route);
/* As sio_ws_param, of a path that fits the route. */
long route_param(const struct route *route, sio_slice path, const char *name, char *out, size_t cap);
void route_head(struct sio_server *server, struct net_conn *c, struct http1_request *req);
void route_request(struct sio_server *server, struct net_conn *c, struct http1_request *req);
void route_conn_gone(struct sio_request *req);
void route_free_all(struct sio_server *server);

/* An RFC 9457 answer of the library's own; is_last closes the connection. */
void reply_problem(struct sio_server *server, struct net_conn *c, int status, const char *code, bool is_last,
		   const char *fmt, ...) SIO_PRINTF(6, 7);

#endif
