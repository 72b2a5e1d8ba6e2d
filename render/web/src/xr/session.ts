/** The world in a headset: loaded when somebody has one. The page goes on below: its address says the time and who is chosen. */

import { Color, PerspectiveCamera, Vector3 } from "three";
import { change, parsed } from "../route";
import { colours, STATES } from "../world/colours";
import type { Stage } from "../world/stage";
import type { World } from "../world/tables";
import { ink, type Ink } from "./board";
import { Hands, type Hand } from "./hands";
import { Outline } from "./outline";
import { Panel } from "./panel";
import { Ride } from "./replay";
import { Rig, type Scale } from "./rig";
import { Strip } from "./strip";
import { Tags } from "./tags";
import { Vignette } from "./vignette";

/** m/s with the stick all the way, in a room and around a table. */
const SPEED = { room: 2.6, table: 0.6 };
/** Names are chosen anew so often, ms. */
const NAMED_MS = 220;
/** So far, m, those are whom a request is replayed around. */
const AROUND = 1.3;
/** In front of whom one goes to, m; farther from who is low, so that the strip does not hide them. */
const BEFORE = 1.7;
const STEEP = Math.tan((14 * Math.PI) / 180);
/** Where the floor is unknown, somebody sits. */
const SEATED = 1.2;
/** Kept from one session of this page to the next. */
const liked: { scale: Scale; degrees: number } = { scale: "table", degrees: 30 };

export class Headset {
  readonly rig = new Rig();
  readonly tags = new Tags();
  readonly vignette = new Vignette();
  readonly outline = new Outline();
  readonly panel: Panel;
  readonly strip: Strip;
  readonly hands: Hands;
  readonly ride: Ride;
  /** Head and gaze in own space. */
  readonly head = new Vector3(0, SEATED, 0);
  readonly forward = new Vector3(0, 0, -1);
  frames = 0;
  /** Draw calls of the last frame, for both eyes together. */
  calls = 0;
  private readonly camera = new PerspectiveCamera(80, 1, 0.03, 400);
  private readonly boards;
  private world: World | null = null;
  private look: Ink = ink(STATES);
  private entered = false;
  private last = 0;
  private named = -Infinity;
  private moved = false;
  private pointed: number | null = null;
  private stale = true;
  private elapsed = 0;
  private readonly spot = new Vector3();
  private readonly gaze = new Vector3();
  private readonly step = new Vector3();

  constructor(
    private readonly stage: Stage,
    private readonly session: XRSession,
    private readonly ended: () => void,
  ) {
    const { rig } = this;
    this.panel = new Panel({
      close: () => change({ service: undefined }),
      goTo: (service) => this.goTo(service),
      replay: (trace) => {
        this.ride.follow(trace, undefined, true);
        change({ trace, share: undefined });
      },
    });
    this.strip = new Strip({
      scale: () => this.resize(),
      turn: () => {
        liked.degrees = liked.degrees === 30 ? 45 : 30;
        this.stale = true;
      },
      everything: () => this.enter(liked.scale),
      leave: () => void this.session.end(),
      play: () => this.ride.toggle(),
      seek: (share) => this.ride.seek(share),
      stop: () => change({ trace: undefined, share: undefined }),
    });
    this.ride = new Ride((begun) => {
      this.stale = true;
      if (begun && this.ride.playing) this.surround();
    });
    this.hands = new Hands(stage.renderer, rig, {
      press: (hand) => this.press(hand),
      release: (hand) => this.release(hand),
      turn: (side) => {
        rig.turn((side * liked.degrees * Math.PI) / 180, this.head);
        this.named = -Infinity;
      },
      fly: (x, y, hand) => this.fly(x, y, hand),
      teleport: (x, y) => {
        rig.moveTo(x, y, this.head);
        this.arrive();
      },
      button: (number) => (number === 4 ? this.gather() : this.resize()),
    });
    this.boards = [this.strip.board, this.panel.board];
    rig.group.add(this.camera, this.strip.board.mesh, this.panel.board.mesh, this.vignette.mesh);
    stage.scene.add(rig.group, this.tags.mesh, this.outline.mesh);
  }

  /** Gives the headset what is drawn; rejects where it will not begin. */
  async begin(floor: boolean): Promise<void> {
    const { renderer } = this.stage;
    this.stage.lend(this);
    renderer.xr.enabled = true;
    renderer.xr.setReferenceSpaceType(floor ? "local-floor" : "local");
    // Names and panels are beside where one looks, too.
    renderer.xr.setFoveation(0);
    renderer.xr.addEventListener("sessionend", this.end);
    // Before the session, which stops what the page draws: the other way round both of them draw.
    renderer.setAnimationLoop((now, frame) => this.frame(now, frame));
    try {
      await renderer.xr.setSession(this.session);
      // Without a floor, the eyes are where somebody's who sits would be.
      if (!floor) renderer.xr.setReferenceSpace(renderer.xr.getReferenceSpace()!.getOffsetReferenceSpace(new XRRigidTransform({ x: 0, y: -SEATED, z: 0 })));
    } catch (error) {
      this.end();
      throw error;
    }
    addEventListener("hashchange", this.went);
    this.went();
    void this.strip.load().then(() => (this.stale = true));
  }

  leave(): void {
    void this.session.end().catch(() => undefined);
  }

  private readonly went = (): void => {
    const { trace, share } = parsed(location.hash).params;
    this.ride.follow(trace ?? null, share, false);
    this.stale = true;
  };

  private readonly end = (): void => {
    const { renderer, scene } = this.stage;
    renderer.xr.removeEventListener("sessionend", this.end);
    removeEventListener("hashchange", this.went);
    renderer.setAnimationLoop(null);
    renderer.xr.enabled = false;
    renderer.setClearColor(0, 0);
    if (this.ride.playing) this.ride.rest();
    for (const part of [this.hands, this.tags, this.outline, this.panel, this.strip, this.vignette, this.ride]) part.dispose();
    scene.remove(this.rig.group);
    this.stage.mark(null);
    this.stage.lend(null);
    this.ended();
  };

  private frame(now: number, frame: XRFrame | undefined): void {
    if (frame === undefined) return; // one of the page's, while the session begins
    const { stage } = this;
    const { renderer } = stage;
    const ms = Math.min(100, Math.max(0, now - this.last));
    this.last = now;
    this.elapsed = ms;
    const space = renderer.xr.getReferenceSpace();
    const pose = space === null ? null : frame.getViewerPose(space);
    if (pose != null) {
      const { position, orientation } = pose.transform;
      this.head.set(position.x, position.y, position.z);
      this.forward.set(0, 0, -1).applyQuaternion(orientation as never);
    }
    const { world } = stage;
    if (world === null) return;
    if (!this.entered && pose != null) this.start(world);
    if (world !== this.world) this.arrived(world);
    this.moved = false;
    this.hands.update(world, this.boards);
    this.point();
    const played = this.ride.step(ms);
    if (this.ride.replay !== null) stage.ride(this.ride.replay, this.ride.at, this);
    else stage.ride(null, 0, this);
    if (stage.selected !== this.panel.service) this.choose(world);
    this.strip.follow(ms / 1000, this.head, this.forward);
    this.panel.follow(ms / 1000, this.head, this.forward);
    if (this.stale || played) this.write(world);
    this.vignette.update(now, ms / 1000, this.moved);
    this.name(world, now);
    const layer = renderer.xr.getBaseLayer();
    const size = layer !== null && "framebufferWidth" in layer ? layer : null;
    const [wide, high] = [size?.framebufferWidth ?? 1024, size?.framebufferHeight ?? 1024];
    stage.tick(now, wide, high);
    this.hands.tick(wide, high);
    this.hands.draw();
    renderer.render(stage.scene, this.camera);
    this.calls = renderer.info.render.calls;
    this.frames += 1;
  }

  private start(world: World): void {
    this.entered = true;
    this.enterWorld(liked.scale, world);
    this.strip.place(this.head, this.forward);
    this.vignette.blink(this.last);
    if (this.ride.replay !== null) this.surround();
  }

  /** Another moment, or what changed. */
  private arrived(world: World): void {
    const again = this.world === null || this.world.about.past !== world.about.past;
    this.world = world;
    if (again) this.paint(world);
    this.strip.arrived();
    this.stale = true;
    this.named = -Infinity;
    if (this.panel.service !== null) this.panel.show(this.stage.selected, world, this.look, this.head, this.forward);
  }

  private paint(world: World): void {
    const palette = colours(world.about.past);
    this.look = ink(STATES);
    this.tags.forget();
    this.outline.paint(palette.selection);
    this.hands.paint(palette.selection, palette.states[2] ?? new Color(), palette.way);
    this.stage.renderer.setClearColor(palette.ground, 1);
  }

  private choose(world: World): void {
    this.panel.show(this.stage.selected, world, this.look, this.head, this.forward);
    this.named = -Infinity;
  }

  private write(world: World): void {
    this.stale = false;
    const { replay, pace, at, playing, problem } = this.ride;
    const ride = replay === null || pace === null ? null : { replay, pace, at, playing };
    this.strip.write(world, this.look, { scale: liked.scale, degrees: liked.degrees, ride, problem });
  }

  /** What the hands point at: a ring and a name, a tick in the hand, another colour on a button. */
  private point(): void {
    const hand = this.hands.pointing;
    const body = hand?.body ?? null;
    if (body !== this.pointed) {
      this.pointed = body;
      this.named = -Infinity;
      this.stage.mark(body);
      if (body !== null) pulse(hand);
    }
    for (const board of this.boards) {
      const on = this.hands.hands.find((each) => each.there && each.board === board && each.held === null);
      const spot = on === undefined ? null : board.spotAt(board.x, board.y);
      if (!board.point(spot)) continue;
      if (spot !== null) pulse(on ?? null);
      if (board === this.strip.board) this.stale = true;
      else if (this.world !== null) this.panel.write(this.world, this.look);
    }
    for (const { held } of this.hands.hands) if (held !== null) held.spot.drag?.(held.board.x, held.board.y);
    if (this.hands.hands.some(({ held }) => held !== null)) this.stale = true;
  }

  private press(hand: Hand): void {
    const { board, body } = hand;
    if (board !== null) {
      // The other hand may have met it meanwhile.
      board.hit(hand.from, hand.way);
      const spot = board.spotAt(board.x, board.y);
      if (spot === null) return;
      if (spot.drag !== undefined) hand.held = { board, spot };
      spot.press(board.x, board.y);
      this.stale = true;
      pulse(hand);
      return;
    }
    const service = body === null ? undefined : this.world?.services[body];
    if (service === undefined) return;
    pulse(hand);
    change({ service });
  }

  private release(hand: Hand): void {
    if (hand.held === null) return;
    hand.held = null;
    if (this.ride.replay !== null) this.ride.rest();
    this.stale = true;
  }

  private fly(x: number, y: number, hand: Hand): void {
    this.moved = true;
    this.gaze.set(0, 1, 0).cross(hand.way).normalize();
    this.step.copy(hand.way).multiplyScalar(-y).addScaledVector(this.gaze, -x);
    this.step.multiplyScalar((SPEED[this.rig.scale] * this.elapsed) / 1000);
    this.rig.fly(this.step, this.head);
  }

  /** Strip and panel come to where one looks. */
  private gather(): void {
    this.strip.place(this.head, this.forward);
    this.panel.gather(this.head, this.forward);
  }

  private resize(): void {
    this.enter(liked.scale === "table" ? "room" : "table");
  }

  private enter(scale: Scale): void {
    liked.scale = scale;
    if (this.world !== null) this.enterWorld(scale, this.world);
    this.strip.place(this.head, this.forward);
    this.arrive();
  }

  private enterWorld(scale: Scale, world: World): void {
    this.rig.enter(scale, world, this.head, this.forward);
    this.camera.far = Math.max(60, (3 * this.rig.extent.reach + 80) * this.rig.metres);
  }

  private arrive(): void {
    this.vignette.blink(this.last);
    this.named = -Infinity;
    this.stale = true;
  }

  /** Stands before a body, as large as a room. */
  private goTo(service: string): void {
    const { world, rig } = this;
    const body = world?.services.indexOf(service) ?? -1;
    if (world === null || body < 0) return;
    if (rig.scale !== "room") this.enter("room");
    const [x = 0, y = 0, z = 0] = world.table("bodies").numbers("position").subarray(3 * body, 3 * body + 3);
    this.spot.copy(this.head);
    rig.toWorld(this.spot);
    this.step.set(x - this.spot.x, y - this.spot.y, 0);
    if (this.step.length() < 0.1) this.step.set(0, 1, 0);
    const above = z * rig.metres - this.head.y;
    const away = Math.max(BEFORE, -above / STEEP) / rig.metres;
    this.step.setLength(away);
    // From where one is, or from beside that: nobody stands in somebody else.
    let [toX, toY] = [x - this.step.x, y - this.step.y];
    for (let side = 1; side < 12 && rig.room(toX, toY, this.head.y + Math.max(0, above), world) < 0.5; side++) {
      const turn = (Math.ceil(side / 2) * (side % 2 === 0 ? -1 : 1) * Math.PI) / 6;
      const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
      [toX, toY] = [x - cos * this.step.x + sin * this.step.y, y - sin * this.step.x - cos * this.step.y];
    }
    rig.face(x - toX, y - toY, this.head, this.forward);
    rig.moveTo(toX, toY, this.head);
    if (above > 0) rig.fly(this.step.set(0, above, 0), this.head);
    this.gather();
    this.arrive();
  }

  /** In the middle of those whom a request touches, as large as a room. */
  private surround(): void {
    const { world, rig, ride } = this;
    if (world === null || ride.replay === null) return;
    const places = world.table("bodies").numbers("position");
    const touched = ride.replay.nodes.map(({ service }) => world.services.indexOf(service)).filter((body) => body >= 0);
    if (touched.length === 0) return;
    if (rig.scale !== "room") this.enter("room");
    let [x, y] = [0, 0];
    for (const body of touched) [x, y] = [x + places[3 * body]! / touched.length, y + places[3 * body + 1]! / touched.length];
    [x, y] = rig.clear(x, y, this.head.y, world, AROUND);
    const first = touched[0]!;
    rig.face(places[3 * first]! - x, places[3 * first + 1]! - y, this.head, this.forward);
    rig.moveTo(x, y, this.head);
    this.gather();
    this.arrive();
  }

  private name(world: World, now: number): void {
    this.spot.copy(this.head);
    this.rig.toWorld(this.spot);
    this.tags.follow(this.spot, this.rig.metres);
    const { selected, ridden, ranks } = this.stage;
    const table = world.table("bodies");
    const chosen = selected === null || table.rows === 0 ? -1 : world.services.indexOf(selected);
    this.outline.follow(chosen < 0 ? null : table.numbers("position"), chosen, table.rows === 0 ? 0 : (table.numbers("radius")[chosen] ?? 0), this.spot);
    if (now - this.named < NAMED_MS) return;
    this.named = now;
    this.gaze.copy(this.forward).applyQuaternion(this.rig.group.quaternion);
    this.tags.choose({ world, order: ranks, head: this.spot, forward: this.gaze, metres: this.rig.metres, chosen: selected, hovered: this.pointed, ridden }, this.look);
  }
}

function pulse(hand: Hand | null): void {
  const actuator = hand?.source?.gamepad?.hapticActuators?.[0] as { pulse?(strength: number, ms: number): Promise<unknown> } | undefined;
  void actuator?.pulse?.(0.35, 12).catch(() => undefined);
}

/** Begins with a session that was asked for; it ends by itself, or by `leave`. */
export async function begin(stage: Stage, session: XRSession, ended: () => void): Promise<Headset> {
  const floor = session.enabledFeatures?.includes("local-floor") ?? (await session.requestReferenceSpace("local-floor").then(
    () => true,
    () => false,
  ));
  const headset = new Headset(stage, session, ended);
  await headset.begin(floor);
  return headset;
}
