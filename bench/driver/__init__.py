"""The benchmark's driver; bench/README.md says how it is put together."""
