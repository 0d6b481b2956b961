/* base_log_test.c -- log lines: both forms, escapes, cuts, storms.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sio/json.h>

#include "base/log.h"

static char said[65536];

/* Run fn in a process of its own, where nothing has been said yet, and keep what it says
 * until and at its exit. */
static void listen_to(void (*fn)(void))
{
	int fds[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		exit(0);
	}
	close(fds[1]);
	while ((got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The next line of what was said, without its newline. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

/* The lines without their times, joined with "|"; of JSON, from the level on. */
static const char *lines(bool is_json)
{
	static char out[65536];
	const char *priority, *text;
	char *at = said, *line;
	int n = 0;

	out[0] = '\0';
	while ((line = next_line(&at)) != NULL) {
		priority = "";
		if (*line == '<') { /* before the time: "<6>" and no more */
			assert_int_equal(line[2], '>');
			line[2] = '\0';
			priority = line;
			line += 3;
		}
		if (is_json)
			assert_int_equal(sio_json_check(sio_str(line)), SIO_OK);
		text = line + (is_json ? strlen("{\"ts\":\"") : 0);
		assert_true(strlen(text) > 26);
		assert_int_equal(text[10], 'T');
		assert_int_equal(text[23], 'Z');
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%s%s|", priority, *priority ? ">" : "",
			      text + 24 + (is_json ? 2 : 1));
	}
	return out;
}

static void say_levels(void)
{
	log_setup(SIO_LOG_INFO, false);
	log_debug("not %d", 0);
	log_info("one %d", 1);
	log_warning("two");
	log_error("three %s", "words");
	log_fields(SIO_LOG_DEBUG, "not this", "a", "b", NULL);
	log_fields(SIO_LOG_INFO, "with", "user", "anna", "empty", "", "none", NULL, "text", "a b", "sum", "a=b", NULL);
	log_setup(SIO_LOG_ERROR, false);
	log_warning("nor this");
	log_setup(SIO_LOG_DEBUG, false);
	log_debug("four");
}

static void test_levels(void **state)
{
	(void)state;
	listen_to(say_levels);
	assert_string_equal(lines(false), "INFO one 1|WARNING two|ERROR three words|"
					  "INFO with user=anna empty=\"\" none=\"\" text=\"a b\" sum=\"a=b\"|DEBUG four|");
}

static void say_json(void)
{
	log_setup(SIO_LOG_INFO, true);
	log_info("say \"hi\"");
	log_fields(SIO_LOG_ERROR, "with", "user", "anna\\", "empty", "", NULL);
}

static void test_json(void **state)
{
	(void)state;
	listen_to(say_json);
	assert_string_equal(lines(true), "\"level\":\"info\",\"msg\":\"say \\\"hi\\\"\"}|"
					 "\"level\":\"error\",\"msg\":\"with\",\"user\":\"anna\\\\\",\"empty\":\"\"}|");
}

/* Under systemd a line begins with its priority. */
static void say_to_the_journal(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_setup(SIO_LOG_DEBUG, false);
	log_debug("a");
	log_info("b");
	log_warning("c");
	log_error("d");
}

static void test_journal(void **state)
{
	(void)state;
	listen_to(say_to_the_journal);
	assert_string_equal(lines(false), "<7>DEBUG a|<6>INFO b|<4>WARNING c|<3>ERROR d|");
}

/* ---- what strangers send ---------------------------------------------------------- */

static const struct {
	const char *text, *in_text, *in_json;
} escapes[] = {
	{ "a\nb\rc\td", "a\\nb\\rc\\td", "a\\nb\\rc\\td" },
	{ "\x01\x1b[2J\x7f", "\\x01\\x1b[2J\\x7f", "\\u0001\\u001b[2J\\u007f" },
	{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
	  "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\xc2\x85", "\\xc2\\x85", "\\ufffd\\ufffd" },                          /* C1 */
	{ "\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd" },                          /* overlong */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\ufffd\\ufffd\\ufffd" },          /* overlong */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd" },          /* surrogate */
	{ "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" }, /* past U+10FFFF */
	{ "\xff\xe2\x82", "\\xff\\xe2\\x82", "\\ufffd\\ufffd\\ufffd" },          /* stray, cut off */
	{ "quote\" back\\", "quote\" back\\", "quote\\\" back\\\\" },
};

static void say_escapes_text(void)
{
	log_setup(SIO_LOG_INFO, false);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		log_info("%s", escapes[i].text);
}

static void say_escapes_json(void)
{
	log_setup(SIO_LOG_INFO, true);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		log_info("%s", escapes[i].text);
}

static void test_escapes(void **state)
{
	static char want[65536];

	(void)state;
	want[0] = '\0';
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		sprintf(want + strlen(want), "INFO %s|", escapes[i].in_text);
	listen_to(say_escapes_text);
	assert_string_equal(lines(false), want);
	want[0] = '\0';
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		sprintf(want + strlen(want), "\"level\":\"info\",\"msg\":\"%s\"}|", escapes[i].in_json);
	listen_to(say_escapes_json);
	assert_string_equal(lines(true), want);
}

/* A value in quotes escapes them, so that a stranger's text cannot forge a field. */
static void say_forged(void)
{
	log_setup(SIO_LOG_INFO, false);
	log_fields(SIO_LOG_INFO, "m", "user", "a\" admin=\"yes", "path", "C:\\x y", NULL);
}

static void test_forged_fields(void **state)
{
	(void)state;
	listen_to(say_forged);
	assert_string_equal(lines(false), "INFO m user=\"a\\\" admin=\\\"yes\" path=\"C:\\\\x y\"|");
}

static char longest[9000];

static void say_long(void)
{
	memset(longest, '\x01', sizeof(longest) - 1); /* each takes six bytes in JSON */
	log_setup(SIO_LOG_INFO, true);
	log_info("%s", longest);
	log_fields(SIO_LOG_INFO, longest, "user", "anna", NULL);
	log_fields(SIO_LOG_INFO, "short", "long", longest, "user", "anna", NULL);
	log_setup(SIO_LOG_INFO, false);
	memset(longest, 'x', sizeof(longest) - 1);
	log_fields(SIO_LOG_INFO, longest, "user", "anna", NULL);
}

/* A line has 4,096 bytes at most, and stays readable: a field that does not fit is left
 * out whole, quotes are closed. */
static void test_long_lines(void **state)
{
	char *at = said, *line;
	size_t n = 0;

	(void)state;
	listen_to(say_long);
	while ((line = next_line(&at)) != NULL) {
		n++;
		assert_true(strlen(line) < 4096);
		if (n < 4)
			assert_int_equal(sio_json_check(sio_str(line)), SIO_OK);
		assert_int_equal(strstr(line, "...") != NULL, n != 3);
		assert_int_equal(strstr(line, "anna") != NULL, n == 3);
		assert_null(strstr(line, "long\":"));
	}
	assert_int_equal(n, 4);
}

/* ---- storms -------------------------------------------------------------------------- */

static void say_storm(void)
{
	log_setup(SIO_LOG_INFO, false);
	for (int i = 0; i < 20; i++) {
		log_warning("The disk is full");
		log_fields(SIO_LOG_ERROR, "Denied", "user", i % 2 ? "anna" : "ben", NULL);
		log_info("never held back");
	}
}

static unsigned count(const char *text)
{
	unsigned n = 0;

	for (const char *p = said; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

/* Equal warnings are cut after five; at the exit it is told how many there were more. */
static void test_storm(void **state)
{
	(void)state;
	listen_to(say_storm);
	assert_int_equal(count("WARNING The disk is full\n"), 5);
	assert_int_equal(count("WARNING The disk is full (repeated 15 times)\n"), 1);
	assert_int_equal(count("ERROR Denied user=anna\n"), 5);
	assert_int_equal(count("ERROR Denied (repeated 5 times)\n"), 2);
	assert_int_equal(count("INFO never held back\n"), 20);
}

static void say_many_storms(void)
{
	log_setup(SIO_LOG_INFO, true);
	for (int i = 0; i < 7; i++)
		log_warning("the oldest");
	for (int k = 0; k < 16; k++)
		log_warning("storm %d", k);
	log_warning("the last");
}

/* Only so many are watched; the oldest gives way, and says its count when it does. */
static void test_many_storms(void **state)
{
	char *told, *last;

	(void)state;
	listen_to(say_many_storms);
	told = strstr(said, "\"msg\":\"the oldest (repeated 2 times)\"}");
	last = strstr(said, "\"msg\":\"the last\"}");
	assert_non_null(told);
	assert_true(told < last);
	assert_int_equal(count("\"msg\":\"the oldest\"}"), 5);
	assert_int_equal(count("\"msg\":\"storm "), 16);
}

static void say_to_nobody(void)
{
	close(STDERR_FILENO);
	log_setup(SIO_LOG_INFO, false);
	log_info("a");
}

static void test_nobody_listens(void **state)
{
	(void)state;
	listen_to(say_to_nobody);
	assert_string_equal(said, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_forged_fields),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_many_storms),
		cmocka_unit_test(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
