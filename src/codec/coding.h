/* coding.h -- content codings of HTTP answers (RFC 9110 12.5.3): which one a client takes,
 * and which types are worth one.
 *
 * Headers in, a choice out; compresses nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_CODING_H
#define CODEC_CODING_H

#include "codec/http1.h"

enum coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE };

/* What the request's Accept-Encoding (all its lines together) likes best: the higher
 * q-value, gzip when they are alike; CODING_NONE when it takes neither, or asks for
 * identity with a higher q.  A piece that cannot be read counts as not said. */
enum coding coding_pick(const struct http1_request *req);

const char *coding_name(enum coding coding); /* "gzip", "deflate", "identity" */

/* Is a content type text, so that it shrinks: text, JSON, XML, JavaScript? */
bool coding_is_text(const char *content_type);

#endif
