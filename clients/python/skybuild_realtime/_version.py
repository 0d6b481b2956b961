"""The version of the package, which is that of the server it is delivered with.

SPDX-License-Identifier: Apache-2.0
Copyright the SkyBuild Realtime authors
"""

VERSION = "0.1.0"
