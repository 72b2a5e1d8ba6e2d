"""Spans that the OpenTelemetry Collector's ClickHouse exporter wrote, behind the store's `Reader` protocol.

``address`` reads a URL, ``connection`` asks the server, ``layout`` looks at its tables. ``columns`` says what
of a row is what to a store; ``conditions`` puts filters into ClickHouse's SQL, ``pushdown`` those parts of a
question's SQL that the server can answer; ``working_set`` answers the rest in DuckDB over what they left.
``reader`` is all of that together, ``search`` and ``shapes`` are questions that never leave the server.
``tables`` and ``rows`` are the other direction: the exporter's tables, and rows for them.
"""
