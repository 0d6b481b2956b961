/* coding.c -- see coding.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/coding.h"

#include "base/text.h"

enum { Q_ONE = 1000, Q_UNSAID = -1 };

/* q-values in thousandths. */
struct wanted {
	int gzip, deflate, identity, any;
};

/* RFC 9110 12.4.2: 0, 1, or one of them with up to three decimals, at most 1.  -1: none of these. */
static int qvalue(sio_slice s)
{
	int q, unit = Q_ONE;

	if (s.n < 1 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return Q_UNSAID;
	q = (s.p[0] - '0') * Q_ONE;
	for (size_t i = 2; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return Q_UNSAID;
		unit /= 10;
		q += (s.p[i] - '0') * unit;
	}
	return q <= Q_ONE ? q : Q_UNSAID;
}

/* The q of "gzip;q=0.5", which comes without its name. */
static int read_q(sio_slice params)
{
	int q = Q_ONE;

	while (params.p) {
		sio_slice value = http1_piece(&params, ';');
		if (text_is(http1_piece(&value, '='), "q"))
			q = qvalue(http1_piece(&value, ';'));
	}
	return q;
}

static void read_value(sio_slice list, struct wanted *w)
{
	while (list.p) {
		sio_slice params = http1_piece(&list, ',');
		sio_slice name = http1_piece(&params, ';');
		int q = read_q(params);
		if (text_is(name, "gzip") || text_is(name, "x-gzip"))
			w->gzip = q;
		else if (text_is(name, "deflate"))
			w->deflate = q;
		else if (text_is(name, "identity"))
			w->identity = q;
		else if (text_is(name, "*"))
			w->any = q;
	}
}

enum coding coding_pick(const struct http1_request *req)
{
	struct wanted w = { Q_UNSAID, Q_UNSAID, Q_UNSAID, 0 };
	int gzip, deflate;

	for (size_t i = 0; i < req->headers_n; i++)
		if (sio_slice_eq(req->headers[i].name, SIO_LIT("accept-encoding")))
			read_value(req->headers[i].value, &w);
	gzip = w.gzip == Q_UNSAID ? w.any : w.gzip;
	deflate = w.deflate == Q_UNSAID ? w.any : w.deflate;
	if (gzip > 0 && gzip >= deflate && gzip >= w.identity)
		return CODING_GZIP;
	return deflate > 0 && deflate >= w.identity ? CODING_DEFLATE : CODING_NONE;
}

const char *coding_name(enum coding coding)
{
	return coding == CODING_GZIP ? "gzip" : coding == CODING_DEFLATE ? "deflate" : "identity";
}

bool coding_is_text(const char *content_type)
{
	static const char *const types[] = { "application/json", "application/javascript", "application/xml",
					     "application/x-ndjson", "application/openmetrics-text" };
	sio_slice rest = sio_str(content_type), type = http1_piece(&rest, ';');

	if (type.n > 5 && text_begins(type, "text/"))
		return true;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (text_is(type, types[i]))
			return true;
	return text_ends(type, "+json") || text_ends(type, "+xml");
}
