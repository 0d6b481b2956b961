/* payload.h -- members that the server adds to a payload somebody else has made.
 *
 * A payload goes out byte for byte as it came in; what the server knows of it (its
 * sequence number, a notification's id) is put behind its last member.  A name that
 * the payload has already is never said twice.  Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_PAYLOAD_H
#define STORE_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/slice.h>

#include "base/buf.h"

/* Has the object a member of that name, however its letters are written?  object is
 * text that sio_json_check has passed; what is no object has none. */
bool payload_has(sio_slice object, const char *name);

/* Add "name": value as the last member.  When there is one already, it is added as
 * other instead (NULL: not at all), and as neither when there are both.  What is no
 * object stays as it is.  Out of memory shows in payload->failed. */
void payload_add_int(struct buf *payload, const char *name, const char *other, int64_t value);

#endif
