/* ws.c -- see ws.h.
 *
 * A frame that lies whole in the caller's buffer, outside a fragmented message,
 * takes the short way (read_whole): nothing is copied or allocated.  Anything
 * else makes a reader and takes the long way (read_piece), which collects a head,
 * then payload, as the bytes come.  Both ask head_parse, so both judge alike.
 *
 * A compressed message is kept as it came until its end, and inflated then: so a
 * connection in the middle of one holds no more than its bytes, and faults inside it
 * show at its end.
 *
 * While ws_read runs the reader is out of the caller's hands: *reader is NULL, and
 * is set again at the end only if the sink let it go on.  So a sink may free
 * everything it knows and say false.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/ws.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sha.h"
#include "codec/base64.h"
#include "codec/deflate.h"
#include "codec/utf8.h"

enum {
	CLOSE_PROTOCOL = 1002,
	CLOSE_DATA = 1007,     /* not UTF-8, or not DEFLATE data */
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CONTROL_MAX = 125,
	HEAD_IN_MAX = 14,      /* 2, length up to 8, mask 4 */
	MASK_N = 4,
};

struct head {
	enum ws_op op;
	bool is_final;
	bool is_deflated;      /* RSV1, which the first frame of a message alone may have */
	size_t size;           /* bytes of the head itself; 0: more are needed */
	uint64_t n;            /* bytes of payload */
	unsigned char mask[MASK_N];
};

struct ws_reader {
	unsigned char raw[HEAD_IN_MAX]; /* a head that is not complete */
	unsigned raw_n;
	bool in_frame;                  /* head is complete, got of head.n bytes came */
	struct head head;
	size_t got;
	bool in_message;                /* a data frame without FIN came: op, fragments_n, data, utf8 */
	enum ws_op op;
	bool is_deflated;               /* the message is: data is what has to be inflated */
	size_t fragments_n;
	uint32_t utf8;                  /* state of the text so far */
	struct buf data;                /* the message so far */
	char control[CONTROL_MAX];      /* payload of a control frame so far */
};

/* One call of ws_read. */
struct run {
	struct ws_reader *r;   /* NULL until one is needed */
	const struct ws_limits *limits;
	char *p;
	size_t n;
	ws_sink_fn *sink;
	void *ctx;
	bool is_stopped;       /* the sink said so: its ctx and limits may be gone */
};

static bool op_is_control(enum ws_op op)
{
	return op >= WS_CLOSE;
}

void ws_mask(char *p, size_t n, const unsigned char mask[4])
{
	uint64_t word, wide;

	memcpy(&wide, mask, MASK_N);
	memcpy((char *)&wide + MASK_N, mask, MASK_N);
	for (; n >= 32; p += 32, n -= 32) {
		for (int i = 0; i < 32; i += 8) {
			memcpy(&word, p + i, 8);
			word ^= wide;
			memcpy(p + i, &word, 8);
		}
	}
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&word, p, 8);
		word ^= wide;
		memcpy(p, &word, 8);
	}
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(p[i] ^ mask[i % MASK_N]);
}

/* ---- heads ---------------------------------------------------------------- */

/* The first byte: reserved bits, opcode, and whether it fits what came before. */
static int check_op(const struct run *run, unsigned char byte, struct head *head)
{
	bool in_message = run->r && run->r->in_message;

	head->is_final = byte & 0x80;
	head->is_deflated = byte & WS_RSV1;
	head->op = (enum ws_op)(byte & 15);
	if (byte & 0x30 || (head->op > WS_BINARY && head->op < WS_CLOSE) || head->op > WS_PONG)
		return CLOSE_PROTOCOL;
	if (head->is_deflated && (!run->limits->inflater || head->op == WS_CONT || op_is_control(head->op)))
		return CLOSE_PROTOCOL;
	if (op_is_control(head->op))
		return head->is_final ? 0 : CLOSE_PROTOCOL;
	if ((head->op == WS_CONT) != in_message)
		return CLOSE_PROTOCOL;
	if (in_message && run->r->fragments_n >= run->limits->fragments_n)
		return CLOSE_POLICY;
	return 0;
}

static uint64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* The length in its shortest form and within the limit of the message. */
static int check_length(const struct run *run, struct head *head, size_t length_n)
{
	size_t have = run->r ? run->r->data.n : 0;

	if ((length_n == 2 && head->n < 126) || (length_n == 8 && (head->n < 65536 || head->n >> 63)))
		return CLOSE_PROTOCOL;
	if (op_is_control(head->op))
		return head->op == WS_CLOSE && head->n == 1 ? CLOSE_PROTOCOL : 0;
	if (have > run->limits->message_bytes || head->n > run->limits->message_bytes - have)
		return CLOSE_TOO_BIG;
	return 0;
}

/* The n bytes of a head that are there.  Faults are told by the first byte that
 * shows them.  head->size stays 0 while bytes are missing. */
static int head_parse(const struct run *run, const unsigned char *p, size_t n, struct head *head)
{
	size_t length_n;
	int code;

	*head = (struct head){ 0 };
	if (n < 1)
		return 0;
	code = check_op(run, p[0], head);
	if (code || n < 2)
		return code;
	head->n = p[1] & 0x7f;
	if (!(p[1] & 0x80) || (op_is_control(head->op) && head->n > CONTROL_MAX))
		return CLOSE_PROTOCOL;
	length_n = head->n == 126 ? 2 : head->n == 127 ? 8 : 0;
	if (n < 2 + length_n)
		return 0;
	if (length_n)
		head->n = big_endian(p + 2, length_n);
	code = check_length(run, head, length_n);
	if (code || n < 2 + length_n + MASK_N)
		return code;
	memcpy(head->mask, p + 2 + length_n, MASK_N);
	head->size = 2 + length_n + MASK_N;
	return 0;
}

/* ---- delivery ------------------------------------------------------------- */

static void deliver(struct run *run, enum ws_op op, char *data, size_t n)
{
	if (!run->sink(run->ctx, op, data, n))
		run->is_stopped = true;
}

bool ws_close_code_ok(unsigned code)
{
	if (code >= 3000)
		return code <= 4999;
	return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

static int deliver_control(struct run *run, enum ws_op op, char *data, size_t n)
{
	if (op == WS_CLOSE && n > 0) {
		if (!ws_close_code_ok((unsigned)big_endian((unsigned char *)data, 2)))
			return CLOSE_PROTOCOL;
		if (!utf8_ok(data + 2, n - 2))
			return CLOSE_DATA;
	}
	deliver(run, op, data, n);
	return 0;
}

/* A whole message that came compressed in data[0..n). */
static int deliver_inflated(struct run *run, enum ws_op op, const char *data, size_t n)
{
	struct inflater *inflater = run->limits->inflater;
	char *plain = NULL;
	size_t plain_n = 0;
	int err = inflate_begin(inflater, run->limits->message_bytes);

	if (err == SIO_OK)
		err = inflate_feed(inflater, data, n);
	if (err == SIO_OK)
		err = inflate_end(inflater, &plain, &plain_n);
	if (err < 0)
		return err == SIO_ERR_LIMIT ? CLOSE_TOO_BIG : err == SIO_ERR_PROTO ? CLOSE_DATA : CLOSE_INTERNAL;
	if (op == WS_TEXT && !utf8_ok(plain, plain_n))
		return CLOSE_DATA;
	deliver(run, op, plain, plain_n);
	return 0;
}

/* ---- the long way --------------------------------------------------------- */

static void start_frame(struct ws_reader *r, const struct head *head)
{
	r->raw_n = 0;
	r->in_frame = true;
	r->head = *head;
	r->got = 0;
	if (op_is_control(head->op))
		return;
	if (head->op != WS_CONT) {
		r->op = head->op;
		r->is_deflated = head->is_deflated;
		r->fragments_n = 0;
		r->utf8 = 0;
	}
	r->fragments_n++;
}

static int take_head(struct run *run)
{
	struct ws_reader *r = run->r;
	struct head head = { 0 };
	int code = 0;

	while (run->n > 0 && code == 0 && head.size == 0) {
		r->raw[r->raw_n++] = (unsigned char)*run->p++;
		run->n--;
		code = head_parse(run, r->raw, r->raw_n, &head);
	}
	if (code == 0 && head.size > 0)
		start_frame(r, &head);
	return code;
}

/* The next bytes of the frame's payload, unmasked where they lie. */
static sio_slice take_bytes(struct run *run, char **data)
{
	struct ws_reader *r = run->r;
	size_t left = (size_t)r->head.n - r->got, n = left < run->n ? left : run->n;
	unsigned char mask[MASK_N];

	for (size_t i = 0; i < MASK_N; i++)
		mask[i] = r->head.mask[(r->got + i) % MASK_N];
	ws_mask(run->p, n, mask);
	*data = run->p;
	r->got += n;
	run->p += n;
	run->n -= n;
	return sio_bytes(*data, n);
}

static int take_control(struct run *run)
{
	struct ws_reader *r = run->r;
	size_t before = r->got;
	char *data;
	sio_slice bytes = take_bytes(run, &data);

	if (bytes.n > 0)
		memcpy(r->control + before, bytes.p, bytes.n);
	if (r->got < r->head.n)
		return 0;
	r->in_frame = false;
	return deliver_control(run, r->head.op, r->control, r->got);
}

/* The message is complete: data[0..n) if it was never stored, else what was. */
static int end_message(struct run *run, char *data, size_t n)
{
	struct ws_reader *r = run->r;
	int code = 0;

	r->in_message = false;
	if (r->data.n > 0) {
		data = r->data.p;
		n = r->data.n;
	}
	if (r->is_deflated)
		code = deliver_inflated(run, r->op, data, n);
	else
		deliver(run, r->op, data, n);
	buf_clear(&r->data);
	return code;
}

static int take_data(struct run *run)
{
	struct ws_reader *r = run->r;
	char *data;
	sio_slice bytes = take_bytes(run, &data);
	bool is_end = r->got == r->head.n, is_last = is_end && r->head.is_final;

	if (r->op == WS_TEXT && !r->is_deflated && (!utf8_feed(&r->utf8, bytes.p, bytes.n) || (is_last && r->utf8)))
		return CLOSE_DATA;
	if (!is_last || r->data.n > 0)
		buf_slice(&r->data, bytes);
	if (r->data.failed)
		return CLOSE_INTERNAL;
	r->in_frame = !is_end;
	r->in_message = true;
	return is_last ? end_message(run, data, bytes.n) : 0;
}

static int read_piece(struct run *run)
{
	struct ws_reader *r = run->r;
	int code;

	if (!r->in_frame) {
		code = take_head(run);
		if (code || !r->in_frame)
			return code;
	}
	return op_is_control(r->head.op) ? take_control(run) : take_data(run);
}

/* ---- the short way -------------------------------------------------------- */

static int read_rest(struct run *run)
{
	if (!run->r)
		run->r = calloc(1, sizeof(*run->r));
	return run->r ? read_piece(run) : CLOSE_INTERNAL;
}

/* The frame at the front, if it is all there and all of its message; otherwise
 * makes a reader and goes the long way. */
static int read_whole(struct run *run)
{
	struct head head;
	int code = head_parse(run, (unsigned char *)run->p, run->n, &head);
	char *data;

	if (code)
		return code;
	if (head.size == 0 || !head.is_final || head.n > run->n - head.size)
		return read_rest(run);
	data = run->p + head.size;
	run->p = data + head.n;
	run->n -= head.size + (size_t)head.n;
	ws_mask(data, (size_t)head.n, head.mask);
	if (op_is_control(head.op))
		return deliver_control(run, head.op, data, (size_t)head.n);
	if (head.is_deflated)
		return deliver_inflated(run, head.op, data, (size_t)head.n);
	if (head.op == WS_TEXT && !utf8_ok(data, (size_t)head.n))
		return CLOSE_DATA;
	deliver(run, head.op, data, (size_t)head.n);
	return 0;
}

static bool reader_is_idle(const struct ws_reader *r)
{
	return r->raw_n == 0 && !r->in_frame && !r->in_message;
}

int ws_read(struct ws_reader **reader, const struct ws_limits *limits, char *p, size_t n, ws_sink_fn *sink, void *ctx)
{
	struct run run = { .r = *reader, .limits = limits, .p = p, .n = n, .sink = sink, .ctx = ctx };
	int code = 0;

	*reader = NULL;
	while (run.n > 0 && code == 0 && !run.is_stopped)
		code = run.r && !reader_is_idle(run.r) ? read_piece(&run) : read_whole(&run);
	if (run.is_stopped || code || (run.r && reader_is_idle(run.r)))
		ws_reader_free(run.r);
	else
		*reader = run.r;
	return code;
}

void ws_reader_free(struct ws_reader *r)
{
	if (!r)
		return;
	buf_fini(&r->data);
	free(r);
}

/* ---- writing -------------------------------------------------------------- */

size_t ws_head_size(size_t payload_n)
{
	return payload_n < 126 ? 2 : payload_n < 65536 ? 4 : 10;
}

size_t ws_head_write(char *out, enum ws_op op, size_t payload_n)
{
	size_t size = ws_head_size(payload_n);

	out[0] = (char)(0x80 | op);
	out[1] = (char)(size == 2 ? payload_n : size == 4 ? 126 : 127);
	for (size_t i = size; i > 2; i--) {
		out[i - 1] = (char)(payload_n & 0xff);
		payload_n >>= 8;
	}
	return size;
}

sio_slice ws_frame_next(const char **at)
{
	const unsigned char *h = (const unsigned char *)*at;
	uint64_t n = h[1] & 0x7f;
	size_t head = n == 126 ? 4 : n == 127 ? 10 : 2;

	if (head > 2)
		n = big_endian(h + 2, head - 2);
	*at += head + n;
	return sio_bytes(h + head, (size_t)n);
}

bool ws_accept(sio_slice key, char out[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	enum { KEY_N = 24, NONCE_N = 16 };
	char text[KEY_N + sizeof(guid) - 1];
	unsigned char nonce[BASE64_DECODED_MAX(KEY_N)], digest[SHA1_LEN];

	if (key.n != KEY_N || base64_decode(key.p, key.n, nonce) != NONCE_N)
		return false;
	memcpy(text, key.p, KEY_N);
	memcpy(text + KEY_N, guid, sizeof(guid) - 1);
	if (!sha1(text, sizeof(text), digest))
		return false;
	out[base64_encode(digest, sizeof(digest), out)] = '\0';
	return true;
}
