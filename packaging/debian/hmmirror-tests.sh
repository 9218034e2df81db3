#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Loads the driver, runs the tests with the kernel's own runner, and unloads the driver again if it
# was not loaded before. The arguments are those of run_kselftest.sh.
set -u

if [ "$(id -u)" != 0 ]; then
	echo 'hmmirror-tests: only root can load the driver; run it as root' >&2
	exit 2
fi
loaded=
if [ ! -d /sys/module/hmmirror ]; then
	modprobe hmmirror || {
		echo 'hmmirror-tests: there is no driver for this kernel; install hmmirror-dkms and the' \
			'headers of this kernel' >&2
		exit 2
	}
	loaded=yes
fi
/usr/lib/hmmirror/run_kselftest.sh "$@"
status=$?
[ -z "$loaded" ] || modprobe -r hmmirror || exit 2
exit $status
