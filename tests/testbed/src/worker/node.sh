# The first process of a node. Argument: the folder of the node's disk, which outlives a reboot.
set -e
disk=$1
# The machine's /proc is still here: this process's id as the machine knows it.
read -r pid _ </proc/self/stat
mount -t proc proc /proc

# What the node writes stays the node's: nothing of the machine's own folders changes.
for folder in etc opt var; do
    mkdir -p "$disk/$folder" "$disk/work/$folder"
    mount -t overlay -o "lowerdir=/$folder,upperdir=$disk/$folder,workdir=$disk/work/$folder" node "/$folder"
done
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns
# The layers of containers are overlays themselves, which an overlay cannot hold.
mkdir -p "$disk/containerd" /var/lib/containerd
mount --bind "$disk/containerd" /var/lib/containerd

# The cgroups as seen from the node's own.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup /sys/fs/cgroup
    echo 0 >/sys/fs/cgroup/system/cgroup.procs
else
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    while IFS=: read -r _ controllers _; do
        group=/sys/fs/cgroup/${controllers#name=}
        case $controllers in
        '') mkdir -p /sys/fs/cgroup/unified; mount -t cgroup2 cgroup /sys/fs/cgroup/unified ;;
        *) mkdir -p "$group"; mount -t cgroup -o "$controllers" cgroup "$group" ;;
        esac
    done </proc/self/cgroup
fi

# kubelet sets these for the whole machine: here it sets copies.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    copy=/run/sysctl/$setting
    mkdir -p "${copy%/*}"
    cat "/proc/sys/$setting" >"$copy"
    mount --bind "$copy" "/proc/sys/$setting"
done

echo "$pid"
# Orphans become children of this process: waiting for them is its work.
while :; do
    sleep 3600 &
    wait
done
