/* files.h -- the web pages, the stock client and the API's descriptions, served from memory.
 *
 * All files are read once, at start: a request never touches the disk, and no
 * path of a request is ever turned into a path of the file system.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_FILES_H
#define API_FILES_H

#include <sio/error.h>

struct api;

/* Put a route for each description (spec.h), each page of /docs in web_dir, and each
 * file of web_root and client_dir, of the api's options.  A folder that cannot be read is told in the log and served as absent.  Returns 0
 * or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int files_open(struct api *api);
void files_close(struct api *api);

#endif
