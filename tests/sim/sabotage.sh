#!/bin/sh
# Break one thing after the other: the simulation must find each.  sabotage.sh PROGRAM
#
# SPDX-License-Identifier: Apache-2.0
# Copyright the SkyBuild Realtime authors
program=$1
bad=0
for name in $(SABOTAGE=list "$program"); do
	# What is leaked on purpose is to be found by the simulation, not by the sanitizer.
	said=$(ASAN_OPTIONS=detect_leaks=0 SABOTAGE=$name SEED=${SEED:-1} STEPS=${STEPS:-1500} CLIENTS=${CLIENTS:-100} NODES=${NODES:-4} "$program" 2>&1)
	code=$?
	why=$(printf '%s\n' "$said" | grep -m 1 '^FAIL: ')
	if [ "$code" -ne 0 ] && [ -n "$why" ]; then
		printf '%-18s %s\n' "$name" "$why"
	else
		printf '%-18s was not found: %s\n' "$name" "$(printf '%s\n' "$said" | tail -n 1)"
		bad=1
	fi
done
exit "$bad"
