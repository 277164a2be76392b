#!/bin/bash
# Boots a real systemd as PID 1 over a Debian tree, runs a script in it, and ends with the script's exit status.
# The tree is not changed: everything is written to a tmpfs above it.
#
#   boot.sh TREE SCRIPT FILE...        SCRIPT runs as root in /root, beside the FILEs
#
# As root, with systemd-container installed; the host need not run systemd itself. Control groups are read-only inside,
# so DeviceAllow= is not enforced there.
set -u
tree=$1 script=$2
shift 2
work=$(mktemp -d)
group=azs-boot-$$
mkdir -p "/sys/fs/cgroup/systemd/$group" "/sys/fs/cgroup/unified/$group" 2>/dev/null
cleanup() {
	for h in systemd unified; do
		find "/sys/fs/cgroup/$h/$group" -depth -type d -exec rmdir {} \; 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/m"
export tree script work
(
	# systemd inside wants a group of its own to make its slices in.
	echo $BASHPID >"/sys/fs/cgroup/systemd/$group/cgroup.procs" 2>/dev/null
	echo $BASHPID >"/sys/fs/cgroup/unified/$group/cgroup.procs" 2>/dev/null
	exec unshare --mount --propagation private timeout -k 10 "${TIMEOUT:-240}" bash -c '
		set -e
		mount -t tmpfs -o size=2g tmpfs "$work/m"
		mkdir "$work/m/up" "$work/m/work" "$work/m/root"
		root=$work/m/root
		mount -t overlay overlay -o "lowerdir=$tree,upperdir=$work/m/up,workdir=$work/m/work" "$root"
		[ $# -eq 0 ] || cp -r "$@" "$root/root/"
		install -m 755 "$script" "$root/root/script"
		cat >"$root/etc/systemd/system/script.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory=/root
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh -c "ip link set lo up; /root/script >/root/script.log 2>&1; echo \$\$? >/root/script.rc"
ExecStopPost=/bin/systemctl --no-block poweroff
UNIT
		mkdir -p "$root/etc/systemd/system/graphical.target.wants"
		ln -s ../script.service "$root/etc/systemd/system/graphical.target.wants/script.service"
		systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network --console=pipe \
			>"$work/console" 2>&1 </dev/null || true
		if [ -e "$root/root/script.rc" ]; then
			cat "$root/root/script.log"
			exit "$(cat "$root/root/script.rc")"
		fi
		echo "the machine did not run the script; its console:"
		tail -40 "$work/console"
		cat "$root/root/script.log" 2>/dev/null
		exit 99
	' _ "$@"
)
