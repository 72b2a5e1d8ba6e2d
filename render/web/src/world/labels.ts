/** Names over the world: a few elements that are used again and again, and never lie on each other. */

export interface Label {
  text: string;
  second: string;
  /** Where on the screen; the label hangs below it, or stands on it. */
  x: number;
  y: number;
  look: "" | "sick" | "island" | "flag" | "suspect" | "chosen";
  /** It is there, whoever else has to go. */
  certain: boolean;
}

const MOST = 60;
const GAP = 3;

export class Labels {
  private readonly pool: { box: HTMLElement; first: HTMLElement; second: HTMLElement }[] = [];

  constructor(private readonly host: HTMLElement) {}

  /** Shows those that have room, the first ones first. */
  show(labels: Label[], width: number, height: number): void {
    const taken: [number, number, number, number][] = [];
    let used = 0;
    for (const label of labels) {
      if (used >= MOST) break;
      const wide = 12 + 7.2 * Math.max(Math.min(label.text.length, 42), Math.min(label.second.length, 60) * 0.86);
      const tall = label.second === "" ? 19 : 35;
      const above = label.look === "flag" || label.look === "suspect";
      const x = label.certain ? Math.min(Math.max(label.x, wide / 2), width - wide / 2) : label.x;
      let y = above ? label.y - tall : label.y;
      if (label.certain) y = Math.min(Math.max(y, GAP + 1), height - tall);
      const box: [number, number, number, number] = [x - wide / 2 - GAP, y - GAP, x + wide / 2 + GAP, y + tall + GAP];
      const outside = box[2] < 0 || box[0] > width || box[3] < 0 || box[1] > height;
      if (outside || (!label.certain && taken.some((other) => overlap(box, other)))) continue;
      taken.push(box);
      this.put(used++, label, x, y);
    }
    for (const { box } of this.pool.slice(used)) box.hidden = true;
  }

  private put(number: number, label: Label, x: number, y: number): void {
    let element = this.pool[number];
    if (element === undefined) {
      const box = document.createElement("div");
      const first = box.appendChild(document.createElement("b"));
      const second = box.appendChild(document.createElement("span"));
      element = { box, first, second };
      this.pool.push(element);
      this.host.append(box);
    }
    const { box, first, second } = element;
    box.hidden = false;
    if (box.className !== label.look) box.className = label.look;
    // Names come from strangers: text, never markup.
    if (first.textContent !== label.text) first.textContent = label.text;
    if (second.textContent !== label.second) second.textContent = label.second;
    box.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translateX(-50%)`;
  }
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
  return (a[0] ?? 0) < (b[2] ?? 0) && (b[0] ?? 0) < (a[2] ?? 0) && (a[1] ?? 0) < (b[3] ?? 0) && (b[1] ?? 0) < (a[3] ?? 0);
}
