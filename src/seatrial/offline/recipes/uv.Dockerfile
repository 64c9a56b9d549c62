# ghcr.io/astral-sh/uv: the two programs and nothing else.
#   programs: what the wheel of uv holds
FROM scratch
COPY --from=programs /uv /uvx /
WORKDIR /io
ENTRYPOINT ["/uv"]
