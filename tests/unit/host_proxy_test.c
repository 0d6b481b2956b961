/* host_proxy_test.c -- who the client is when proxies speak for it, as tables.
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

#include "base/buf.h"
#include "host/proxy.h"

enum { ENTRIES_MAX = 8, HEADERS_MAX = 8 };

/* "a b c" as a NULL-terminated list. */
static void split(char *text, const char *sep, const char *out[ENTRIES_MAX + 1])
{
	size_t n = 0;
	char *save;

	for (char *item = strtok_r(text, sep, &save); item && n < ENTRIES_MAX; item = strtok_r(NULL, sep, &save))
		out[n++] = item;
	out[n] = NULL;
}

static int init(struct proxy_list *list, const char *texts, const char **bad)
{
	char *text = strdup(texts);
	const char *items[ENTRIES_MAX + 1];
	int err;

	split(text, " ", items);
	err = proxy_list_init(list, items, bad);
	if (err == SIO_ERR_INVAL) { /* it points into the list */
		static char kept[128];
		snprintf(kept, sizeof(kept), "%s", *bad);
		*bad = kept;
	}
	free(text);
	return err;
}

/* ---- the list --------------------------------------------------------------------- */

static void test_list(void **state)
{
	static const struct {
		const char *texts, *bad; /* bad NULL: accepted */
	} rows[] = {
		{ "10.0.0.0/8", NULL },
		{ "10.0.0.0/0 192.0.2.1 ::/0 ::1 2001:db8::/33", NULL },
		{ "10.0.0.1/8", NULL },
		{ "::ffff:10.0.0.0/104", NULL },
		{ "10.0.0.0/33", "10.0.0.0/33" },
		{ "10.0.0.0/8 ::1/129", "::1/129" },
		{ "::1 proxy.example 10.0.0.1", "proxy.example" },
		{ "10.0.0.0/", "10.0.0.0/" },
		{ "10.0.0.0/-1", "10.0.0.0/-1" },
		{ "10.0.0.0/+8", "10.0.0.0/+8" },
		{ "10.0.0.0/8/8", "10.0.0.0/8/8" },
		{ "10.0.0.0/0008", "10.0.0.0/0008" },
		{ "10.0.0", "10.0.0" },
		{ "010.0.0.1", "010.0.0.1" },
		{ "10.0.0.1:80", "10.0.0.1:80" },
		{ "[::1]", "[::1]" },
		{ "fe80::1%eth0", "fe80::1%eth0" },
		{ "*", "*" },
		{ "/8", "/8" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999", "1111:2222:3333:4444:5555:6666:7777:8888:9999" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct proxy_list list;
		const char *bad = NULL;
		int err = init(&list, rows[i].texts, &bad);

		if (err != (rows[i].bad ? SIO_ERR_INVAL : SIO_OK) || (rows[i].bad && strcmp(bad, rows[i].bad) != 0))
			fail_msg("%s: %d, %s", rows[i].texts, err, bad ? bad : "accepted");
		proxy_list_fini(&list);
	}
}

static void test_no_list(void **state)
{
	struct proxy_list list;
	const char *bad;

	(void)state;
	assert_int_equal(proxy_list_init(&list, NULL, &bad), SIO_OK);
	assert_int_equal(list.n, 0);
	proxy_list_fini(&list);
}

/* ---- the client -------------------------------------------------------------------- */

/* headers: "name=value;name=value".  The request has "Host: own". */
static void look(const char *trusted, const char *peer, bool is_secure, const char *headers, struct proxy_view *v)
{
	struct http1_header all[HEADERS_MAX + 1] = { { SIO_LIT("host"), SIO_LIT("own") } };
	struct http1_request req = { .headers = all, .headers_n = 1 };
	static char text[16384]; /* the view borrows from it */
	const char *items[ENTRIES_MAX + 1], *bad;
	struct proxy_list list;

	snprintf(text, sizeof(text), "%s", headers);
	split(text, ";", items);
	for (size_t i = 0; items[i]; i++) {
		const char *eq = strchr(items[i], '=');
		all[req.headers_n++] = (struct http1_header){ sio_bytes(items[i], (size_t)(eq - items[i])), sio_str(eq + 1) };
	}
	assert_int_equal(init(&list, trusted, &bad), SIO_OK);
	*v = (struct proxy_view){ .is_secure = is_secure, .host = http1_header(&req, "host") };
	snprintf(v->address, sizeof(v->address), "%s", peer);
	proxy_look(&list, &req, v);
	proxy_list_fini(&list);
}

#define FOR "x-forwarded-for="
#define PROTO "x-forwarded-proto="
#define XHOST "x-forwarded-host="

static const struct {
	const char *trusted, *peer, *headers, *want; /* want: address, "http" or "https", host */
} views[] = {
	/* nobody is trusted, or not this one: ignored */
	{ "", "192.0.2.7", FOR "1.2.3.4;" PROTO "https;" XHOST "evil", "192.0.2.7 http own" },
	{ "10.0.0.0/8", "192.0.2.7", FOR "1.2.3.4;" PROTO "https;" XHOST "evil", "192.0.2.7 http own" },
	{ "10.0.0.0/8", "11.0.0.0", FOR "1.2.3.4", "11.0.0.0 http own" },
	{ "10.0.0.0/8", "9.255.255.255", FOR "1.2.3.4", "9.255.255.255 http own" },
	/* one proxy */
	{ "10.0.0.0/8", "10.255.255.255", FOR "1.2.3.4;" PROTO "https;" XHOST "app.example", "1.2.3.4 https app.example" },
	{ "10.1.2.3", "10.1.2.3", FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "10.1.2.3", "10.1.2.4", FOR "1.2.3.4", "10.1.2.4 http own" },
	{ "10.0.0.0/15", "10.1.255.255", FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/15", "10.2.0.0", FOR "1.2.3.4", "10.2.0.0 http own" },
	{ "0.0.0.0/0", "203.0.113.9", FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "10.0.0.1", "", "10.0.0.1 http own" },
	{ "10.9.9.9/8", "10.0.0.1", FOR "1.2.3.4", "1.2.3.4 http own" },
	/* what stands left of the first untrusted hop is the client's own invention */
	{ "10.0.0.0/8", "10.0.0.1", FOR "6.6.6.6, 1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "127.0.0.1, 10.0.0.9, 1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "6.6.6.6;" FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "6.6.6.6, 5.5.5.5;a=b;" FOR "1.2.3.4, 10.0.0.2", "1.2.3.4 http own" },
	/* two proxies; only trusted ones */
	{ "10.0.0.0/8 192.0.2.1", "10.0.0.1", FOR "1.2.3.4, 192.0.2.1", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "10.0.0.3, 10.0.0.2", "10.0.0.3 http own" },
	/* IPv6, mapped addresses on either side */
	{ "2001:db8::/32", "2001:db8:ffff::1", FOR "2001:DB9:0::1", "2001:db9::1 http own" },
	{ "2001:db8::/32", "2001:db9::1", FOR "1.2.3.4", "2001:db9::1 http own" },
	{ "::1", "::1", FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "10.0.0.0/8", "::ffff:10.0.0.1", FOR "::ffff:1.2.3.4", "1.2.3.4 http own" },
	{ "::ffff:10.0.0.0/104", "10.0.0.1", FOR "1.2.3.4", "1.2.3.4 http own" },
	{ "::ffff:10.0.0.0/104", "11.0.0.1", FOR "1.2.3.4", "11.0.0.1 http own" },
	{ "::/0", "10.0.0.1", FOR "1.2.3.4", "10.0.0.1 http own" },
	{ "0.0.0.0/0", "2001:db8::1", FOR "1.2.3.4", "2001:db8::1 http own" },
	{ "fe80::/10", "fe80::1%eth0", FOR "1.2.3.4", "1.2.3.4 http own" },
	/* ports and brackets, as some proxies write them */
	{ "::1", "::1", FOR "1.2.3.4:5678", "1.2.3.4 http own" },
	{ "::1", "::1", FOR "[2001:db8::5]:5678", "2001:db8::5 http own" },
	{ "::1", "::1", FOR "[2001:db8::5]", "2001:db8::5 http own" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1:80", "1.2.3.4 http own" },
	/* garbage stops the walk where it stands */
	{ "10.0.0.0/8", "10.0.0.1", FOR "unknown", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.4, _hidden", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.4, x, 10.0.0.2", "10.0.0.2 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.4,,10.0.0.2", "10.0.0.2 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR, "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR ",", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.4 5.6.7.8", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.256", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "[1.2.3.4]", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "[::1", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "[::1]x", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "[]", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "fe80::1%eth0", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "1.2.3.4\n", "10.0.0.1 http own" },
	{ "10.0.0.0/8", "10.0.0.1", FOR "\"1.2.3.4\"", "10.0.0.1 http own" },
	/* the scheme */
	{ "::1", "::1", PROTO "HTTPS", "::1 https own" },
	{ "::1", "::1", PROTO "wss", "::1 https own" },
	{ "::1", "::1", PROTO "ws", "::1 http own" },
	{ "::1", "::1", PROTO "ftp", "::1 http own" },
	{ "::1", "::1", PROTO "https x", "::1 http own" },
	{ "::1", "::1", PROTO "https,", "::1 http own" },
	{ "::1", "::1", PROTO "http, https", "::1 https own" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1;" PROTO "https, http", "1.2.3.4 https own" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1;" PROTO "http, https, http", "1.2.3.4 https own" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1;" PROTO "https", "1.2.3.4 https own" },
	/* the host */
	{ "::1", "::1", XHOST "app.example:8443", "::1 http app.example:8443" },
	{ "::1", "::1", XHOST "[2001:db8::1]:8443", "::1 http [2001:db8::1]:8443" },
	{ "::1", "::1", XHOST "evil, app.example", "::1 http app.example" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1;" XHOST "evil, app.example, inner", "1.2.3.4 http app.example" },
	{ "::1 10.0.0.1", "::1", FOR "1.2.3.4, 10.0.0.1;" XHOST "app.example", "1.2.3.4 http app.example" },
	{ "::1", "::1", XHOST, "::1 http own" },
	{ "::1", "::1", XHOST "a/b", "::1 http own" },
	{ "::1", "::1", XHOST "a@b", "::1 http own" },
	{ "::1", "::1", XHOST "a b", "::1 http own" },
};

static void test_views(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		struct proxy_view v;
		char got[512];

		look(views[i].trusted, views[i].peer, false, views[i].headers, &v);
		snprintf(got, sizeof(got), "%s %s %.*s", v.address, v.is_secure ? "https" : "http", (int)v.host.n, v.host.p);
		if (strcmp(got, views[i].want) != 0)
			fail_msg("[%s] %s %s: got '%s', want '%s'", views[i].trusted, views[i].peer, views[i].headers, got, views[i].want);
	}
}

/* A proxy that encrypts again has the last word on how the client came. */
static void test_tls_to_the_proxy_alone(void **state)
{
	struct proxy_view v;

	(void)state;
	look("::1", "::1", true, "", &v);
	assert_true(v.is_secure);
	look("::1", "::1", true, PROTO "http", &v);
	assert_false(v.is_secure);
	look("::1", "192.0.2.1", true, PROTO "http", &v);
	assert_true(v.is_secure);
}

/* 1,000 hops that are all trusted: the walk ends at the limit. */
static void test_hops_are_bounded(void **state)
{
	struct buf b = { 0 };
	struct proxy_view v;
	char want[16];

	(void)state;
	buf_str(&b, FOR);
	for (int i = 999; i >= 0; i--)
		buf_printf(&b, "10.0.%d.%d%s", i / 250, i % 250, i ? "," : "");
	buf_byte(&b, '\0');
	look("10.0.0.0/8", "10.9.9.9", false, b.p, &v);
	snprintf(want, sizeof(want), "10.0.0.%d", PROXY_HOPS_MAX - 1);
	assert_string_equal(v.address, want);
	buf_fini(&b);
}

static void test_a_host_of_256_bytes_is_none(void **state)
{
	char headers[512] = XHOST;
	struct proxy_view v;

	(void)state;
	memset(headers + strlen(XHOST), 'a', 255);
	look("::1", "::1", false, headers, &v);
	assert_int_equal(v.host.n, 255);
	memset(headers + strlen(XHOST), 'a', 256);
	look("::1", "::1", false, headers, &v);
	assert_int_equal(v.host.n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_tls_to_the_proxy_alone),
		cmocka_unit_test(test_hops_are_bounded),
		cmocka_unit_test(test_a_host_of_256_bytes_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
