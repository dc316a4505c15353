#!/bin/sh
# For cron: a preflight of one environment, and its result by mail. It approves nothing.
#   nexus-reimport.sh ENV ADDRESS
set -eu
env=$1 to=$2
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here"
PATH="$here/.venv/bin:$PATH"
log=$(mktemp) && trap 'rm -f "$log"' EXIT

code=0
nexus-reimport run "$env" >"$log" 2>&1 || code=$?
case $code in
    0) result="COMPLETE" ;;
    6) result="GO: it waits for an approval" ;;
    1) result="NO-GO: a check stopped it, or another run is at work; nothing was written" ;;
    2 | 3) result="it did not run; nothing was written" ;;
    *) result="A PERSON MUST DECIDE NOW (exit code $code)" ;;
esac
# What it prints names tables, counts and checks, and no patient.
{ echo "$env: $result"; echo; tail -n 60 "$log"; } | "${MAILER:-mail}" -s "nexus-reimport $env: $result" "$to"
exit "$code"
