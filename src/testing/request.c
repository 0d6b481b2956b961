/* request.c -- HTTP requests of a test, each on a connection of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include "testing/inner.h"

static void request_write(struct sio_test_request *req, const char *method, const char *target, const char *headers,
			  sio_slice body)
{
	struct buf *out = &req->pipe.in;
	sio_slice given = sio_str(headers);

	buf_printf(out, "%s %s HTTP/1.1\r\n", method, target);
	if (head_find(given, "host").n == 0)
		buf_str(out, "Host: test.example\r\n");
	if (head_find(given, "content-length").n == 0 && head_find(given, "transfer-encoding").n == 0 &&
	    (body.n > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0))
		buf_printf(out, "Content-Length: %zu\r\n", body.n);
	if (head_find(given, "connection").n == 0)
		buf_str(out, "Connection: close\r\n");
	buf_slice(out, given);
	buf_str(out, "\r\n");
	buf_slice(out, body);
}

struct sio_test_request *sio_test_request(struct sio_server *server, const char *method, const char *target,
					  const char *headers, sio_slice body)
{
	struct testing *t = testing_of(server);
	struct sio_test_request *req = t ? calloc(1, sizeof(*req)) : NULL;

	if (!req)
		return NULL;
	req->testing = t;
	req->is_head = strcmp(method, "HEAD") == 0;
	strcpy(req->pipe.address, "192.0.2.1");
	request_write(req, method, target, headers, body);
	if (req->pipe.in.failed || net_pipe_open(server->net, &req->pipe) < 0) {
		request_free(req);
		return NULL;
	}
	req->next = t->requests;
	t->requests = req;
	testing_settle(t);
	return req;
}

void request_free(struct sio_test_request *req)
{
	buf_fini(&req->pipe.in);
	buf_fini(&req->pipe.out);
	free(req);
}

/* Look at what has come of the answer; a "100 Continue" is passed over. */
static void read_answer(struct sio_test_request *req)
{
	struct buf *out = &req->pipe.out;
	char *end = out->n ? memmem(out->p, out->n, "\r\n\r\n", 4) : NULL;
	int status = end ? atoi(out->p + 9) : 0;
	size_t head_n = end ? (size_t)(end + 4 - out->p) : 0, body_n;

	if (end && status == 100) {
		buf_consume(out, head_n);
		read_answer(req);
		return;
	}
	if (end) {
		req->head = sio_bytes(out->p, head_n);
		body_n = req->is_head ? 0 : strtoul(head_find(req->head, "content-length").p, NULL, 10);
		if (out->n - head_n >= body_n) {
			req->status = status;
			req->body = sio_bytes(out->p + head_n, body_n);
			req->pipe.is_ended = true;
			return;
		}
	}
	if (req->pipe.is_shut)
		req->status = SIO_ERR_CLOSED;
}

int sio_test_request_status(struct sio_test_request *req)
{
	testing_settle(req->testing);
	if (req->status == 0) {
		read_answer(req);
		testing_settle(req->testing); /* the server hears that we are done */
	}
	return req->status;
}

sio_slice sio_test_request_header(struct sio_test_request *req, const char *name)
{
	return sio_test_request_status(req) > 0 ? head_find(req->head, name) : sio_bytes("", 0);
}

sio_slice sio_test_request_body(struct sio_test_request *req)
{
	return sio_test_request_status(req) > 0 ? req->body : sio_bytes("", 0);
}

void sio_test_request_drop(struct sio_test_request *req)
{
	req->pipe.is_broken = true;
	testing_settle(req->testing);
}
