#!/usr/bin/env bash
# Another release of CP2K beside the installed one, from a suite of the Debian mirror that apt uses here, as root.
#
#     tests/revisions/get_cp2k.sh SUITE FOLDER      SUITE: trixie, sid or experimental
#
# Nothing of this system is changed. Afterwards FOLDER/cp2k runs it, as QDIP_CP2K too; its version is printed last.
# 1.1 GB and some minutes for each; a second call only writes FOLDER/cp2k anew.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,7s/^# \?//p' "$0"; exit 2; }
suite=$1
folder=$(realpath -m "$2")
tree=$folder/tree
base=$suite
[ "$suite" = experimental ] && base=sid
if [ ! -x "$tree/usr/bin/cp2k.psmp" ]; then
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  mkdir -p "$folder"
  rm -rf "$tree"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  boot=(debootstrap)
  if ! command -v debootstrap >/dev/null; then
    (cd "$work" && apt-get download -q debootstrap >/dev/null && dpkg -x debootstrap*.deb tool)
    export DEBOOTSTRAP_DIR=$work/tool/usr/share/debootstrap
    boot=(sh "$work/tool/usr/sbin/debootstrap")
  fi
  {
    "${boot[@]}" --variant=minbase "$base" "$tree" "$mirror"
    apt=(chroot "$tree" apt-get -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false -y)
    "${apt[@]}" update
    "${apt[@]}" install cp2k cp2k-data
    if [ "$suite" = experimental ]; then # on top of sid, whose libraries it then keeps
      echo "deb $mirror experimental main" >"$tree/etc/apt/sources.list.d/experimental.list"
      "${apt[@]}" update
      "${apt[@]}" install -t experimental cp2k cp2k-data
    fi
  } >"$folder/log" 2>&1 || { echo "CP2K of $suite could not be installed; see $folder/log" >&2; exit 1; }
fi
cat >"$folder/cp2k" <<END
#!/bin/sh
# CP2K of Debian $suite, started by that suite's own loader with its own libraries
tree=$tree
libraries=\$tree/usr/lib/$(uname -m)-linux-gnu
export CP2K_DATA_DIR="\${CP2K_DATA_DIR:-\$tree/usr/share/cp2k}" OPAL_PREFIX=
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
path=\$libraries:\$libraries/openblas-pthread:\$libraries/blas:\$libraries/lapack:\$libraries/openmpi/lib
exec "\$(echo "\$libraries"/ld-linux-*.so.2)" --library-path "\$path" "\$tree/usr/bin/cp2k.psmp" "\$@"
END
chmod +x "$folder/cp2k"
"$folder/cp2k" --version | sed -n 's/.*CP2K version *//p' | head -n 1
