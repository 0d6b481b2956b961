/* node.c -- see node.h.
 *
 * Both kinds of channel name the namespace; what is published says it again, or leaves it out
 * where it is "/".  Keys may come in any order, any of them may be missing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/node.h"

#include <string.h>

#include <sio/json.h>

#include "codec/msgpack.h"

enum { EVENT_PACKET = 2, BINARY_EVENT_PACKET = 5 };

enum request {
	SOCKETS, ALL_ROOMS, REMOTE_JOIN, REMOTE_LEAVE, REMOTE_DISCONNECT, REMOTE_FETCH, SERVER_SIDE_EMIT, BROADCAST,
};

/* ---- small things ------------------------------------------------------------------------- */

static struct value *at(const struct value *list, uint32_t i)
{
	struct value_cell *c = value_is_list(list) && i < list->n ? list->cells.first : NULL;

	while (c && i-- > 0)
		c = c->next;
	return c ? c->value : NULL;
}

/* A member as it is, opened; *out NULL: absent. */
static int member(struct neighbour *n, const struct value *map, const char *key, struct value **out)
{
	*out = value_get(map, key);
	return value_open(&n->store, out);
}

static int member_number(struct neighbour *n, const struct value *map, const char *key, int64_t *out)
{
	struct value *v;
	int err = member(n, map, key, &v);

	if (err < 0 || !v)
		return err < 0 ? err : SIO_ERR_PROTO;
	if (v->type == VALUE_INT) {
		*out = v->i;
		return SIO_OK;
	}
	return v->type == VALUE_RAW && sio_json_int(v->text, out) == SIO_OK ? SIO_OK : SIO_ERR_PROTO;
}

/* JavaScript's idea of it. */
static int member_switch(struct neighbour *n, const struct value *map, const char *key, bool *out)
{
	struct value *v;
	int err = member(n, map, key, &v);

	*out = err == SIO_OK && v && v->type == VALUE_BOOL && v->is_true;
	return err;
}

static int read_opts(struct neighbour *n, const struct value *opts)
{
	bool is_list;
	int err = neighbour_names(n, opts, "rooms", &n->rooms, &n->rooms_n, &is_list);

	if (err == SIO_OK)
		err = neighbour_names(n, opts, "except", &n->except, &n->except_n, &is_list);
	return err;
}

/* ---- broadcasts ----------------------------------------------------------------------------- */

/* data is [event, argument ...]. */
static int read_event(struct neighbour *n, const struct value *data)
{
	struct value *name = at(data, 0);
	struct value args;
	int err;

	if (!name || name->type != VALUE_TEXT)
		return SIO_ERR_PROTO;
	n->name = name->text;
	args = *data;
	args.cells.first = args.cells.first->next;
	args.n--;
	err = value_json_list(&n->text, &args, &n->blobs);
	n->json = buf_peek(&n->text);
	return err < 0 ? err : neighbour_check(n);
}

static int read_broadcast(struct neighbour *n, const struct value *packet, const struct value *opts)
{
	struct value *flags = value_get(opts, "flags");
	sio_slice nsp;
	int64_t type;
	int err = neighbour_text(n, packet, "nsp", &nsp);

	if (err == SIO_OK)
		err = member_number(n, packet, "type", &type);
	if (err == SIO_OK && type != EVENT_PACKET && type != BINARY_EVENT_PACKET)
		err = SIO_ERR_PROTO;
	if (err < 0 || !sio_slice_eq(nsp.p ? nsp : SIO_LIT("/"), n->nsp)) /* of another namespace: nobody hears it */
		return err;
	err = read_opts(n, opts);
	if (err == SIO_OK)
		err = member_switch(n, flags, "volatile", &n->is_volatile);
	n->kind = NEIGHBOUR_EMIT;
	return err < 0 ? err : read_event(n, value_get(packet, "data"));
}

/* ---- requests --------------------------------------------------------------------------------- */

/* The old form names one socket, and one room. */
static int read_old(struct neighbour *n, const struct value *map, sio_slice sid)
{
	sio_slice *names = value_alloc(&n->store, sizeof(*names));
	bool is_list;

	if (!names)
		return SIO_ERR_NOMEM;
	*names = sid;
	n->rooms = names;
	n->rooms_n = 1;
	return neighbour_names(n, map, "room", &n->moves, &n->moves_n, &is_list);
}

static int read_control(struct neighbour *n, const struct value *map, enum neighbour_kind kind)
{
	struct value *opts;
	sio_slice sid;
	bool is_list;
	int err = neighbour_text(n, map, "sid", &sid);

	if (err == SIO_OK)
		err = member_switch(n, map, "close", &n->closes_session);
	n->kind = kind;
	if (err < 0 || sid.p)
		return err < 0 ? err : read_old(n, map, sid);
	err = member(n, map, "opts", &opts);
	if (err == SIO_OK && (!opts || opts->type != VALUE_MAP)) /* it would mean everybody */
		err = SIO_ERR_PROTO;
	if (err == SIO_OK)
		err = read_opts(n, opts);
	if (err == SIO_OK)
		err = neighbour_names(n, map, "rooms", &n->moves, &n->moves_n, &is_list);
	return err;
}

static int read_request(struct neighbour *n, const struct value *map)
{
	int64_t type;
	int err = member_number(n, map, "type", &type);

	if (err < 0)
		return err;
	switch (type) {
	case REMOTE_JOIN:
		return read_control(n, map, NEIGHBOUR_JOIN);
	case REMOTE_LEAVE:
		return read_control(n, map, NEIGHBOUR_LEAVE);
	case REMOTE_DISCONNECT:
		return read_control(n, map, NEIGHBOUR_DISCONNECT);
	case BROADCAST: /* with an acknowledgement, which does not go back */
		return read_broadcast(n, value_get(map, "packet"), value_get(map, "opts"));
	case SOCKETS: case ALL_ROOMS: case REMOTE_FETCH: case SERVER_SIDE_EMIT:
		return SIO_OK;
	default:
		return SIO_ERR_PROTO;
	}
}

/* ---- channels ------------------------------------------------------------------------------------ */

static bool skip(sio_slice *rest, sio_slice word)
{
	if (rest->n < word.n || memcmp(rest->p, word.p, word.n) != 0)
		return false;
	*rest = sio_bytes(rest->p + word.n, rest->n - word.n);
	return true;
}

/* The namespace between two "#"; what may follow is a room, which the message says, too. */
static bool read_channel(sio_slice key, sio_slice channel, sio_slice *nsp, bool *is_request)
{
	const char *end;

	if (!skip(&channel, key))
		return false;
	*is_request = skip(&channel, SIO_LIT("-request"));
	if (!skip(&channel, SIO_LIT("#")))
		return false;
	end = channel.n ? memchr(channel.p, '#', channel.n) : NULL;
	if (!end)
		return false;
	*nsp = sio_bytes(channel.p, (size_t)(end - channel.p));
	return true;
}

static int read_whole(struct neighbour *n, sio_slice bytes, bool is_request, sio_slice own)
{
	bool is_json = bytes.n > 0 && bytes.p[0] == '{';
	struct value *v, *uid;
	int err = is_json ? neighbour_json(n, bytes, &v) : msgpack_read(bytes, &n->store, &v);

	if (err < 0)
		return err;
	if (v->type != (is_request ? VALUE_MAP : VALUE_LIST) || (is_json && !is_request))
		return SIO_ERR_PROTO;
	uid = is_request ? value_get(v, "uid") : at(v, 0);
	err = value_open(&n->store, &uid);
	if (err < 0 || (uid && uid->type == VALUE_TEXT && sio_slice_eq(uid->text, own)))
		return err;
	return is_request ? read_request(n, v) : read_broadcast(n, at(v, 1), at(v, 2));
}

int node_read(sio_slice key, sio_slice channel, sio_slice bytes, sio_slice own, struct neighbour *n)
{
	bool is_request;
	int err;

	*n = (struct neighbour){ 0 };
	if (!read_channel(key, channel, &n->nsp, &is_request) || bytes.n == 0)
		return SIO_ERR_PROTO;
	err = read_whole(n, bytes, is_request, own);
	if (err < 0)
		n->kind = NEIGHBOUR_NOTHING;
	return err;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void put_names(struct buf *out, const sio_slice *names, uint32_t n, sio_slice more)
{
	msgpack_put_list(out, n + (more.n > 0));
	for (uint32_t i = 0; i < n; i++)
		msgpack_put_text(out, names[i]);
	if (more.n)
		msgpack_put_text(out, more);
}

static void put_packet(struct buf *out, const struct neighbour *n, uint32_t args_n)
{
	sio_slice rest = n->json, item;

	msgpack_put_map(out, 3);
	msgpack_put_text(out, SIO_LIT("type"));
	msgpack_put_int(out, EVENT_PACKET); /* with bytes, too: whoever sends it to a client looks */
	msgpack_put_text(out, SIO_LIT("data"));
	msgpack_put_list(out, args_n + 1);
	msgpack_put_text(out, n->name);
	while (sio_json_next(&rest, &item) == SIO_OK)
		msgpack_put_json(out, item, &n->blobs);
	msgpack_put_text(out, SIO_LIT("nsp"));
	msgpack_put_text(out, n->nsp);
}

static void put_opts(struct buf *out, const struct neighbour *n)
{
	msgpack_put_map(out, 3);
	msgpack_put_text(out, SIO_LIT("rooms"));
	put_names(out, n->rooms, n->rooms_n, sio_bytes("", 0));
	msgpack_put_text(out, SIO_LIT("except"));
	put_names(out, n->except, n->except_n, n->skip);
	msgpack_put_text(out, SIO_LIT("flags"));
	msgpack_put_map(out, (uint32_t)n->is_volatile + n->no_compress);
	if (n->is_volatile) {
		msgpack_put_text(out, SIO_LIT("volatile"));
		msgpack_put_bool(out, true);
	}
	if (n->no_compress) {
		msgpack_put_text(out, SIO_LIT("compress"));
		msgpack_put_bool(out, false);
	}
}

static void put_channel(struct buf *channel, sio_slice key, const struct neighbour *n)
{
	buf_slice(channel, key);
	buf_byte(channel, '#');
	buf_slice(channel, n->nsp);
	buf_byte(channel, '#');
	if (n->rooms_n == 1) { /* who has nobody in it does not read it */
		buf_slice(channel, n->rooms[0]);
		buf_byte(channel, '#');
	}
}

int node_write(struct buf *channel, struct buf *out, sio_slice key, sio_slice own, const struct neighbour *n)
{
	long args_n = neighbour_args_n(n);
	size_t start = out->n;

	if (args_n < 0)
		return (int)args_n;
	put_channel(channel, key, n);
	msgpack_put_list(out, 3);
	msgpack_put_text(out, own);
	put_packet(out, n, (uint32_t)args_n);
	put_opts(out, n);
	if (out->failed || channel->failed)
		return SIO_ERR_NOMEM;
	return out->n - start > VALUE_BYTES_MAX ? SIO_ERR_LIMIT : SIO_OK;
}
