"""OTLP receivers, decode and group commit: the only package that knows protobuf and gRPC servers."""

import os

# gRPC reads it when it is loaded. It would write a line for every broken handshake of every stranger.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
