/* pg_link.c -- one connection to PostgreSQL: making it, losing it, making it again with a
 * back-off, and the pipeline of statements over it.
 *
 * Knows libpq and refuses to know transactions.  No call waits without an end: a server
 * that is silent for PG_ANSWER_MS is lost like one that has closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/pg.h"

/* ---- what a failure was ------------------------------------------------------ */

/* libpq's texts have several lines; a log has one. */
static void one_line(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t' || *p == '\r')
			*p = ' ';
}

void pg_link_fail(struct pg_link *link, const char *state, const char *fmt, ...)
{
	va_list ap;

	snprintf(link->state, sizeof(link->state), "%s", state);
	link->constraint[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(link->why, sizeof(link->why), fmt, ap);
	va_end(ap);
	one_line(link->why);
}

/* Remember what the server says of a statement. */
static void take_failure(struct pg_link *link, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE), *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);

	pg_link_fail(link, state ? state : "", "%s", text ? text : PQresultErrorMessage(result));
	snprintf(link->constraint, sizeof(link->constraint), "%s", constraint ? constraint : "");
}

/* Does the failure mean that this connection is of no use any more?  Shutting down, an
 * administrator's kill, a server that became a standby; statements that it has forgotten. */
static bool is_end(const char *state)
{
	static const char *const ends[] = { "57P01", "57P02", "57P03", "57P05", "25006", "25P03", "26000", "0A000" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(state, ends[i]) == 0)
			return true;
	return strncmp(state, "08", 2) == 0;
}

/* ---- connecting ----------------------------------------------------------------- */

int pg_link_init(struct pg_link *link, const char *url)
{
	*link = (struct pg_link){ .url = strdup(url), .retry_ms = PG_RETRY_MIN_MS };
	pg_url_show(url, link->shown, sizeof(link->shown));
	return link->url ? SIO_OK : SIO_ERR_NOMEM;
}

void pg_link_lose(struct pg_link *link)
{
	PQfinish(link->conn);
	link->conn = NULL;
	link->queue_n = 0;
}

void pg_link_fini(struct pg_link *link)
{
	pg_link_lose(link);
	if (link->url)
		explicit_bzero(link->url, strlen(link->url));
	free(link->url);
	link->url = NULL;
}

static void ignore_notice(void *arg, const char *text)
{
	(void)arg, (void)text;
}

/* What stands before dbname the URL may set otherwise. */
PGconn *pg_link_dial(struct pg_link *link)
{
	static const char timeout[] = { '0' + PG_CONNECT_S, '\0' };
	const char *const names[] = { "connect_timeout", "application_name", "target_session_attrs", "tcp_user_timeout", "keepalives_idle",
				      "dbname", "client_encoding", NULL };
	const char *const values[] = { timeout, "skybuild", "read-write", "10000", "10", link->url, "UTF8", NULL };
	PGconn *conn = PQconnectdbParams(names, values, 1);

	if (PQstatus(conn) == CONNECTION_OK) {
		PQsetNoticeProcessor(conn, ignore_notice, NULL);
		return conn;
	}
	pg_link_fail(link, "", "%s", conn ? PQerrorMessage(conn) : "out of memory");
	PQfinish(conn);
	return NULL;
}

/* Tables are small when the first plans are made and large later: the index is always
 * right.  An answer means durable, whatever the server's default is. */
static const char session[] =
	"SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d; SET statement_timeout = %d;"
	"SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;"
	"SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

static bool set_up(struct pg_link *link)
{
	char text[sizeof(session) + 32];
	PGresult *result;
	bool is_good;

	snprintf(text, sizeof(text), session, SQL_BUSY_MS, PG_FROZEN_MS, PG_STATEMENT_MS);
	result = PQexec(link->conn, text);
	is_good = PQresultStatus(result) == PGRES_TUPLES_OK;
	if (!is_good)
		take_failure(link, result);
	PQclear(result);
	if (is_good && (PQsetnonblocking(link->conn, 1) != 0 || !PQenterPipelineMode(link->conn))) {
		pg_link_fail(link, "", "%s", PQerrorMessage(link->conn));
		is_good = false;
	}
	return is_good;
}

/* When the next attempt may be: later each time, and not when others make theirs. */
static void put_off(struct pg_link *link)
{
	uint32_t chance;

	random_bytes(&chance, sizeof(chance));
	link->retry_us = store_now_us() + (link->retry_ms / 2 + chance % link->retry_ms) * 1000ULL;
	link->retry_ms = 2 * link->retry_ms < PG_RETRY_MAX_MS ? 2 * link->retry_ms : PG_RETRY_MAX_MS;
}

int pg_link_connect(struct pg_link *link)
{

	if (link->conn)
		return SQL_DONE;
	if (store_now_us() < link->retry_us)
		return SQL_FAILED; /* why is still that of the last attempt */
	link->conn = pg_link_dial(link);
	if (link->conn && set_up(link)) {
		if (link->number++ > 0)
			log_info("PostgreSQL at %s: connected again", link->shown);
		link->retry_ms = PG_RETRY_MIN_MS;
		return SQL_DONE;
	}
	pg_link_lose(link);
	put_off(link);
	return SQL_FAILED;
}

/* ---- the pipeline ------------------------------------------------------------------ */

static int lost(struct pg_link *link, const char *why)
{
	if (why)
		pg_link_fail(link, "", "%s", why);
	log_warning("PostgreSQL at %s: connection lost: %s", link->shown, link->why);
	pg_link_lose(link);
	return SQL_FAILED;
}

static int queue(struct pg_link *link, struct pg_stmt *st, bool is_prepare, bool is_ahead, int sent)
{
	if (!sent)
		return lost(link, PQerrorMessage(link->conn));
	link->queue[link->queue_n].st = st;
	link->queue[link->queue_n].is_ahead = is_ahead;
	link->queue[link->queue_n++].is_prepare = is_prepare;
	return SQL_DONE;
}

int pg_link_send(struct pg_link *link, struct pg_stmt *st, bool is_ahead)
{
	const char *values[PG_PARAMS_MAX];

	if (!link->conn)
		return SQL_FAILED;
	if (link->queue_n + 2 > PG_QUEUE_MAX) {
		bool is_other;
		int r = pg_link_wait(link, NULL, &is_other);
		if (r != SQL_DONE)
			return r;
	}
	if (st->prepared != link->number) {
		if (queue(link, st, true, false, PQsendPrepare(link->conn, st->name, st->text, st->params_n, st->types)) != SQL_DONE)
			return SQL_FAILED;
		st->prepared = link->number; /* until its answer says otherwise */
	}
	for (int i = 0; i < st->params_n; i++)
		values[i] = st->params[i].is_set ? st->bytes.p + st->params[i].at : NULL;
	return queue(link, st, false, is_ahead, PQsendQueryPrepared(link->conn, st->name, st->params_n, values, NULL, NULL, 0));
}

/* Wait until the next answer is here; false: lost. */
static bool is_answered(struct pg_link *link, uint64_t until_us)
{
	for (;;) {
		int unsent = PQflush(link->conn);
		struct pollfd p = { .fd = PQsocket(link->conn), .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) };
		uint64_t now = store_now_us();
		if (unsent < 0)
			break;
		if (!PQisBusy(link->conn))
			return true;
		if (now >= until_us) {
			pg_link_fail(link, "", "the server has not answered for %d s", PG_ANSWER_MS / 1000);
			return false;
		}
		poll(&p, 1, (int)((until_us - now) / 1000 + 1));
		if ((p.revents & (POLLIN | POLLERR | POLLHUP)) && !PQconsumeInput(link->conn))
			break;
	}
	pg_link_fail(link, "", "%s", PQerrorMessage(link->conn));
	return false;
}

/* The next result, NULL between two.  *is_lost: there will be none. */
static PGresult *next_result(struct pg_link *link, uint64_t until_us, bool *is_lost)
{
	*is_lost = !is_answered(link, until_us);
	return *is_lost ? NULL : PQgetResult(link->conn);
}

/* What came for one statement.  Takes the result. */
static int take_result(struct pg_link *link, int i, struct pg_stmt *wanted, PGresult *result, bool is_failed)
{
	struct pg_stmt *st = link->queue[i].st;
	ExecStatusType status = PQresultStatus(result);
	bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (link->queue[i].is_prepare && !is_good)
		st->prepared = 0;
	if (!is_good && !is_failed && status != PGRES_PIPELINE_ABORTED)
		take_failure(link, result);
	if (is_good && link->queue[i].is_ahead) {
		PQclear(st->ahead_result);
		st->ahead_result = result;
		return SQL_DONE;
	}
	if (is_good && st == wanted && !link->queue[i].is_prepare) {
		PQclear(st->result);
		st->result = result;
		return SQL_DONE;
	}
	PQclear(result);
	return is_good ? SQL_DONE : SQL_FAILED;
}

/* The answers to what is queued, and the end of the message.  false: lost. */
static bool take_answers(struct pg_link *link, struct pg_stmt *wanted, int *failed_at)
{
	uint64_t until_us = store_now_us() + PG_ANSWER_MS * 1000ULL;
	bool is_lost = false;
	PGresult *result;

	for (int i = 0; i < link->queue_n; i++) {
		result = next_result(link, until_us, &is_lost);
		if (is_lost)
			return false;
		if (take_result(link, i, wanted, result, *failed_at >= 0) != SQL_DONE && *failed_at < 0)
			*failed_at = i;
		if (PQstatus(link->conn) == CONNECTION_BAD)
			return false;
		PQclear(next_result(link, until_us, &is_lost)); /* NULL ends each */
		if (is_lost)
			return false;
	}
	result = next_result(link, until_us, &is_lost);
	is_lost |= PQresultStatus(result) != PGRES_PIPELINE_SYNC;
	PQclear(result);
	return !is_lost;
}

int pg_link_wait(struct pg_link *link, struct pg_stmt *wanted, bool *is_other)
{
	int failed_at = -1;
	bool is_here;

	*is_other = true;
	if (!link->conn)
		return SQL_FAILED;
	if (!PQpipelineSync(link->conn))
		return lost(link, PQerrorMessage(link->conn));
	is_here = take_answers(link, wanted, &failed_at);
	*is_other = !is_here || (failed_at >= 0 && link->queue[failed_at].st != wanted);
	link->queue_n = 0;
	if (!is_here || (failed_at >= 0 && is_end(link->state)))
		return lost(link, NULL);
	return failed_at >= 0 ? SQL_FAILED : SQL_DONE;
}
