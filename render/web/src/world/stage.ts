/** The world, drawn. Loaded when somebody opens it: three.js comes along. */

import { BufferAttribute, BufferGeometry, LinearSRGBColorSpace, LineBasicMaterial, LineSegments, Mesh, MeshBasicMaterial, PerspectiveCamera, Scene, Vector3, WebGLRenderer, type Color } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Replay } from "../documents";
import { ABSENT, colours, DEGRADED, FAILING, HEALTHY, IDLE, type Colours } from "./colours";
import { Labels, type Label } from "./labels";
import { arcs, bodies, fill, KINDS, MANY_RINGS, reshape, rings, ringShape } from "./shapes";
import type { World } from "./tables";
import { around, near, parsedView, written, type View } from "./viewpoint";

/** What is fainter is not drawn, as in the window. */
const FAINTEST = 0.025;
/** How well the rest is seen while a request is ridden. */
const DIMMED = 0.22;
const FLIGHT_MS = 450;
/** Slower than that, and lights stand still: they are not worth the machine. */
const SLOW_MS = 50;
const MEASURED = 24;
const RING = 0.085;
const RIM = 0.06;
const SICK_RIM = 0.14;
const TOUCH = 10;

export interface Events {
  /** Somebody points at a body, or at none any more. */
  hover(body: number | null, x: number, y: number): void;
  pick(body: number | null): void;
  /** The camera has come to rest. */
  moved(view: string): void;
  /** The graphics are gone, or back. */
  lost(gone: boolean): void;
}

/** Whether this browser can draw it at all. */
export function canDraw(): boolean {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

export class Stage {
  world: World | null = null;
  /** So many were drawn. */
  frames = 0;
  readonly camera = new PerspectiveCamera(40, 1, 0.1, 4000);
  readonly renderer = new WebGLRenderer({ antialias: true, alpha: true, powerPreference: "high-performance" });
  readonly scene = new Scene();
  /** Who draws instead, as long as somebody has a headset on. */
  headset: object | null = null;
  private readonly controls: OrbitControls;
  private readonly labels: Labels;
  private readonly kinds: (ReturnType<typeof bodies> | undefined)[] = [];
  private ways = arcs(24);
  private readonly marks = rings();
  private readonly ground = new Mesh(new BufferGeometry(), new MeshBasicMaterial({ vertexColors: true, depthWrite: false }));
  private readonly rims = new Mesh(new BufferGeometry(), new MeshBasicMaterial({ vertexColors: true, depthWrite: false, side: 2 }));
  private readonly stems = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ transparent: true, opacity: 0.6 }));
  private readonly grid = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ vertexColors: true, transparent: true, depthWrite: false }));
  private readonly observer: ResizeObserver;
  private palette: Colours = colours(false);
  /** Calls of a request that are on their way. */
  private readonly travellers = bodies(0, Infinity);
  ridden: { replay: Replay; at: number } | null = null;
  private segments = 24;
  private many = false;
  private size = { bodies: -1, width: 1, height: 1 };
  private order: number[] = [];
  selected: string | null = null;
  private hovered: number | null = null;
  private flight: { from: View; to: View; begun: number } | null = null;
  private pending = 0;
  private pressed = new Set<string>();
  private last = 0;
  private slow: number[] = [];
  private moves: boolean;
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
      begun = written(this.view());
    });
    this.controls.addEventListener("end", () => {
      if (written(this.view()) !== begun) this.rest();
    });
    this.moves = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.ground.renderOrder = -3;
    this.grid.renderOrder = -4;
    this.rims.renderOrder = -2;
    this.marks.renderOrder = 1;
    for (const each of [this.ground, this.rims, this.stems, this.grid]) each.frustumCulled = false;
    this.scene.add(this.grid, this.ground, this.rims, this.stems, this.ways, this.marks, this.travellers);
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

  /** The draw calls of the last frame. */
  get calls(): number {
    return this.renderer.info.render.calls;
  }

  /** Draws another world, from where one stands. */
  show(world: World): void {
    if (world === this.world) return;
    const first = this.world === null;
    this.world = world;
    const table = world.table("bodies");
    const priority = table.numbers("priority");
    this.order = [...priority.keys()].sort((a, b) => (priority[b] ?? 0) - (priority[a] ?? 0));
    this.paint();
    if (first) this.place(this.everything());
  }

  /** Everything in the theme's colours, which may have changed. */
  paint(): void {
    const world = this.world;
    if (world === null) return;
    this.palette = colours(world.about.past);
    this.paintGround(world);
    this.paintBodies(world);
    this.paintArcs(world);
    this.paintRings(world);
    this.draw();
  }

  /** Shows a request `at` ns from its start, and the rest of the world only faintly; null shows all of it again. */
  ride(replay: Replay | null, at: number, by: object | null = null): void {
    if (by !== this.headset || (replay === (this.ridden?.replay ?? null) && at === (this.ridden?.at ?? at) && by !== null)) return;
    if (replay === null && this.ridden === null) return;
    this.ridden = replay === null ? null : { replay, at };
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

  /** Gives what is drawn to a headset, or takes it back. */
  lend(headset: object | null): void {
    this.headset = headset;
    if (headset === null && !this.gone) {
      this.fitted();
      this.paint();
    }
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
    return at === null ? null : { x: at.x, y: at.y, radius: (table.numbers("radius")[body] ?? 0) * at.pixels };
  }

  bodyAt(x: number, y: number): number | null {
    let found: number | null = null;
    let best = Infinity;
    for (let body = 0; body < (this.world?.table("bodies").rows ?? 0); body++) {
      const spot = this.spot(body);
      if (spot === null) continue;
      const away = Math.hypot(spot.x - x, spot.y - y);
      const score = away <= spot.radius ? away / spot.radius - 1 : away - spot.radius;
      if (score < best && away <= spot.radius + TOUCH) [found, best] = [body, score];
    }
    return found;
  }

  flyTo(service: string): boolean {
    const body = this.world?.services.indexOf(service) ?? -1;
    if (body < 0 || this.world === null) return false;
    const table = this.world.table("bodies");
    const place = new Vector3().fromArray(table.numbers("position"), 3 * body);
    this.fly(near(place, 14 + 6 * (table.numbers("radius")[body] ?? 0), this.view()));
    return true;
  }

  flyOut(): void {
    this.fly(this.everything());
  }

  place(view: View): void {
    this.flight = null;
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
    const untouched = this.world !== null && this.size.width === 1;
    this.size.width = width;
    this.size.height = height;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (untouched) this.place(this.everything());
    this.draw();
  }

  private draw(): void {
    if (this.pending === 0 && !this.gone && this.headset === null) this.pending = requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    this.pending = 0;
    if (this.world === null || this.gone || this.headset !== null) return;
    const took = now - this.last;
    this.last = now;
    this.advance(now, Math.min(took, 100));
    this.tick(now, this.size.width, this.size.height);
    this.renderer.render(this.scene, this.camera);
    this.write();
    this.frames += 1;
    if (this.flight !== null || this.pressed.size > 0) this.draw();
    else if (this.lights(took)) this.draw();
  }

  /** Whether lights move: in the present, and where a frame is cheap. */
  private lights(took: number): boolean {
    if (!this.moves || this.world?.about.past !== false || document.visibilityState !== "visible") return false;
    if (this.slow.length < MEASURED) this.slow.push(took);
    else if ([...this.slow].sort((a, b) => a - b)[MEASURED / 2]! > SLOW_MS) {
      this.moves = false;
      this.setLights();
      return true;
    }
    return true;
  }

  private setLights(): void {
    const lights = this.ways.material.uniforms["lights"];
    if (lights !== undefined) lights.value = this.moves && this.world?.about.past === false ? 1 : 0;
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
      this.point(this.bodyAt(x, y), x, y);
    });
    canvas.addEventListener("pointerleave", () => this.point(null, 0, 0));
    canvas.addEventListener("pointerup", (event) => {
      const up = at(event);
      if (down !== null && Math.hypot(up.x - down.x, up.y - down.y) < 5) this.events.pick(this.bodyAt(up.x, up.y));
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

  private point(body: number | null, x: number, y: number): void {
    this.renderer.domElement.classList.toggle("points", body !== null);
    this.events.hover(body, x, y);
    this.mark(body);
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
    const [places, radii, shape, state] = [table.numbers("position"), table.numbers("radius"), table.numbers("shape"), table.numbers("state")];
    const coarse = table.rows > 2000 !== this.size.bodies > 2000 || this.size.bodies < 0;
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
        radius[number] = radii[body] ?? 0;
        this.bodyColour(body).toArray(colour, 3 * number);
        this.palette.marks[ABSENT]?.toArray(mark, 4 * number);
        mark[4 * number + 3] = this.ridden === null && state[body] === ABSENT ? 1 : 0;
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
      radius[number] = (radii[arc] ?? 0) * (link || sick ? 1.5 : 1);
      (own ?? this.palette.way).toArray(colour, 4 * number);
      colour[4 * number + 3] = Math.min(1, (seen[arc] ?? 0) ** this.palette.fading);
      flow[2 * number] = state === ABSENT || (seen[arc] ?? 0) < 0.15 ? 0 : Math.min(4, 1 + Math.round(Math.log10(1 + (traffic[arc] ?? 0))));
      flow[2 * number + 1] = (arc * 0.618) % 1;
    });
    if (this.ridden !== null) this.paintWays(world, drawn, ends, radius, colour, flow);
    if (world.about.cause !== null && this.ridden === null) this.shaft(world.about.cause, world.about.size, drawn.length, ends, radius, colour);
    fill(this.ways, count, {
      begin: [ends[0]!, 3],
      middle: [ends[1]!, 3],
      end: [ends[2]!, 3],
      radius: [radius, 1],
      colour: [colour, 4],
      flow: [flow, 2],
    });
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
      radius: [new Float32Array(count).fill(0.2 * (this.world?.about.size ?? 1)), 1],
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
    const [places, radii, states] = [table.numbers("position"), table.numbers("radius"), table.numbers("state")];
    const found: { at: ArrayLike<number>; reach: number; thick: number; colour: Color; parts: number }[] = [];
    const around = (body: number, times: number, colour: Color, parts = 0, thick = RING) => {
      const radius = radii[body] ?? 0;
      found.push({ at: places.subarray(3 * body, 3 * body + 3), reach: times * radius, thick: thick * radius, colour, parts });
    };
    for (let body = 0; body < table.rows; body++) {
      const state = this.ridden === null ? (states[body] ?? HEALTHY) : (this.riddenState(body) ?? HEALTHY);
      const colour = this.palette.marks[state] ?? this.palette.way;
      if (state === DEGRADED || state === FAILING) around(body, 1.55, colour);
      if (state === FAILING) around(body, 2, colour);
      if (state === ABSENT) around(body, 1.7, colour, 10);
    }
    const { cause, suspect, size } = world.about;
    for (const reach of this.ridden === null ? (cause?.rings ?? []) : []) found.push({ at: cause!.at, reach, thick: RING * size, colour: this.palette.cause, parts: 0 });
    if (suspect !== null && this.ridden === null) around(suspect.body, 2.6, this.palette.cause, 4);
    const chosen = this.selected === null ? -1 : world.services.indexOf(this.selected);
    if (chosen >= 0) around(chosen, 1.32, this.palette.selection, 0, 0.12);
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

  private paintGround(world: World): void {
    const corners = world.table("corners");
    const floor = new Floor();
    const rim = new Floor();
    if (corners.rows > 0) {
      const [places, states, island] = [corners.numbers("place"), corners.numbers("state"), corners.numbers("island")];
      const cause = world.about.cause !== null;
      for (let first = 0; first < corners.rows; ) {
        let end = first;
        while (end < corners.rows && island[end] === island[first]) end++;
        const outline = Array.from(places.subarray(2 * first, 2 * end));
        floor.fan(outline, this.palette.plate);
        for (let corner = 0; corner < end - first; corner++) {
          const state = states[first + corner] ?? HEALTHY;
          const sick = state === DEGRADED || state === FAILING || state === ABSENT;
          if (state === ABSENT && corner % 2 === 1) continue; // dots
          if (state === DEGRADED && corner % 3 === 2) continue; // dashes
          const seen = cause ? (sick ? 0.62 : 0.3) : sick ? 1 : 0.75;
          const colour = this.palette.plate.clone().lerp(this.palette.marks[state] ?? this.palette.grid, seen);
          rim.band(outline, corner, (sick ? SICK_RIM : RIM) * world.about.size, colour);
        }
        first = end;
      }
    }
    floor.into(this.ground.geometry);
    rim.into(this.rims.geometry);
    this.paintGrid(corners.rows > 0 ? corners.numbers("place") : new Float32Array());
  }

  /** A quiet ground that fades with the distance from the middle. */
  private paintGrid(places: ArrayLike<number>): void {
    let reach = 0;
    for (let at = 0; at + 1 < places.length; at += 2) reach = Math.max(reach, Math.hypot(places[at] ?? 0, places[at + 1] ?? 0));
    reach += 40;
    const spacing = 3 * Math.max(1, reach / 80);
    const points: number[] = [];
    const shades: number[] = [];
    const { r, g, b } = this.palette.grid;
    const put = (x: number, y: number) => {
      points.push(x, y, -0.12);
      shades.push(r, g, b, 0.75 * Math.max(0, 1 - Math.hypot(x, y) / reach) ** 0.8);
    };
    for (let tick = -reach; tick <= reach; tick += spacing) {
      for (let step = 0; step < 20; step++) {
        const [from, to] = [-reach + (step * reach) / 10, -reach + ((step + 1) * reach) / 10];
        put(from, tick);
        put(to, tick);
        put(tick, from);
        put(tick, to);
      }
    }
    this.grid.geometry.setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
    this.grid.geometry.setAttribute("color", new BufferAttribute(new Float32Array(shades), 4));
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
    const [names, seconds, states] = [table.words("label"), table.words("subtitle"), table.numbers("state")];
    const labels: Label[] = [];
    const flag = (told: { name: string; reason: string; top: number[] }, look: "flag" | "suspect", second: string) => {
      const at = this.projected(new Vector3().fromArray(told.top));
      if (at !== null) labels.push({ text: told.name, second, x: at.x, y: at.y, look, certain: true });
    };
    const { cause, suspect } = world.about;
    if (cause !== null && this.ridden === null) flag(cause, "flag", cause.reason);
    if (suspect !== null && this.ridden === null) flag(suspect, "suspect", `suspect, not proved: ${suspect.reason}`);
    const chosen = this.selected === null ? -1 : world.services.indexOf(this.selected);
    for (const body of chosen >= 0 ? [chosen, ...this.order] : this.order) {
      if (labels.length > 400) break;
      if (body === chosen && labels.some((label) => label.look === "chosen")) continue;
      const spot = this.spot(body);
      if (spot === null || spot.x < 0 || spot.x > this.size.width || spot.y < 0 || spot.y > this.size.height) continue;
      const sick = (states[body] ?? 0) === DEGRADED || (states[body] ?? 0) === FAILING || (states[body] ?? 0) === ABSENT;
      const look = body === chosen ? "chosen" : sick ? "sick" : "";
      labels.push({ text: names[body] ?? "", second: seconds[body] ?? "", x: spot.x, y: spot.y + spot.radius + 3, look, certain: false });
    }
    labels.push(...this.islands(world));
    this.labels.show(labels, this.size.width, this.size.height);
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

/** Flat triangles with a colour each. */
class Floor {
  private readonly points: number[] = [];
  private readonly shades: number[] = [];

  /** A convex outline (x, y, …). */
  fan(outline: number[], colour: Color): void {
    for (let corner = 1; corner + 1 < outline.length / 2; corner++) {
      for (const each of [0, corner, corner + 1]) this.put(outline[2 * each] ?? 0, outline[2 * each + 1] ?? 0, 0, colour);
    }
  }

  /** One piece of a rim, from a corner to the next. */
  band(outline: number[], corner: number, wide: number, colour: Color): void {
    const next = (corner + 1) % (outline.length / 2);
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = [outline[2 * corner], outline[2 * corner + 1], outline[2 * next], outline[2 * next + 1]];
    const long = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [sx, sy] = [(-(y1 - y0) / long) * wide, ((x1 - x0) / long) * wide];
    for (const [x, y] of [
      [x0 - sx, y0 - sy],
      [x1 - sx, y1 - sy],
      [x1 + sx, y1 + sy],
      [x0 - sx, y0 - sy],
      [x1 + sx, y1 + sy],
      [x0 + sx, y0 + sy],
    ] as const)
      this.put(x, y, 0.03, colour);
  }

  into(geometry: BufferGeometry): void {
    geometry.setAttribute("position", new BufferAttribute(new Float32Array(this.points), 3));
    geometry.setAttribute("color", new BufferAttribute(new Float32Array(this.shades), 3));
  }

  private put(x: number, y: number, z: number, { r, g, b }: Color): void {
    this.points.push(x, y, z);
    this.shades.push(r, g, b);
  }
}

/** A flag needs room, too. */
const raised = ([x = 0, y = 0, z = 0]: number[], size: number) => [x, y, z + 2 * size];
