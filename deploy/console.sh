# Shared by deploy/up, deploy/test and .ci/run: plain words on the terminal, and the packages they need.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' yellow='' plain=''
fi

title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }
ok() { printf '  %s✓%s %s\n' "$green" "$plain" "$*"; }
note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
warn() { printf '  %s!%s %s\n' "$yellow" "$plain" "$*"; }
fail() { printf '  %s✗ %s%s\n' "$red" "$*" "$plain" >&2; }
die() {
    fail "$1"
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# Milliseconds since some fixed point, for differences only.
now_ms() {
    local now=${EPOCHREALTIME/[.,]/}
    echo $((now / 1000))
}

# `seconds FROM_MS`: what has passed since, as 12.3
seconds() {
    local passed=$(($(now_ms) - $1))
    printf '%d.%d' $((passed / 1000)) $((passed % 1000 / 100))
}

# Megabytes that are free where the folder is, or will be.
free_mb() {
    local folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
    df -Pk -- "$folder" | awk 'NR == 2 { print int($4 / 1024) }'
}

# `need_room MEGABYTES FOLDER WHAT HINT…`: ends unless so much is free there.
need_room() {
    local wanted=$1 folder=$2 what=$3 free
    shift 3
    free=$(free_mb "$folder") || return 0
    [ "${free:-$wanted}" -ge "$wanted" ] && return 0
    die "The disk has too little room: $what needs $wanted MB more in $folder, and $free MB are free there." "$@"
}

# `need_room_to_build MEGABYTES`: the same for a build that takes so much from scratch; what an earlier one left is not built again.
need_room_to_build() {
    local target=${CARGO_TARGET_DIR:-target} wanted=$1 there
    [ "${target#/}" != "$target" ] || target=$PWD/$target
    there=$(du -sk -- "$target" 2>/dev/null | cut -f 1) || true
    wanted=$((wanted - ${there:-0} / 1024))
    # A change is built beside what was there.
    [ "$wanted" -ge 1000 ] || wanted=1000
    need_room "$wanted" "$target" "the build" \
        "Free some, or build elsewhere: export CARGO_TARGET_DIR=/a/folder/on/a/larger/disk"
}

# `name_full_disks FOLDER …`: for after a failure, whose own words are often others.
name_full_disks() {
    local folder free
    for folder in "$@"; do
        free=$(free_mb "$folder") || continue
        [ "${free:-100}" -ge 100 ] || fail "The disk of $folder is full: $free MB are free. That may be why."
    done
}

# From here on temporary files lie in a folder of this run (TMPDIR), and those that earlier runs have left are removed, unless
# one of their processes lives: each holds its run's lock. Tests reserve ports for the whole machine, so that folder is shared.
own_temporary_folder() {
    local base left
    base=$(cd -- "${TMPDIR:-/tmp}" && pwd) || die "There is no such folder: ${TMPDIR:-/tmp}" "export TMPDIR=/a/folder"
    for left in "$base"/postrider-run.*; do
        [ -O "$left/lock" ] && [ ! -L "$left" ] || continue
        if (flock -n 8) 8<"$left/lock"; then rm -rf -- "$left"; fi
    done
    mkdir -p "$base/postrider-ports" && TMPDIR=$(mktemp -d "$base/postrider-run.XXXXXX") || die "No temporary folder can be made in $base."
    # Servers that refuse root are there as users of their own.
    chmod 755 "$TMPDIR"
    exec 8>"$TMPDIR/lock"
    flock 8
    ln -s "$base/postrider-ports" "$TMPDIR/postrider-ports"
    export TMPDIR
}

# `need COMMAND=PACKAGE …`: installs the packages whose command is missing when it may, else prints how.
# Names are Debian's and Ubuntu's; elsewhere the message says which programs are missing.
need() {
    local missing=() commands=() pair
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null 2>&1 || { missing+=("${pair#*=}") commands+=("${pair%%=*}"); }
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        die "These programs are missing: ${commands[*]}" "Install them with this system's package manager and run the command again."
    fi
    if [ "$(id -u)" != 0 ]; then
        die "These packages are missing: ${missing[*]}" "sudo apt-get update && sudo apt-get install --yes ${missing[*]}"
    fi
    note "installing ${missing[*]} …"
    local log
    log=$(mktemp)
    if ! (install_programs "${missing[@]}") >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        die "apt-get could not install ${missing[*]}; its whole output is in $log"
    fi
    rm -f "$log"
    ok "Installed ${missing[*]}"
}

# `install_programs PACKAGE …`: installs programs, not services: what Debian's packages would start now or at the next boot (a
# mail server on port 25, a Redis on 6379) stays off. Services that were there before are not touched. Runs in a subshell.
install_programs() {
    local policy=/usr/sbin/policy-rc.d before new
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" || return 1
        # shellcheck disable=SC2064 # the path as it is now
        trap "rm -f '$policy'" EXIT
        trap 'exit 1' INT TERM
    fi
    before=$(enabled_services)
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" || return 1
    command -v systemctl >/dev/null 2>&1 || return 0
    for new in $(comm -13 <(printf '%s\n' "$before") <(enabled_services)); do
        systemctl disable "$new" || return 1
    done
}

enabled_services() { find /etc/systemd/system -path '*.wants/*' -name '*.service' -printf '%f\n' 2>/dev/null | sort -u; }

need_rust() {
    command -v cargo >/dev/null 2>&1 || die "Rust is missing." "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" "and open a new terminal."
    need cc=build-essential
}

# `need_cargo_tool SUBCOMMAND`: builds a cargo tool at the version its own lock file names.
need_cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 && return 0
    note "installing cargo-$1 …"
    cargo install --quiet --locked "cargo-$1" || die "cargo could not install cargo-$1"
    ok "Installed cargo-$1"
}
