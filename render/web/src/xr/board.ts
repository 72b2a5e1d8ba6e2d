/** A flat thing with writing on it, in own space: a canvas as a texture, with places that can be pressed. */

import { CanvasTexture, LinearFilter, LinearMipmapLinearFilter, Matrix4, Mesh, MeshBasicMaterial, NoColorSpace, PlaneGeometry, Vector3 } from "three";

export interface Spot {
  name: string;
  x: number;
  y: number;
  wide: number;
  tall: number;
  /** It is so already. */
  lit?: boolean;
  /** With the place on the board, in pixels. */
  press(x: number, y: number): void;
  /** The ray moves while it is held; then it is let go. */
  drag?(x: number, y: number): void;
  drop?(x: number, y: number): void;
}

export interface Ink {
  text: string;
  quiet: string;
  plate: string;
  grid: string;
  arc: string;
  selection: string;
  cause: string;
  causeInk: string;
  past: string;
  pastInk: string;
  failing: string;
  states: string[];
}

export function ink(states: readonly string[]): Ink {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim() || "#888888";
  return {
    text: of("text"),
    quiet: of("quiet"),
    plate: of("plate"),
    grid: of("grid"),
    arc: of("arc"),
    selection: of("selection"),
    cause: of("cause"),
    causeInk: of("cause-ink"),
    past: of("past"),
    pastInk: of("past-ink"),
    failing: of("error"),
    states: states.map((state) => (state === "absent" ? of("absent-mark") : of(state))),
  };
}

const FONT = "system-ui, 'Segoe UI', Roboto, sans-serif";

export class Board {
  readonly mesh: Mesh<PlaneGeometry, MeshBasicMaterial>;
  readonly pen: CanvasRenderingContext2D;
  spots: Spot[] = [];
  /** Where the last ray met it, in pixels. */
  x = 0;
  y = 0;
  private pointed: Spot | null = null;
  private readonly texture: CanvasTexture;
  private readonly inverse = new Matrix4();
  private readonly from = new Vector3();
  private readonly way = new Vector3();
  private readonly up = new Vector3(0, 1, 0);
  private readonly turn = new Matrix4();

  constructor(
    readonly width: number,
    readonly height: number,
    /** How large a pixel is, m. */
    readonly pixel: number,
  ) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    if (pen === null) throw new Error("this browser draws no writing");
    this.pen = pen;
    this.texture = new CanvasTexture(canvas);
    this.texture.colorSpace = NoColorSpace;
    this.texture.minFilter = LinearMipmapLinearFilter;
    this.texture.magFilter = LinearFilter;
    this.texture.anisotropy = 4;
    const material = new MeshBasicMaterial({ map: this.texture, transparent: true });
    this.mesh = new Mesh(new PlaneGeometry(width * pixel, height * pixel), material);
    this.mesh.renderOrder = 6;
    this.mesh.visible = false;
    this.mesh.frustumCulled = false;
  }

  dispose(): void {
    this.mesh.removeFromParent();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
    this.texture.dispose();
  }

  /** A clean board; what is pressed is said anew while it is written. */
  begin(ground: string, edge: string): void {
    const { pen } = this;
    this.spots = [];
    pen.clearRect(0, 0, this.width, this.height);
    pen.textBaseline = "alphabetic";
    pen.fillStyle = ground;
    pen.strokeStyle = edge;
    pen.lineWidth = 4;
    pen.beginPath();
    pen.roundRect(3, 3, this.width - 6, this.height - 6, 24);
    pen.fill();
    pen.stroke();
  }

  end(): void {
    this.texture.needsUpdate = true;
  }

  font(size: number, weight = 400): void {
    this.pen.font = `${weight} ${size}px ${FONT}`;
  }

  /** Names come from strangers: drawn as they are, cut where they do not fit. */
  line(text: string, x: number, y: number, wide: number, colour: string): void {
    this.pen.fillStyle = colour;
    this.pen.fillText(cut(this.pen, text, wide), x, y);
  }

  /** Text over several lines; where the next one would stand. */
  lines(text: string, x: number, y: number, wide: number, pitch: number, most: number, colour: string): number {
    const words = text.split(/\s+/).filter(Boolean);
    let at = y;
    for (let row = 0; row < most && words.length > 0; row++) {
      let line = words.shift() ?? "";
      while (words.length > 0 && (row === most - 1 || this.pen.measureText(`${line} ${words[0]}`).width <= wide)) line = `${line} ${words.shift()}`;
      this.line(line, x, at, wide, colour);
      at += pitch;
    }
    return at;
  }

  button(text: string, spot: Spot, look: Ink, strong = false): void {
    const { pen } = this;
    pen.beginPath();
    pen.roundRect(spot.x, spot.y, spot.wide, spot.tall, 12);
    const on = this.pointed?.name === spot.name;
    pen.fillStyle = on ? look.selection : strong ? look.arc : look.grid;
    pen.fill();
    this.font(30, 600);
    const label = cut(pen, text, spot.wide - 24);
    pen.fillStyle = on || strong ? look.plate : look.text;
    pen.fillText(label, spot.x + (spot.wide - pen.measureText(label).width) / 2, spot.y + spot.tall / 2 + 11);
    this.spots.push({ ...spot, lit: strong });
  }

  /** How far along the ray this board is, m; null where it is missed. With `anywhere` its plane counts, not only the board. */
  hit(origin: Vector3, direction: Vector3, anywhere = false): number | null {
    if (!this.mesh.visible) return null;
    this.inverse.compose(this.mesh.position, this.mesh.quaternion, this.mesh.scale).invert();
    this.from.copy(origin).applyMatrix4(this.inverse);
    this.way.copy(direction).transformDirection(this.inverse);
    if (this.way.z > -1e-6 || this.from.z < 0) return null;
    const away = -this.from.z / this.way.z;
    this.x = (this.from.x + away * this.way.x) / this.pixel + this.width / 2;
    this.y = this.height / 2 - (this.from.y + away * this.way.y) / this.pixel;
    if (!anywhere && (this.x < 0 || this.y < 0 || this.x > this.width || this.y > this.height)) return null;
    return away;
  }

  spotAt(x: number, y: number): Spot | null {
    return this.spots.find((spot) => x >= spot.x && y >= spot.y && x <= spot.x + spot.wide && y <= spot.y + spot.tall) ?? null;
  }

  /** Whether what is pointed at is another place than before. */
  point(spot: Spot | null): boolean {
    if (spot?.name === this.pointed?.name) return false;
    this.pointed = spot;
    return true;
  }

  /** Hangs here, and is turned to where one looks from. */
  hang(place: Vector3, eyes: Vector3): void {
    this.mesh.position.copy(place);
    this.mesh.quaternion.setFromRotationMatrix(this.turn.lookAt(eyes, place, this.up));
  }

  /** How high letters of so many pixels look from there, in degrees. */
  degrees(pixels: number, eyes: Vector3): number {
    return (Math.atan2(pixels * this.pixel, this.mesh.position.distanceTo(eyes)) * 180) / Math.PI;
  }
}

export function cut(pen: CanvasRenderingContext2D, text: string, wide: number): string {
  if (pen.measureText(text).width <= wide) return text;
  const letters = [...text.slice(0, 400)];
  while (letters.length > 1 && pen.measureText(`${letters.join("")}…`).width > wide) letters.length = Math.min(letters.length - 1, Math.max(1, Math.floor(letters.length * 0.94)));
  return `${letters.join("")}…`;
}
