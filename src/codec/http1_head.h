/* http1_head.h -- what the head of a request must be.  Part of http1: nobody else
 * includes it.
 *
 * Each call returns 0 or the status that refuses the request.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_HTTP1_HEAD_H
#define CODEC_HTTP1_HEAD_H

#include "codec/http1.h"

/* One line without its CRLF, as soon as it is complete: so that nonsense is
 * refused before the sender feels like finishing it. */
int http1_check_request_line(sio_slice line);
int http1_check_header_line(sio_slice line);
int http1_check_trailer_line(sio_slice line);

/* The whole head, empty line included, of lines that passed; headers_n is known
 * from counting them.  Fills req (its headers are allocated) and *is_chunked;
 * changes names to lower case in head. */
int http1_parse_head(char *head, size_t n, size_t headers_n, struct http1_request *req, bool *is_chunked);

#endif
