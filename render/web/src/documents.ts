/** What `/ask/…` answers. Moments are epoch nanoseconds as text: they are beyond what a number holds exactly. */

export type Moment = string;
export type State = "healthy" | "degraded" | "failing" | "idle" | "absent";
/** A key, and its value as JSON text, which is also how a filter writes a plain value. */
export type Attribute = [key: string, value: string];

export interface About {
  spans: number;
  first_ns: Moment | null;
  last_ns: Moment | null;
}

export interface Node {
  service: string;
  kind: string;
  calls: number;
  errors: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  state: State;
  slowest_trace: string | null;
  failed_trace: string | null;
}

export interface Edge {
  source: string;
  target: string;
  connection: string;
  calls: number;
  errors: number;
  client_p50_ns: number | null;
  client_p95_ns: number | null;
  server_p50_ns: number | null;
  server_p95_ns: number | null;
  state: State;
  slowest_trace: string | null;
  failed_trace: string | null;
}

export interface FlatMap {
  spots: { service: string; column: number; row: number }[];
  arrows: Arrow[];
  columns: number;
  room: number;
  left_out: number;
}

export interface Arrow {
  source: string;
  target: string;
  calls: number;
  errors: number;
  state: State;
  passes: [column: number, row: number][];
  back: boolean;
}

export interface Window {
  since_ns: Moment;
  until_ns: Moment;
  seconds: number;
  compared: [Moment, Moment] | null;
}

export interface Topology extends Window {
  spans: number;
  traces: number;
  nodes: Node[];
  edges: Edge[];
  map: FlatMap;
}

export interface Step {
  start_ns: Moment;
  end_ns?: Moment;
  rate_per_s: number | null;
  error_rate: number | null;
  p50_ns: number | null;
  p95_ns: number | null;
}

export interface Mark {
  kind: "change" | "deployment" | "absence" | "gap";
  start_ns: Moment | null;
  end_ns: Moment | null;
  service: string | null;
  text: string;
}

export interface Cause {
  rank: number;
  kind: string;
  service: string;
  operation: string | null;
  source: string | null;
  target: string | null;
  named: boolean;
  since_ns: Moment;
  p_value: number;
  channels: number;
  waited_before_ns: number | null;
  waited_after_ns: number | null;
  sentence: string;
  typical_trace: string | null;
  bad_trace: string | null;
}

export interface PathStep {
  rank: number;
  step: number;
  service: string;
  operation: string;
  target: string | null;
  typical_ns: number;
  bad_ns: number;
}

export interface Causes {
  window: [Moment, Moment] | null;
  baseline?: [Moment, Moment][];
  stands_out?: boolean;
  traces?: number;
  base_traces?: number;
  causes: Cause[];
  paths: PathStep[];
  explained: { service: string; kind: string; explained_by: string }[];
}

export interface TraceRow {
  trace_id: string;
  root_service: string;
  root_operation: string;
  start_ns: Moment;
  duration_ns: number;
  spans: number;
  errors: number;
  services: string[];
}

export interface SpanRow {
  trace_id: string;
  span_id: string;
  service: string;
  operation: string;
  kind: string;
  status: string;
  start_ns: Moment;
  duration_ns: number;
}

export interface Found<Row> {
  rows: Row[];
  after: string | null;
  hint: string | null;
}

export interface Cell {
  start_ns: Moment;
  end_ns: Moment;
  low_ns: number;
  high_ns: number;
  spans: number;
  errors: number;
  exemplar: string;
}

export interface Comparison {
  sentence: string;
  selected: number;
  compared: number;
  attributes: { attribute: string; type: string; score: number; significant: boolean }[];
  values: {
    attribute: string;
    value: string | null;
    selection: number;
    baseline: number;
    selection_share: number;
    baseline_share: number;
    lift: number | null;
    exemplar: string | null;
  }[];
  numbers: {
    attribute: string;
    selection_p50: number;
    baseline_p50: number;
    selection_p95: number;
    baseline_p95: number;
    significant: boolean;
  }[];
}

export interface TraceSpan {
  span_id: string;
  parent_span_id: string;
  service: string;
  operation: string;
  kind: string;
  status: string;
  status_message: string | null;
  duration_ns: number;
  self_ns: number;
  critical_ns: number;
  depth: number;
  lane: number;
  at_ns: number;
  for_ns: number;
}

export interface Note {
  kind: "event" | "log";
  text: string | null;
  severity: string | null;
  at_ns: number;
  span: number | null;
  attributes: Attribute[];
}

export interface Trace {
  trace_id: string;
  start_ns: Moment;
  length_ns: number;
  /** From the first start to the last end, whoever still waited. */
  ended_ns: number;
  root: number;
  spans: TraceSpan[];
  all_spans: number;
  voids: number;
  lit: { span: number | null; at_ns: number; for_ns: number }[];
  notes: Note[];
  all_notes: number;
  colours: Record<string, string>;
}

/** A request's way through the world; times are ns from its start, null for never. */
export type Words = [at_ns: number, words: string][];

export interface Replay {
  trace_id: string;
  start_ns: Moment;
  end_ns: Moment;
  length_ns: number;
  telling_ns: number;
  title: string;
  outcome: string;
  /** What happens, from each of these moments on. */
  says: Words;
  nodes: { service: string; from_ns: number | null; failed_ns: number | null; says: Words }[];
  ways: { source: string; target: string; lit_ns: [number | null, number | null] }[];
  legs: { way: number; leg: "request" | "work" | "away" | "response" | "message"; at_ns: number; for_ns: number; failed: boolean; critical: boolean }[];
  all_legs: number;
}

export interface SpanDetail {
  span_id: string;
  parent_span_id: string;
  service: string;
  operation: string;
  kind: string;
  status: string;
  status_message: string | null;
  duration_ns: number;
  scope: string;
  start_ns: Moment;
  attributes: Attribute[];
  resource: Attribute[];
  events: { name: string; time_ns: Moment; attributes: Attribute[] }[];
  links: { trace_id: string; span_id: string; attributes: Attribute[] }[];
  logs: { body: string | null; severity: string; time_ns: Moment; attributes: Attribute[] }[];
}

export interface Service extends Window {
  node: Node | null;
  before: { rate_per_s: number | null; error_rate: number | null; p95_ns: number | null } | null;
  reason: string;
  steps: Step[];
  operations: { service: string; operation: string; calls: number; errors: number; p95_ns: number | null }[];
  versions: string[];
  traces: { why: string; trace_id: string; name: string; duration_ns: number | null }[];
  edges: Edge[];
}

export interface Connection extends Window {
  edges: Edge[];
}

export interface Frame {
  frame: number;
  parent: number | null;
  depth: number;
  service: string;
  operation: string;
  critical_ns: number;
  total_ns: number;
  share: number;
  traces: number;
  exemplar: string;
}

export interface Flame {
  frames: Frame[];
  all: number;
  colours: Record<string, string>;
}

export interface Arrived {
  trace_id: string;
  span_id?: string;
  service?: string;
  operation?: string;
  status?: string;
  root_service?: string;
  root_operation?: string;
  spans?: number;
  errors?: number;
  duration_ns: number;
  start_ns: Moment;
}
