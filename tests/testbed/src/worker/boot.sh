# The node's part of every cgroup hierarchy, then its namespaces. Runs in the node's network namespace.
# Arguments: the node's cgroup, the folder of its disk, the script that goes on inside.
set -e
for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$root/cgroup.procs" ] || continue
    mkdir -p "$root/$1/system"
    # cgroup v1: a cpuset without CPUs takes no process.
    for group in "$root/${1%/*}" "$root/$1" "$root/$1/system"; do
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$group/$file" ] || cat "${group%/*}/$file" >"$group/$file"
        done
    done
    # It becomes the root of what the node sees.
    echo $$ >"$root/$1/cgroup.procs"
done
exec unshare --mount --propagation private --pid --cgroup --fork --kill-child sh -c "$3" leasehold-node "$2"
