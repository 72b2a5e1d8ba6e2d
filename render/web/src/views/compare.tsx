import type { Comparison } from "../documents";
import { count, digits, duration, plural, share, when } from "../format";
import { useAsk } from "../hooks";
import { Shown, TraceLink, Wide } from "../parts/basics";
import { link, windowOf } from "../route";
import { filtersOf } from "./search";

/** What is different about some spans: every attribute of theirs against that of the rest. */
export function Compare({ params }: { params: Record<string, string> }) {
  const filters = filtersOf(params);
  const more = Object.fromEntries(["cell", "slowest", "against"].flatMap((name) => (params[name] ? [[name, params[name]]] : [])));
  const found = useAsk<Comparison>("compare", { ...filters, ...windowOf(params), ...more }, false);
  return (
    <>
      <h1>What is different?</h1>
      <p class="quiet">
        {chosen(filters, params)} compared with {params["against"] ? <code>{params["against"]}</code> : "the rest of the same time"}.{" "}
        <a href={link("search", "", filters)}>Back to the search</a>
      </p>
      <Shown of={found} waiting="Comparing every attribute">
        {(data) => (
          <>
            <section class="verdict" aria-label="In words">
              <ul class="sentences">
                {data.sentence.split("\n").map((line, number) => (
                  <li key={number}>{line}</li>
                ))}
              </ul>
            </section>
            <Values of={data} />
            <Numbers of={data} />
          </>
        )}
      </Shown>
    </>
  );
}

function chosen(filters: Record<string, string>, params: Record<string, string>) {
  const parts = Object.entries(filters).map(([name, value]) => `${name.replace("_", " ")} ${value}`);
  const cell = params["cell"]?.split(",");
  if (cell?.length === 4) parts.push(`${when(cell[0] ?? "0")} – ${when(cell[1] ?? "0")}, ${duration(Number(cell[2]))} to ${duration(Number(cell[3]))}`);
  if (params["slowest"]) parts.push(`the slowest ${share(Number(params["slowest"]))}`);
  return parts.length > 0 ? `Spans with ${parts.join("; ")},` : "All spans,";
}

function Values({ of }: { of: Comparison }) {
  if (of.values.length === 0) return null;
  const order = of.attributes.map((row) => row.attribute);
  return (
    <section aria-label="Values that stand out">
      <h2>Values that stand out</h2>
      <p class="legend quiet small">
        <span class="swatch selected" /> these {plural(of.selected, "span")} <span class="swatch rest" /> the other {count(of.compared)}
      </p>
      {order
        .filter((name) => of.values.some((row) => row.attribute === name))
        .slice(0, 20)
        .map((name) => (
          <div class="compared" key={name}>
            <h3>{name}</h3>
            <Wide label={`Values of ${name}`}>
              <table>
                <thead class="unseen">
                  <tr>
                    <th>Value</th>
                    <th>Shares</th>
                    <th>In numbers</th>
                    <th>Trace</th>
                  </tr>
                </thead>
                <tbody>
                  {of.values
                    .filter((row) => row.attribute === name)
                    .slice(0, 5)
                    .map((row) => (
                      <tr key={row.value ?? "\0"}>
                        <td class="compared-value"><span class="clamped">{row.value ?? <i class="quiet">not set</i>}</span></td>
                        <td class="shares">
                          <span class="bar selected" style={{ width: `${100 * row.selection_share}%` }} />
                          <span class="bar rest" style={{ width: `${100 * row.baseline_share}%` }} />
                        </td>
                        <td class="number">
                          {share(row.selection_share)} <span class="quiet">of others {share(row.baseline_share)}</span>
                        </td>
                        <td>
                          <TraceLink id={row.exemplar}>trace</TraceLink>
                        </td>
                      </tr>
                    ))}
                </tbody>
              </table>
            </Wide>
          </div>
        ))}
    </section>
  );
}

function Numbers({ of }: { of: Comparison }) {
  const rows = of.numbers.filter((row) => row.significant);
  if (rows.length === 0) return null;
  return (
    <section aria-label="Numbers">
      <h2>Numbers that differ</h2>
      <Wide label="Numbers that differ, as a table">
        <table>
          <thead>
            <tr>
              <th>Attribute</th>
              <th class="number">p50</th>
              <th class="number">of others</th>
              <th class="number">p95</th>
              <th class="number">of others</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => {
              const shown = row.attribute === "duration_ns" ? duration : digits;
              return (
                <tr key={row.attribute}>
                  <td>{row.attribute}</td>
                  <td class="number">{shown(row.selection_p50)}</td>
                  <td class="number quiet">{shown(row.baseline_p50)}</td>
                  <td class="number">{shown(row.selection_p95)}</td>
                  <td class="number quiet">{shown(row.baseline_p95)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Wide>
    </section>
  );
}
