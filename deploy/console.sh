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
