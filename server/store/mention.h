/* mention.h -- who is spoken to in a comment: "@anna, please look".
 *
 * Finds what could be a user's id behind an '@' in a text for people.  It refuses to
 * know who exists: the caller tries the candidates.
 *
 * A mention begins at an '@' that no letter, digit or '_' stands before (so an e-mail
 * address is none), goes on as far as bytes that an id may have, and is then tried
 * without its last marks, one fewer each time: "@anna.:" is "anna.:", "anna.", "anna".
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_MENTION_H
#define STORE_MENTION_H

#include <stdbool.h>

#include <sio/slice.h>

/* The next run behind an '@' in *rest that begins with a letter or digit, into *run;
 * *rest moves behind the '@'.  false: there is none.  Both point into the text. */
bool mention_next(sio_slice text, sio_slice *rest, sio_slice *run);

/* run without its last byte, if that is a mark (". _ - @ | + :").  false: it is a letter
 * or digit, there is nothing shorter to be tried. */
bool mention_shorten(sio_slice *run);

#endif
