/* options.h -- the command line that the test servers of this folder share.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/server.h>

struct option {
	const char *name;     /* "--port" */
	const char *text;     /* what it is, for the usage */
	uint32_t *number;     /* where a number goes, or */
	const char **string;  /* a text */
};

/* Read argv into options, or print the usage and exit with 2. */
static inline void read_options(int argc, char **argv, const struct option *options, size_t n)
{
	for (int i = 1; i < argc; i += 2) {
		size_t k = 0;
		char *end = NULL;

		while (k < n && strcmp(options[k].name, argv[i]) != 0)
			k++;
		if (k < n && i + 1 < argc && options[k].number)
			*options[k].number = (uint32_t)strtoul(argv[i + 1], &end, 10);
		else if (k < n && i + 1 < argc)
			*options[k].string = argv[i + 1];
		if (k < n && i + 1 < argc && (!end || !*end))
			continue;
		fprintf(stderr, "usage: %s [option value]...\n", argv[0]);
		for (k = 0; k < n; k++)
			fprintf(stderr, "  %-18s %s\n", options[k].name, options[k].text);
		exit(2);
	}
}

#endif
