/* verify.c -- is this request one of ours?  The checks of section 3 in their order.
 *
 * Knows the query string and the session table; builds nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>

#include "codec/http1.h"
#include "engine/engine.h"

static const char *const error_texts[] = {
	[EIO_ERR_TRANSPORT] = "Transport unknown",
	[EIO_ERR_SID] = "Session ID unknown",
	[EIO_ERR_METHOD] = "Bad handshake method",
	[EIO_ERR_REQUEST] = "Bad request",
	[EIO_ERR_FORBIDDEN] = "Forbidden",
	[EIO_ERR_VERSION] = "Unsupported protocol version",
};

const char *eio_error_text(enum eio_error code)
{
	return code < 0 ? "" : error_texts[code];
}

/* A short query value, decoded; empty when absent, undecodable or too long to be
 * anything we know. */
static sio_slice query_value(sio_slice query, const char *key, char *out, size_t cap)
{
	sio_slice raw;
	long n;

	if (!http1_query_get(query, key, &raw))
		return sio_bytes("", 0);
	n = http1_unescape(raw, true, out, cap);
	return n < 0 ? SIO_LIT("\x7f") : sio_bytes(out, (size_t)n);
}

static enum eio_error verify_session(struct eio_session *s, const struct eio_request *req, bool is_polling,
				     sio_slice version)
{
	bool is_get = sio_slice_eq(req->method, SIO_LIT("GET"));
	bool is_post = sio_slice_eq(req->method, SIO_LIT("POST"));

	/* An upgrade that speaks another revision than its session would garble it. */
	if (req->is_upgrade && !is_get)
		return EIO_ERR_METHOD;
	if (req->is_upgrade)
		return is_polling || (version.n && !sio_slice_eq(version, SIO_LIT("4"))) ? EIO_ERR_REQUEST : EIO_ERR_NONE;
	/* A WebSocket session has nothing to say to a plain request (never-answered in
	 * the reference); a polling session answers polling requests alone. */
	if (!is_polling || s->transport != EIO_POLLING)
		return EIO_ERR_REQUEST;
	return is_get || is_post ? EIO_ERR_NONE : EIO_ERR_METHOD;
}

/* The query's session id, decoded. */
static sio_slice query_sid(sio_slice query, char out[EIO_SID_MAX + 8])
{
	return query_value(query, "sid", out, EIO_SID_MAX + 8);
}

/* What a sid is called among our own sessions: the part behind the node. */
static sio_slice own_part(const struct eio_engine *e, sio_slice sid)
{
	if (sid.n < e->node_n || memcmp(sid.p, e->node, e->node_n) != 0)
		return SIO_LIT("\x7f"); /* nobody is called that */
	return sio_bytes(sid.p + e->node_n, sid.n - e->node_n);
}

bool eio_owner(const struct eio_engine *e, sio_slice query, char owner[RANDOM_ID_LEN])
{
	char text[EIO_SID_MAX + 8];
	sio_slice sid;

	if (!e->node_n)
		return false;
	sid = query_sid(query, text);
	if (sid.n != EIO_SID_MAX || memcmp(sid.p, e->node, e->node_n) == 0)
		return false;
	memcpy(owner, sid.p, RANDOM_ID_LEN);
	return true;
}

void eio_ws_query(struct eio_session *s, sio_slice query)
{
	sio_slice value;

	s->is_b64 = http1_query_get(query, "b64", &value) && value.n > 0;
}

enum eio_error eio_verify(struct eio_engine *e, const struct eio_request *req, struct eio_session **session)
{
	char transport_text[16], sid_text[EIO_SID_MAX + 8], version_text[8];
	sio_slice transport = query_value(req->query, "transport", transport_text, sizeof(transport_text));
	sio_slice sid = query_sid(req->query, sid_text);
	sio_slice version = query_value(req->query, "EIO", version_text, sizeof(version_text));
	bool is_polling = sio_slice_eq(transport, SIO_LIT("polling"));

	*session = NULL;
	if (!is_polling && !sio_slice_eq(transport, SIO_LIT("websocket")))
		return EIO_ERR_TRANSPORT;
	if (is_polling ? e->limits.no_polling : e->limits.no_websocket)
		return EIO_ERR_TRANSPORT;
	if (sid.n > 0) {
		struct map_node *node = map_get(&e->sessions, own_part(e, sid));
		if (!node)
			return EIO_ERR_SID;
		*session = MAP_OWNER(node, struct eio_session, by_sid);
		return verify_session(*session, req, is_polling, version);
	}
	if (!sio_slice_eq(req->method, SIO_LIT("GET")))
		return EIO_ERR_METHOD;
	if (is_polling == req->is_upgrade)
		return EIO_ERR_REQUEST;
	if (!sio_slice_eq(version, SIO_LIT("4")))
		return EIO_ERR_VERSION;
	return EIO_ERR_NONE;
}
