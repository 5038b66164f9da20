#!/usr/bin/env bash
# build-guest.sh FOLDER: a Linux kernel and an initial file system with its NFS client, from Debian's packages, into FOLDER.
# Wants apt-get, dpkg-deb, cpio, kmod, xz, busybox-static and nfs-common. Nothing is installed, and no root is needed.
set -euo pipefail
folder=$1
mkdir -p "$folder/packages" "$folder/root" "$folder/kernel"
cd "$folder"

# The package without a version depends on the newest one; that of cloud machines boots in half the time.
package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
version=${package#linux-image-}
(cd packages && apt-get download -q "$package" >/dev/null)
dpkg-deb --extract packages/"$package"_*.deb kernel
/sbin/depmod --basedir kernel "$version"

cd root
mkdir -p bin sbin dev proc sys mnt etc run modules lib lib64 usr/bin
cp "$(command -v busybox || echo /bin/busybox)" bin/busybox
for module in virtio_pci virtio_net virtio_rng nfsv3; do
  /sbin/modprobe --dirname ../kernel --set-version "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
  name=$(basename "${file%.xz}")
  case $file in
    *.xz) xz --decompress --stdout "$file" >"modules/$name" ;;
    *) cp "$file" "modules/$name" ;;
  esac
  echo "$name" >>modules/order
done

# The real mount.nfs, and the libraries that it wants.
mount=/sbin/mount.nfs
install -D "$mount" sbin/mount.nfs
ldd "$mount" | grep --only-matching '/[^ ]*\.so[^ ]*' | while read -r library; do
  install -D "$(readlink --canonicalize "$library")" ".$library"
done
printf 'tcp 6 TCP\nudp 17 UDP\n' >etc/protocols
printf 'tcp tpi_cots_ord v inet tcp - -\nudp tpi_clts v inet udp - -\n' >etc/netconfig
printf 'root:x:0:0:root:/:/bin/sh\n' >etc/passwd
ln -s /proc/mounts etc/mtab

cat >init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for name in $(cat /modules/order); do insmod "/modules/$name" 2>/dev/null; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
echo "GUEST kernel $(uname -r)"
sh /run/script.sh
echo "GUEST exit $?"
poweroff -f
INIT
chmod +x init
find . | cpio --create --format=newc --quiet | gzip -1 >../initrd.gz
cp ../kernel/boot/vmlinuz-"$version" ../vmlinuz
