/* replay.c -- a main for fuzz targets: runs each file given, and each file of the
 * directories given, through the target once.  Fails when there was none.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned long files_n;

static void fail(const char *path)
{
	perror(path);
	exit(1);
}

/* The copy has exactly the file's size, so that ASan sees one byte too far. */
static void replay_file(const char *path, size_t n)
{
	uint8_t *data = malloc(n ? n : 1);
	FILE *f = fopen(path, "rb");

	if (!data || !f || fread(data, 1, n, f) != n)
		fail(path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	files_n++;
}

static void replay(const char *path)
{
	struct dirent *entry;
	struct stat st;
	char inside[4096];
	DIR *dir;

	if (stat(path, &st) != 0)
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}
	dir = opendir(path);
	if (!dir)
		fail(path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		replay(inside);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%lu files\n", files_n);
	return files_n == 0;
}
