# The bridge as a static program on an empty base: nothing in the image but the program and the
# certificate authorities. Build it for another processor with --build-arg TARGETARCH=arm64, or
# TARGETARCH=arm and TARGETVARIANT=v7; `docker buildx build --platform` sets both by itself.

# The image that has the Go toolchain and certificates. A mirror, or one made by hand, serves as well.
ARG GO_IMAGE=docker.io/library/golang:1.26
# BuildKit says which platform it builds on; the classic builder says nothing and gets the default.
ARG BUILDPLATFORM=${BUILDPLATFORM:-linux/amd64}

FROM --platform=${BUILDPLATFORM} ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Empty means: the processor this is built on.
ARG TARGETARCH
ARG TARGETVARIANT
ARG VERSION=
ARG REVISION=
# Only 32-bit ARM has a GOARM; amd64 may come with a variant too, which is none of Go's business here.
RUN if [ "$TARGETARCH" = arm ]; then export GOARM="${TARGETVARIANT#v}"; fi; \
    CGO_ENABLED=0 GOOS=linux GOARCH="$TARGETARCH" go build -tags nethttpomithttp2 -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION" \
    -o /out/snom2mqtt ./cmd/snom2mqtt && mkdir -p /out/state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/snom2mqtt /snom2mqtt
COPY LICENSE THIRD_PARTY_LICENSES.txt /licenses/
# Where it keeps what phones have told of themselves. A volume there outlives the container.
COPY --from=build --chown=65532:65532 /out/state /var/lib/snom2mqtt
ENV SNOM2MQTT_STATE_DIRECTORY=/var/lib/snom2mqtt
# A user without any rights, by number, because there is no /etc/passwd to look a name up in.
USER 65532:65532
ENTRYPOINT ["/snom2mqtt"]
# Asks /healthz on SNOM2MQTT_CONSOLE_LISTEN, as the bridge in the same container reads it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/snom2mqtt", "healthcheck"]
