/* config_secret.c -- the signing secret of development, kept beside the database.
 *
 * Two processes may start at once (the server and "skybuild token"): the file is
 * written under another name and linked into place, so that exactly one of them
 * makes it and the other reads the whole of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/config.h"
#include "base/random.h"

enum { SECRET_BYTES = 40, SECRET_TEXT = 2 * SECRET_BYTES };

static const char secret_name[] = ".skybuild-secret";

const char *config_sqlite_path(const struct config *c)
{
	static const char scheme[] = "sqlite:///";

	return strncmp(c->database_url, scheme, sizeof(scheme) - 1) == 0 ? c->database_url + sizeof(scheme) - 1 : NULL;
}

void config_data_dir(const struct config *c, char *out, size_t cap)
{
	const char *path = config_sqlite_path(c);
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		snprintf(out, cap, ".");
	else
		snprintf(out, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Read the secret at path into out.  Returns 0, SIO_ERR_NOENT when there is no
 * such file, SIO_ERR_INVAL when it cannot be used (errno tells why, 0: content). */
static int secret_read(const char *path, char out[SECRET_TEXT + 1])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? SIO_ERR_NOENT : SIO_ERR_INVAL;
	n = read(fd, out, SECRET_TEXT);
	errno = 0;
	close(fd);
	out[SECRET_TEXT] = '\0';
	return n == SECRET_TEXT && strspn(out, "0123456789abcdef") == SECRET_TEXT ? SIO_OK : SIO_ERR_INVAL;
}

/* Write a new secret to path.  Returns 0; SIO_ERR_EXISTS when another process was
 * first; SIO_ERR_INVAL with errno. */
static int secret_write(const char *path)
{
	unsigned char raw[SECRET_BYTES];
	char text[SECRET_TEXT + 1], temporary[4200];
	int fd, err = SIO_ERR_INVAL;

	random_bytes(raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(text + 2 * i, 3, "%02x", raw[i]);
	snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return SIO_ERR_INVAL;
	if (write(fd, text, SECRET_TEXT) == SECRET_TEXT && fsync(fd) == 0)
		err = link(temporary, path) == 0 ? SIO_OK : errno == EEXIST ? SIO_ERR_EXISTS : SIO_ERR_INVAL;
	close(fd);
	unlink(temporary);
	explicit_bzero(text, sizeof(text));
	return err;
}

int config_secret(struct config *c, bool may_make, bool *made, char error[CONFIG_ERROR_MAX])
{
	char dir[4096], path[4160], text[SECRET_TEXT + 1];
	int err;

	*made = false;
	if (c->jwt_secret)
		return SIO_OK;
	if (c->env == CONFIG_PRODUCTION) {
		snprintf(error, CONFIG_ERROR_MAX, "JWT_SECRET is unset; SKYBUILD_ENV=production needs one of 32 bytes or more");
		return SIO_ERR_INVAL;
	}
	config_data_dir(c, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, secret_name);
	err = secret_read(path, text);
	if (err == SIO_ERR_NOENT && may_make) {
		err = secret_write(path);
		*made = !err;
		if (err == SIO_ERR_INVAL) {
			snprintf(error, CONFIG_ERROR_MAX,
				 "JWT_SECRET is unset and one cannot be kept in %.300s: %s; does the folder of DATABASE_URL exist?", path,
				 strerror(errno));
			return err;
		}
		err = secret_read(path, text);
	}
	if (err == SIO_ERR_NOENT)
		return SIO_OK; /* the caller looks only; jwt_secret stays unset */
	if (err) {
		snprintf(error, CONFIG_ERROR_MAX, "JWT_SECRET is unset and %.300s cannot be used: %s; set JWT_SECRET or remove the file", path,
			 errno ? strerror(errno) : "it is no secret that skybuild made");
		return SIO_ERR_INVAL;
	}
	c->jwt_secret = strdup(text);
	explicit_bzero(text, sizeof(text));
	if (!c->jwt_secret)
		snprintf(error, CONFIG_ERROR_MAX, "out of memory");
	return c->jwt_secret ? SIO_OK : SIO_ERR_INVAL;
}
