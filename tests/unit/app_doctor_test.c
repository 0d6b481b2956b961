/* app_doctor_test.c -- what the doctor makes of an answer: a table of answers and causes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/doctor.h"

static const struct {
	long status;
	enum cli_trouble trouble;
	const char *error, *body;
	enum doctor_cause http, ws; /* as a poll or a post; as a WebSocket */
} answers[] = {
	{ 200, CLI_FINE, "", "0{\"sid\":\"x\"}", DOCTOR_NO_CAUSE, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "ok", DOCTOR_NO_CAUSE, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "OK", DOCTOR_NO_CAUSE, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "6", DOCTOR_NO_CAUSE, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "bAQID", DOCTOR_NO_CAUSE, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", "okay", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 200, CLI_FINE, "", " \r\n<html>", DOCTOR_HTML, DOCTOR_HTML },
	{ 200, CLI_FINE, "", "96:0{\"sid\":\"x\"}", DOCTOR_EIO_OLD, DOCTOR_UPGRADE_DROPPED },
	{ 400, CLI_FINE, "", "{\"code\":0,\"message\":\"m\"}", DOCTOR_TRANSPORT_OFF, DOCTOR_TRANSPORT_OFF },
	{ 400, CLI_FINE, "", "{\"code\":1,\"message\":\"m\"}", DOCTOR_SID_UNKNOWN, DOCTOR_SID_UNKNOWN },
	{ 400, CLI_FINE, "", "Session ID unknown", DOCTOR_SID_UNKNOWN, DOCTOR_SID_UNKNOWN },
	{ 400, CLI_FINE, "", "\"Invalid session X\"", DOCTOR_SID_UNKNOWN, DOCTOR_SID_UNKNOWN },
	{ 400, CLI_FINE, "", "{\"code\":3,\"message\":\"m\"}", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 400, CLI_FINE, "", "{\"code\":5,\"message\":\"m\"}", DOCTOR_EIO_OLD, DOCTOR_EIO_OLD },
	{ 400, CLI_FINE, "", "{\"code\":\"1\"}", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 400, CLI_FINE, "", "{\"code\":1e99}", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 400, CLI_FINE, "", "<html>The plain HTTP request was sent to HTTPS port", DOCTOR_NOT_HTTP, DOCTOR_NOT_HTTP },
	{ 403, CLI_FINE, "", "{\"code\":4,\"message\":\"m\"}", DOCTOR_FORBIDDEN, DOCTOR_FORBIDDEN },
	{ 403, CLI_FINE, "", "<html>", DOCTOR_FORBIDDEN, DOCTOR_FORBIDDEN },
	{ 404, CLI_FINE, "", "<html>", DOCTOR_NOT_FOUND, DOCTOR_NOT_FOUND },
	{ 405, CLI_FINE, "", "", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 407, CLI_FINE, "", "", DOCTOR_LOGIN_WANTED, DOCTOR_LOGIN_WANTED },
	{ 408, CLI_FINE, "", "", DOCTOR_GATEWAY_LATE, DOCTOR_GATEWAY_LATE },
	{ 413, CLI_FINE, "", "", DOCTOR_BODY_LIMIT, DOCTOR_BODY_LIMIT },
	{ 426, CLI_FINE, "", "", DOCTOR_NOT_ENGINEIO, DOCTOR_UPGRADE_DROPPED },
	{ 308, CLI_FINE, "", "", DOCTOR_REDIRECT, DOCTOR_REDIRECT },
	{ 999, CLI_FINE, "", "x", DOCTOR_NOT_ENGINEIO, DOCTOR_NOT_ENGINEIO },
	{ 0, CLI_NO_NAME, "x", "", DOCTOR_NAME_UNKNOWN, DOCTOR_NAME_UNKNOWN },
	{ 0, CLI_NO_CONNECTION, "x", "", DOCTOR_UNREACHABLE, DOCTOR_UNREACHABLE },
	{ 0, CLI_NO_TLS, "x", "", DOCTOR_TLS_FAILED, DOCTOR_TLS_FAILED },
	{ 0, CLI_TOO_LATE, "x", "", DOCTOR_NO_ANSWER, DOCTOR_NO_ANSWER },
	{ 0, CLI_CUT, "x", "", DOCTOR_CUT, DOCTOR_CUT },
	{ 0, CLI_OTHER, "x", "", DOCTOR_NOT_HTTP, DOCTOR_NOT_HTTP },
	{ 0, CLI_OTHER, "a 101 whose Sec-WebSocket-Accept is wrong", "", DOCTOR_NOT_HTTP, DOCTOR_ACCEPT_WRONG },
	/* libcurl's words, as they come with OpenSSL */
	{ 0, CLI_BAD_CERTIFICATE, "SSL certificate problem: certificate has expired", "", DOCTOR_CERTIFICATE_EXPIRED, DOCTOR_CERTIFICATE_EXPIRED },
	{ 0, CLI_BAD_CERTIFICATE, "SSL certificate problem: self-signed certificate", "", DOCTOR_CERTIFICATE_UNKNOWN, DOCTOR_CERTIFICATE_UNKNOWN },
	{ 0, CLI_BAD_CERTIFICATE, "SSL: no alternative certificate subject name matches target host name 'x'", "", DOCTOR_CERTIFICATE_NAME,
	  DOCTOR_CERTIFICATE_NAME },
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct cli_exchange x = { .status = answers[i].status, .trouble = answers[i].trouble };

		strcpy(x.error, answers[i].error);
		buf_str(&x.body, answers[i].body);
		assert_string_equal(doctor_cause_name(doctor_judge(&x)), doctor_cause_name(answers[i].http));
		assert_string_equal(doctor_cause_name(doctor_judge_ws(&x)), doctor_cause_name(answers[i].ws));
		cli_exchange_fini(&x);
	}
}

static void test_refusals(void **state)
{
	static const struct { const char *payload; enum doctor_cause cause; } table[] = {
		{ "{\"message\":\"Authentication required\",\"data\":{\"code\":\"token_missing\"}}", DOCTOR_TOKEN_MISSING },
		{ "{\"message\":\"Authentication required\",\"data\":{\"code\":\"token_invalid\"}}", DOCTOR_TOKEN_INVALID },
		{ "{\"message\":\"Authentication required\",\"data\":{\"code\":\"token_expired\"}}", DOCTOR_TOKEN_EXPIRED },
		{ "{\"message\":\"jwt expired\"}", DOCTOR_TOKEN_EXPIRED },
		{ "{\"message\":\"no\",\"data\":{\"code\":\"unavailable\"}}", DOCTOR_CONNECT_REFUSED },
		{ "{\"message\":\"no\",\"data\":{\"code\":\"\"}}", DOCTOR_CONNECT_REFUSED },
		{ "{\"message\":\"no\",\"data\":[1]}", DOCTOR_CONNECT_REFUSED },
		{ "{\"message\":1}", DOCTOR_CONNECT_REFUSED },
		{ "\"no\"", DOCTOR_CONNECT_REFUSED },
		{ "{", DOCTOR_CONNECT_REFUSED },
		{ "", DOCTOR_CONNECT_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(doctor_cause_name(doctor_judge_refusal(sio_str(table[i].payload))), doctor_cause_name(table[i].cause));
}

static void test_every_cause_has_a_name_and_a_mend(void **state)
{
	(void)state;
	for (int i = 1; i < DOCTOR_CAUSES_N; i++) {
		assert_true(strlen(doctor_cause_mend((enum doctor_cause)i)) > 20);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(doctor_cause_name((enum doctor_cause)i), doctor_cause_name((enum doctor_cause)k));
	}
}

static void test_header_lines(void **state)
{
	struct buf head = { 0 };

	(void)state;
	assert_int_equal(cli_header(&head, "Age").n, 0);
	buf_str(&head, "Cage: 1\r\nage:\t 33 \r\nEmpty:\r\nLast: x");
	assert_true(sio_slice_eq(cli_header(&head, "Age"), SIO_LIT("33")));
	assert_int_equal(cli_header(&head, "Empty").n, 0);
	assert_true(sio_slice_eq(cli_header(&head, "last"), SIO_LIT("x")));
	assert_int_equal(cli_header(&head, "Ag").n, 0);
	buf_fini(&head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_every_cause_has_a_name_and_a_mend),
		cmocka_unit_test(test_header_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
