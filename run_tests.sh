#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the hmmirror suite on a kernel in QEMU; see --help and README.md.
set -u

# shellcheck source-path=SCRIPTDIR

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 2

. "$ROOT/scripts/common.sh"
. "$ROOT/scripts/options.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/aptroot.sh"
. "$ROOT/scripts/sources.sh"
. "$ROOT/scripts/fragments.sh"
. "$ROOT/scripts/distro.sh"
. "$ROOT/scripts/kernel.sh"
. "$ROOT/scripts/build.sh"
. "$ROOT/scripts/upstream.sh"
. "$ROOT/scripts/image.sh"
. "$ROOT/scripts/vm.sh"
. "$ROOT/scripts/native.sh"
. "$ROOT/scripts/results.sh"
. "$ROOT/scripts/report.sh"
. "$ROOT/scripts/coverage.sh"
. "$ROOT/scripts/run.sh"
. "$ROOT/scripts/matrix.sh"
. "$ROOT/scripts/regressions.sh"
. "$ROOT/scripts/own.sh"
. "$ROOT/scripts/stress.sh"
. "$ROOT/scripts/step.sh"
. "$ROOT/scripts/bisect.sh"

# the builds choose their own -j, and make check calls this too
unset MAKEFLAGS MAKELEVEL MFLAGS

parse_options "$@"
init_common
run_all
