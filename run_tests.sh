#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Finds python3 and hands over to the runner; see --help and README.md.
set -u

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 2

# the builds choose their own -j, and make check calls this too
unset MAKEFLAGS MAKELEVEL MFLAGS

new_enough() {
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2> /dev/null
}

if ! new_enough; then
	if [ "$EUID" != 0 ] || ! command -v apt-get > /dev/null; then
		echo 'run_tests.sh: python3 (3.9 or later) is missing; as root: apt-get install --no-install-recommends python3' >&2
		exit 2
	fi
	{ [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit)" ] || apt-get update -q; } >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3 >&2
	new_enough || {
		echo 'run_tests.sh: python3 3.9 or later cannot be installed; see above' >&2
		exit 2
	}
fi

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
# compiled modules save a run 0.1 s, and are no part of a checkout
cache=${XDG_CACHE_HOME:-${HOME-}/.cache}/hmmirror
if [ -d "$cache" ]; then
	unset PYTHONDONTWRITEBYTECODE
	export PYTHONPYCACHEPREFIX=$cache/python
else
	export PYTHONDONTWRITEBYTECODE=1
fi
exec python3 -m runner "$@"
