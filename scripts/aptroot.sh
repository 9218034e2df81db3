# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Releases that the machine's own package sources do not have, from the other
# suites of the same archive: an apt of our own inside the cache, which leaves the
# machine's apt as it is and needs no root. Signatures are checked as ever.

OTHER_SUITES='bullseye bookworm trixie sid experimental'
OTHER_SECURITY='bullseye-security bookworm-security trixie-security'
OTHER_MAX_AGE=1440	# minutes that lists are good for
APT_OPTIONS=()		# of every apt command; none for the machine's own

# archive LABEL: its address, as the machine's own sources have it
archive() {
	apt-get indextargets 'Created-By: Packages' --format '$(LABEL) $(REPO_URI)' 2>/dev/null |
		sed -n "s/^$1 //p" | head -n 1
}

# use_other_suites: from here on APT_OPTIONS lead to the apt inside the cache
use_other_suites() {
	local dir=$CACHE/apt main security suite signed='' keyring log
	main=$(archive Debian)
	security=$(archive Debian-Security)
	[ -n "$main" ] || return
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
	APT_OPTIONS=(-o "Dir::State=$dir" -o "Dir::State::lists=$dir/lists"
		-o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir/cache"
		-o "Dir::Etc::sourcelist=$dir/sources.list" -o 'Dir::Etc::sourceparts=/dev/null'
		# some machines switch apt's cache off, and each question then takes seconds
		-o "Dir::Cache::pkgcache=$dir/cache/pkgcache.bin"
		-o "Dir::Cache::srcpkgcache=$dir/cache/srcpkgcache.bin"
		-o "Dir::Etc::preferencesparts=/dev/null" -o 'Acquire::Languages=none'
		-o 'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false')
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >> "$dir/status"
	{
		for suite in $OTHER_SUITES; do
			echo "deb $signed$main $suite main"
		done
		for suite in ${security:+$OTHER_SECURITY}; do
			echo "deb $signed$security $suite main"
		done
	} > "$dir/sources.list"
	lock apt 'reading the package lists of other suites'
	if [ -z "$(find "$dir/updated" -mmin "-$OTHER_MAX_AGE" 2>/dev/null)" ]; then
		new_tmp apt
		log=$TMP/log
		# a suite that is gone is no reason to do without the others
		long 'reading the package lists of other suites' "$log" 0 \
			apt-get "${APT_OPTIONS[@]}" update -q || true
		compgen -G "$dir/lists/*_Packages*" > /dev/null ||
			apt_failed "$log" 'the package lists of other suites'
		touch "$dir/updated"
	fi
	unlock
}
