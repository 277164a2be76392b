#!/bin/sh
# Builds the packages of azs-agent into a folder: deb and rpm for every architecture, and their checksums.
# The same commit gives the same bytes, in any folder and on any day.
#
#   packaging/build.sh OUT [ARCH...]        ARCH: amd64 arm64 armv7 386 (default: all)
#
# VERSION names the packages; without it the version is that of the last tag, or 0.0.0 with the commit.
# Needs go and git, and the network once, for nfpm.
set -eu

NFPM=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

[ $# -ge 1 ] || { echo "usage: packaging/build.sh OUT [amd64 arm64 armv7 386]" >&2; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- amd64 arm64 armv7 386
cd "$(dirname "$0")/.."

export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
DATE=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
COMMIT=$(git rev-parse HEAD)
if [ -z "${VERSION:-}" ]; then
	# A package version begins with a digit and sorts: 1.2.0 for a tag, 1.2.0+5.g1a2b3c4 for five commits after it.
	VERSION=$(git describe --tags --match 'v[0-9]*' 2>/dev/null | sed -e 's/^v//' -e 's/-\([0-9]*\)-g/+\1.g/') || true
	[ -n "$VERSION" ] || VERSION=0.0.0+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).g$(git rev-parse --short=7 HEAD)
fi
export VERSION LC_ALL=C

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT INT TERM

build() { # OUTPUT GOARCH GOARM
	CGO_ENABLED=0 GOOS=linux GOARCH=$2 GOARM=$3 GO386=sse2 GOAMD64=v1 go build -trimpath -buildvcs=false \
		-ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
		-o "$1" ./cmd/azs-agent
}

# The texts come from the program itself, built for this machine.
mkdir "$WORK/texts"
build "$WORK/native" "$(go env GOHOSTARCH)" "$(go env GOARM)"
"$WORK/native" man | gzip -9n >"$WORK/texts/azs-agent.8.gz"
"$WORK/native" config schema >"$WORK/texts/config.schema.json"
for shell in bash zsh fish; do
	"$WORK/native" completion $shell >"$WORK/texts/completion.$shell"
done
gzip -9n >"$WORK/texts/changelog.gz" <<CHANGES
azs-agent ($VERSION) stable; urgency=medium

  * Built from commit $COMMIT.

 -- azs-edge <azs-edge@users.noreply.github.com>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGES

(cd "$WORK" && GOBIN="$WORK" GOFLAGS= go install $NFPM)

for arch in "$@"; do
	case $arch in
	amd64) goarch=amd64 goarm='' PACKAGE_ARCH=amd64 ;;
	arm64) goarch=arm64 goarm='' PACKAGE_ARCH=arm64 ;;
	armv7) goarch=arm goarm=7 PACKAGE_ARCH=arm7 ;;
	386) goarch=386 goarm='' PACKAGE_ARCH=386 ;;
	*) echo "build.sh: unknown architecture $arch" >&2; exit 2 ;;
	esac
	export PACKAGE_ARCH STAGE="$WORK/$arch"
	mkdir "$STAGE"
	cp -r "$WORK"/texts/* LICENSE packaging/linux packaging/guides packaging/programmes "$STAGE/"
	build "$STAGE/azs-agent" $goarch "$goarm"
	# nfpm takes the times of files as they are, and a clone has its own.
	find "$STAGE" -type f -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	for packager in deb rpm; do
		"$WORK/nfpm" package --config packaging/nfpm.yaml --packager $packager --target "$OUT/" >"$WORK/log" || { cat "$WORK/log" >&2; exit 1; }
	done
done
cd "$OUT"
sha256sum -- *"$VERSION"*.deb *"$VERSION"*.rpm >SHA256SUMS
cat SHA256SUMS
