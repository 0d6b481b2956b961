/* python.c -- see python.h.
 *
 * A message is a map whose "method" says what the rest means.  Where JSON and pickle differ is in the
 * arguments of an event (put_args): a pickle knows tuples and bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/python.h"

#include <sio/json.h>

#include "codec/base64.h"
#include "codec/pickle.h"

/* ---- arguments --------------------------------------------------------------------------- */

/* A pickle: a tuple is several arguments, None is none, anything else is one. */
static int put_pickled(struct neighbour *n, const struct value *data)
{
	int err = SIO_OK;

	if (data && data->type == VALUE_TUPLE)
		err = value_json_list(&n->text, data, &n->blobs);
	else if (data && data->type != VALUE_NULL)
		err = value_json(&n->text, data, &n->blobs);
	n->json = buf_peek(&n->text);
	return err;
}

static bool is_null(const struct value *raw)
{
	return sio_json_type(raw->text) == SIO_JSON_NULL;
}

/* JSON: an array is the arguments, a single null among them is none; versions before 5.15.1 wrote one that is no array bare. */
static int put_json(struct neighbour *n, struct value *data)
{
	int err = value_open(&n->store, &data);

	if (err < 0 || !data || data->type == VALUE_NULL || (value_is_list(data) && data->n == 1 && is_null(data->cells.first->value)))
		return err;
	err = value_is_list(data) ? value_json_list(&n->text, data, &n->blobs) : value_json(&n->text, data, &n->blobs);
	n->json = buf_peek(&n->text);
	return err;
}

static int put_blob(struct neighbour *n, struct value *v)
{
	int err = value_open(&n->store, &v);
	ssize_t got;
	char *p;

	if (err < 0 || v->type != VALUE_TEXT)
		return err < 0 ? err : SIO_ERR_PROTO;
	if (n->blobs.n == SIO_ATTACHMENTS_MAX)
		return SIO_ERR_LIMIT;
	p = value_alloc(&n->store, BASE64_DECODED_MAX(v->text.n));
	if (!p)
		return SIO_ERR_NOMEM;
	got = base64_decode(v->text.p, v->text.n, p);
	if (got < 0)
		return SIO_ERR_PROTO;
	n->blobs.list[n->blobs.n++] = sio_bytes(p, (size_t)got);
	return SIO_OK;
}

/* "binary": the arguments with placeholders, then each attachment in base64. */
static int put_binary(struct neighbour *n, struct value *data)
{
	int err = value_open(&n->store, &data);

	if (err < 0 || !value_is_list(data) || data->n == 0)
		return err < 0 ? err : SIO_ERR_PROTO;
	err = put_json(n, data->cells.first->value);
	for (struct value_cell *c = data->cells.first->next; c && err == SIO_OK; c = c->next)
		err = put_blob(n, c->value);
	return err;
}

static int put_args(struct neighbour *n, const struct value *map, bool is_pickled)
{
	struct value *data = value_get(map, "data"), *binary = value_get(map, "binary");
	int err = value_open(&n->store, &binary);

	if (err == SIO_OK && is_pickled)
		err = put_pickled(n, data);
	else if (err == SIO_OK && binary && binary->type == VALUE_BOOL && binary->is_true)
		err = put_binary(n, data);
	else if (err == SIO_OK)
		err = put_json(n, data);
	return err < 0 ? err : neighbour_check(n);
}

/* ---- methods -------------------------------------------------------------------------------- */

static int read_emit(struct neighbour *n, const struct value *map, bool is_pickled)
{
	bool is_list, is_except_list;
	int err = neighbour_text(n, map, "event", &n->name);

	if (err == SIO_OK && !n->name.p)
		err = SIO_ERR_PROTO;
	if (err == SIO_OK)
		err = neighbour_names(n, map, "room", &n->rooms, &n->rooms_n, &is_list);
	if (err == SIO_OK)
		err = neighbour_names(n, map, "skip_sid", &n->except, &n->except_n, &is_except_list);
	if (err < 0)
		return err;
	if (is_list && n->rooms_n == 0) /* the members of no room */
		return SIO_OK;
	n->kind = NEIGHBOUR_EMIT;
	return put_args(n, map, is_pickled);
}

/* sid, which is one socket and never a room. */
static int read_sid(struct neighbour *n, const struct value *map)
{
	sio_slice sid, *names;
	int err = neighbour_text(n, map, "sid", &sid);

	if (err < 0 || sid.n != SIO_ID_LEN)
		return err < 0 ? err : SIO_ERR_PROTO;
	names = value_alloc(&n->store, sizeof(*names));
	if (!names)
		return SIO_ERR_NOMEM;
	*names = sid;
	n->rooms = names;
	n->rooms_n = 1;
	return SIO_OK;
}

static int read_room(struct neighbour *n, const struct value *map)
{
	bool is_list;
	int err = neighbour_names(n, map, "room", &n->moves, &n->moves_n, &is_list);

	return err == SIO_OK && (is_list || n->moves_n != 1) ? SIO_ERR_PROTO : err;
}

static int read_move(struct neighbour *n, const struct value *map, enum neighbour_kind kind)
{
	int err = read_sid(n, map);

	if (err == SIO_OK)
		err = read_room(n, map);
	n->kind = kind;
	return err;
}

static int read_disconnect(struct neighbour *n, const struct value *map)
{
	n->kind = NEIGHBOUR_DISCONNECT;
	return read_sid(n, map);
}

/* Whoever is in it leaves it. */
static int read_close(struct neighbour *n, const struct value *map)
{
	int err = read_room(n, map);

	n->kind = NEIGHBOUR_LEAVE;
	n->rooms = n->moves;
	n->rooms_n = n->moves_n;
	return err;
}

static int read_method(struct neighbour *n, const struct value *map, sio_slice method, bool is_pickled)
{
	if (sio_slice_eq(method, SIO_LIT("emit")))
		return read_emit(n, map, is_pickled);
	if (sio_slice_eq(method, SIO_LIT("enter_room")))
		return read_move(n, map, NEIGHBOUR_JOIN);
	if (sio_slice_eq(method, SIO_LIT("leave_room")))
		return read_move(n, map, NEIGHBOUR_LEAVE);
	if (sio_slice_eq(method, SIO_LIT("close_room")))
		return read_close(n, map);
	if (sio_slice_eq(method, SIO_LIT("disconnect")))
		return read_disconnect(n, map);
	/* The answer to a question that we never ask. */
	return sio_slice_eq(method, SIO_LIT("callback")) ? SIO_OK : SIO_ERR_PROTO;
}

int python_read(sio_slice bytes, sio_slice own, struct neighbour *n)
{
	bool is_pickled = bytes.n > 0 && (unsigned char)bytes.p[0] == PICKLE_FIRST;
	struct value *map = NULL;
	sio_slice method, host;
	int err;

	*n = (struct neighbour){ 0 };
	err = is_pickled ? pickle_read(bytes, &n->store, &map) : neighbour_json(n, bytes, &map);
	if (err == SIO_OK)
		err = neighbour_text(n, map, "method", &method);
	if (err == SIO_OK)
		err = neighbour_text(n, map, "host_id", &host);
	if (err == SIO_OK)
		err = neighbour_text(n, map, "namespace", &n->nsp);
	if (err < 0)
		return err;
	if (!method.p)
		return SIO_ERR_PROTO;
	if ((host.n && sio_slice_eq(host, own)) || !n->nsp.p) /* without a namespace nobody gets it */
		return SIO_OK;
	err = read_method(n, map, method, is_pickled);
	if (err < 0)
		n->kind = NEIGHBOUR_NOTHING;
	return err;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* null: everybody, or nobody; one name; a list of several. */
static void put_names(struct buf *out, const sio_slice *names, uint32_t n, sio_slice more)
{
	uint32_t all = n + (more.n > 0);

	if (all == 0)
		buf_str(out, "null");
	buf_str(out, all > 1 ? "[" : "");
	for (uint32_t i = 0; i < all; i++) {
		buf_str(out, i ? ", " : "");
		buf_json(out, i < n ? names[i] : more);
	}
	buf_str(out, all > 1 ? "]" : "");
}

/* The arguments, which all versions read where they can: None is none, and one that is no list is bare. */
static void put_data(struct buf *out, const struct neighbour *n, long args_n)
{
	enum sio_json_type type = sio_json_type(n->json);
	bool is_bare = args_n == 1 && type != SIO_JSON_ARRAY && n->blobs.n == 0;

	if (args_n == 0 && n->blobs.n == 0) {
		buf_str(out, "null");
		return;
	}
	buf_str(out, is_bare ? "" : "[");
	buf_slice(out, n->json);
	buf_str(out, is_bare ? "" : "]");
}

static void put_blobs(struct buf *out, const struct value_blobs *blobs)
{
	for (unsigned i = 0; i < blobs->n; i++) {
		size_t n = BASE64_ENCODED(blobs->list[i].n);

		buf_str(out, ", \"");
		if (buf_reserve(out, n + 1)) {
			base64_encode(blobs->list[i].p, blobs->list[i].n, out->p + out->n);
			out->n += n;
		}
		buf_byte(out, '"');
	}
}

int python_write(struct buf *out, sio_slice own, const struct neighbour *n)
{
	long args_n = neighbour_args_n(n);
	size_t start = out->n;

	if (args_n < 0)
		return (int)args_n;
	buf_str(out, "{\"method\": \"emit\", \"event\": ");
	buf_json(out, n->name);
	buf_str(out, n->blobs.n ? ", \"data\": [" : ", \"data\": ");
	put_data(out, n, args_n);
	put_blobs(out, &n->blobs);
	buf_str(out, n->blobs.n ? "], \"binary\": true, \"namespace\": " : ", \"binary\": false, \"namespace\": ");
	buf_json(out, n->nsp);
	buf_str(out, ", \"room\": ");
	put_names(out, n->rooms, n->rooms_n, sio_bytes("", 0));
	buf_str(out, ", \"skip_sid\": ");
	put_names(out, n->except, n->except_n, n->skip);
	buf_str(out, ", \"callback\": null, \"host_id\": ");
	buf_json(out, own);
	buf_byte(out, '}');
	if (out->failed)
		return SIO_ERR_NOMEM;
	return out->n - start > VALUE_BYTES_MAX ? SIO_ERR_LIMIT : SIO_OK;
}
