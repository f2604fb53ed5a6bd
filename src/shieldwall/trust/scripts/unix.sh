#!/bin/sh
# Onboards this machine with one onboarding package of Shieldwall.
#
# Tenant   @TENANT@
# Package  @PACKAGE@, until @EXPIRES@, for @PLATFORMS@
#
# This file holds the package's secret: whoever reads it can onboard machines until the package expires or is revoked.
# It may run again: a machine that is onboarded stays as it is.
#
#   --install-from WHERE  where there is no agent: a wheel file, or the address of a package index; else nothing is
#                         fetched from anywhere
#   --proxy URL           HTTP proxy on the way to the server
#   --root DIR            install below this directory instead of /
set -eu
umask 077

root='' from='' proxy=''
while [ $# -gt 0 ]; do
    case $1 in
        --install-from) from=${2:?--install-from needs a file or an address}; shift 2 ;;
        --proxy) proxy=${2:?--proxy needs an address}; shift 2 ;;
        --root) root=${2:?--root needs a directory}; shift 2 ;;
        *) echo "Unknown option: $1" >&2; exit 2 ;;
    esac
done

if [ "$(id -u)" -ne 0 ]; then
    echo "Run this as root: the agent changes settings of the whole machine." >&2
    exit 3
fi

home=$root/opt/shieldwall
agent=$home/bin/shieldwall-agent
if [ ! -x "$agent" ]; then
    agent=$(command -v shieldwall-agent || true)
fi
if [ -z "$agent" ]; then
    if [ -z "$from" ]; then
        echo "There is no shieldwall-agent here. Install it, or say where from: --install-from WHEEL-OR-INDEX" >&2
        exit 3
    fi
    python3 -m venv "$home"
    if [ -f "$from" ]; then
        "$home/bin/pip" install --quiet --no-index --find-links "$(dirname "$from")" "$from"
    else
        "$home/bin/pip" install --quiet --index-url "$from" shieldwall
    fi
    agent=$home/bin/shieldwall-agent
fi

directory=$root/etc/shieldwall
package=$directory/shieldwall_onboarding.json
mkdir -p "$directory"
chmod 0700 "$directory"
placed=$(mktemp "$directory/.package.XXXXXX")
trap 'rm -f "$placed"' EXIT
base64 @DECODE@ > "$placed" << 'PACKAGE'
@CONTENT@
PACKAGE
chmod 0600 "$placed"
mv -f "$placed" "$package"
trap - EXIT

status=0
"$agent" onboard "$package" ${proxy:+--proxy "$proxy"} ${root:+--root "$root"} || status=$?
case $status in
    0) ;;
    5) echo "This machine is onboarded already; nothing was changed." ;;
    12)
        echo "This machine is registered and waits for an administrator. Run this again once it is approved." >&2
        exit 12
        ;;
    *)
        rm -f "$package"
        exit "$status"
        ;;
esac
rm -f "$package"
@START@
