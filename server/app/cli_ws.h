/* cli_ws.h -- a WebSocket as a client has it: one that a command opens to look at a
 * server from outside.
 *
 * Private to the commands.  Blocking.  Shares nothing with libsio's own frames
 * (src/codec/ws.h): what is measured may not be the measure.  Offers no extension;
 * knows nothing of what the messages mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CLI_WS_H
#define APP_CLI_WS_H

#include "app/cli_probe.h"

struct cli_ws;

/* Ask for a WebSocket.  x as for cli_exchange (of which is_post and body_out do not
 * count); afterwards status and what else came are in it, 101 too when its head was
 * in order.  NULL: there is none; a 101 that is none has trouble CLI_OTHER. */
struct cli_ws *cli_ws_open(struct cli_exchange *x);

/* Close it, politely where that is possible.  NULL allowed. */
void cli_ws_close(struct cli_ws *ws);

/* Send text as one frame.  False: the connection is broken. */
SIO_MUST_CHECK bool cli_ws_send(struct cli_ws *ws, sio_slice text);

/* The next text message, waited for at most wait_ms; pings are answered meanwhile.  CLI_FINE
 * and *text, valid until the next call; CLI_TOO_LATE; or CLI_CUT: it ended. */
enum cli_trouble cli_ws_next(struct cli_ws *ws, long wait_ms, sio_slice *text);

/* The code of the close frame that came; 0: none did. */
unsigned cli_ws_close_code(const struct cli_ws *ws);

#endif
