/* payload.c -- see payload.h.  Knows JSON text; refuses to know what is in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/payload.h"

#include <string.h>

#include <sio/json.h>

#include "store/fields.h"

enum { NAME_MAX = 32 };

/* key comes without quotes, escapes as they are. */
static bool is_name(sio_slice key, const char *name)
{
	char text[NAME_MAX + 1];
	long n;

	if (!key.n || !memchr(key.p, '\\', key.n))
		return sio_slice_eq(key, sio_str(name));
	/* With its quotes around it again it is a string to be decoded. */
	n = sio_json_unquote(sio_bytes(key.p - 1, key.n + 2), text, sizeof(text));
	return n > 0 && sio_slice_eq(sio_bytes(text, (size_t)n), sio_str(name));
}

bool payload_has(sio_slice object, const char *name)
{
	sio_slice rest, key, value;

	if (sio_json_type(object) != SIO_JSON_OBJECT)
		return false;
	rest = sio_json_inside(object);
	while (fields_member_next(&rest, &key, &value))
		if (is_name(key, name))
			return true;
	return false;
}

static const char *free_name(sio_slice object, const char *name, const char *other)
{
	if (!payload_has(object, name))
		return name;
	return other && !payload_has(object, other) ? other : NULL;
}

void payload_add_int(struct buf *payload, const char *name, const char *other, int64_t value)
{
	sio_slice object = buf_peek(payload);

	if (payload->failed || sio_json_type(object) != SIO_JSON_OBJECT)
		return;
	name = free_name(object, name, other);
	if (!name)
		return;
	payload->n = (size_t)((char *)memrchr(payload->p, '}', payload->n) - payload->p);
	buf_printf(payload, "%s\"%s\":%lld}", sio_json_inside(object).n ? "," : "", name, (long long)value);
}
