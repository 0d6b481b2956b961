/* jwks.c -- see jwks.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/jwks.h"

void jwks_init(struct jwks *jwks, uint64_t now_ms)
{
	*jwks = (struct jwks){ .due_ms = now_ms };
}

static void due_by(struct jwks *jwks, uint64_t ms)
{
	if (jwks->due_ms > ms)
		jwks->due_ms = ms;
}

bool jwks_ask(struct jwks *jwks, uint64_t now_ms)
{
	uint64_t allowed = now_ms;

	if (jwks->is_running || jwks->due_ms <= now_ms)
		return true;
	if (!jwks->has_keys) /* it is tried as often as it should be anyhow */
		return jwks->due_ms <= now_ms + JWKS_WAIT_MS;
	if (jwks->was_asked && jwks->asked_ms + JWKS_UNKNOWN_MS > now_ms)
		allowed = jwks->asked_ms + JWKS_UNKNOWN_MS;
	if (allowed > now_ms + JWKS_WAIT_MS)
		return jwks->due_ms <= now_ms + JWKS_WAIT_MS;
	jwks->asked_ms = allowed;
	jwks->was_asked = true;
	due_by(jwks, allowed);
	return true;
}

void jwks_hurry(struct jwks *jwks, uint64_t now_ms)
{
	due_by(jwks, now_ms);
}

bool jwks_begin(struct jwks *jwks, uint64_t now_ms)
{
	if (jwks->is_running || now_ms < jwks->due_ms)
		return false;
	jwks->is_running = true;
	jwks->due_ms = UINT64_MAX;
	return true;
}

/* From three quarters of ms to all of it. */
static uint64_t spread(uint64_t ms, uint32_t chance)
{
	return ms - chance % (ms / 4 + 1);
}

static uint64_t retry_ms(const struct jwks *jwks)
{
	uint64_t ms = jwks->has_keys ? JWKS_UNKNOWN_MS : JWKS_RETRY_MS;
	uint64_t max = jwks->has_keys ? JWKS_AGE_MS : JWKS_RETRY_MAX_MS;

	for (unsigned i = 1; i < jwks->failures && ms < max; i++)
		ms *= 2;
	return ms < max ? ms : max;
}

void jwks_end(struct jwks *jwks, uint64_t now_ms, bool is_good, uint32_t chance)
{
	jwks->is_running = false;
	jwks->failures = is_good ? 0 : jwks->failures + 1;
	jwks->has_keys |= is_good;
	/* With keys a failure is no reason to come more often than strangers can make us come. */
	if (is_good)
		due_by(jwks, now_ms + spread(JWKS_AGE_MS, chance));
	else if (jwks->has_keys)
		due_by(jwks, now_ms + retry_ms(jwks) + chance % JWKS_UNKNOWN_MS);
	else
		due_by(jwks, now_ms + spread(retry_ms(jwks), chance));
}
