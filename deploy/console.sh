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
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt-get could not install ${missing[*]}; its whole output is in $log"
    fi
    rm -f "$log"
    ok "Installed ${missing[*]}"
}

# Debian's redis-server package starts a server of its own on 6379 when it is installed; ours never uses that port
# or its data, so it is left alone.
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
