/* assets.c -- see assets.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/assets.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of the running program, without a slash at its end. */
static void program_dir(char out[ASSETS_PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, ASSETS_PATH_MAX - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* dir + suffix into out when it is a folder. */
static bool try_folder(char out[ASSETS_PATH_MAX], const char *dir, const char *suffix)
{
	int n = snprintf(out, ASSETS_PATH_MAX, "%s%s", dir, suffix);

	if (n > 0 && n < ASSETS_PATH_MAX && is_folder(out))
		return true;
	out[0] = '\0';
	return false;
}

/* A configured folder as it is, without slashes at its end. */
static void take_configured(char out[ASSETS_PATH_MAX], const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	snprintf(out, ASSETS_PATH_MAX, "%.*s", (int)n, path);
}

/* The folder "web" of this build or installation. */
static bool find_web(char out[ASSETS_PATH_MAX])
{
	static const char *const beside[] = { "/../../web", "/../web", "/../share/skybuild/web" };
	char dir[ASSETS_PATH_MAX];

	program_dir(dir);
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		if (try_folder(out, dir, beside[i]))
			return true;
	return try_folder(out, "web", "");
}

/* The folder of the page: the workspace as scripts/build-web has built it beside the program's
 * own folder, else "page" of the folder web: of an installation the workspace again, of a
 * source tree the plain page. */
static bool find_page(char out[ASSETS_PATH_MAX], const char *web)
{
	char dir[ASSETS_PATH_MAX];

	program_dir(dir);
	return try_folder(out, dir, "/../web/page") || (*web && try_folder(out, web, "/page"));
}

void assets_find(const struct config *config, struct assets *out)
{
	static const char client[] = "/node_modules/socket.io-client/dist";
	char web[ASSETS_PATH_MAX];
	bool has_web = find_web(web);

	*out = (struct assets){ 0 };
	if (has_web)
		memcpy(out->web_dir, web, sizeof(web));
	if (config->web_root)
		take_configured(out->web_root, config->web_root);
	else if (config->env != CONFIG_PRODUCTION)
		find_page(out->web_root, has_web ? web : "");
	if (config->client_dir)
		take_configured(out->client_dir, config->client_dir);
	else if (!has_web || !try_folder(out->client_dir, web, client)) {
		char above[ASSETS_PATH_MAX];

		/* WEB_ROOT may be a folder of a source tree elsewhere. */
		if (config->web_root && snprintf(above, sizeof(above), "%.4000s/..", out->web_root) > 0)
			try_folder(out->client_dir, above, client);
	}
}
