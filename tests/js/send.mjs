// Sends three spans through one of the OpenTelemetry exporters and prints what became of them.
// node send.mjs grpc|http|proto ENDPOINT CA-FILE API-KEY
import { readFileSync } from "node:fs";
import { credentials, Metadata } from "@grpc/grpc-js";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as HttpExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [kind, endpoint, ca, key] = process.argv.slice(2);
const compression = "gzip";

function exporter() {
  if (kind === "grpc") {
    const metadata = new Metadata();
    metadata.set("x-api-key", key);
    return new GrpcExporter({
      url: endpoint, metadata, compression, credentials: credentials.createSsl(readFileSync(ca)),
    });
  }
  const Exporter = kind === "http" ? HttpExporter : ProtoExporter;
  return new Exporter({
    url: `${endpoint}/v1/traces`, headers: { authorization: `Bearer ${key}` }, compression,
    httpAgentOptions: { ca: readFileSync(ca) },
  });
}

const results = [];
const inner = exporter();
const observed = {
  export: (spans, done) => inner.export(spans, (result) => {
    results.push({ code: result.code, error: result.error && String(result.error.message) });
    done(result);
  }),
  forceFlush: () => inner.forceFlush?.(),
  shutdown: () => inner.shutdown(),
};
const provider = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter: observed })] });
const tracer = provider.getTracer("js");
for (let i = 0; i < 3; i++) {
  tracer.startSpan(`${kind} ${i}`, { attributes: { big: Number.MAX_SAFE_INTEGER, list: ["a", "b"] } }).end();
}
await provider.forceFlush().catch(() => {}); // what failed is in the results
await provider.shutdown().catch(() => {});
console.log(JSON.stringify(results));
