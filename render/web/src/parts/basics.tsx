import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Answer } from "../hooks";
import type { Attribute, State } from "../documents";
import { plain } from "../format";
import { link } from "../route";

/** The colour law: never colour alone. One ring is degraded, two are failing, a hatched void is absent. */
export function StateMark({ state }: { state: State }) {
  return (
    <span class={`state ${state}`}>
      <svg viewBox="0 0 20 20" aria-hidden="true" class="state-mark">
        {state === "absent" ? (
          <circle cx="10" cy="10" r="6" class="void" />
        ) : (
          <circle cx="10" cy="10" r="4.5" class="body" />
        )}
        {(state === "degraded" || state === "failing") && <circle cx="10" cy="10" r="6.8" class="ring" />}
        {state === "failing" && <circle cx="10" cy="10" r="9" class="ring" />}
      </svg>
      {state}
    </span>
  );
}

/** The answer once it is there; until then a line that something is on its way, or what went wrong. */
export function Shown<T>({
  of,
  waiting,
  children,
}: {
  of: Answer<T>;
  waiting: string;
  children: (data: T) => ComponentChildren;
}) {
  return (
    <>
      {of.error !== undefined && <Problem text={of.error.message} />}
      {of.data !== undefined ? children(of.data) : of.error === undefined && <Waiting text={waiting} />}
    </>
  );
}

export function Waiting({ text }: { text: string }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <p class="waiting" role="status">
      {text} … {long && "The first questions after an installation take up to a minute, while code is compiled."}
    </p>
  );
}

const PATIENCE_MS = 6000;

export function Problem({ text }: { text: string }) {
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

/** A wide thing that scrolls by itself, with the keyboard too, so that the page never does sideways. */
export function Wide({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="wide" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}

export function ServiceLink({ name }: { name: string }) {
  return <a href={link("service", name)}>{name}</a>;
}

export function TraceLink({ id, children }: { id: string | null | undefined; children: ComponentChildren }) {
  return id ? <a href={link("trace", id)}>{children}</a> : null;
}

/** Attributes as a list; a plain value can be searched for. */
export function Attributes({ of, owner = "" }: { of: Attribute[]; owner?: string }) {
  if (of.length === 0) return <p class="quiet">none</p>;
  return (
    <dl class="attributes">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <Value text={plain(value)} />
            {isPlain(value) && (
              <a
                class="find"
                href={link("search", "", { where: `${field(owner, name)} = ${value}` })}
                aria-label={`find ${name} = ${plain(value)}`}
                title="Search for this"
              >
                find
              </a>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A long text, such as a stack trace, opens when it is wanted. */
function Value({ text }: { text: string }) {
  if (text.length <= LONG) return <span class="value">{text}</span>;
  return (
    <details class="value-long">
      <summary>{text.trim().split("\n").at(-1)?.slice(0, LONG)}</summary>
      <span class="value">{text}</span>
    </details>
  );
}

const LONG = 240;

function isPlain(value: string): boolean {
  return !/^[[{n]/.test(value) && value.length < 2000;
}

/** An attribute's key as a filter writes it. */
export function field(owner: string, name: string): string {
  const simple = /^[\p{L}\p{N}_\-/:@$.]+$/u.test(name);
  return `${owner}${simple ? name : JSON.stringify(name)}`;
}
