/** Asking the collector: one function, one sentence for whatever goes wrong. */

export type Params = Record<string, string | undefined>;

/** The questions that every view may ask stand beside the page, wherever a proxy has put both. */
const PLACE = new URL("./ask/", document.baseURI);
const KEY = "tracescape-key";
/** Sentences with times in them are in this one. */
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
const LOST = "The collector does not answer. What is shown is what it said last.";

export class AskError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** The API key of this tab, in no address and in no file. */
export function key(): string | null {
  return sessionStorage.getItem(KEY);
}

export function setKey(value: string): void {
  sessionStorage.setItem(KEY, value);
}

/** Without what is empty, and with "all" for no bound at all. */
export function query(params: Params): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "" && !(name === "since" && value === "all")) found.set(name, value);
  }
  return found.toString();
}

/** The answer as it comes. Rejects with `AskError`, or with an `AbortError` when it was given up. */
export async function request(question: string, params: Params, signal: AbortSignal): Promise<Response> {
  const url = new URL(question, PLACE);
  url.search = query(params);
  const given = key();
  let response: Response;
  try {
    response = await fetch(url, {
      signal,
      credentials: "omit",
      headers: { "Time-Zone": ZONE, ...(given === null ? {} : { Authorization: `Bearer ${given}` }) },
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new AskError(LOST, 0);
  }
  if (!response.ok) throw new AskError(await sentence(response), response.status);
  return response;
}

/** The answer as `read` takes it: JSON, unless it says otherwise. */
export async function ask<T>(question: string, params: Params, signal: AbortSignal, read: (response: Response) => Promise<T> = (response) => response.json() as Promise<T>): Promise<T> {
  for (;;) {
    try {
      const response = await request(question, params, signal);
      return await read(response);
    } catch (error) {
      if (signal.aborted || !(error instanceof AskError) || error.status !== 503) {
        throw error instanceof TypeError || error instanceof SyntaxError ? new AskError(LOST, 0) : error;
      }
      await pause(1000, signal);
    }
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

async function sentence(response: Response): Promise<string> {
  try {
    const told = (await response.json()) as { error?: unknown };
    if (typeof told.error === "string") return told.error;
  } catch {
    // something between us and the collector answered
  }
  return `The collector answered ${response.status}, without saying why.`;
}
