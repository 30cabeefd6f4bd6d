# Takes away everything that one run made. Arguments: the run's folder, the run's id.
dir=$1
id=$2
cd /

# Processes: all of a run's have their working directory in its folder "run", and so have their children. That
# needs no list of process ids, which could be incomplete after a SIGKILL, or name an unrelated process by now.
while :; do
    pids=$(ls -ld /proc/[0-9]*/cwd 2>/dev/null | while read -r link; do
        case $link in *" -> $dir/run"*) link=${link#*/proc/}; echo "${link%%/*}" ;; esac
    done)
    [ -n "$pids" ] || break
    kill -9 $pids 2>/dev/null
    sleep 0.02
done

# Network namespaces, and with them every link that was made for the run.
for ns in /run/netns/"lh-$id-"*; do
    [ -e "$ns" ] || continue
    umount "$ns" 2>/dev/null
    rm -f "$ns"
done

while read -r _ point _; do
    case $point in "$dir"/*) umount -l "$point" ;; esac
done </proc/mounts

# The cgroups of nodes, from the leaves: empty, since their processes have ended.
for group in /sys/fs/cgroup/"leasehold-$id" /sys/fs/cgroup/*/"leasehold-$id"; do
    [ -d "$group" ] || continue
    tries=0
    until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ "$tries" -ge 100 ]; do
        # The kernel takes a moment to forget a process.
        tries=$((tries + 1))
        sleep 0.02
    done
done

# What plugins and libcni noted on this machine: files named by a container, whose id begins with the run's or is listed in
# the folder "containers", or holding a namespace's name.
for notes in /run/leasehold /var/lib/cni; do
    [ -d "$notes" ] || continue
    find "$notes" -type f -name "*$id*" -delete
    for container in "$dir"/containers/*; do
        find "$notes" -type f -name "*${container##*/}*" -delete
    done
    grep -rlF "lh-$id-" "$notes" 2>/dev/null | while read -r note; do rm -f "$note"; done
done

rm -rf "$dir"

# Another run may be about to write into these folders.
set -- "${dir%-*}"-*
[ -e "$1" ] || find /run/leasehold /var/lib/cni -depth -type d -empty -delete 2>/dev/null
