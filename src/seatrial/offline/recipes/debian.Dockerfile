# debian:SUITE-slim, from Debian's archive.
#   rootfs: the suite's root filesystem
FROM rootfs
CMD ["bash"]
