# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# The command line.

MODE=suite		# suite, upstream, shell, exec, list, regressions, reintroduce,
			# new, stress, bisect or bisect-step
KERNELS=()
CONFIGS=()
GLOBS=()
EXEC=()
TIMEOUT=
KEEP=0
REPEAT=1
OWN_FILES=()		# C files of the user's own among the globs
NEW=
TREE=
GOOD=
BAD=

usage() {
	cat <<'END'
Usage: ./run_tests.sh [OPTION]... [TEST-GLOB | PROGRAM.c]...

Boots a kernel in QEMU, loads hmmirror.ko and runs the tests whose names match a
glob (all without one; "walk_anon" means "walk_anon.*" too), or a program of your
own that --new began. What is missing is installed, fetched and built first.

  -k, --kernel KERNEL  the kernel, one of
                         6.1          that release's linux-source package
                         all          the newest of each suite of the archive
                         DIR          a source tree, or a built one
                         FILE[:DIR]   a bzImage, and its build folder
                         linux-image-amd64
                                      a distribution's own kernel, by its package;
                                      /trixie after it names the suite
                         native       this machine's kernel, as root
                       may be repeated; without it: the newest linux-source of
                       the distribution
  -c, --config CONFIG  configs/CONFIG.config or a file, added to the kernel's
                       config; a+b adds both; may be repeated for one run each
      --coverage       build a kernel that counts, and tell which branch outcomes
                       of mm/hmm.c and mm/migrate_device.c no test took
      --upstream[=KERNEL]
                       run the kernel tree's own hmm-tests instead, or those of
                       another release or source tree
      --shell          a shell in the guest, driver loaded
      --exec PROG ...  run a static program or a C file there; ends with its exit
                       status
      --new NAME       make NAME.c, a reproducer to be filled in
      --bisect GOOD BAD
                       find the commit after which the tests fail, with git bisect,
                       in a worktree of its own; goes on where it was interrupted
      --tree DIR       the git checkout for that (the current folder)
      --bisect-step    for git bisect run: test what is checked out in that tree;
                       ends with 0 good, 1 bad, 125 cannot be tested, 129 stop
      --repeat N       run each test up to N times, until it fails
      --list           the names of the tests, nothing is run
      --regressions [NAME...]
                       run the tests of the catalogue of known kernel bugs, or
                       those of the entries named
      --reintroduce NAME|all
                       bring the bug back into a copy of the kernel, and see
                       whether the tests catch it
      --stress NAME    put load on the driver instead of running tests: kill, load,
                       fuzz, pressure, or all of them one after the other, or
                       soak: all but load at once; docs/reliability.md
      --minutes N      for how long, each (1; also less: 0.5)
      --seed S         make the choices of the run that printed this seed
      --timeout SEC    for each test (60; with --upstream 180)
      --keep           leave what it takes to start the guest again by hand with
                       the logs, and never remove these logs
  -v, --verbose        show the output of every test
  -h, --help           this text

Exit status: 0 no test failed, 1 a test failed, 2 it could not be run.
Environment: XDG_CACHE_HOME, HMMIRROR_ACCEL, HMMIRROR_GUESTS, HMMIRROR_GUEST_APPEND;
see README.md.
END
}

# value OPTION COUNT: an option's argument must be there
value() {
	[ "$2" -ge 2 ] || die "$1 needs a value; see --help"
}

set_mode() {
	[ "$MODE" = suite ] || die "--$MODE and --$1 exclude each other; give one"
	MODE=$1
}

parse_options() {
	local option
	# to git bisect run, 2 would be a bad revision
	[[ " $* " != *' --bisect-step '* ]] || DIE_STATUS=129
	while [ $# -gt 0 ]; do
		option=$1
		case $option in
		--upstream=*)
			TESTS_OF=${option#*=}
			option=${option%%=*}
			[ -n "$TESTS_OF" ] || die "--upstream= names no release and no tree; see --help"
			;;
		--*=*)
			option=${option%%=*}
			set -- "$option" "${1#*=}" "${@:2}"
			;;
		esac
		case $option in
		-k | --kernel) value "$option" $#; KERNELS+=("$2"); shift ;;
		-c | --config) value "$option" $#; CONFIGS+=("$2"); shift ;;
		--timeout) value "$option" $#; TIMEOUT=$2; shift ;;
		--upstream | --shell | --list | --regressions | --reintroduce) set_mode "${option#--}" ;;
		--exec)
			value "$option" $#
			set_mode exec
			shift
			EXEC=("$@")
			break
			;;
		--new) value "$option" $#; set_mode new; NEW=$2; shift ;;
		--bisect)
			[ $# -ge 3 ] && [[ $2 != -* && $3 != -* ]] ||
				die "--bisect needs two revisions, a good one and a bad one; see --help"
			set_mode bisect
			GOOD=$2 BAD=$3
			shift 2
			;;
		--stress) value "$option" $#; set_mode stress; STRESS=$2; shift ;;
		--minutes) value "$option" $#; MINUTES=$2; shift ;;
		--seed) value "$option" $#; SEED=$2; shift ;;
		--bisect-step) set_mode bisect-step ;;
		--tree) value "$option" $#; TREE=$2; shift ;;
		--repeat) value "$option" $#; REPEAT=$2; shift ;;
		--coverage) COVERAGE=1 ;;
		--keep) KEEP=1 ;;
		-v | --verbose) VERBOSE=1 ;;
		-h | --help) usage; exit 0 ;;
		--) shift; GLOBS+=("$@"); break ;;
		-*) die "unknown option: $option; see --help" ;;
		*) GLOBS+=("$option") ;;
		esac
		shift
	done
	own_among_globs
	check_options_together
	check_stress
}

own_among_globs() {
	local glob globs=("${GLOBS[@]}")
	GLOBS=()
	for glob in "${globs[@]}"; do
		if [[ $glob == *.c && -f $glob ]]; then
			OWN_FILES+=("$(realpath "$glob")")
		elif [[ $glob == */* ]]; then
			die "$glob: no such C file; tests are named without slashes, --list shows them"
		else
			GLOBS+=("$glob")
		fi
	done
}

check_options_together() {
	[ -z "$TIMEOUT" ] || [[ $TIMEOUT =~ ^[1-9][0-9]{0,4}$ ]] ||
		die "--timeout $TIMEOUT: seconds are wanted, 1 to 99999"
	# a program of the user's own may take as long as it likes
	if [ -z "$TIMEOUT" ]; then
		case $MODE in
		exec) TIMEOUT=0 ;;
		reintroduce) TIMEOUT=30 ;; # a bug that hangs is to be caught within a minute
		upstream) TIMEOUT=180 ;; # they have limits of their own, up to 120 s
		*) TIMEOUT=60 ;;
		esac
	fi
	[[ $REPEAT =~ ^[1-9][0-9]{0,3}$ ]] || die "--repeat $REPEAT: a number is wanted, 1 to 9999"
	case $MODE in
	bisect*)
		[ "${#KERNELS[@]}" = 0 ] || die "--$MODE tests a git checkout; give it with --tree and not with -k"
		[ "${#CONFIGS[@]}" -le 1 ] || die "--$MODE works with one config; give one -c"
		((${#GLOBS[@]} + ${#OWN_FILES[@]})) || die "--$MODE needs the tests that decide; name them"
		;;
	*)
		[ -z "$TREE" ] || die "--tree is for --bisect; without it the kernel is given with -k"
		[ "$REPEAT" = 1 ] || [ "$MODE" = suite ] || die "--repeat is for tests, and not for --$MODE"
		;;
	esac
	[ "$COVERAGE" = 0 ] || [ "$MODE" = suite ] ||
		die "--coverage and --$MODE exclude each other; give one"
	case $MODE in
	shell | exec | new)
		((${#GLOBS[@]} + ${#OWN_FILES[@]} == 0)) ||
			die "--$MODE takes no test names; got ${GLOBS[0]:-${OWN_FILES[0]}}"
		[ "${#KERNELS[@]}" -le 1 ] && [ "${KERNELS[0]:-}" != all ] && [ "${#CONFIGS[@]}" -le 1 ] ||
			die "--$MODE works on one kernel; give one -k and one -c"
		;;
	esac
	case $MODE in
	regressions) start_regressions ;;
	reintroduce)
		[ "${#GLOBS[@]}" -gt 0 ] ||
			die "--reintroduce wants the name of a regression, or all; they are the folders of regressions/"
		[ "${#CONFIGS[@]}" -le 1 ] || die "--reintroduce takes one -c"
		choose_entries
		;;
	upstream)
		[ "${#OWN_FILES[@]}" = 0 ] || die "--upstream takes no program; got ${OWN_FILES[0]}"
		;;
	exec)
		if [[ ${EXEC[0]} == *.c && -f ${EXEC[0]} ]]; then
			OWN_FILES=("$(realpath "${EXEC[0]}")")
		else
			[ -f "${EXEC[0]}" ] && [ -x "${EXEC[0]}" ] ||
				die "--exec ${EXEC[0]}: no such program; give the path of a static one, or of a C file"
			is_static "${EXEC[0]}" ||
				die "--exec ${EXEC[0]}: it is linked dynamically; link it with -static"
		fi
		;;
	esac
	[ "${#KERNELS[@]}" -gt 0 ] || KERNELS=('')
	[ "${#CONFIGS[@]}" -gt 0 ] || CONFIGS=('')
}
