/* store_contract_test.c -- every operation, over each kind of store, without a thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_help.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sio/json.h>

#include "base/buf.h"

static int setup(void **state)
{
	struct store *store;

	help_folder_make();
	store = help_open();
	help_fill(store);
	*state = store;
	return 0;
}

static int teardown(void **state)
{
	store_close(*state);
	help_folder_remove();
	return 0;
}

static void users(void **state)
{
	struct store *s = *state;
	struct store_result *r = help_run(s, ASK(.op = STORE_USER_GET, .user = S("anna")), STORE_OK);

	assert_has(r->json, "\"user_id\":\"anna\",\"name\":\"Anna\",\"created_at\":\"2026-02-25T06:13:20.000Z\"");
	assert_false(help_has(r->json, "hash"));
	assert_string_equal(r->secret, "hash-a");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_USER_GET, .user = S("nobody")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_USER_ADD, .user = S("anna"), .body = S("{\"name\":\"X\"}")), STORE_EXISTS);
	help_do(s, ASK(.op = STORE_USER_ADD, .user = S("x"), .body = S("{}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_USER_ADD, .user = S("a\nb"), .body = S("{\"name\":\"X\"}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_USER_ENSURE, .user = S("anna"), .body = S("{\"name\":\"Other\"}")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_USER_ENSURE, .user = S("dora")), STORE_OK);
	assert_has(r->json, "\"name\":\"dora\"");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_USER_PASSWORD, .user = S("ben"), .secret = S("hash-b")), STORE_OK);
	help_do(s, ASK(.op = STORE_USER_PASSWORD, .user = S("zoe"), .secret = S("hash-b")), STORE_NOT_FOUND);
	r = help_run(s, ASK(.op = STORE_USER_GET, .user = S("ben")), STORE_OK);
	assert_string_equal(r->secret, "hash-b");
	store_result_free(r);
}

static void pages(void **state)
{
	struct store *s = *state;
	struct store_result *r = help_run(s, ASK(.op = STORE_USER_LIST, .limit = 2), STORE_OK);
	char cursor[256];

	assert_int_equal(r->rows_n, 2);
	assert_has(r->json, "\"anna\"");
	assert_has(r->json, "\"ben\"");
	assert_true(r->cursor.n > 0 && r->cursor.n < sizeof(cursor));
	snprintf(cursor, sizeof(cursor), "%.*s", (int)r->cursor.n, r->cursor.p);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_USER_LIST, .limit = 2, .cursor = S(cursor)), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	assert_has(r->json, "\"cleo\"");
	assert_int_equal(r->cursor.n, 0);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_USER_LIST, .cursor = S("zz")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_USER_LIST, .cursor = S("61")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .cursor = S(cursor)), STORE_INVALID);
}

static void projects(void **state)
{
	struct store *s = *state;
	struct store_result *r = help_run(s, ASK(.op = STORE_PROJECT_GET, .project = S("proj-1"), .user = S("ben")), STORE_OK);

	assert_has(r->json, "\"role\":\"editor\"");
	assert_string_equal(r->role, "editor");
	assert_int_equal(r->version, 1);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_PROJECT_PATCH, .project = S("proj-1"), .actor = S("anna"),
			    .body = S("{\"description\":\"new\"}"), .version = 1), STORE_OK);
	assert_text(r->event_type, "project:updated");
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"updates\":{\"description\":\"new\"},\"version\":2,"
			      "\"updated_by\":\"anna\",\"seq\":2}");
	assert_int_equal(r->version, 2);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_PROJECT_PATCH, .project = S("proj-1"), .actor = S("anna"),
			    .body = S("{\"name\":\"x\",\"version\":1}")), STORE_CONFLICT);
	assert_has(r->json, "\"version\":2");
	assert_int_equal(r->event.n, 0);
	assert_int_equal(r->seq, 0);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-1"), .user = S("anna"), .body = S("{\"name\":\"x\"}")),
		STORE_EXISTS);
	help_do(s, ASK(.op = STORE_PROJECT_ADD, .project = S("p2"), .user = S("anan"), .body = S("{\"name\":\"x\"}")), STORE_REFUSED);
	/* An authenticated founder need not have an account. */
	r = help_run(s, ASK(.op = STORE_PROJECT_ADD, .user = S("new|1"), .actor = S("new|1"), .body = S("{\"name\":\"x\"}")), STORE_OK);
	assert_has(r->json, "\"project_id\":\"proj-");
	assert_has(r->json, "\"role\":\"owner\"");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_PROJECT_LIST, .user = S("ben")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_PROJECT_LIST), STORE_OK);
	assert_int_equal(r->rows_n, 2);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_PROJECT_DELETE, .project = S("proj-1"), .actor = S("anna"), .version = 1), STORE_CONFLICT);
	r = help_run(s, ASK(.op = STORE_PROJECT_DELETE, .project = S("proj-1"), .actor = S("anna")), STORE_OK);
	assert_text(r->event_type, "project:deleted");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_PROJECT_GET, .project = S("proj-1")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1")), STORE_NOT_FOUND);
}

static void collaborators(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("nobody"), .body = S("{\"role\":\"viewer\"}")), STORE_REFUSED);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("no"), .user = S("ben"), .body = S("{\"role\":\"viewer\"}")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("ben"), .body = S("{\"role\":\"boss\"}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("anna"), .body = S("{\"role\":\"viewer\"}")), STORE_REFUSED);
	help_do(s, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("anna")), STORE_REFUSED);
	help_do(s, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("cleo")), STORE_NOT_FOUND);
	/* The same role again is no event. */
	r = help_run(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("ben"), .body = S("{\"role\":\"editor\"}")), STORE_OK);
	assert_int_equal(r->seq, 0);
	assert_text(r->json, "{\"user_id\":\"ben\",\"name\":\"Ben\",\"role\":\"editor\"}");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("ben"), .body = S("{\"role\":\"owner\"}")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("anna"), .actor = S("ben")), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"user_id\":\"anna\",\"role\":null,\"updated_by\":\"ben\",\"seq\":3}");
	assert_int_equal(r->seq, 3);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_COLLAB_LIST, .project = S("proj-1")), STORE_OK);
	assert_text(r->json, "[{\"user_id\":\"ben\",\"name\":\"Ben\",\"role\":\"owner\"}]");
	store_result_free(r);
}

static void roles(void **state)
{
	struct store *s = *state;
	struct store_result *r = help_run(s, ASK(.op = STORE_ROLE_GET, .project = S("proj-1"), .user = S("ben")), STORE_OK);

	assert_string_equal(r->role, "editor");
	assert_int_equal(r->seq, 1); /* ben's own entry */
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_ROLE_GET, .project = S("proj-1"), .user = S("cleo")), STORE_OK);
	assert_string_equal(r->role, "");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_ROLE_GET, .project = S("no"), .user = S("ben")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_ROLE_GET, .user = S("ben")), STORE_INVALID);
	r = help_run(s, ASK(.op = STORE_ROLE_LIST, .user = S("ben"), .body = S("[\"no\", \"proj-1\", 7, \"\", \"proj-2\"]")), STORE_OK);
	assert_text(r->json, "[{\"project_id\":\"proj-1\",\"role\":\"editor\",\"seq\":1}]");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_ROLE_LIST, .user = S("ben"), .body = S("{}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_ROLE_LIST, .user = S("ben"), .body = S("[1,")), STORE_INVALID);
}

static bool may_from_editor(const char *role, int action)
{
	return action == 7 && (strcmp(role, "owner") == 0 || strcmp(role, "editor") == 0);
}

/* The question whether one may is asked in the transaction of what is asked. */
static void may_ask(void **state)
{
	struct store *s = *state;
	struct store_ask ask = *ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .actor = S("cleo"), .body = S("{}"), .may = may_from_editor,
				    .action = 7, .key = S("k"));
	struct store_result *r;

	r = help_run(s, &ask, STORE_FORBIDDEN);
	assert_string_equal(r->role, "");
	assert_int_equal(r->seq, 0);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("cleo"), .actor = S("anna"), .body = S("{\"role\":\"viewer\"}")), STORE_OK);
	r = help_run(s, &ask, STORE_FORBIDDEN);
	assert_string_equal(r->role, "viewer");
	store_result_free(r);
	ask.actor = S("ben");
	r = help_run(s, &ask, STORE_OK);
	assert_string_equal(r->role, "");
	store_result_free(r);
	ask.action = 8; /* an answer that is kept is not for who may no longer ask */
	help_do(s, &ask, STORE_FORBIDDEN);
	/* Reads too; nobody has a role in what is not there. */
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .actor = S("cleo"), .may = may_from_editor, .action = 7), STORE_FORBIDDEN);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .actor = S("ben"), .may = may_from_editor, .action = 7), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("none"), .actor = S("anna"), .may = may_from_editor, .action = 7), STORE_FORBIDDEN);
	r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
}

static void boq_one(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	r = help_run(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("item-789"), .actor = S("anna"),
			    .body = S("{\"code\":\"03.2\",\"description\":\"Slabs\",\"unit\":\"m³\",\"qty\":148.50,"
				      "\"unit_price\":\"182.40\",\"section\":\"03 Concrete\"}")), STORE_OK);
	assert_text(r->json, "{\"item_id\":\"item-789\",\"code\":\"03.2\",\"description\":\"Slabs\",\"unit\":\"m³\",\"qty\":148.5,"
			     "\"unit_price\":182.4,\"total\":27086.4,\"section\":\"03 Concrete\",\"version\":1,"
			     "\"updated_at\":\"2026-02-25T06:13:20.000Z\",\"updated_by\":\"anna\"}");
	assert_text(r->event_type, "boq:item:created");
	assert_has(r->event, "{\"project_id\":\"proj-1\",\"item_id\":\"item-789\",\"item\":{\"item_id\":");
	assert_int_equal(r->seq, 2);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("item-789"), .body = S("{}")), STORE_EXISTS);
	r = help_run(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("item-789"), .actor = S("user-456"),
			    .body = S("{\"qty\": 150, \"unit_price\": 45.5}"), .version = 1), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"item_id\":\"item-789\",\"updates\":{\"qty\":150,\"unit_price\":45.5},"
			      "\"version\":2,\"total\":6825,\"updated_by\":\"user-456\",\"seq\":3}");
	assert_int_equal(r->seq, 3);
	assert_has(r->json, "\"description\":\"Slabs\"");
	store_result_free(r);
	/* Both the header's and the body's version must be the row's. */
	help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("item-789"), .body = S("{\"qty\":1,\"version\":1}"),
		       .version = 2), STORE_CONFLICT);
	help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("item-789"), .body = S("{\"qty\":1,\"version\":0}")),
		STORE_CONFLICT);
	r = help_run(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("item-789"), .body = S("{\"qty\":1}"),
			    .version = 1), STORE_CONFLICT);
	assert_has(r->json, "\"qty\":150");
	assert_int_equal(r->version, 2);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("no"), .body = S("{\"qty\":1}")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_BOQ_DELETE, .project = S("proj-1"), .item = S("item-789"), .version = 1), STORE_CONFLICT);
	r = help_run(s, ASK(.op = STORE_BOQ_DELETE, .project = S("proj-1"), .item = S("item-789"), .actor = S("ben"), .version = 2), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"item_id\":\"item-789\",\"updated_by\":\"ben\",\"seq\":4}");
	assert_int_equal(r->seq, 4);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_BOQ_GET, .project = S("proj-1"), .item = S("item-789")), STORE_NOT_FOUND);
	r = help_run(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S("{\"item_id\":\"named\"}")), STORE_OK);
	assert_has(r->json, "\"item_id\":\"named\"");
	store_result_free(r);
}

static void boq_bodies_refused(void **state)
{
	static const char *const bad[] = {
		"", "[]", "null", "{", "{\"qty\":}", "{\"qty\":1,\"qty\":2}", "{\"quantity\":1}", "{\"qty\":\"abc\"}", "{\"qty\":true}",
		"{\"qty\":null}", "{\"qty\":1e400}", "{\"qty\":1e-7}", "{\"qty\":1234567890123456789}", "{\"qty\":\" 1\"}",
		"{\"qty\":\"0x10\"}", "{\"qty\":NaN}", "{\"description\":7}", "{\"description\":\"a\\u0000b\"}",
		"{\"description\":\"\\ud800\"}", "{\"description\":\"\\u0007\"}", "{\"description\":\"\xff\"}", "{\"version\":\"1\"}",
		"{\"version\":-1,\"qty\":1}", "{\"code\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		"{\"\\u0071ty\":1}",
	};
	struct store *s = *state;

	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("i"), .body = S("{}")), STORE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S(bad[i])), STORE_INVALID);
		help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("i"), .body = S(bad[i])), STORE_INVALID);
	}
	for (int i = 0; i < 2; i++) { /* a name that may be shown, and one that may not */
		struct store_result *r = help_run(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("i"),
							 .body = i ? S("{\"q\x7f\":1}") : S("{\"quantity\":1}")), STORE_INVALID);
		assert_string_equal(r->error, i ? "'?' is not a field of a BoQ item; it has code, description, unit, qty, unit_price, section, item_id, version"
						: "'quantity' is not a field of a BoQ item; it has code, description, unit, qty, unit_price, section, item_id, version");
		store_result_free(r);
	}
	help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("i"), .body = S("{}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_PATCH, .project = S("proj-1"), .item = S("i"), .body = S("{\"total\":5}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("no"), .body = S("{}")), STORE_NOT_FOUND);
}

static void boq_order_and_pages(void **state)
{
	struct store *s = *state;
	char body[128], cursor[1024] = "";
	int seen = 0, last = -1;

	for (int i = 0; i < 25; i++) {
		int k = i * 7 % 25; /* any order in */
		snprintf(body, sizeof(body), "{\"section\":\"%02d\",\"code\":\"%02d\",\"item_id\":\"i%d\"}", k / 10, k % 10, k);
		help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S(body)), STORE_OK);
	}
	do {
		struct store_result *r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .limit = 10, .cursor = S(cursor)), STORE_OK);
		const char *p = r->json.p, *end = p + r->json.n;
		while ((p = memmem(p, (size_t)(end - p), "\"item_id\":\"i", 12)) != NULL) {
			int k = atoi(p += 12);
			assert_int_equal(k, last + 1);
			last = k;
			seen++;
		}
		snprintf(cursor, sizeof(cursor), "%.*s", (int)r->cursor.n, r->cursor.n ? r->cursor.p : "");
		store_result_free(r);
	} while (cursor[0]);
	assert_int_equal(seen, 25);
}

/* Every byte needs an escape, between items that need none. */
static void boq_escapes(void **state)
{
	enum { N = 2000, ITEMS = 7 };
	static char body[2 * N + 64], want[N + 1], got[N + 1];
	struct store *s = *state;
	struct store_result *r;
	sio_slice rest, item;
	int n = 0;

	for (size_t i = 0; i < N; i++)
		want[i] = i % 3 == 1 ? '\\' : i % 3 == 2 ? '\n' : '"';
	strcpy(body, "{\"unit\":\"m\",\"description\":");
	body[strlen(body) + sio_json_quote(sio_bytes(want, N), body + strlen(body), 2 * N + 2)] = '}';
	for (int i = 0; i < ITEMS; i++) {
		char id[] = { 'i', (char)('0' + i), '\0' };
		help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S(id), .body = i % 2 ? S(body) : S("{}")), STORE_OK);
	}
	r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1")), STORE_OK);
	assert_int_equal(sio_json_check(r->json), SIO_OK);
	rest = sio_json_inside(r->json);
	for (; sio_json_next(&rest, &item) == SIO_OK; n++) {
		struct sio_json_field text = { .key = "description" };
		assert_int_equal(sio_json_pick(item, &text, 1), SIO_OK);
		assert_int_equal(sio_json_unquote(text.value, got, sizeof(got)), n % 2 ? N : 0);
		assert_memory_equal(got, want, n % 2 ? N : 0);
	}
	assert_int_equal(n, ITEMS);
	store_result_free(r);
}

static void boq_bulk(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("a"), .body = S("{}")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("b"), .body = S("{}")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_BOQ_BULK, .project = S("proj-1"), .actor = S("user-456"),
			    .body = S("[{\"item_id\":\"a\",\"qty\":2,\"unit_price\":0.1},{\"item_id\":\"b\",\"version\":9,\"qty\":1},"
				      "{\"item_id\":\"none\",\"qty\":1},{\"item_id\":\"b\",\"qty\":\"x\"},7,{\"qty\":3},"
				      "{\"item_id\":\"b\",\"version\":1,\"qty\":5}]")), STORE_OK);
	assert_has(r->json, "{\"total\":7,\"updated\":2,\"skipped\":5,\"why\":[{\"item_id\":\"b\",\"code\":\"conflict\"");
	assert_has(r->json, "the BoQ item is at 1\",\"current\":{\"item_id\":\"b\",");
	assert_has(r->json, "{\"item_id\":\"none\",\"code\":\"not_found\"");
	assert_has(r->json, "{\"item_id\":null,\"code\":\"invalid\"");
	assert_text(r->event_type, "boq:bulk:updated");
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"summary\":{\"total\":7,\"updated\":2,\"skipped\":5},\"updated_by\":\"user-456\","
			      "\"item_ids\":[\"a\",\"b\"],\"seq\":4}");
	assert_int_equal(r->seq, 4);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_BOQ_GET, .project = S("proj-1"), .item = S("a")), STORE_OK);
	assert_has(r->json, "\"total\":0.2");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_BOQ_BULK, .project = S("proj-1"), .body = S("[]")), STORE_OK);
	assert_int_equal(r->seq, 0);
	assert_int_equal(r->event.n, 0);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_BOQ_BULK, .project = S("proj-1"), .body = S("{}")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_BULK, .project = S("no"), .body = S("[]")), STORE_NOT_FOUND);
}

/* An event names what was changed up to STORE_BULK_IDS_BYTES, and nothing where that takes more. */
static void boq_bulk_of_many_ids(void **state)
{
	struct store *s = *state;
	struct buf b = { 0 };
	char id[STORE_ID_MAX + 1];

	memset(id, 'x', STORE_ID_MAX);
	id[STORE_ID_MAX] = '\0';
	for (int n = 0; n < STORE_BULK_IDS_BYTES / (STORE_ID_MAX + 3) + 1; n++) {
		snprintf(id, sizeof(id), "%06d", n);
		id[6] = 'x';
		help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S(id), .body = S("{}")), STORE_OK);
		buf_printf(&b, "%s{\"item_id\":\"%s\",\"qty\":7}", n ? "," : "[", id);
		if (n < STORE_BULK_IDS_BYTES / (STORE_ID_MAX + 3) - 1)
			continue;
		buf_byte(&b, ']');
		struct store_result *r = help_run(s, ASK(.op = STORE_BOQ_BULK, .project = S("proj-1"), .body = buf_peek(&b)), STORE_OK);
		b.n--;
		bool is_named = memmem(r->event.p, r->event.n, id, STORE_ID_MAX) != NULL;
		assert_int_equal(is_named, n * (STORE_ID_MAX + 3) + STORE_ID_MAX + 2 <= STORE_BULK_IDS_BYTES);
		assert_int_equal(is_named, memmem(r->event.p, r->event.n, "item_ids", 8) != NULL);
		store_result_free(r);
	}
	buf_fini(&b);
}

static void idempotency(void **state)
{
	struct store *s = *state;
	struct store_ask ask = { .op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1"), .actor = S("svc"), .key = S("k1") };
	struct store_result *r = help_run(s, &ask, STORE_OK);

	assert_int_equal(r->seq, 1);
	assert_false(r->is_repeat);
	store_result_free(r);
	r = help_run(s, &ask, STORE_OK);
	assert_int_equal(r->seq, 1);
	assert_true(r->is_repeat);
	assert_text(r->event, "1");
	assert_text(r->event_type, "x");
	store_result_free(r);
	ask.body = S("2");
	help_do(s, &ask, STORE_REFUSED);
	ask.actor = S("other"); /* another's key is another key */
	r = help_run(s, &ask, STORE_OK);
	assert_int_equal(r->seq, 2);
	store_result_free(r);
	help_now_ms += 24 * 3600 * 1000LL + 1;
	r = help_run(s, &ask, STORE_OK);
	assert_int_equal(r->seq, 3);
	assert_false(r->is_repeat);
	store_result_free(r);
	/* A refused request leaves no answer behind. */
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S("{\"qty\":\"x\"}"), .key = S("k2")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S("{\"qty\":\"1\"}"), .key = S("k2")), STORE_OK);
	help_now_ms = 1772000000000;
}

static void counts(void **state)
{
	struct store_result *r = help_run(*state, ASK(.op = STORE_COUNTS), STORE_OK);

	assert_text(r->json, "{\"users\":3,\"projects\":1,\"boq_items\":0,\"tasks\":0,\"comments\":0,\"events\":1}");
	store_result_free(r);
	help_do(*state, ASK(.op = STORE_PING), STORE_OK);
}

static void stays_after_reopen(void **state)
{
	struct stat st;
	char path[128];

	store_close(*state);
	*state = help_open();
	help_do(*state, ASK(.op = STORE_PROJECT_GET, .project = S("proj-1")), STORE_OK);
	if (help_kind != HELP_SQLITE)
		return;
	snprintf(path, sizeof(path), "%s/test.db", help_folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void open_refused(const char *url, const char *says)
{
	struct store_options options = { .url = url };
	struct store *store;
	char error[STORE_ERROR_MAX];

	assert_true(store_open(&options, &store, error) < 0);
	assert_has(S(error), says);
}

/* A file that is none of SQLite's, and another program's tables. */
static void bad_files(void)
{
	char path[128], url[160];
	sqlite3 *h;
	FILE *file;

	open_refused("sqlite:////nowhere/at/all.db", "cannot open");
	snprintf(path, sizeof(path), "%s/junk.db", help_folder);
	snprintf(url, sizeof(url), "sqlite:///%s", path);
	file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 4096; i++)
		fputs("junk", file);
	fclose(file);
	open_refused(url, "not a database");
	snprintf(path, sizeof(path), "%s/other.db", help_folder);
	snprintf(url, sizeof(url), "sqlite:///%s", path);
	sqlite3_open(path, &h);
	sqlite3_exec(h, "CREATE TABLE theirs (x)", NULL, NULL, NULL);
	sqlite3_close(h);
	open_refused(url, "another program's tables");
}

/* No server, none that lets us in, no schema, another program's tables, an encoding that is not ours. */
static void bad_servers(void)
{
	char url[320];

	open_refused("postgresql://u:geheim@127.0.0.1:1/d", "cannot reach PostgreSQL at u@127.0.0.1:1/d");
	open_refused("postgresql://u:geheim@/d?host=/nowhere", "cannot reach PostgreSQL at u@/nowhere:5432/d");
	snprintf(url, sizeof(url), "%s&dbname=nothere", pg_server_url());
	open_refused(url, "database \"nothere\" does not exist");
	snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dnothere", pg_server_url());
	open_refused(url, "no schema of search_path");
	pg_server_run(pg_server_url(), "DROP SCHEMA IF EXISTS theirs CASCADE; CREATE SCHEMA theirs; CREATE TABLE theirs.theirs (x int)");
	snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dtheirs", pg_server_url());
	open_refused(url, "another program's tables");
	pg_server_run(pg_server_url(), "DROP DATABASE IF EXISTS latin");
	pg_server_run(pg_server_url(), "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
	snprintf(url, sizeof(url), "%s&dbname=latin", pg_server_url());
	open_refused(url, "has encoding LATIN1");
}

static void bad_databases(void **state)
{
	(void)state;
	if (help_kind == HELP_SQLITE)
		bad_files();
	else
		bad_servers();
	help_sql("INSERT INTO schema_version VALUES (99, '')");
	open_refused(help_url(), "has schema 99, this skybuild knows up to");
}

static void urls(void **state)
{
	static const struct {
		const char *url, *says; /* NULL: accepted */
	} cases[] = {
		{ "sqlite:///skybuild.db", NULL }, { "sqlite:////srv/x.db", NULL }, { "sqlite:///:memory:", NULL },
		{ "", "empty" }, { NULL, "empty" }, { "skybuild.db", "no URL" }, { "sqlite://x.db", "three slashes" },
		{ "sqlite:x", "three slashes" }, { "sqlite:///", "no path" }, { "sqlite:///x/", "no file name" },
		{ "sqlite:///x?mode=ro", "'?'" }, { "mysql://u:geheim@h/d", "unknown scheme 'mysql'" },
		{ "memory:", NULL }, { "postgresql://u:geheim@h/d", NULL }, { "postgres://u:geheim@h:5433/d?sslmode=verify-full", NULL },
		{ "postgresql://u@/d?host=%2Frun%2Fpostgresql", NULL }, { "postgresql://", NULL }, { "postgresql://u:geheim@a,b/d?target_session_attrs=any", NULL },
		{ "postgresql://u:geheim%zz@h/d", "no URL that PostgreSQL's library takes" }, { "postgres://h/d?geheim=1", "no URL that" },
		{ "postgresql://u:geheim@[::1/d", "no URL that" }, { "postgresq://u:geheim@h/d", "unknown scheme 'postgresq'" },
	};
	char error[STORE_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = store_url_check(cases[i].url, error);
		assert_int_equal(r, cases[i].says ? SIO_ERR_INVAL : SIO_OK);
		if (cases[i].says)
			assert_has(S(error), cases[i].says);
		assert_false(help_has(S(error), "geheim"));
	}
}

static void demo(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	char error[STORE_ERROR_MAX];

	for (int i = 0; i < 2; i++) { /* the second time changes nothing */
		assert_int_equal(store_demo(s, NULL, error), STORE_OK);
		r = help_run(s, ASK(.op = STORE_COUNTS), STORE_OK);
		assert_text(r->json, "{\"users\":6,\"projects\":2,\"boq_items\":203,\"tasks\":24,\"comments\":38,\"events\":292}");
		store_result_free(r);
	}
	r = help_run(s, ASK(.op = STORE_BOQ_GET, .project = S("proj-riverside"), .item = S("item-0302")), STORE_OK);
	assert_has(r->json, "\"qty\":148.5,\"unit_price\":182.4,\"total\":27086.4,\"section\":\"03 Concrete\"");
	store_result_free(r);
	/* Somebody was given tasks and was spoken to; a comment is about a task. */
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("mara")), STORE_OK);
	assert_has(r->json, "Ben mentioned you: @mara can we decide before the next climb?");
	assert_has(r->json, "Anna assigned you a task: Inspect tanking before backfill");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_COMMENT_LIST, .project = S("proj-riverside"), .task = 8), STORE_OK);
	assert_int_equal(r->rows_n, 2);
	store_result_free(r);
}

static void demo_bulk(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	char error[STORE_ERROR_MAX];

	assert_int_equal(store_demo_bulk(s, 300, 4, error), STORE_OK);
	assert_int_equal(store_demo_bulk(s, 301, 4, error), STORE_OK);
	r = help_run(s, ASK(.op = STORE_COLLAB_LIST, .project = S("proj-3"), .limit = 1000), STORE_OK);
	assert_int_equal(r->rows_n, 301);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_ROLE_GET, .project = S("proj-3"), .user = S("user-300")), STORE_OK);
	assert_string_equal(r->role, "editor");
	store_result_free(r);
}

/* While another process writes, a write says BUSY and a read answers. */
static void database_held(void **state)
{
	struct store *s = *state;

	help_hold();
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S("{}")), STORE_BUSY);
	help_do(s, ASK(.op = STORE_PROJECT_GET, .project = S("proj-1")), STORE_OK);
	help_release();
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S("{}")), STORE_OK);
}

/* A disk that takes no more: the write says so and has not happened; reads go on; with
 * room again so do writes. */
static void disk_full(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	struct rlimit old, small;
	char big[1100];
	int refused = 0, made = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 300 * 1024;
	snprintf(big, sizeof(big), "{\"description\":\"%01000d\"}", 0);
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 500 && refused < 3; i++) {
		r = store_run(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S(big)));
		assert_non_null(r);
		made += r->status == STORE_OK;
		refused += r->status == STORE_UNAVAILABLE;
		assert_true(r->status == STORE_OK || r->status == STORE_UNAVAILABLE);
		assert_true(r->status == STORE_OK || (r->seq == 0 && r->event.n == 0));
		store_result_free(r);
	}
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(refused, 3);
	r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .limit = 1000), STORE_OK);
	assert_int_equal(r->rows_n, made);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .body = S(big)), STORE_OK);
	assert_int_equal(r->seq, made + 2); /* dense: the refused took no number */
	store_result_free(r);
}

int main(void)
{
	const struct help_test tests[] = {
		HELP_TEST(HELP_ALL, users, setup, teardown),
		HELP_TEST(HELP_ALL, pages, setup, teardown),
		HELP_TEST(HELP_ALL, projects, setup, teardown),
		HELP_TEST(HELP_ALL, collaborators, setup, teardown),
		HELP_TEST(HELP_ALL, roles, setup, teardown),
		HELP_TEST(HELP_ALL, may_ask, setup, teardown),
		HELP_TEST(HELP_ALL, boq_one, setup, teardown),
		HELP_TEST(HELP_ALL, boq_bodies_refused, setup, teardown),
		HELP_TEST(HELP_ALL, boq_order_and_pages, setup, teardown),
		HELP_TEST(HELP_ALL, boq_escapes, setup, teardown),
		HELP_TEST(HELP_ALL, boq_bulk, setup, teardown),
		HELP_TEST(HELP_ALL, boq_bulk_of_many_ids, setup, teardown),
		HELP_TEST(HELP_ALL, idempotency, setup, teardown),
		HELP_TEST(HELP_ALL, counts, setup, teardown),
		HELP_TEST(HELP_KEPT, stays_after_reopen, setup, teardown),
		HELP_TEST(HELP_KEPT, bad_databases, setup, teardown),
		HELP_TEST(HELP_KEPT, database_held, setup, teardown),
		HELP_TEST(HELP_SQLITE, disk_full, setup, teardown),
		HELP_TEST(HELP_ALL, demo, setup, teardown),
		HELP_TEST(HELP_ALL, demo_bulk, setup, teardown),
		HELP_TEST(HELP_SQLITE, urls, NULL, NULL),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
