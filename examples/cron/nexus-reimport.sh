#!/bin/sh
# For cron: a preflight of one environment, and its result by mail. It approves nothing.
#   nexus-reimport.sh ENV ADDRESS
# Where no mail can be sent the same text is printed: cron mails that, or writes it into its log.
set -u
env=${1:?the environment is missing: nexus-reimport.sh ENV ADDRESS}
to=${2:?the address is missing: nexus-reimport.sh ENV ADDRESS}
here=$(cd "$(dirname "$0")/../.." && pwd) && cd "$here" || exit 2
PATH="$here/.venv/bin:$PATH"
export LC_ALL=C.UTF-8 # cron has no language: mail programs would send the text as an attachment

code=0
printed=$(nexus-reimport run "$env" 2>&1) || code=$? # in memory: a full disk must not hide it
case $code in
    0) result="COMPLETE" ;;
    6) result="GO: it waits for an approval" ;;
    1) result="NO-GO: a check stopped it, or another run is at work; nothing was written" ;;
    2 | 3) result="it did not run to its end; nothing was written" ;;
    4 | 5) result="A PERSON MUST DECIDE NOW (exit code $code)" ;;
    126 | 127) result="it did not run: $here/.venv/bin/nexus-reimport cannot be started" ;;
    *) result="it was ended from outside (exit code $code): see nexus-reimport status $env" ;;
esac
# What it prints names tables, counts and checks, and no patient.
text=$(echo "$env: $result" && echo && echo "$printed" | tail -n 60)
if ! echo "$text" | "${MAILER:-mail}" -s "nexus-reimport $env: $result" "$to"; then
    echo "no mail could be sent to $to; it was to say:" >&2
    echo "$text" >&2
fi
exit "$code"
