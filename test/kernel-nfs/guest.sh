# Runs in the guest as root. PORT, EXPORT and COUNT are set before; /run/sums is what sha256sum checks, /run/links what links say.
# It talks with the test by lines: "SAY word" to the test, and waits until the mounted file `step/latest/turn` says what the test did.
set -e
options=ro,nfsvers=3,proto=tcp,port=$PORT,mountport=$PORT,mountproto=tcp,nolock,nosharecache
mkdir -p /mnt/data /mnt/all
# What is in a version never changes: the client need not ask anew with each file that it opens.
mount.nfs "10.0.2.2:$EXPORT" /mnt/data -o "$options,nocto"
mount.nfs "10.0.2.2:/mount" /mnt/all -o "$options,acregmin=1,acregmax=1,acdirmin=1,acdirmax=1"
echo "SAY mounted"

cd /mnt/data
found=$(find . -mindepth 1 | wc -l)
echo "SAY found $found"
[ "$found" = "$COUNT" ]
sha256sum -c -s /run/sums
echo "SAY sums"
while IFS="$(printf '\t')" read -r path target; do
  [ "$(readlink "$path")" = "$target" ] || { echo "SAY link $path"; exit 1; }
done </run/links

# A client that was told to mount for writing hears from the server that it cannot.
mkdir -p /mnt/writable
mount.nfs "10.0.2.2:$EXPORT" /mnt/writable -o "rw,${options#ro,}"
for change in "touch new" "mkdir new" "rm -f one-byte" "rmdir empty-folder" "mv -f one-byte two" "ln -s x new" "chmod 777 one-byte"; do
  if (cd /mnt/writable && $change) 2>/run/error; then echo "SAY wrote $change"; exit 1; fi
  grep -q "Read-only file system" /run/error || { echo "SAY error $(cat /run/error)"; exit 1; }
done
umount /mnt/writable
echo "SAY refused"

turn() {
  echo "SAY wait $1"
  while [ "$(cat /mnt/all/step/latest/turn)" != "$1" ]; do sleep 1; done
  echo "SAY saw $1"
}
exec 3</mnt/all/step/latest/turn
turn second
[ "$(cat <&3)" = first ] || { echo "SAY the open file changed"; exit 1; }
exec 3<&-

# The hub was killed meanwhile and started again.
turn third
sha256sum -c -s /run/sums
cd /
umount /mnt/data
umount /mnt/all
