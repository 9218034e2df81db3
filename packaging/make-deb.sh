#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# make-deb.sh FOLDER KSRC: the packages hmmirror-dkms and hmmirror-tests in FOLDER, by Debian's own
# tools, from a copy of the checkout. KSRC is a kernel source tree, for its kselftest.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
missing=
for need in dpkg-buildpackage:dpkg-dev dh:debhelper dh_dkms:dh-dkms gcc:gcc; do
	command -v "${need%:*}" > /dev/null || missing="$missing ${need#*:}"
done
[ -e /usr/include/numa.h ] || missing="$missing libnuma-dev"
if [ -n "$missing" ]; then
	echo "make: packages are missing; as root: apt-get install --no-install-recommends$missing" >&2
	exit 2
fi
# No release has been made, so a version is the date of the commit and its id.
version=$(git -C "$root" log -1 --format=0~%cd.%h --date=format:%Y%m%d%H%M 2> /dev/null) || version=0
date=$(git -C "$root" log -1 --format=%cD 2> /dev/null) || date=$(date -R)

mkdir -p "$1"
folder=$(cd "$1" && pwd)
copy=$folder/hmmirror
rm -rf "$copy"
mkdir "$copy"
for name in COPYING Makefile driver lib selftests; do
	cp -Rp "$root/$name" "$copy/"
done
cp -Rp "$root/packaging/debian" "$copy/"
cat > "$copy/debian/changelog" <<END
hmmirror ($version) unstable; urgency=medium

  * Made by "make deb".

 -- hmmirror developers <hmmirror@localhost>  $date
END
rm -f "$folder"/*.deb
# without a compiler for C++, of which build-essential would have one
(cd "$copy" && unset MAKEFLAGS MAKELEVEL MFLAGS && KSRC=$2 DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc -d)
rm -rf "$copy"
ls "$folder"/*.deb
