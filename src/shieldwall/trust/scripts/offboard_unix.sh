#!/bin/sh
# Takes this machine out of management with an offboarding package of Shieldwall.
#
# Tenant   @TENANT@
# Package  @PACKAGE@, until @EXPIRES@, for @PLATFORMS@
#
# Every setting goes back to its state from before management. The file holds no secret. It may run again.
#
#   --without-server  leave without a word to the server: it is gone
#   --root DIR        the agent is installed below this directory instead of /
set -eu
umask 077

root='' without=''
while [ $# -gt 0 ]; do
    case $1 in
        --without-server) without=$1; shift ;;
        --root) root=${2:?--root needs a directory}; shift 2 ;;
        *) echo "Unknown option: $1" >&2; exit 2 ;;
    esac
done

if [ "$(id -u)" -ne 0 ]; then
    echo "Run this as root: the agent changes settings of the whole machine." >&2
    exit 3
fi

agent=$root/opt/shieldwall/bin/shieldwall-agent
if [ ! -x "$agent" ]; then
    agent=$(command -v shieldwall-agent || true)
fi
if [ -z "$agent" ]; then
    echo "There is no shieldwall-agent here." >&2
    exit 3
fi

package=$(mktemp)
trap 'rm -f "$package"' EXIT
base64 @DECODE@ > "$package" << 'PACKAGE'
@CONTENT@
PACKAGE

status=0
"$agent" offboard --package "$package" $without ${root:+--root "$root"} || status=$?
if [ "$status" -eq 4 ]; then
    echo "This machine is not onboarded; nothing was changed."
    exit 0
fi
exit "$status"
