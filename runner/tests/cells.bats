#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# One command line, shared by several machines: --cells, --cell, --results, --merge. The machines
# are this one, reached by ssh and by Slurm on the loopback, as docs/using/ci.md shows it.
# shellcheck disable=SC2154 # bats sets status, output and lines

load helper

setup_file() {
	default_kernel
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '# guest: append=fake=fail\n' > fails.config
	printf '# guest: append=fake=skip\n' > skips.config
	printf '# guest: append=x=1\n' > plain.config
	# as in the documentation, where these are -k and -c of the user's
	CELLS=("$RUN" -k "$KERNEL_BUILD" -c "$PWD/skips.config" -c "$PWD/plain.config"
		-c "$PWD/fails.config" 'cell.*' last.pass)
}

teardown() {
	# what a test started and did not end; each writes its number there
	local file pid
	for file in pids/*; do
		[ -s "$file" ] || continue
		pid=$(< "$file")
		kill "$pid" 2> /dev/null || continue
		wait_for 10 bash -c "! kill -0 $pid 2> /dev/null" || true
	done
}

# comparable FILE: a results.json without what differs from one run to the next
comparable() {
	jq -S 'del(.started, .seconds, .command, .hmmirror) | del(.cells[].logs, .cells[].seconds,
		.cells[].since, .cells[].tests[].ms, .cells[].tests[].console)' "$1"
}

logs_of_run() {
	LOGS=$(sed -n 's/^logs: //p' <<< "$output")
}

@test "--cells lists, --cell runs one, --merge makes one run of them" {
	local name
	run --separate-stderr "${CELLS[@]}" --cells
	echo "$output"
	[ "$status" = 0 ]
	[ "$output" = $'build+skips.config\nbuild+plain.config\nbuild+fails.config' ]
	for name in "${lines[@]:0:2}"; do
		run "${CELLS[@]}" --cell "$name" --results out
		echo "$output"
		[ "$status" = 0 ]
		[ -s "out/$name/console.1" ]
	done
	# the third is missing
	run "$RUN" --merge out
	echo "$output"
	[ "$status" = 2 ]
	[ "${lines[-1]}" = '5 passed, 0 failed, 1 skipped' ]
	grep -q '^missing: build+fails.config$' <<< "$output"
	run --separate-stderr "${CELLS[@]}" --cells --results out
	[ "$output" = build+fails.config ]
	run "${CELLS[@]}" --cell build+fails.config --results out
	[ "$status" = 1 ]
	run "$RUN" --merge out --format junit:merged.xml
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '7 passed, 1 failed, 1 skipped' ]
	grep -qF '  cell.fails  FAIL build fails.config; ok build skips.config, build plain.config' <<< "$output"
	[ "$(xmllint --xpath 'count(//testcase)' merged.xml)" = 9 ]
	logs_of_run
	comparable "$LOGS/results.json" > merged
	# the same as of one machine
	run "${CELLS[@]}"
	[ "$status" = 1 ]
	logs_of_run
	comparable "$LOGS/results.json" > one
	diff one merged
	# nothing is run twice
	run "${CELLS[@]}" --cell build+fails.config --results out
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[0]}" = "build+fails.config has been run: $PWD/out/build+fails.config" ]
}

@test "a range of seeds is a cell for each" {
	run --separate-stderr "$RUN" -k "$KERNEL_BUILD" --shuffle --seed 7-9 --cells last.pass fake.pass
	[ "$output" = $'build+seed7\nbuild+seed8\nbuild+seed9' ]
	run "$RUN" -k "$KERNEL_BUILD" --shuffle --seed 7-9 --cell build+seed8 --results out last.pass fake.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^seed 8: ' <<< "$output"
	[ "$(jq .seed out/build+seed8/results.json)" = 8 ]
}

@test "what does not go together" {
	bad_input '--cell nothing: the command line has no such cell' "${CELLS[@]}" --cell nothing
	bad_input '--cells and --cell exclude each other' "${CELLS[@]}" --cells --cell x
	bad_input '--results goes with --cell' "${CELLS[@]}" --results out
	bad_input '--cells is for tests, and not for --shell' "$RUN" --cells --shell
	bad_input '--merge wants the folders' "$RUN" --merge
	bad_input 'nowhere is not a folder' "$RUN" --merge nowhere
	mkdir empty
	bad_input 'empty has no results.json' "$RUN" --merge empty
	bad_input 'that is no range' "$RUN" --shuffle --seed 9-7 last.pass
	mkdir -p other/build+skips.config
	echo '{"command": "./run_tests.sh x", "cells": []}' > other/build+skips.config/results.json
	bad_input 'has the results of another command line' "${CELLS[@]}" --cell build+skips.config --results other
}

# start_sshd: one for this user on the loopback; sets SSH
start_sshd() {
	local port=$((20000 + $$ % 20000))
	mkdir -p pids
	ssh-keygen -q -t ed25519 -N '' -f key
	ssh-keygen -q -t ed25519 -N '' -f host_key
	cat > sshd_config <<-END
		ListenAddress 127.0.0.1
		Port $port
		HostKey $PWD/host_key
		AuthorizedKeysFile $PWD/key.pub
		PidFile $PWD/pids/sshd
		StrictModes no
		UsePAM no
	END
	# root's sshd wants it
	[ "$EUID" != 0 ] || mkdir -p /run/sshd
	"$(PATH=$PATH:/usr/sbin command -v sshd)" -f "$PWD/sshd_config"
	SSH="ssh -p $port -i $PWD/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
	wait_for 10 $SSH 127.0.0.1 true
}

@test "GNU parallel over ssh; a machine that dies costs its cells, a second call runs those" {
	command -v parallel > /dev/null || skip 'no GNU parallel'
	PATH=$PATH:/usr/sbin command -v sshd > /dev/null || skip 'no sshd'
	start_sshd
	# the variables that make these tests short are not a user's
	cat > cell <<-END
		#!/bin/sh
		export HMMIRROR_TEST_DRIVER=$HMMIRROR_TEST_DRIVER HMMIRROR_TEST_SUITE=$HMMIRROR_TEST_SUITE
		# the machine that dies while it boots a guest
		[ ! -e $PWD/dies ] || [ "\$1" != build+plain.config ] || dies='timeout -s KILL 2'
		exec \$dies ${CELLS[*]@Q} --cell "\$1" --results $PWD/out
	END
	chmod +x cell
	touch dies
	"${CELLS[@]}" --cells --results out > names
	[ "$(wc -l < names)" = 3 ]
	parallel --ssh "$SSH" -S 1/127.0.0.1 -a names "$PWD/cell" {} > log 2>&1 || true
	cat log
	[ ! -e out/build+plain.config ]
	rm dies
	run --separate-stderr "${CELLS[@]}" --cells --results out
	[ "$output" = build+plain.config ]
	# as it is documented, but for the variables that make these tests short
	"${CELLS[@]}" --cells --results "$PWD/out" | parallel --ssh "$SSH" -S 1/127.0.0.1 --workdir . \
		--env HMMIRROR_TEST_DRIVER --env HMMIRROR_TEST_SUITE "${CELLS[*]@Q}" --results "$PWD/out" --cell {}
	run "$RUN" --merge out
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '7 passed, 1 failed, 1 skipped' ]
}

# start_slurm: munged, slurmctld and slurmd of our own on the loopback
start_slurm() {
	local dir=$PWD host
	host=$(hostname -s)
	mkdir -p pids munge slurm/state slurm/spool
	dd if=/dev/urandom of=munge/key bs=1 count=1024 status=none
	chmod 600 munge/key
	munged --force --key-file "$dir/munge/key" --socket "$dir/munge/socket" \
		--pid-file "$dir/pids/munged" --log-file "$dir/munge/log" --seed-file "$dir/munge/seed"
	cat > slurm.conf <<-END
		ClusterName=loopback
		SlurmctldHost=$host(127.0.0.1)
		AuthType=auth/munge
		AuthInfo=socket=$dir/munge/socket
		CredType=cred/munge
		SlurmUser=$(id -un)
		SlurmdUser=$(id -un)
		SlurmctldPort=$((20000 + $$ % 20000))
		SlurmdPort=$((20001 + $$ % 20000))
		SlurmctldPidFile=$dir/pids/slurmctld
		SlurmdPidFile=$dir/pids/slurmd
		SlurmctldLogFile=$dir/slurm/ctld.log
		SlurmdLogFile=$dir/slurm/d.log
		StateSaveLocation=$dir/slurm/state
		SlurmdSpoolDir=$dir/slurm/spool
		ProctrackType=proctrack/pgid
		TaskPlugin=task/none
		SelectType=select/cons_tres
		MpiDefault=none
		ReturnToService=2
		NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
		PartitionName=main Nodes=ALL Default=YES State=UP
	END
	export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin
	slurmctld
	slurmd
	wait_for 30 bash -c 'sinfo -h -o %t | grep -qx idle'
}

@test "a Slurm job array; a job that is cancelled costs its cell, a second call runs it" {
	local tool
	for tool in munged slurmctld slurmd sbatch; do
		PATH=$PATH:/usr/sbin command -v "$tool" > /dev/null || skip "no $tool"
	done
	[ "$EUID" = 0 ] || skip 'slurmd needs root'
	start_slurm
	"${CELLS[@]}" --cells --results out > names
	cat > job <<-END
		#!/bin/sh
		# the machine that dies
		[ ! -e $PWD/dies ] || [ "\$SLURM_ARRAY_TASK_ID" != 2 ] || scancel "\$SLURM_ARRAY_JOB_ID"_2
		exec ${CELLS[*]@Q} --results $PWD/out --cell "\$(sed -n "\${SLURM_ARRAY_TASK_ID}p" $PWD/names)"
	END
	touch dies
	sbatch --wait -o 'job.%a' --array="1-$(wc -l < names)" job || true
	tail job.*
	[ ! -e out/build+plain.config ]
	[ -s out/build+fails.config/results.json ]
	rm dies
	"${CELLS[@]}" --cells --results out > names
	[ "$(< names)" = build+plain.config ]
	sbatch --wait -o 'job.%a' --array="1-$(wc -l < names)" job
	run "$RUN" --merge out
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '7 passed, 1 failed, 1 skipped' ]
}
