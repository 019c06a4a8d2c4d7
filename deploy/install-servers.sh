#!/usr/bin/env bash
# Installs PostgreSQL, mosquitto and, for the tests, Prometheus Alertmanager (and a C compiler) when they are missing, by apt-get, with sudo when we are not root. Says each step before it does it.
#
# Debian starts the services of what it installs. We need only the programs (the demo and the tests run servers of their own), so
# a service that was not there before is stopped and disabled afterwards. A service that was there is left alone. This touches
# nothing but the services that are new; a policy-rc.d, the alternative, would hold for the whole system for a while, and for
# ever when we are interrupted.
set -euo pipefail

step() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

found() { PATH="$PATH:/usr/sbin:/usr/local/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }
has_postgres() { found postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
has_alertmanager() { found prometheus-alertmanager; }
has_mosquitto() { found mosquitto && found mosquitto_passwd; }

missing() {
    has_postgres || printf 'postgresql '
    has_mosquitto || printf 'mosquitto '
    has_alertmanager || printf 'prometheus-alertmanager '
    found setpriv || printf 'util-linux '
    # rustc links with the C compiler's linker, and one dependency has parts in C.
    found cc || printf 'gcc libc6-dev '
}

found cargo || fail "cargo was not found on PATH; install the Rust toolchain from https://rustup.rs (1.92 or later)"

read -r -a packages <<<"$(missing)"
if [ ${#packages[@]} -eq 0 ]; then
    step "PostgreSQL, mosquitto and Alertmanager are installed"
    exit 0
fi
found apt-get || fail "missing: ${packages[*]}. This machine has no apt-get; install PostgreSQL (13 or later: postgres and initdb), \
mosquitto (2.0 or later: mosquitto and mosquitto_passwd), Alertmanager (as prometheus-alertmanager; for the tests only), setpriv (util-linux) and a C compiler (cc) with its own package manager, put them on PATH, and try again"

wanted=("${packages[@]}")

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    found sudo || fail "missing: ${packages[*]}. We are not root and there is no sudo; as root, run: apt-get install ${packages[*]}"
    as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

install() {
    step "apt-get install ${packages[*]}"
    apt install -y --no-install-recommends "${packages[@]}" && return
    step "apt-get update, because that failed"
    apt update || true
    step "apt-get install ${packages[*]}, once more"
    apt install -y --no-install-recommends "${packages[@]}"
}

for attempt in 1 2 3; do
    install && break
    # Another setup beside us may have held a lock, and may be done.
    read -r -a packages <<<"$(missing)"
    [ ${#packages[@]} -eq 0 ] && break
    [ "$attempt" -eq 3 ] && fail "apt-get could not install ${packages[*]}; see above, install them by hand, and try again"
    step "that failed; trying again"
    sleep 5
done

for service in "${wanted[@]}"; do
    [[ "$service" =~ ^(postgresql|mosquitto|prometheus-alertmanager)$ ]] || continue
    if [ -d /run/systemd/system ]; then
        step "systemctl disable --now $service, which apt-get has just started and nobody asked for"
        "${as_root[@]}" systemctl disable --now "$service" || step "could not; the service $service may be running"
    elif [ -x "/etc/init.d/$service" ] && "/etc/init.d/$service" status >/dev/null 2>&1; then
        step "stopping and disabling the service $service, which apt-get has just started and nobody asked for"
        "${as_root[@]}" "/etc/init.d/$service" stop || step "could not; the service $service may be running"
        "${as_root[@]}" update-rc.d "$service" disable || true
    fi
done

read -r -a packages <<<"$(missing)"
[ ${#packages[@]} -eq 0 ] || fail "still missing after the installation: ${packages[*]}; install them by hand"
step "done"
