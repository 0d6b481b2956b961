/* chat_test.c -- how a program's handlers are tested: chat.c without a network.
 *
 * No port, no thread, no waiting: clients are memory, time is a number that
 * sio_test_run moves.  Needs no test framework; it ends with 0 when all is well.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#undef NDEBUG /* a test whose asserts are compiled out always passes */
#include <assert.h>

#include <sio/testing.h>

/* The program under test, with its static functions and without its main. */
int chat_main(int argc, char **argv);
#define main chat_main
#include "chat.c"
#undef main

static struct sio_server *start(void)
{
	struct sio_server *server;

	assert(sio_test_server_new(NULL, &server) == SIO_OK);
	assert(chat_register(server) == SIO_OK);
	return server;
}

static void people_in_a_room(void)
{
	struct sio_server *server = start();
	struct sio_test_client *anna = sio_test_connect(server, "/", "{\"name\":\"Anna\"}");
	struct sio_test_client *ben = sio_test_connect(server, "/", "{\"name\":\"Ben \\\"B\\\"\"}");

	sio_test_ask(anna, "join", "\"kitchen\"");
	SIO_TEST_EXPECT(anna, "connected; ack 0({\"ok\":true,\"people\":1})");
	sio_test_ask(ben, "join", "\"kitchen\"");
	SIO_TEST_EXPECT(ben, "connected; ack 0({\"ok\":true,\"people\":2})");
	SIO_TEST_EXPECT(anna, "came({\"room\":\"kitchen\",\"name\":\"Ben \\\"B\\\"\",\"text\":\"\"})");
	sio_test_emit(ben, "say", "\"kitchen\",\"Hello\"");
	SIO_TEST_EXPECT(anna, "said({\"room\":\"kitchen\",\"name\":\"Ben \\\"B\\\"\",\"text\":\"Hello\"})");
	SIO_TEST_EXPECT(ben, ""); /* the others hear it, not the speaker */
	sio_test_ask(ben, "join", "\"cellar\"");
	SIO_TEST_EXPECT(anna, "went({\"room\":\"kitchen\",\"name\":\"Ben \\\"B\\\"\",\"text\":\"\"})");
	SIO_TEST_EXPECT(ben, "ack 1({\"ok\":true,\"people\":1})");
	sio_server_free(server);
}

static void what_is_refused(void)
{
	static const char *const bad_auth[] = { NULL, "{\"name\":\"\"}", "{\"name\":7}", "{\"name\":\"x\",\"name\":\"y\"}" };
	struct sio_server *server = start();
	struct sio_test_client *anna;

	for (size_t i = 0; i < sizeof(bad_auth) / sizeof(bad_auth[0]); i++) {
		anna = sio_test_connect(server, "/", bad_auth[i]);
		SIO_TEST_EXPECT(anna, "refused({\"message\":\"auth needs a name of 1 to 64 bytes\","
				      "\"data\":{\"code\":\"no_name\"}})");
	}
	anna = sio_test_connect(server, "/", "{\"name\":\"Anna\"}");
	sio_test_ask(anna, "say", "\"kitchen\",\"too early\"");
	sio_test_ask(anna, "join", "7");
	sio_test_ask(anna, "join", "\"\"");
	sio_test_ask(anna, "say", "\"kitchen\",{\"not\":\"text\"}");
	SIO_TEST_EXPECT(anna, "connected; ack 0({\"ok\":false,\"error\":\"join the room first\"}); "
			      "ack 1({\"ok\":false,\"error\":\"a room's name has 1 to 64 bytes\"}); "
			      "ack 2({\"ok\":false,\"error\":\"a room's name has 1 to 64 bytes\"}); "
			      "ack 3({\"ok\":false,\"error\":\"say a room and a text of at most 2000 bytes\"})");
	sio_server_free(server);
}

/* However a client goes, the others are told. */
static void goodbyes(void)
{
	struct sio_server *server = start();
	struct sio_test_client *anna = sio_test_connect(server, "/", "{\"name\":\"Anna\"}");

	sio_test_emit(anna, "join", "\"kitchen\"");
	for (enum sio_test_ending how = SIO_TEST_LEAVE; how <= SIO_TEST_BABBLE; how++) {
		struct sio_test_client *ben = sio_test_connect(server, "/", "{\"name\":\"Ben\"}");
		sio_test_emit(ben, "join", "\"kitchen\"");
		sio_test_heard(anna);
		sio_test_end(ben, how);
		if (how == SIO_TEST_SILENT) { /* nobody can know before the heartbeat's time is over */
			SIO_TEST_EXPECT(anna, "");
			sio_test_run(server, 25000 + 20000 + 64);
		}
		SIO_TEST_EXPECT(anna, "went({\"room\":\"kitchen\",\"name\":\"Ben\",\"text\":\"\"})");
		assert(sio_room_size(server, SIO_LIT("kitchen")) == 1);
	}
	sio_server_free(server);
}

int main(void)
{
	people_in_a_room();
	what_is_refused();
	goodbyes();
	puts("chat_test: all is well");
	return 0;
}
