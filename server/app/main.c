/* main.c -- the program: one binary, its work is in the commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/command.h"

int main(int argc, char **argv)
{
	return command_main(argc, argv);
}
