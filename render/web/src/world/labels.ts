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
  /** Whose it is, and where it may stand instead of hanging at `y`. */
  body?: number;
  over?: number;
}

/** Who must not be hidden: a body and where it is on the screen. */
export interface Minded {
  body: number;
  x: number;
  y: number;
  radius: number;
}

const MOST = 60;
const GAP = 3;

export class Labels {
  private readonly pool: { box: HTMLElement; first: HTMLElement; second: HTMLElement }[] = [];

  constructor(private readonly host: HTMLElement) {}

  /** Shows those that have room, the first ones first; on nobody else who is minded, if there is another place. */
  show(labels: Label[], width: number, height: number, minded: readonly Minded[] = []): void {
    const taken: Box[] = [];
    let used = 0;
    for (const label of labels) {
      if (used >= MOST) break;
      const wide = 12 + 7.2 * Math.max(Math.min(label.text.length, 42), Math.min(label.second.length, 60) * 0.86);
      const tall = label.second === "" ? 19 : 35;
      const above = label.look === "flag" || label.look === "suspect";
      const x = label.certain ? Math.min(Math.max(label.x, wide / 2), width - wide / 2) : label.x;
      let y = above ? label.y - tall : label.y;
      if (label.certain) y = Math.min(Math.max(y, GAP + 1), height - tall);
      const boxed = (top: number): Box => [x - wide / 2 - GAP, top - GAP, x + wide / 2 + GAP, top + tall + GAP];
      const free = [y, ...(label.over === undefined ? [] : [label.over - tall])].filter((top) => {
        const box = boxed(top);
        const outside = box[2] < 0 || box[0] > width || box[3] < 0 || box[1] > height;
        return !outside && (label.certain || !taken.some((other) => overlap(box, other)));
      });
      const hides = (top: number) => minded.some((each) => each.body !== label.body && overlap(boxed(top), around(each)));
      const urgent = label.certain || label.look === "sick" || label.look === "chosen";
      const top = free.find((each) => !hides(each)) ?? (urgent ? free[0] : undefined);
      if (top === undefined) continue;
      taken.push(boxed(top));
      this.put(used++, label, x, top);
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

type Box = readonly [number, number, number, number];

function around({ x, y, radius }: Minded): Box {
  return [x - radius, y - radius, x + radius, y + radius];
}

function overlap(a: Box, b: Box): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
