# The daemon of thick Multus, with the limits that its DaemonSet sets: 50 Mi, a tenth of a CPU. Argument: its socket.
set -e
limit() {
    mkdir -p "$1"
    for setting in memory.limit_in_bytes=52428800 memory.max=52428800 memory.swap.max=0 \
        cpu.cfs_period_us=100000 cpu.cfs_quota_us=10000 cpu.max='10000 100000'; do
        [ ! -e "$1/${setting%%=*}" ] || echo "${setting#*=}" >"$1/${setting%%=*}"
    done
    echo $$ >"$1/cgroup.procs"
}
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo '+memory +cpu' >/sys/fs/cgroup/cgroup.subtree_control
    limit /sys/fs/cgroup/multus
else
    for root in /sys/fs/cgroup/*; do
        [ ! -e "$root/memory.limit_in_bytes" ] && [ ! -e "$root/cpu.cfs_quota_us" ] || limit "$root/multus"
    done
fi
while :; do
    rm -f "$1"
    /opt/cni/bin/multus daemon "$1" || true
done
