"""Every question about spans: topology, critical path, health. Tables in, Polars frames out."""
