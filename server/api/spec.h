/* spec.h -- the API's two descriptions as they are served.
 *
 * docs/api/openapi.yaml and asyncapi.yaml, turned into JSON when the program is
 * built (scripts/make-spec); the arrays lie in the build folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_SPEC_H
#define API_SPEC_H

#include <stddef.h>

/* UTF-8 without a NUL; static storage. */
extern const unsigned char spec_openapi[];
extern const size_t spec_openapi_n;
extern const unsigned char spec_asyncapi[];
extern const size_t spec_asyncapi_n;

#endif
