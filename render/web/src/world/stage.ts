/** The world, drawn. Loaded when somebody opens it: three.js comes along. */

import { BufferAttribute, BufferGeometry, LinearSRGBColorSpace, LineBasicMaterial, LineSegments, Mesh, type MeshBasicMaterial, PerspectiveCamera, Scene, Vector3, WebGLRenderer, type Color } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Replay } from "../documents";
import { ABSENT, colours, DEGRADED, FAILING, HEALTHY, IDLE, type Colours } from "./colours";
import { Ground, middles } from "./floor";
import { Frames } from "./frames";
import { graphics, isSoftware } from "./graphics";
import { Labels, type Label, type Minded } from "./labels";
import { Doing } from "./telling";
import { Levels } from "./levels";
import { curveAt } from "./picking";
import { arcs, bodies, fill, GROUP, KINDS, LARGE, MANY_RINGS, reshape, rings, ringShape } from "./shapes";
import type { World } from "./tables";
import { around, near, parsedView, written, type View } from "./viewpoint";

/** What is fainter is not drawn, as in the window. */
const FAINTEST = 0.025;
/** How well the rest is seen while a request is ridden. */
const DIMMED = 0.22;
const FLIGHT_MS = 450;
const RING = 0.085;
const TOUCH = 10;
/** Marks have their own size for who is nearer than that, and grow with the distance, */
const SEEN_FROM = 50;
/** in steps of so many times, as in the window. */
const STEP = 1.5;

/** By how much the ground's lines are brighter for who stands on it. */
const STOOD_ON = 2;
/** A name below a body takes about so much to each side, and below it, pixels. */
const NAME_WIDE = 60;
const NAME_TALL = 40;

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Events {
  /** Somebody points at a body or a connection, or at none any more. */
  hover(body: number | null, x: number, y: number, arc: number | null): void;
  /** A service is chosen, or a connection, or nothing. */
  pick(body: number | null, arc: number | null): void;
  /** Groups that are to be drawn service by service from here: all of them, and those that were asked for. */
  opened(keys: string[], chosen: string[]): void;
  /** Frames take too long with as much as is drawn. */
  slow(): void;
  /** The camera has come to rest. */
  moved(view: string): void;
  /** The graphics are gone, or back. */
  lost(gone: boolean): void;
}

/** Whether this browser can draw it at all. */
export function canDraw(): boolean {
  return graphics() !== null;
}

export class Stage {
  world: World | null = null;
  /** So many were drawn. */
  frames = 0;
  readonly camera = new PerspectiveCamera(40, 1, 0.1, 4000);
  readonly renderer = new WebGLRenderer({ antialias: !isSoftware(), alpha: true, powerPreference: "high-performance" });
  readonly scene = new Scene();
  /** Who draws instead, as long as somebody has a headset on. */
  headset: object | null = null;
  private readonly controls: OrbitControls;
  private readonly labels: Labels;
  private readonly kinds: (ReturnType<typeof bodies> | undefined)[] = [];
  private ways = arcs(24);
  private readonly marks = rings();
  private readonly ground = new Ground();
  private readonly stems = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ transparent: true, opacity: 0.6 }));
  private readonly observer: ResizeObserver;
  private palette: Colours = colours(false);
  /** Calls of a request that are on their way. */
  private readonly travellers = bodies(0, Infinity);
  ridden: { replay: Replay; at: number; doing: Doing } | null = null;
  private segments = 24;
  private many = false;
  private size = { bodies: -1, width: 1, height: 1 };
  private order: number[] = [];
  selected: string | null = null;
  private hovered: number | null = null;
  /** The connection that is pointed at, and the one that is chosen: from and to. */
  private hoveredArc: number | null = null;
  private selectedWay: [string, string] | null = null;
  private readonly levels = new Levels();
  private readonly pace = new Frames();
  /** By how much marks and bodies grow, so that they are seen from where one stands. */
  private grown = 1;
  private middles: Float64Array = new Float64Array();
  /** What is drawn of the connections, in this order, and as what. */
  private ways_: { drawn: number[]; ends: Float32Array[]; colour: Float32Array; radius: Float32Array } | null = null;
  private flight: { from: View; to: View; begun: number } | null = null;
  private pending = 0;
  private pressed = new Set<string>();
  private last = 0;
  private asked = 0;
  private moves: boolean;
  /** Whether lights may move: the processor has better things to do than to draw all the time. */
  private lit: boolean;
  private sharp = true;
  /** Whether one stands where everything is seen, and was not told to. */
  private untouched = true;
  private gone = false;

  constructor(
    private readonly host: HTMLElement,
    overlay: HTMLElement,
    private readonly events: Events,
  ) {
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    const canvas = this.renderer.domElement;
    canvas.setAttribute("aria-hidden", "true");
    host.prepend(canvas);
    this.labels = new Labels(overlay);
    this.camera.up.set(0, 0, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.maxPolarAngle = Math.PI * 0.495;
    this.controls.minDistance = 0.8;
    this.controls.zoomToCursor = true;
    this.controls.addEventListener("change", () => this.draw());
    let begun = "";
    this.controls.addEventListener("start", () => {
      this.flight = null;
      this.untouched = false;
      begun = written(this.view());
    });
    this.controls.addEventListener("end", () => {
      if (written(this.view()) !== begun) this.rest();
    });
    this.moves = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.lit = this.moves && !isSoftware();
    this.marks.renderOrder = 1;
    this.stems.frustumCulled = false;
    this.scene.add(...this.ground.parts, this.stems, this.ways, this.marks, this.travellers);
    this.listen(canvas);
    this.observer = new ResizeObserver(() => this.fitted());
    this.observer.observe(host);
    this.fitted();
  }

  dispose(): void {
    cancelAnimationFrame(this.pending);
    this.gone = true;
    this.observer.disconnect();
    this.controls.dispose();
    this.scene.traverse((each) => {
      if (each instanceof Mesh || each instanceof LineSegments) {
        each.geometry.dispose();
        (each.material as MeshBasicMaterial).dispose();
      }
    });
    this.renderer.dispose();
    this.renderer.domElement.remove();
  }

  /** Bodies, the most urgent first. */
  get ranks(): readonly number[] {
    return this.order;
  }

  /** How large the picture is, pixels. */
  get sight(): { width: number; height: number } {
    return this.size;
  }

  /** The draw calls of the last frame. */
  get calls(): number {
    return this.renderer.info.render.calls;
  }

  /** Draws another world, from where one stands. */
  show(world: World): void {
    if (world === this.world) return;
    // Nobody has gone anywhere yet: a beacon that comes later has its room, too.
    const first = this.world === null || (this.untouched && this.world.about.cause?.name !== world.about.cause?.name);
    this.world = world;
    const table = world.table("bodies");
    const priority = table.numbers("priority");
    this.order = [...priority.keys()].sort((a, b) => (priority[b] ?? 0) - (priority[a] ?? 0));
    this.middles = middles(world);
    this.hovered = this.hoveredArc = null;
    if (first) this.outside();
    this.resized();
    this.paint();
  }

  /** Everything in the theme's colours, which may have changed. */
  paint(): void {
    const world = this.world;
    if (world === null) return;
    this.palette = colours(world.about.past);
    this.ground.paint(world, this.palette, this.grown);
    this.paintBodies(world);
    this.paintArcs(world);
    this.paintRings(world);
    this.draw();
  }

  /** Shows a request `at` ns from its start, and the rest of the world only faintly; null shows all of it again. */
  ride(replay: Replay | null, at: number, by: object | null = null): void {
    if (by !== this.headset || (replay === (this.ridden?.replay ?? null) && at === (this.ridden?.at ?? at) && by !== null)) return;
    if (replay === null && this.ridden === null) return;
    const doing = this.ridden?.replay === replay ? this.ridden?.doing : undefined;
    this.ridden = replay === null ? null : { replay, at, doing: doing ?? new Doing(replay) };
    const world = this.world;
    if (world === null) return;
    this.paintBodies(world);
    this.paintArcs(world);
    this.paintRings(world);
    this.draw();
  }

  select(service: string | null): void {
    this.selected = service;
    if (this.world !== null) this.paintRings(this.world);
    this.draw();
  }

  /** Marks a connection. */
  selectWay(way: [string, string] | null): void {
    this.selectedWay = way;
    this.lightWays();
    this.draw();
  }

  /** Opens what an address names, as if somebody had clicked it here. */
  open(keys: readonly string[]): void {
    if (this.world === null || keys.length === 0) return;
    for (const key of keys) this.levels.ask(key, this.world, this.camera.position);
    this.tellLevels();
  }

  /** Gives what is drawn to a headset, or takes it back. */
  lend(headset: object | null): void {
    this.headset = headset;
    // Whoever comes back stands where they stood, however large the picture is by then.
    this.untouched = false;
    this.ground.strengthen(headset === null ? 1 : STOOD_ON);
    if (this.gone) return;
    if (headset === null) this.fitted();
    this.paint();
  }

  /** What changes from frame to frame, in a picture of this size. */
  tick(now: number, width: number, height: number): void {
    const { time, screen } = this.ways.material.uniforms;
    if (time !== undefined) time.value = (now / 1000) % 1000;
    (screen?.value as { set(x: number, y: number): void }).set(width, height);
  }

  /** Marks whom somebody points at. */
  mark(body: number | null): void {
    if (body === this.hovered) return;
    this.hovered = body;
    if (this.world !== null) this.paintRings(this.world);
    this.draw();
  }

  /** The colour that a body has on the screen, as #rrggbb, before light falls on it. */
  colourOf(body: number): string {
    return `#${this.bodyColour(body).getHexString()}`;
  }

  /** Where a body is in the canvas, in pixels; null behind the camera. */
  spot(body: number): { x: number; y: number; radius: number } | null {
    const table = this.world?.table("bodies");
    if (table === undefined || body >= table.rows) return null;
    const place = new Vector3().fromArray(table.numbers("position"), 3 * body);
    const at = this.projected(place);
    return at === null ? null : { x: at.x, y: at.y, radius: this.radiusOf(body) * at.pixels };
  }

  /** The rectangle on the canvas of bodies and of what is written below them; null where none is seen. */
  extent(of: readonly number[]): Box | null {
    let box: Box | null = null;
    for (const each of of) {
      const spot = this.spot(each);
      if (spot === null) continue;
      const { x, y, radius } = spot;
      const own = { left: x - Math.max(radius, NAME_WIDE), top: y - 2 * radius, right: x + Math.max(radius, NAME_WIDE), bottom: y + radius + NAME_TALL };
      box = box === null ? own : { left: Math.min(box.left, own.left), top: Math.min(box.top, own.top), right: Math.max(box.right, own.right), bottom: Math.max(box.bottom, own.bottom) };
    }
    return box;
  }

  /** Where the flag of the cause, or of a suspect, is on the canvas; null where there is none. */
  flag(): Box | null {
    const about = this.world?.about;
    const told = about?.cause ?? about?.suspect ?? null;
    const at = told === null || this.ridden !== null ? null : this.projected(new Vector3().fromArray(told.top));
    if (at === null) return null;
    // Labels are kept inside of the picture.
    const y = Math.max(at.y, NAME_TALL);
    return { left: at.x - 2 * NAME_WIDE, top: y - NAME_TALL, right: at.x + 2 * NAME_WIDE, bottom: y };
  }

  bodyAt(x: number, y: number): number | null {
    const table = this.world?.table("bodies");
    if (table === undefined || table.rows === 0) return null;
    const shape = table.numbers("shape");
    let found: number | null = null;
    let best = Infinity;
    for (let body = 0; body < table.rows; body++) {
      const spot = this.spot(body);
      if (spot === null) continue;
      const dome = shape[body] === GROUP;
      const [wide, tall] = [spot.x - x, (spot.y - y) * (dome ? 1.5 : 1)];
      const away = Math.hypot(wide, tall);
      if (away > spot.radius + (dome ? 0 : TOUCH)) continue;
      // A dome is behind whoever stands beside it.
      const score = (away <= spot.radius ? away / spot.radius - 1 : away - spot.radius) + (dome ? 2 * TOUCH : 0);
      if (score < best) [found, best] = [body, score];
    }
    return found;
  }

  /** The connection that is seen at a place, in pixels. */
  arcAt(x: number, y: number): number | null {
    const ways = this.ways_;
    if (ways === null || this.ridden !== null) return null;
    const number = curveAt(ways.ends, ways.drawn.length, (each) => ways.colour[4 * each + 3] ?? 0, this.camera, this.size, x, y);
    return number === null ? null : (ways.drawn[number] ?? null);
  }

  /** Goes to somebody, also where only their island is drawn. */
  flyTo(service: string): boolean {
    const world = this.world;
    if (world === null) return false;
    const body = world.services.indexOf(service);
    const [table, row] = body >= 0 ? [world.table("bodies"), body] : [world.table("everybody"), world.everybody.indexOf(service)];
    if (row < 0) return false;
    const place = new Vector3().fromArray(table.numbers("position"), 3 * row);
    this.fly(near(place, 14 + 6 * (body >= 0 ? (table.numbers("radius")[body] ?? 0) : 1), this.view()));
    return true;
  }

  flyOut(): void {
    this.fly(this.everything());
  }

  place(view: View): void {
    this.flight = null;
    this.untouched = false;
    this.camera.position.copy(view.from);
    this.controls.target.copy(view.to);
    this.controls.update();
    this.draw();
  }

  /** Goes where an address says; nowhere for what says nothing. */
  look(text: string | undefined): void {
    const wanted = parsedView(text);
    if (wanted !== null) this.place(wanted);
  }

  view(): View {
    return { from: this.camera.position.clone(), to: this.controls.target.clone() };
  }

  private outside(): void {
    this.place(this.everything());
    this.untouched = true;
  }

  private everything(): View {
    const world = this.world;
    if (world === null) return around([], this.camera);
    const points = Array.from(world.table("bodies").numbers("position"));
    if (world.about.cause !== null) points.push(...raised(world.about.cause.top, world.about.size));
    if (world.about.suspect !== null) points.push(...raised(world.about.suspect.top, world.about.size));
    const corners = world.table("corners");
    if (corners.rows > 0) {
      const places = corners.numbers("place");
      for (let at = 0; at < places.length; at += 2) points.push(places[at] ?? 0, places[at + 1] ?? 0, 0);
    }
    return around(points, this.camera);
  }

  private fly(to: View): void {
    if (!this.moves) {
      this.place(to);
      this.rest();
      return;
    }
    this.untouched = false;
    this.flight = { from: this.view(), to, begun: performance.now() };
    this.draw();
  }

  private rest(): void {
    this.events.moved(written(this.view()));
  }

  private fitted(): void {
    if (this.headset !== null) return;
    const { clientWidth, clientHeight } = this.host;
    const [width, height] = [Math.max(clientWidth, 1), Math.max(clientHeight, 1)];
    const unseen = this.world !== null && this.size.width === 1;
    this.size.width = width;
    this.size.height = height;
    this.renderer.setPixelRatio(this.sharp ? Math.min(devicePixelRatio, 2) : 1);
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (unseen || (this.untouched && this.world !== null)) this.outside();
    this.draw();
  }

  private draw(): void {
    if (this.pending !== 0 || this.gone || this.headset !== null) return;
    this.asked = performance.now();
    this.pending = requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    this.pending = 0;
    if (this.world === null || this.gone || this.headset !== null) return;
    const took = now - this.last;
    this.last = now;
    this.advance(now, Math.min(took, 100));
    if (this.levels.approach(this.world, this.camera.position)) this.tellLevels();
    if (this.resized()) this.paint();
    this.tick(now, this.size.width, this.size.height);
    this.renderer.render(this.scene, this.camera);
    this.write();
    this.frames += 1;
    if (document.visibilityState === "visible") this.measure(performance.now() - this.asked);
    if (this.flight !== null || this.pressed.size > 0 || this.lights()) this.draw();
  }

  /** Whether lights move: in the present, and where a frame is cheap. */
  private lights(): boolean {
    return this.lit && this.world?.about.past === false && document.visibilityState === "visible";
  }

  /** Slow frames cost lights, then how sharp it is, then how much is drawn. */
  private measure(took: number): void {
    const cost = this.pace.after(took, this.lit);
    if (cost === "lights") {
      this.moves = this.lit = false;
      this.setLights();
    } else if (cost === "detail" && this.sharp && devicePixelRatio > 1) {
      this.sharp = false;
      this.fitted();
    } else if (cost === "detail") this.events.slow();
  }

  private tellLevels(): void {
    this.events.opened(this.levels.open, this.levels.chosen);
  }

  /** Lets marks have the size that is seen well from here; whether that is another one. */
  private resized(): boolean {
    const whole = this.world?.about.size ?? 1;
    const { x, y, z } = this.camera.position;
    let nearest = Infinity;
    for (let at = 0; at < this.middles.length; at += 2) nearest = Math.min(nearest, Math.hypot((this.middles[at] ?? 0) - x, (this.middles[at + 1] ?? 0) - y, z));
    const size = Math.min(Math.max(nearest / SEEN_FROM, 1), whole);
    const outermost = size === whole && size !== this.grown;
    if (!outermost && this.grown <= whole && size / this.grown < STEP && this.grown / size < STEP) return false;
    this.grown = size;
    return true;
  }

  /** In a large world bodies are drawn larger than they are, the sick most, or nobody would see them. */
  private radiusOf(body: number): number {
    const table = this.world?.table("bodies");
    const radius = table?.numbers("radius")[body] ?? 0;
    if (table?.numbers("shape")[body] === GROUP) return radius; // that fits its plate
    const state = table?.numbers("state")[body] ?? HEALTHY;
    const sick = state === DEGRADED || state === FAILING || state === ABSENT;
    return radius * (sick ? Math.min(this.grown ** 0.6, 2.4) : Math.min(this.grown ** 0.35, 1.6));
  }

  private setLights(): void {
    const lights = this.ways.material.uniforms["lights"];
    if (lights !== undefined) lights.value = this.lit && this.world?.about.past === false ? 1 : 0;
  }

  private advance(now: number, took: number): void {
    const flight = this.flight;
    if (flight !== null) {
      const share = Math.min(1, (now - flight.begun) / FLIGHT_MS);
      const eased = share * share * (3 - 2 * share);
      this.camera.position.lerpVectors(flight.from.from, flight.to.from, eased);
      this.controls.target.lerpVectors(flight.from.to, flight.to.to, eased);
      if (share >= 1) {
        this.flight = null;
        this.rest();
      }
    }
    if (this.pressed.size > 0) this.walk(took / 1000);
    this.controls.update();
  }

  /** W A S D over the ground, Q E down and up; the farther away, the faster. */
  private walk(seconds: number): void {
    const ahead = new Vector3();
    this.camera.getWorldDirection(ahead);
    ahead.setZ(0).normalize();
    const right = new Vector3().crossVectors(ahead, this.camera.up);
    const is = (key: string) => (this.pressed.has(key) ? 1 : 0);
    const step = new Vector3()
      .addScaledVector(ahead, is("w") + is("arrowup") - is("s") - is("arrowdown"))
      .addScaledVector(right, is("d") + is("arrowright") - is("a") - is("arrowleft"))
      .addScaledVector(this.camera.up, is("e") - is("q"))
      .multiplyScalar(seconds * Math.max(4, 0.8 * this.camera.position.distanceTo(this.controls.target)));
    if (this.camera.position.z + step.z < 0.5) step.setZ(0);
    this.camera.position.add(step);
    this.controls.target.add(step);
  }

  private listen(canvas: HTMLCanvasElement): void {
    let down: { x: number; y: number } | null = null;
    const at = (event: PointerEvent) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    canvas.addEventListener("pointerdown", (event) => (down = at(event)));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons !== 0 || event.pointerType === "touch") return;
      const { x, y } = at(event);
      const body = this.bodyAt(x, y);
      this.point(body, x, y, body === null ? this.arcAt(x, y) : null);
    });
    canvas.addEventListener("pointerleave", () => this.point(null, 0, 0, null));
    canvas.addEventListener("pointerup", (event) => {
      const up = at(event);
      if (down !== null && Math.hypot(up.x - down.x, up.y - down.y) < 5) this.pick(up.x, up.y);
      down = null;
    });
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.events.lost(true);
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.events.lost(false);
      this.paint();
    });
    this.host.addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.host || !WALKS.has(key)) return;
      event.preventDefault();
      event.stopPropagation();
      this.flight = null;
      this.untouched = false;
      this.pressed.add(key);
      this.draw();
    });
    const ended = (key: string | null) => {
      if (key === null ? this.pressed.size > 0 : this.pressed.delete(key)) {
        if (key === null) this.pressed.clear();
        this.rest();
      }
    };
    this.host.addEventListener("keyup", (event) => ended(event.key.toLowerCase()));
    this.host.addEventListener("blur", () => ended(null));
  }

  private pick(x: number, y: number): void {
    const body = this.bodyAt(x, y);
    const group = body === null ? null : (this.world?.groupOf(body) ?? null);
    if (group === null) this.events.pick(body, body === null ? this.arcAt(x, y) : null);
    else if (this.world !== null && this.levels.ask(group, this.world, this.camera.position)) this.tellLevels();
  }

  private point(body: number | null, x: number, y: number, arc: number | null): void {
    this.renderer.domElement.classList.toggle("points", body !== null || arc !== null);
    this.events.hover(body, x, y, arc);
    if (body === this.hovered && arc === this.hoveredArc) return;
    this.mark(body);
    this.hoveredArc = arc;
    this.lightWays();
    this.draw();
  }

  /** Connections that are pointed at or chosen are in the colour of that. */
  private lightWays(): void {
    const [ways, world] = [this.ways_, this.world];
    if (ways === null || world === null || this.ridden !== null) return;
    const colour = this.ways.geometry.getAttribute("colour") as BufferAttribute;
    const radius = this.ways.geometry.getAttribute("radius") as BufferAttribute;
    (colour.array as Float32Array).set(ways.colour);
    (radius.array as Float32Array).set(ways.radius);
    const [source, target] = [world.table("arcs").numbers("source"), world.table("arcs").numbers("target")];
    const [from, to] = this.selectedWay === null ? [-1, -1] : this.selectedWay.map((name) => world.services.indexOf(name));
    ways.drawn.forEach((arc, number) => {
      if (arc !== this.hoveredArc && !(source[arc] === from && target[arc] === to)) return;
      const { r, g, b } = this.palette.selection;
      (colour.array as Float32Array).set([r, g, b, 1], 4 * number);
      (radius.array as Float32Array)[number]! *= 1.6;
    });
    colour.needsUpdate = radius.needsUpdate = true;
  }

  /** What a request has made of a body by now: null for one that it does not touch. */
  private riddenState(body: number): number | null {
    const { replay, at } = this.ridden!;
    const node = replay.nodes.find(({ service }) => service === this.world?.services[body]);
    if (node === undefined) return null;
    if (node.failed_ns !== null && node.failed_ns <= at) return FAILING;
    return node.from_ns !== null && node.from_ns <= at ? HEALTHY : IDLE;
  }

  private bodyColour(body: number): Color {
    if (this.ridden !== null) {
      const state = this.riddenState(body);
      const colour = this.palette.states[state ?? IDLE]?.clone() ?? this.palette.ground.clone();
      return this.palette.ground.clone().lerp(colour, (state === null ? DIMMED : 1) ** this.palette.fading);
    }
    const table = this.world?.table("bodies");
    const state = table?.numbers("state")[body] ?? HEALTHY;
    const seen = (table?.numbers("seen")[body] ?? 1) ** this.palette.fading;
    const colour = this.palette.states[state]?.clone() ?? this.palette.ground.clone();
    return state === ABSENT ? colour : this.palette.ground.clone().lerp(colour, seen);
  }

  private paintBodies(world: World): void {
    const table = world.table("bodies");
    const [places, shape, state] = [table.numbers("position"), table.numbers("shape"), table.numbers("state")];
    const coarse = table.rows > LARGE !== this.size.bodies > LARGE || this.size.bodies < 0;
    this.size.bodies = table.rows;
    for (let kind = 0; kind < KINDS; kind++) {
      const mine = [...shape.keys()].filter((body) => Math.min(shape[body] ?? 0, KINDS - 1) === kind);
      let mesh = this.kinds[kind];
      if (mesh === undefined || coarse) {
        if (mesh !== undefined) {
          this.scene.remove(mesh);
          mesh.geometry.dispose();
        }
        mesh = this.kinds[kind] = bodies(kind, table.rows);
        this.scene.add(mesh);
      }
      const [place, radius, colour, mark] = [new Float32Array(mine.length * 3), new Float32Array(mine.length), new Float32Array(mine.length * 3), new Float32Array(mine.length * 4)];
      mine.forEach((body, number) => {
        for (let axis = 0; axis < 3; axis++) place[3 * number + axis] = places[3 * body + axis] ?? 0;
        radius[number] = this.radiusOf(body);
        this.bodyColour(body).toArray(colour, 3 * number);
        this.palette.marks[ABSENT]?.toArray(mark, 4 * number);
        mark[4 * number + 3] = this.ridden === null && state[body] === ABSENT && kind !== GROUP ? 1 : 0;
      });
      fill(mesh, mine.length, { place: [place, 3], radius: [radius, 1], colour: [colour, 3], mark: [mark, 4] });
    }
    const lines = new Float32Array(table.rows * 6);
    for (let body = 0; body < table.rows; body++) {
      const [x = 0, y = 0, z = 0] = places.subarray(3 * body, 3 * body + 3);
      lines.set([x, y, z, x, y, 0.02], 6 * body);
    }
    this.stems.geometry.setAttribute("position", new BufferAttribute(lines, 3));
    this.stems.material.color.copy(this.palette.stem);
  }

  private paintArcs(world: World): void {
    const table = world.table("arcs");
    const [curve, radii, states] = [table.numbers("curve"), table.numbers("radius"), table.numbers("state")];
    const [seen, traffic, links] = [table.numbers("seen"), table.numbers("traffic"), table.numbers("link")];
    const touched = this.touched(world);
    const drawn = [...seen.keys()].filter((arc) => (seen[arc] ?? 0) >= FAINTEST || touched.has(arc));
    const beacon = world.about.cause === null || this.ridden !== null ? 0 : 2;
    const count = drawn.length + beacon;
    const segments = count > 4000 ? 8 : count > 600 ? 14 : 24;
    if (segments !== this.segments) {
      this.scene.remove(this.ways);
      this.ways.geometry.dispose();
      this.ways = arcs(segments);
      this.segments = segments;
      this.scene.add(this.ways);
      this.fitted();
    }
    const ends = ["begin", "middle", "end"].map(() => new Float32Array(count * 3));
    const [radius, colour, flow] = [new Float32Array(count), new Float32Array(count * 4), new Float32Array(count * 2)];
    drawn.forEach((arc, number) => {
      for (let part = 0; part < 9; part++) ends[Math.floor(part / 3)]![3 * number + (part % 3)] = (curve[9 * arc + part] ?? 0) * world.about.quantum;
      const link = links[arc] === 1;
      const state = states[arc] ?? HEALTHY;
      const sick = state === DEGRADED || state === FAILING;
      const own = link ? this.palette.cause : state === ABSENT ? this.palette.marks[ABSENT] : sick ? this.palette.states[state] : this.palette.way;
      radius[number] = (radii[arc] ?? 0) * (link || sick ? 1.5 : 1) * this.grown ** 0.85;
      (own ?? this.palette.way).toArray(colour, 4 * number);
      colour[4 * number + 3] = Math.min(1, (seen[arc] ?? 0) ** this.palette.fading);
      flow[2 * number] = state === ABSENT || (seen[arc] ?? 0) < 0.15 ? 0 : Math.min(4, 1 + Math.round(Math.log10(1 + (traffic[arc] ?? 0))));
      flow[2 * number + 1] = (arc * 0.618) % 1;
    });
    if (this.ridden !== null) this.paintWays(world, drawn, ends, radius, colour, flow);
    if (world.about.cause !== null && this.ridden === null) this.shaft(world.about.cause, this.grown, drawn.length, ends, radius, colour);
    fill(this.ways, count, {
      begin: [ends[0]!, 3],
      middle: [ends[1]!, 3],
      end: [ends[2]!, 3],
      radius: [radius, 1],
      colour: [colour, 4],
      flow: [flow, 2],
    });
    // Buffers are as they were painted: the shaft's, too.
    this.ways_ = { drawn, ends, colour: colour.slice(), radius: radius.slice() };
    this.lightWays();
    if (this.ridden === null) this.travellers.visible = false;
    const light = this.ways.material.uniforms["light"];
    if (light !== undefined) light.value = this.palette.light;
    this.setLights();
  }

  /** The arcs that a request goes along, and which of its ways each is. */
  private touched(world: World): Map<number, number> {
    const found = new Map<number, number>();
    if (this.ridden === null) return found;
    const number = new Map(this.ridden.replay.ways.map(({ source, target }, way) => [`${source}\n${target}`, way]));
    const [source, target] = [world.table("arcs").numbers("source"), world.table("arcs").numbers("target")];
    for (let arc = 0; arc < source.length; arc++) {
      const way = number.get(`${world.services[source[arc] ?? 0]}\n${world.services[target[arc] ?? 0]}`);
      if (way !== undefined) found.set(arc, way);
    }
    return found;
  }

  /** The ways of a request: bright as far as its critical path has come, dashed where that is still to go. */
  private paintWays(world: World, drawn: number[], ends: Float32Array[], radius: Float32Array, colour: Float32Array, flow: Float32Array): void {
    const { replay, at } = this.ridden!;
    const touched = this.touched(world);
    const along = new Map<number, number>();
    drawn.forEach((arc, number) => {
      const way = touched.get(arc);
      flow[2 * number] = 0;
      if (way === undefined) {
        colour[4 * number + 3] = DIMMED * (colour[4 * number + 3] ?? 0);
        return;
      }
      if (!along.has(way)) along.set(way, number);
      const [enters, leaves] = replay.ways[way]?.lit_ns ?? [null, null];
      this.palette.light.toArray(colour, 4 * number);
      colour[4 * number + 3] = enters === null ? 0.4 : 1;
      if (enters === null) return;
      radius[number] = 1.8 * (radius[number] ?? 0);
      flow[2 * number] = -1;
      flow[2 * number + 1] = Math.min(1, Math.max(0, (at - enters) / Math.max(1, (leaves ?? enters) - enters)));
    });
    this.paintTravellers(along, ends);
  }

  private paintTravellers(along: Map<number, number>, ends: Float32Array[]): void {
    const { replay, at } = this.ridden!;
    const places: number[] = [];
    const shades: number[] = [];
    for (const { way, leg, at_ns, for_ns, failed } of replay.legs) {
      const arc = along.get(way);
      if (arc === undefined || at < at_ns || at >= at_ns + for_ns || leg === "work" || leg === "away") continue;
      const gone = (at - at_ns) / Math.max(1, for_ns);
      const t = leg === "response" ? 1 - gone : gone;
      const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t * t];
      for (let axis = 0; axis < 3; axis++) places.push(a * ends[0]![3 * arc + axis]! + b * ends[1]![3 * arc + axis]! + c * ends[2]![3 * arc + axis]!);
      (failed && leg === "response" ? this.palette.states[FAILING]! : this.palette.selection).toArray(shades, shades.length);
    }
    const count = places.length / 3;
    fill(this.travellers, count, {
      place: [new Float32Array(places), 3],
      radius: [new Float32Array(count).fill(0.2 * this.grown), 1],
      colour: [new Float32Array(shades), 3],
      mark: [new Float32Array(4 * count), 4],
    });
  }

  /** The beacon is two arcs that stand: a bright core, and a glow around it. */
  private shaft(cause: NonNullable<World["about"]["cause"]>, size: number, from: number, ends: Float32Array[], radius: Float32Array, colour: Float32Array): void {
    for (const [number, wide, opacity] of [
      [from, 0.09, 0.95],
      [from + 1, 0.5, 0.22],
    ] as const) {
      cause.at.forEach((value, axis) => {
        const top = cause.top[axis] ?? 0;
        ends[0]![3 * number + axis] = top;
        ends[1]![3 * number + axis] = (value + top) / 2;
        ends[2]![3 * number + axis] = value;
      });
      radius[number] = wide * size;
      this.palette.cause.toArray(colour, 4 * number);
      colour[4 * number + 3] = opacity;
    }
  }

  private paintRings(world: World): void {
    const table = world.table("bodies");
    const [places, shape, states] = [table.numbers("position"), table.numbers("shape"), table.numbers("state")];
    const found: { at: ArrayLike<number>; reach: number; thick: number; colour: Color; parts: number }[] = [];
    const around = (body: number, times: number, colour: Color, parts = 0, thick = RING) => {
      const radius = this.radiusOf(body);
      found.push({ at: places.subarray(3 * body, 3 * body + 3), reach: times * radius, thick: thick * radius, colour, parts });
    };
    for (let body = 0; body < table.rows; body++) {
      const state = this.ridden === null ? (states[body] ?? HEALTHY) : (this.riddenState(body) ?? HEALTHY);
      const colour = this.palette.marks[state] ?? this.palette.way;
      if (state === DEGRADED || state === FAILING) around(body, 1.55, colour);
      if (state === FAILING) around(body, 2, colour);
      if (state === ABSENT && shape[body] !== GROUP) around(body, 1.7, colour, 10);
    }
    const { cause, suspect, size: whole } = world.about;
    const size = this.grown;
    for (const reach of this.ridden === null ? (cause?.rings ?? []) : []) found.push({ at: cause!.at, reach: (reach * size) / whole, thick: RING * size, colour: this.palette.cause, parts: 0 });
    if (suspect !== null && this.ridden === null) around(suspect.body, 2.6, this.palette.cause, 4);
    const chosen = this.selected === null ? -1 : world.services.indexOf(this.selected);
    // With a headset on one sees it from its side: there is an outline.
    if (chosen >= 0 && this.headset === null) around(chosen, 1.32, this.palette.selection, 0, 0.12);
    if (this.hovered !== null && this.hovered !== chosen && this.hovered < table.rows) around(this.hovered, 1.32, this.palette.selection, 0, 0.06);
    const [place, reach, colour, parts] = [new Float32Array(found.length * 3), new Float32Array(found.length * 2), new Float32Array(found.length * 4), new Float32Array(found.length)];
    found.forEach((ring, number) => {
      place.set(Array.from(ring.at), 3 * number);
      reach.set([ring.reach, ring.thick], 2 * number);
      ring.colour.toArray(colour, 4 * number);
      colour[4 * number + 3] = 1;
      parts[number] = ring.parts;
    });
    if (found.length > MANY_RINGS !== this.many) {
      this.many = !this.many;
      reshape(this.marks, ringShape(found.length));
    }
    fill(this.marks, found.length, { place: [place, 3], reach: [reach, 2], colour: [colour, 4], parts: [parts, 1] });
  }

  private projected(place: Vector3): { x: number; y: number; pixels: number } | null {
    const depth = -place.clone().applyMatrix4(this.camera.matrixWorldInverse).z;
    if (depth <= this.camera.near) return null;
    const at = place.clone().project(this.camera);
    const pixels = ((this.camera.projectionMatrix.elements[5] ?? 1) * this.size.height) / 2 / depth;
    return { x: ((at.x + 1) * this.size.width) / 2, y: ((1 - at.y) * this.size.height) / 2, pixels };
  }

  private write(): void {
    const world = this.world;
    if (world === null) return;
    const table = world.table("bodies");
    const [names, seconds, states, shape] = [table.words("label"), table.words("subtitle"), table.numbers("state"), table.numbers("shape")];
    const labels: Label[] = [];
    const minded: Minded[] = [];
    const flag = (told: { name: string; reason: string; top: number[] }, look: "flag" | "suspect", second: string) => {
      const at = this.projected(new Vector3().fromArray(told.top));
      if (at !== null) labels.push({ text: told.name, second, x: at.x, y: at.y, look, certain: true });
    };
    const { cause, suspect } = world.about;
    if (cause !== null && this.ridden === null) flag(cause, "flag", cause.reason);
    if (suspect !== null && this.ridden === null) flag(suspect, "suspect", `suspect, not proved: ${suspect.reason}`);
    const named = new Set([this.selected, ...(this.selectedWay ?? [])].map((name) => (name === null ? -1 : world.services.indexOf(name))));
    named.delete(-1);
    const told = new Set<number>();
    const ridden = this.ridden;
    const touched = (body: number) => ridden?.doing.touches(world.services[body] ?? "") === true;
    // Whom a request touches is named before all others.
    const order = ridden === null ? this.order : [...this.order.filter(touched), ...this.order.filter((body) => !touched(body))];
    for (const body of [...named, ...order]) {
      if (labels.length > 400) break;
      if (told.has(body)) continue;
      told.add(body);
      const spot = this.spot(body);
      if (spot === null || spot.x < 0 || spot.x > this.size.width || spot.y < 0 || spot.y > this.size.height) continue;
      const state = ridden === null ? (states[body] ?? 0) : (this.riddenState(body) ?? IDLE);
      const sick = state === DEGRADED || state === FAILING || state === ABSENT;
      const look = named.has(body) ? "chosen" : sick ? "sick" : shape[body] === GROUP ? "island" : "";
      // A body has the colour of the request then, and not of its service: so have the words.
      const second = ridden === null ? (seconds[body] ?? "") : ridden.doing.says(world.services[body] ?? "", ridden.at);
      if (sick || named.has(body)) minded.push({ body, ...spot });
      labels.push({ text: names[body] ?? "", second, x: spot.x, y: spot.y + spot.radius + 3, look, certain: false, body, over: spot.y - spot.radius - 3 });
    }
    labels.push(...this.islands(world));
    this.labels.show(labels, this.size.width, this.size.height, minded);
  }

  private islands(world: World): Label[] {
    const corners = world.table("corners");
    if (corners.rows === 0) return [];
    const [places, island] = [corners.numbers("place"), corners.numbers("island")];
    const found: Label[] = [];
    world.table("islands").words("name").forEach((text, number) => {
      if (text === "") return;
      // The first corner of a plate is the one in front.
      const first = island.indexOf(number as never);
      const at = this.projected(new Vector3(places[2 * first] ?? 0, places[2 * first + 1] ?? 0, 0));
      if (at !== null) found.push({ text, second: "", x: at.x, y: at.y + 4, look: "island", certain: false });
    });
    return found;
  }
}

const WALKS = new Set(["w", "a", "s", "d", "q", "e", "arrowup", "arrowdown", "arrowleft", "arrowright"]);

/** A flag needs room, too. */
const raised = ([x = 0, y = 0, z = 0]: number[], size: number) => [x, y, z + 2 * size];
