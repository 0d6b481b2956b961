/* doctor.h -- what the checks of "skybuild doctor" share: whom they look at, what they
 * have learned so far, and how they tell what they found.
 *
 * Private to the doctor.  A check asks, judges the answer and tells one line: what was
 * seen, and for a fault its cause, which has a name and a mend.  All causes are in one
 * table, and what an answer means is a function of the answer alone (doctor_judge):
 * nothing here knows how a proxy is made, only what comes out of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "app/cli_probe.h"
#include "app/cli_ws.h"
#include "base/buf.h"

/* ---- causes ---------------------------------------------------------------------- */

#define DOCTOR_SERVE_PATH "nginx: location /socket.io/ { proxy_pass http://127.0.0.1:8000; }, without a path behind the port"

/* Name, and what mends it. */
#define DOCTOR_CAUSE_MAP(X) \
	X(NAME_UNKNOWN, "name_unknown", "Look at the host name of the URL, and at its DNS record.") \
	X(UNREACHABLE, "unreachable", "Start the server or the proxy, look at the port, and let the firewall pass it.") \
	X(NO_ANSWER, "no_answer", "Something takes connections and does not answer: look whether the server behind the proxy runs, and whether the proxy holds answers back (nginx: proxy_buffering off).") \
	X(CUT, "cut", "The connection was closed without an answer: look into the log of the proxy, then of the server.") \
	X(TLS_FAILED, "tls_failed", "Use http:// for a port without TLS; else let it speak TLS 1.2 or 1.3, with HTTP/1.1 among its protocols (ALPN): WebSockets need it.") \
	X(CERTIFICATE_EXPIRED, "certificate_expired", "Renew the certificate and let the proxy or the server read it again (skybuild: SIGHUP).") \
	X(CERTIFICATE_NAME, "certificate_name", "Use a name that stands in the certificate, or have one made with this name.") \
	X(CERTIFICATE_UNKNOWN, "certificate_unknown", "Put the certificates between it and the root behind it in the same file (fullchain.pem); if its authority is your own, name it with --ca.") \
	X(CERTIFICATE_SOON, "certificate_soon", "Look whether its renewal works, and whether the proxy or the server reads it again afterwards.") \
	X(NOT_HTTP, "not_http", "Something else than HTTP answers at this port: look at the port, and use https:// if it speaks TLS.") \
	X(HTML, "html", "A web page answers in the place of the server: let the proxy send this path to it. " DOCTOR_SERVE_PATH ".") \
	X(NOT_FOUND, "not_found", "Nothing is at this path: the proxy rewrites it, or sends it elsewhere. " DOCTOR_SERVE_PATH "; a server with another path: --path.") \
	X(REDIRECT, "redirect", "Give clients the address that it redirects to: POST and WebSocket do not follow.") \
	X(LOGIN_WANTED, "login_wanted", "Something in front asks for a login of its own: let it pass this path without one.") \
	X(FORBIDDEN, "forbidden", "Something in front refuses, such as a firewall for web applications: let it pass this path.") \
	X(TOO_MANY, "too_many", "A limit of requests in front is too low for polling: raise it for this path (nginx: limit_req).") \
	X(GATEWAY, "gateway", "The proxy does not reach the server: look whether it runs, and at the address in proxy_pass.") \
	X(GATEWAY_LATE, "gateway_late", "The proxy does not wait long enough: nginx: proxy_read_timeout 90s, more than PING_INTERVAL + PING_TIMEOUT.") \
	X(UNAVAILABLE, "unavailable", "The server, or the proxy for it, says that it cannot now: look at skybuild status, MAX_CONNECTIONS, and whether it is being stopped.") \
	X(NOT_READY, "not_ready", "Look at the part that it names, and into its log.") \
	X(EIO_OLD, "eio_old", "The server speaks an older protocol (Socket.IO 2): upgrade it to version 3 or newer, or allow EIO=4.") \
	X(TRANSPORT_OFF, "transport_off", "Allow polling and websocket on the server (option transports).") \
	X(SID_UNKNOWN, "sid_unknown", "Requests of one session reach different servers: make the balancer sticky (nginx: ip_hash), or join the servers (skybuild: REDIS_ENABLED=true).") \
	X(NOT_ENGINEIO, "not_engineio", "This is no answer of a Socket.IO server: look where the proxy sends this path. " DOCTOR_SERVE_PATH ".") \
	X(CACHED, "cached", "A cache answers in the place of the server: take this path out of it, and let it heed Cache-Control: no-store and the query.") \
	X(CACHEABLE, "cacheable", "Let the proxy pass Cache-Control: no-store on; without it a cache on the way may keep answers.") \
	X(CLOCK, "clock", "Set both clocks by NTP: tokens are refused when they differ by more than JWT_LEEWAY (30 s).") \
	X(ORIGIN_REFUSED, "origin_refused", "Put this origin into CORS_ALLOWED_ORIGINS (skybuild) or cors.origin (Node), exactly, with scheme and port.") \
	X(ORIGIN_OWN, "origin_own", "The server does not know by which name it is called: let the proxy send Host, X-Forwarded-Proto and X-Forwarded-Host, and put its address into TRUSTED_PROXIES.") \
	X(CORS_MISSING, "cors_missing", "A browser hides this answer from the page: put the origin into cors.origin (Node) or CORS_ALLOWED_ORIGINS, and let the proxy pass Access-Control-Allow-Origin on.") \
	X(MIXED, "mixed", "A browser lets no page of https:// ask http://: give the server TLS, or a proxy with TLS in front, and use https://.") \
	X(HELD_BACK, "held_back", "Something holds answers back: switch off its buffering for this path (nginx: proxy_buffering off).") \
	X(BODY_LIMIT, "body_limit", "The proxy takes smaller bodies than the server: nginx: client_max_body_size 2m, more than MAX_PAYLOAD.") \
	X(FRAME_LIMIT, "frame_limit", "Something on the way ends WebSockets with large messages: raise its limit above MAX_PAYLOAD.") \
	X(TOKEN_MISSING, "token_missing", "The server saw no token: clients pass auth: { token }.") \
	X(TOKEN_INVALID, "token_invalid", "Sign it with the server's JWT_SECRET and an algorithm of JWT_ALGORITHMS, with its JWT_ISSUER and JWT_AUDIENCE; the server's log says what is wrong.") \
	X(TOKEN_EXPIRED, "token_expired", "Get a new token; give the client's auth as a function that returns a fresh one.") \
	X(CONNECT_REFUSED, "connect_refused", "The application refuses this client: look into its log.") \
	X(UPGRADE_DROPPED, "upgrade_dropped", "The proxy does not pass the upgrade on: nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";") \
	X(ACCEPT_WRONG, "accept_wrong", "Something on the way answers in the place of the server: look at what intercepts WebSockets.") \
	X(SWALLOWED, "swallowed", "Something on the way lets the upgrade pass and swallows what follows: let it pass WebSockets as they are, or use TLS to pass it.") \
	X(IDLE_CUT, "idle_cut", "Something on the way cuts connections that are idle: raise its time-out above PING_INTERVAL + PING_TIMEOUT (nginx: proxy_read_timeout 90s; HAProxy: timeout tunnel 1h).") \
	X(PING_MISSING, "ping_missing", "The server's ping did not come through: look what holds back or swallows what servers send by themselves (nginx: proxy_buffering off).") \
	X(NOT_OFFERED, "not_offered", "Allow upgrades on the server, if clients should leave polling.")

#define DOCTOR_CAUSE_ENUM(name, text, mend) DOCTOR_##name,
enum doctor_cause { DOCTOR_NO_CAUSE, DOCTOR_CAUSE_MAP(DOCTOR_CAUSE_ENUM) DOCTOR_CAUSES_N };

const char *doctor_cause_name(enum doctor_cause cause);
const char *doctor_cause_mend(enum doctor_cause cause);

/* Why a request to Engine.IO's path was not answered by 200 and packets.  DOCTOR_NO_CAUSE:
 * it was.  Pure. */
enum doctor_cause doctor_judge(const struct cli_exchange *x);
/* The same of a request for a WebSocket, whose answer was no 101. */
enum doctor_cause doctor_judge_ws(const struct cli_exchange *x);
/* Of a CONNECT_ERROR's payload, the JSON behind "44".  Pure. */
enum doctor_cause doctor_judge_refusal(sio_slice payload);

/* ---- the doctor -------------------------------------------------------------------- */

#define DOCTOR_ECHO "/skybuild-doctor" /* a namespace that is not there: asking for it has an answer on every server */

enum {
	DOCTOR_ANSWER_MS = 10000,
	DOCTOR_SID_MAX = 256,
};

enum doctor_result { DOCTOR_OK, DOCTOR_SKIPPED, DOCTOR_WARNING, DOCTOR_FAULT };

struct doctor {
	struct cli_target target;
	const char *path;    /* of Engine.IO, with a slash at both ends */
	const char *origin;  /* --origin; NULL: the server's own */
	const char *token;   /* NULL: none */
	long wait_ms;        /* --wait; -1: one ping interval and a little */
	bool is_json;

	/* Learned on the way. */
	bool has_polling, has_websocket, offers_upgrade;
	bool is_away;        /* nobody is there: that was told, and is all that can be */
	int64_t interval_ms, timeout_ms, payload_bytes; /* of the open packet */
	bool is_connect_told; /* the line about CONNECT and its token was printed */

	unsigned faults, warnings;
	struct buf json;     /* the lines so far, for --json */
};

/* One line.  cause: DOCTOR_NO_CAUSE for what is in order.  ms: how long it took, -1 to say nothing. */
void doctor_tell(struct doctor *d, enum doctor_result result, const char *check, enum doctor_cause cause, long ms,
		 const char *fmt, ...) SIO_PRINTF(6, 7);

/* A fault whose evidence is an answer: its status and the begin of its body, or why there is none. */
void doctor_tell_answer(struct doctor *d, const char *check, enum doctor_cause cause, const struct cli_exchange *x);

/* ---- sessions (doctor_session.c) ------------------------------------------------------ */

/* An Engine.IO session, on whichever transport.  All zero but d before it is opened. */
struct doctor_session {
	struct doctor *d;
	const char *origin;         /* NULL: no Origin header */
	char sid[DOCTOR_SID_MAX];
	struct buf cookies;         /* that answers have set: balancers know sessions by them */
	struct cli_exchange x;      /* the last exchange */
	struct cli_ws *ws;          /* NULL: there is none */
};

void doctor_session_fini(struct doctor_session *s);

/* Handshake over polling; the open packet is in *open.  The cause of its failure. */
enum doctor_cause doctor_open_polling(struct doctor_session *s, sio_slice *open);
enum doctor_cause doctor_post(struct doctor_session *s, sio_slice body);
enum doctor_cause doctor_poll(struct doctor_session *s, long wait_ms);
/* The packet of the last poll that begins so; false: there is none. */
bool doctor_packet(const struct doctor_session *s, const char *prefix, sio_slice *packet);
/* Poll until one comes that begins with either (the second may be NULL), within DOCTOR_ANSWER_MS. */
enum doctor_cause doctor_poll_for(struct doctor_session *s, const char *prefix, const char *other, sio_slice *packet);

/* The WebSocket of a session: of its own, or the upgrade of one that has a sid. */
enum doctor_cause doctor_open_ws(struct doctor_session *s);
/* Wait for a message that begins with either, answering pings.  False: it did not come; *trouble says why. */
bool doctor_ws_for(struct doctor_session *s, const char *prefix, const char *other, long wait_ms, sio_slice *packet,
		   enum cli_trouble *trouble);

/* What "40" CONNECT says, with the token; false: out of memory. */
bool doctor_put_connect(const struct doctor *d, struct buf *b);
/* Tell, once, what came of it: a packet that begins with 40 or 44. */
void doctor_tell_connect(struct doctor *d, sio_slice packet);

/* The members of the open packet; false when it is none. */
bool doctor_read_open(struct doctor *d, sio_slice packet, char sid[DOCTOR_SID_MAX]);

/* ---- checks ---------------------------------------------------------------------------- */

void doctor_handshake(struct doctor *d);      /* doctor_polling.c */
void doctor_cache(struct doctor *d);
void doctor_ready(struct doctor *d);
void doctor_origin(struct doctor *d);
void doctor_polling(struct doctor *d);
void doctor_body(struct doctor *d);
void doctor_websocket(struct doctor *d);      /* doctor_websocket.c */
void doctor_origin_websocket(struct doctor *d);
void doctor_upgrade(struct doctor *d);
void doctor_idle(struct doctor *d);           /* doctor_idle.c */

#endif
