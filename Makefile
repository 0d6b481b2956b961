# SkyBuild Realtime: the commands people type.  CMake and Ninja do the work,
# scripts/ hold what is longer than a line.
#
#   make            release build            make run         build, demo data, server
#   make check      fast tests, < 2 min      make test        everything, < 20 min
#   make fuzz T=ws  one fuzz target          make fuzz-smoke  each for 10 seconds
#   make torture    memory runs out at random, a server is killed again and again, its PostgreSQL restarted: many minutes
#                   (STEPS=n, KILL_ROUNDS=n, RESTART_ROUNDS=n)
#   make web        the workspace that the server serves at /, into build/web (a part of make)
#   make tsan headers layers size tour bench install clean
#   make coverage   lines of the core that no test reaches; fails under 95 %
#   make build-asan (-clang, -tsan, -fuzz)   that build alone, in build/asan ...

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
T ?= ws

debug = -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
inner = -DSKYBUILD_INSTALL=OFF -DSKYBUILD_BENCH=OFF
flags_release = -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DSKYBUILD_TESTS=OFF
# For what clang has to say of every source, not to run: it is quick.
flags_clang = -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0" -DSKYBUILD_INSTALL=OFF
flags_asan = -DCMAKE_C_COMPILER=gcc $(debug) -DSANITIZE=address,undefined $(inner)
flags_coverage = -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -g" -DCMAKE_C_FLAGS="--coverage -Wno-error=maybe-uninitialized" \
	$(inner)
flags_tsan = -DCMAKE_C_COMPILER=gcc $(debug) -DSANITIZE=thread $(inner)
flags_fuzz = -DCMAKE_C_COMPILER=clang $(debug) -DSANITIZE=address,undefined -DSKYBUILD_FUZZ=ON -DSKYBUILD_TESTS=OFF $(inner)

all: build-release web

# The server, the tests and beside them the echo server of the protocol tests.
build-%: build/%/build.ninja
	@scripts/build build/$* $(JOBS)

build/%/build.ninja: Makefile | setup-run
	@cmake -G Ninja -S . -B build/$* $(flags_$*) >/dev/null
	@touch $@

setup-run:
	@scripts/setup run
setup-test:
	@scripts/setup test

# The workspace, once: nothing is done while web/ stays as it is.
web: | setup-run
	@scripts/build-web

run: build-release web
	@scripts/run

check: setup-test
	@scripts/test-all check
test: setup-test
	@scripts/test-all test
tsan: setup-test
	@scripts/test-all tsan
fuzz-smoke: setup-test
	@scripts/test-all fuzz

fuzz: setup-test build-fuzz
	@mkdir -p build/corpus/$(T)
	build/fuzz/fuzz/fuzz_$(T) $(ARGS) build/corpus/$(T) fuzz/seeds/$(T)

coverage: setup-test build-coverage
	@scripts/coverage --lines $(ARGS)

tortured = SKYBUILD=build/asan/skybuild SKYBUILD_SANITIZED=address node

torture: setup-test build-asan
	STEPS=$(or $(STEPS),100000) build/asan/tests/hub_torture_test
	build/asan/tests/host_torture_test
	build/asan/tests/engine_app_torture_test
	KILL_ROUNDS=$(or $(KILL_ROUNDS),100) $(tortured) --test-name-pattern="again and again while writers write" tests/server/recovery.test.mjs
	TEST_DATABASE=postgres KILL_ROUNDS=$(or $(KILL_ROUNDS),50) $(tortured) --test-name-pattern="again and again while writers write" tests/server/recovery.test.mjs
	RESTART_ROUNDS=$(or $(RESTART_ROUNDS),50) $(tortured) --test-name-pattern="restarted during writes" tests/server/postgres.test.mjs

headers:
	@scripts/check-headers
layers:
	@scripts/check-layers
size:
	@scripts/size
tour:
	@scripts/check-tour
bench: build-release
	@bench/run
	@bench/memory

install: build-release web
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

clean:
	rm -rf build

.PHONY: all setup-run setup-test web run check test tsan fuzz-smoke fuzz torture coverage headers layers size tour bench install clean
.SECONDARY:
