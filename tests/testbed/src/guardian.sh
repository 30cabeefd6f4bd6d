# Waits until the program that started it is gone, however it went, and then takes away what that program left.
# Arguments: the run's folder, the run's id, the script that takes things away.
trap '' HUP INT TERM
dir=$1
mkdir -m 755 "$dir" "$dir/run" "$dir/containers" || exit 1
cd /
echo ready
# The other end of this pipe is open in the program only: the kernel closes it when the program ends, even by SIGKILL.
while read -r word; do
    [ "$word" = keep ] && exit 0
done
exec sh -c "$3" stop "$1" "$2"
