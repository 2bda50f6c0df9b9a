set -eu
# Runs cloud-init's network stage in the network namespace it is started in, over
# a root that is thrown away. $1: where cloud-init is unpacked; $2: an empty
# folder; $3: its settings; $4: the product's name and $5: its serial number as
# firmware tells them.
mount -t tmpfs tmpfs "$2"
mkdir "$2/up" "$2/work" "$2/root" "$2/sysfs"
mount -t overlay overlay -o "lowerdir=/,upperdir=$2/up,workdir=$2/work" "$2/root"
cd "$2/root"
cp -a "$1/usr" "$1/etc" .
mkdir -p etc/cloud/cloud.cfg.d
printf '%s\n' "$3" > etc/cloud/cloud.cfg.d/99.cfg
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs var/lib/cloud 2>/dev/null || { mkdir -p var/lib/cloud; mount -t tmpfs tmpfs var/lib/cloud; }
mount -t proc proc proc
mount -t tmpfs tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/urandom c 1 9
mount -t tmpfs tmpfs sys
mkdir -p sys/real sys/class/dmi/id
mount -t sysfs sysfs sys/real
ln -s ../real/class/net sys/class/net
ln -s real/devices sys/devices
printf '%s\n' "$4" > sys/class/dmi/id/product_name
printf '%s\n' "$5" > sys/class/dmi/id/product_serial
printf '%s\n' "$5" > sys/class/dmi/id/product_uuid
printf '\n' > sys/class/dmi/id/chassis_asset_tag
# A container's firmware is its host's, and not asked; a guest's is its own.
mkdir -p usr/local/sbin
printf '#!/bin/sh\nexit 1\n' > usr/local/sbin/systemd-detect-virt
chmod 755 usr/local/sbin/systemd-detect-virt
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin chroot . /usr/bin/python3 -c 'import sys; from cloudinit.cmd.main import main; sys.argv = ["cloud-init", "--debug", "init"]; sys.exit(main())' > run/out 2>&1 || { tail -25 run/out >&2; exit 1; }
id=$(cat var/lib/cloud/data/instance-id)
echo "instance-id $id"
echo "datasource $(cat "var/lib/cloud/instances/$id/datasource")"
echo "hostname $(hostname)"
echo "user-data $(cat "var/lib/cloud/instances/$id/user-data.txt")"
grep -h -E "Using metadata source|Fetching Ec2 IMDSv2|Crawl of metadata" run/out var/log/cloud-init.log | sed 's/.*DEBUG.: //' | sort -u
