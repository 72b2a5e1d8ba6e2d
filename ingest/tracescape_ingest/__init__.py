"""OTLP receivers, decode and group commit: the only package that knows protobuf and gRPC servers."""
