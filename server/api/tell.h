/* tell.h -- the log lines about broadcasts, which the guide names word for word.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_TELL_H
#define API_TELL_H

#include <sio/slice.h>

/* Log that event went to a project ("Broadcasted BoQ update for item I to project
 * P"); the id comes out of payload, nothing else of it is logged.  Events that
 * the table does not know are told by their name. */
void tell(sio_slice event, sio_slice project, sio_slice payload);

/* The same for a room or a user. */
void tell_room(sio_slice event, sio_slice room);
void tell_user(sio_slice user);

#endif
