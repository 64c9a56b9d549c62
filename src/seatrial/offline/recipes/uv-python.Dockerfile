# ghcr.io/astral-sh/uv:pythonX.Y-… and uv:debian-slim: uv in an image of Python or Debian.
#   base: that image
#   programs: what the wheel of uv holds
FROM base
COPY --from=programs /uv /uvx /usr/local/bin/
ENV UV_TOOL_BIN_DIR=/usr/local/bin
CMD ["/usr/local/bin/uv"]
