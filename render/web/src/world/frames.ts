/** How long frames take, and what it costs to be slow: lights first, then how sharp and how much is drawn. */

const MEASURED = 24;
/** Slower than that, and lights stand still: they are not worth the machine. */
const SLOW_MS = 50;
/** Slower than that, and less is drawn. */
const TOO_SLOW_MS = 110;

export type Cost = "lights" | "detail" | null;

export class Frames {
  private took: number[] = [];

  /** After a frame that took so long: what is to be given up, as soon as that is known. */
  after(ms: number, lights: boolean): Cost {
    this.took.push(ms);
    if (this.took.length < MEASURED) return null;
    const median = [...this.took].sort((a, b) => a - b)[MEASURED / 2] ?? 0;
    this.took = [];
    if (lights && median > SLOW_MS) return "lights";
    return !lights && median > TOO_SLOW_MS ? "detail" : null;
  }
}
