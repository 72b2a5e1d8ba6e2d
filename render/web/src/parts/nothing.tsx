import type { About } from "../documents";
import { count, when } from "../format";
import { useAsk } from "../hooks";
import { change } from "../route";

/** A time of which nothing is stored: what there is instead, and the way there. */
export function Nothing({ params }: { params: Record<string, string> }) {
  const about = useAsk<About>("about", {});
  const data = about.data;
  if (data === undefined) return null;
  if (data.first_ns === null || data.last_ns === null) {
    return (
      <section class="verdict" aria-label="Nothing yet">
        <p class="told">
          <b>No spans have arrived yet.</b> Point an OpenTelemetry exporter at this address, for instance:
        </p>
        <pre>{`OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=${new URL(".", document.baseURI).href.replace(/\/$/, "")}`}</pre>
      </section>
    );
  }
  const first = data.first_ns;
  const end = (BigInt(data.last_ns) + 1n).toString();
  const begin = largest(first, (BigInt(data.last_ns) - 900_000_000_000n).toString());
  return (
    <section class="verdict" aria-label="Nothing in this time">
      <p class="told">
        <b>Nothing was stored {params["until"] ? "in this time" : "lately"}.</b> There are {count(data.spans)} spans from {when(first)} to {when(data.last_ns)}.
      </p>
      <p class="actions">
        <button type="button" onClick={() => change({ since: begin, until: end })}>
          Show the last that is stored
        </button>
      </p>
    </section>
  );
}

const largest = (one: string, other: string) => (BigInt(one) > BigInt(other) ? one : other);
