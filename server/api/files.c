/* files.c -- see files.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/call.h"
#include "api/spec.h"
#include "base/log.h"
#include "base/map.h"

enum {
	FILES_MAX = 2000,
	FILES_BYTES_MAX = 64 * 1024 * 1024,
	FILES_DEPTH_MAX = 8,
	FILE_PATH_MAX = 4096,
};

struct file {
	struct file *next;
	char etag[24];
	const char *type;
	const char *policy; /* Content-Security-Policy; NULL: none */
	const char *bytes;
	char *own;          /* what bytes points to, unless it is part of the program */
	size_t n;
};

/* What the pages of /docs may do: load files of this server and call it, nothing else. */
static const char docs_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* Places inside the workspace that have an address of their own: its one page answers there. */
static const char *const app_places[] = { "/ops", "/p/:project", "/p/:project/:tab" };

/* What a walk through a folder has used up. */
struct walk {
	struct api *api;
	size_t root_n; /* bytes of the folder's path; what follows is the URL */
	const char *policy;
	bool is_app;   /* its index.html is also the page of app_places */
	unsigned files_n;
	size_t bytes_n;
};

static const struct {
	const char *suffix, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".js", "application/javascript; charset=utf-8" },
	{ ".mjs", "application/javascript; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".map", "application/json; charset=utf-8" },
	{ ".json", "application/json; charset=utf-8" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/x-icon" },
	{ ".woff2", "font/woff2" },
	{ ".txt", "text/plain; charset=utf-8" },
};

static const char *type_of(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t k = strlen(types[i].suffix);

		if (n > k && strcmp(path + n - k, types[i].suffix) == 0)
			return types[i].type;
	}
	return NULL;
}

/* ---- serving --------------------------------------------------------------------- */

/* Does If-None-Match name the tag?  "*", or a list of tags, weak ones too. */
static bool is_known_tag(sio_slice header, const char *etag)
{
	return sio_slice_eq(header, SIO_LIT("*")) || (header.n > 0 && memmem(header.p, header.n, etag, strlen(etag)));
}

static void serve(struct sio_request *req, void *arg)
{
	const struct file *file = arg;

	sio_reply_header(req, SIO_LIT("ETag"), sio_str(file->etag));
	sio_reply_header(req, SIO_LIT("Cache-Control"), SIO_LIT("public, max-age=0"));
	sio_reply_header(req, SIO_LIT("X-Content-Type-Options"), SIO_LIT("nosniff"));
	if (file->policy)
		sio_reply_header(req, SIO_LIT("Content-Security-Policy"), sio_str(file->policy));
	if (is_known_tag(sio_request_header(req, "if-none-match"), file->etag))
		sio_reply(req, 304, NULL, SIO_LIT(""));
	else
		sio_reply(req, 200, file->type, sio_bytes(file->bytes, file->n));
}

/* ---- reading --------------------------------------------------------------------- */

static void file_free(struct file *file)
{
	free(file->own);
	free(file);
}

static void file_tag(struct file *file)
{
	static const uint64_t seed[2] = { 0x736b796275696c64, 0x66696c6573 };

	snprintf(file->etag, sizeof(file->etag), "\"%016llx\"", (unsigned long long)map_hash(seed, file->bytes, file->n));
}

/* The content of path; NULL with errno. */
static struct file *file_read(const char *path, size_t n)
{
	struct file *file = calloc(1, sizeof(*file));
	FILE *f = fopen(path, "re");
	size_t got = 0;

	if (file)
		file->own = malloc(n + 1);
	if (f && file && file->own)
		got = fread(file->own, 1, n + 1, f);
	if (f)
		fclose(f);
	if (!f || !file || !file->own || got != n) {
		if (file)
			file_free(file);
		return NULL;
	}
	file->bytes = file->own;
	file->n = n;
	file_tag(file);
	return file;
}

/* Serve file at url.  A name that is taken is told and left out. */
static int file_route(struct api *api, struct file *file, const char *url)
{
	int err = sio_http_route(api->options.server, "GET", url, serve, file);

	if (err == SIO_ERR_EXISTS || err == SIO_ERR_INVAL) {
		log_warning("the file for %s is not served: %s", url, sio_strerror(err));
		return SIO_OK;
	}
	return err;
}

/* Read one file and serve it at url; index.html also at its folder. */
static int add_file(struct walk *walk, const char *path, const char *url, size_t n)
{
	static const char index_name[] = "/index.html";
	size_t url_n = strlen(url);
	struct file *file;
	int err;

	if (!type_of(path) || walk->files_n >= FILES_MAX || walk->bytes_n + n > FILES_BYTES_MAX) {
		log_warning("%s is not served: %s", path, type_of(path) ? "there is too much in its folder" : "unknown type of file");
		return SIO_OK;
	}
	file = file_read(path, n);
	if (!file) {
		log_warning("%s is not served: it could not be read (%s)", path, strerror(errno));
		return SIO_OK;
	}
	file->type = type_of(path);
	file->policy = walk->policy;
	file->next = walk->api->files;
	walk->api->files = file;
	walk->files_n++;
	walk->bytes_n += n;
	err = file_route(walk->api, file, url);
	if (!err && url_n >= sizeof(index_name) - 1 && strcmp(url + url_n - (sizeof(index_name) - 1), index_name) == 0) {
		char folder[FILE_PATH_MAX];

		snprintf(folder, sizeof(folder), "%.*s", (int)(url_n - (sizeof(index_name) - 2)), url);
		err = file_route(walk->api, file, folder);
	}
	if (walk->is_app && strcmp(url, index_name) == 0)
		for (size_t i = 0; !err && i < sizeof(app_places) / sizeof(app_places[0]); i++)
			err = file_route(walk->api, file, app_places[i]);
	return err;
}

/* Serve what is below folder; names that start with a dot are left out. */
static int add_folder(struct walk *walk, const char *folder, unsigned depth)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int err = SIO_OK;

	if (!dir) {
		log_warning("%s cannot be read: %s", folder, strerror(errno));
		return SIO_OK;
	}
	while (!err && (entry = readdir(dir)) != NULL) {
		char path[FILE_PATH_MAX];
		struct stat st;
		int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);

		if (entry->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(path) || stat(path, &st))
			continue;
		if (S_ISREG(st.st_mode))
			err = add_file(walk, path, path + walk->root_n, (size_t)st.st_size);
		else if (S_ISDIR(st.st_mode) && depth < FILES_DEPTH_MAX)
			err = add_folder(walk, path, depth + 1);
	}
	closedir(dir);
	return err;
}

/* The client's builds, as the Node server serves them, each with its map. */
static int add_client(struct walk *walk, const char *folder)
{
	static const char *const names[] = { "socket.io.js", "socket.io.min.js", "socket.io.esm.min.js",
					     "socket.io.msgpack.min.js" };
	int err = SIO_OK;

	for (size_t i = 0; !err && i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		char path[FILE_PATH_MAX], url[64];
		const char *map = i % 2 ? ".map" : "";
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s%s", folder, names[i / 2], map);
		snprintf(url, sizeof(url), "/socket.io/%s%s", names[i / 2], map);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			err = add_file(walk, path, url, (size_t)st.st_size);
		else if (i == 2) /* the one that the guide's page loads */
			log_warning("no stock client at %s; set CLIENT_DIR to the dist folder of socket.io-client", path);
	}
	return err;
}

/* ---- the API described ------------------------------------------------------------ */

static int add_spec(struct api *api, const char *url, const unsigned char *bytes, size_t n)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return SIO_ERR_NOMEM;
	*file = (struct file){ .next = api->files, .type = type_of(url), .bytes = (const char *)bytes, .n = n };
	file_tag(file);
	api->files = file;
	return file_route(api, file, url);
}

/* The pages that show the descriptions, and what they load. */
static int add_docs(struct walk *walk, const char *web)
{
	static const struct {
		const char *name, *url;
	} rows[] = {
		{ "docs/index.html", "/docs" },
		{ "docs/events.html", "/docs/events" },
		{ "docs/docs.css", "/docs/docs.css" },
		{ "docs/index.js", "/docs/index.js" },
		{ "docs/events.js", "/docs/events.js" },
		{ "node_modules/swagger-ui-dist/swagger-ui-bundle.js", "/docs/swagger-ui-bundle.js" },
		{ "node_modules/swagger-ui-dist/swagger-ui.css", "/docs/swagger-ui.css" },
	};
	int err = SIO_OK;

	for (size_t i = 0; !err && i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[FILE_PATH_MAX];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", web, rows[i].name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			err = add_file(walk, path, rows[i].url, (size_t)st.st_size);
		else
			log_warning("%s is not there: the pages of /docs are not whole", path);
	}
	return err;
}

/* First what is the server's own, so that no file of WEB_ROOT takes its place. */
int files_open(struct api *api)
{
	const struct api_options *o = &api->options;
	struct walk docs = { .api = api, .policy = docs_policy };
	struct walk pages = { .api = api, .root_n = o->web_root ? strlen(o->web_root) : 0, .is_app = true };
	struct walk client = { .api = api };
	int err = add_spec(api, "/openapi.json", spec_openapi, spec_openapi_n);

	if (!err)
		err = add_spec(api, "/asyncapi.json", spec_asyncapi, spec_asyncapi_n);
	if (!err && o->web_dir)
		err = add_docs(&docs, o->web_dir);
	if (!err && o->web_root)
		err = add_folder(&pages, o->web_root, 0);
	if (!err && o->client_dir)
		err = add_client(&client, o->client_dir);
	return err;
}

void files_close(struct api *api)
{
	while (api->files) {
		struct file *next = api->files->next;

		file_free(api->files);
		api->files = next;
	}
}
