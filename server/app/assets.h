/* assets.h -- where the web pages and the stock client lie.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_ASSETS_H
#define APP_ASSETS_H

#include "app/config.h"

enum { ASSETS_PATH_MAX = 4096 };

struct assets {
	char web_root[ASSETS_PATH_MAX];   /* the workspace, or the plain page; no slash at its end; "" when there is none */
	char client_dir[ASSETS_PATH_MAX];
	char web_dir[ASSETS_PATH_MAX];    /* the folder "web", for the pages of /docs */
};

/* Take WEB_ROOT and CLIENT_DIR of the configuration, else look beside the program:
 * in the source tree it was built in, in <prefix>/share/skybuild, and below the
 * working directory.  Production serves no page that was not asked for, except /docs. */
void assets_find(const struct config *config, struct assets *out);

#endif
