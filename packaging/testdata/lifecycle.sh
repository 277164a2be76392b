#!/bin/bash
# The life of the package on a machine with a real systemd: install, configure, start, crash, hang, wrong
# configuration, upgrade, disable, remove, purge; then the same binary without the package. Runs as root inside the
# machine that boot.sh boots, beside old.deb and new.deb. Every step prints a line; the first that fails ends it.
set -u
step=start
fail() { echo "FAILED: $step: $*"; journalctl -u azs-agent -n 30 --no-pager 2>/dev/null; exit 1; }
say() { step=$1; echo "-- $step"; }
is() { local got; got=$(eval "$1"); [ "$got" = "$2" ] || fail "$1 is '$got', want '$2'"; }
try() { "$@" >/tmp/out 2>&1 || fail "$* ended with $?: $(cat /tmp/out)"; }
refused() { "$@" >/tmp/out 2>&1 && fail "$* should have been refused"; return 0; }
prop() { systemctl show -p "$1" --value azs-agent; }
# within SECONDS COMMAND: the command succeeds before the time is over.
within() {
	local until=$((SECONDS + $1)); shift
	until eval "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || fail "not in time: $*"
		sleep 0.2
	done
}
running() { [ "$(prop ActiveState)" = active ]; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
export DEBIAN_FRONTEND=noninteractive

say "install"
try dpkg -i old.deb
is "systemctl is-enabled azs-agent" disabled
is "prop ActiveState" inactive
is "stat -c '%U:%G %a' /etc/azs-agent" "root:azs-agent 750"
is "stat -c '%U:%G %a' /var/lib/azs-agent" "azs-agent:azs-agent 750"
id -nG azs-agent | grep -qw dialout || fail "azs-agent is not in dialout"
is "azs-agent version --json | sed -n 's/.*\"version\": \"\(.*\)\",/\1/p'" 1.0.0
man -w azs-agent >/dev/null 2>&1 || [ -e /usr/share/man/man8/azs-agent.8.gz ] || grep -rqs 'path-exclude=/usr/share/man' /etc/dpkg || fail "no manual page"

say "no service before there is a configuration"
refused azs-agent service install
grep -q "azs-agent init" /tmp/out || fail "no hint: $(cat /tmp/out)"

say "init"
try azs-agent init --station 17 --name "АЗС 17" --port none </dev/null
is "stat -c '%U:%G %a' /etc/azs-agent/config.yaml" "root:azs-agent 640"
is "stat -c '%U:%G %a' /etc/azs-agent/api.token" "root:azs-agent 640"
refused azs-agent init --station 18
is "azs-agent service status >/dev/null; echo \$?" 3

say "service install: ready"
programme=/usr/share/azs-agent/programmes/semeynaya-komanda.yaml
try azs-agent programme check $programme
printf 'programme:\n  file: %s\n' $programme >>/etc/azs-agent/config.yaml
try azs-agent config check
began=$(now_ms)
try azs-agent service install
echo "   ready after $(($(now_ms) - began)) ms"
is "systemctl is-enabled azs-agent" enabled
is "prop ActiveState" active
is "azs-agent service status >/dev/null; echo \$?" 0
is "stat -c %U /proc/$(prop MainPID)" azs-agent
try azs-agent service install # again: nothing changes
[ ! -e /etc/systemd/system/azs-agent.service ] || fail "a second unit beside the packaged one"
[ -e /var/lib/azs-agent/ledger.db ] || fail "no ledger"
is "stat -c '%U %a' /var/lib/azs-agent/ledger.db" "azs-agent 640"
try curl -fsS --max-time 5 http://127.0.0.1:9713/healthz
try azs-agent status
try azs-agent page

say "kill -9: back"
pid=$(prop MainPID)
began=$(now_ms)
kill -9 "$pid"
within 20 '[ "$(prop NRestarts)" = 1 ] && running && [ "$(prop MainPID)" != '"$pid"' ]'
echo "   back after $(($(now_ms) - began)) ms, 2000 of them RestartSec"

say "watchdog: a process that hangs is replaced"
pid=$(prop MainPID)
kill -STOP "$pid"
within 60 '[ "$(prop NRestarts)" = 2 ] && running && [ "$(prop MainPID)" != '"$pid"' ]'
journalctl -u azs-agent --no-pager | grep -qi watchdog || fail "it was not the watchdog"

say "stop and start"
began=$(now_ms)
try azs-agent service stop
echo "   stopped after $(($(now_ms) - began)) ms"
is "prop ActiveState" inactive
is "prop Result" success
try azs-agent service start
is "prop ActiveState" active

say "a wrong configuration is not restarted"
echo 'stations: {}' >>/etc/azs-agent/config.yaml
refused azs-agent service restart
within 20 '[ "$(prop ActiveState)" = failed ]'
is "prop ExecMainStatus" 78
azs-agent service status >/tmp/out; is "echo $?" 1
grep -q "azs-agent doctor" /tmp/out || fail "no hint: $(cat /tmp/out)"
sed -i '$d' /etc/azs-agent/config.yaml
try azs-agent service start
is "prop ActiveState" active

say "a crash loop is not called running"
mkdir -p /run/systemd/system/azs-agent.service.d
printf '[Service]\nExecStart=\nExecStart=/bin/sh -c "systemd-notify --ready; exit 1"\nNotifyAccess=all\nRestartSec=100ms\n' >/run/systemd/system/azs-agent.service.d/crash.conf
systemctl daemon-reload
systemctl restart azs-agent >/dev/null 2>&1
within 20 '[ "$(prop NRestarts)" -ge 3 ]'
azs-agent service status >/tmp/out; is "echo $?" 1
grep -q "crash loop" /tmp/out || fail "$(cat /tmp/out)"
rm -r /run/systemd/system/azs-agent.service.d
systemctl daemon-reload
try azs-agent service restart
is "prop ActiveState" active

say "upgrade: configuration kept, service restarted with the new binary"
echo "AZS_LOG_LEVEL=debug" >>/etc/azs-agent/environment
sum=$(md5sum /etc/azs-agent/config.yaml /etc/azs-agent/environment /etc/azs-agent/api.token)
pid=$(prop MainPID)
try dpkg -i --force-confold new.deb
is "azs-agent version --json | sed -n 's/.*\"version\": \"\(.*\)\",/\1/p'" 1.1.0
is "md5sum /etc/azs-agent/config.yaml /etc/azs-agent/environment /etc/azs-agent/api.token" "$sum"
is "prop ActiveState" active
[ "$(prop MainPID)" != "$pid" ] || fail "the old binary still runs"

say "upgrade: what the technician stopped stays stopped, what he disabled stays disabled"
try azs-agent service stop
try dpkg -i --force-confold old.deb
is "prop ActiveState" inactive
is "systemctl is-enabled azs-agent" enabled
try systemctl disable azs-agent
try dpkg -i --force-confold new.deb
is "prop ActiveState" inactive
is "systemctl is-enabled azs-agent" disabled
try azs-agent service install
is "systemctl is-enabled azs-agent" enabled

say "remove: stopped, configuration and ledger kept"
try dpkg -r azs-agent
[ -z "$(pgrep -x azs-agent)" ] || fail "the process is still there"
[ -e /etc/azs-agent/config.yaml ] || fail "the configuration went"
[ ! -L /etc/systemd/system/multi-user.target.wants/azs-agent.service ] || fail "still wanted by the machine's start"
ledger=$(md5sum /var/lib/azs-agent/ledger.db)

say "install again: the same station"
try dpkg -i new.deb
is "prop ActiveState" inactive
try azs-agent service install
is "prop ActiveState" active

say "purge: the ledger stays"
try dpkg -P azs-agent
[ ! -e /etc/azs-agent ] || fail "left in /etc/azs-agent: $(ls -A /etc/azs-agent)"
[ -e /var/lib/azs-agent/ledger.db ] || fail "the ledger went"
[ "${#ledger}" -gt 32 ] || fail "there was no ledger"

say "without the package: the same unit by kardianos/service"
rm -rf /var/lib/azs-agent
userdel azs-agent
dpkg-deb --fsys-tarfile new.deb | tar -xO ./usr/bin/azs-agent >/root/azs-agent
chmod 755 /root/azs-agent
try /root/azs-agent init --station 17 --port none </dev/null
refused /root/azs-agent service install
grep -q "cannot see /root/azs-agent" /tmp/out || fail "$(cat /tmp/out)"
install -m 755 /root/azs-agent /usr/local/bin/azs-agent
hash -r
try azs-agent service install
is "prop ActiveState" active
is "systemctl is-enabled azs-agent" enabled
is "prop FragmentPath" /etc/systemd/system/azs-agent.service
is "stat -c '%U:%G %a' /etc/azs-agent/config.yaml" "root:azs-agent 640"
dpkg-deb --fsys-tarfile new.deb | tar -xO ./usr/lib/systemd/system/azs-agent.service | sed 's#/usr/bin/azs-agent#/usr/local/bin/azs-agent#' >/tmp/want.service
cmp /tmp/want.service /etc/systemd/system/azs-agent.service || fail "the unit is not that of the package"
pid=$(prop MainPID)
try azs-agent service uninstall
[ ! -e /proc/"$pid" ] || fail "the process is still there"
[ ! -e /etc/systemd/system/azs-agent.service ] || fail "the unit is still there"
is "azs-agent service status >/dev/null; echo \$?" 4
[ -e /var/lib/azs-agent/ledger.db ] || fail "the ledger went"
echo "-- done"
