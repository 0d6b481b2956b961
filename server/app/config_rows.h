/* config_rows.h -- the table behind config.h: one row a variable.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CONFIG_ROWS_H
#define APP_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
	CONFIG_TEXT,   /* char *: any text that the row's check accepts */
	CONFIG_NUMBER, /* uint32_t: min .. max */
	CONFIG_SWITCH, /* uint32_t: true or false */
	CONFIG_CHOICE, /* uint32_t: index into choices */
};

struct config_row {
	const char *name;
	enum config_kind kind;
	size_t offset;           /* of the field in struct config */
	const char *fallback;    /* default as text; NULL: unset */
	uint32_t min, max;       /* CONFIG_NUMBER */
	const char *choices;     /* CONFIG_CHOICE: names separated by one blank */
	bool (*check)(const char *value); /* CONFIG_TEXT; NULL: any text */
	const char *accepts;     /* for a person, behind "accepted: " */
	bool is_secret;          /* value is never shown; NAME_FILE is read too */
	bool is_url_with_secret; /* NAME_FILE is read too, its password is not shown */
	const char *only;        /* this version honours only this value ("": only unset) */
	const char *what;        /* what a later version will do with it, when only is set */
	const char *text;        /* one line for --help */
};

extern const struct config_row config_rows[];
extern const size_t config_rows_n;

#endif
