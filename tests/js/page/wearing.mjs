// What a hand with an emulated headset does: Meta's iwer, given to the page before it loads.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { FIRST_MS, PATIENCE_MS, check, open, told } from "./walking.mjs";

const require = createRequire(`${told.packages}/package.json`);
export const EMULATOR = readFileSync(require.resolve("iwer/build/iwer.min.js"), "utf8");

/** In the page: a headset on somebody who sits, a controller in each hand. */
export function worn() {
  const device = new IWER.XRDevice(IWER.metaQuest3, { stereoEnabled: true });
  device.installRuntime({ forceInstall: true });
  device.position.set(0, 1.25, 0);
  for (const [side, x] of [["left", -0.2], ["right", 0.2]]) device.controllers[side].position.set(x, 1, -0.25);
  window.device = device;
  const stage = () => window.sight.stage;
  // Each frame of two eyes costs a processor a lot: the emulator draws those that are asked for, and none meanwhile.
  const own = { ask: window.requestAnimationFrame.bind(window), cancel: window.cancelAnimationFrame.bind(window) };
  const HELD = -1;
  let [held, due] = [null, 0];
  const draw = () => {
    if (held === null || due === 0) return;
    const does = held;
    [held, due] = [null, due - 1];
    own.ask(does);
  };
  window.requestAnimationFrame = (does) => (String(does).includes("deviceFrameHandle") ? ((held = does), draw(), HELD) : own.ask(does));
  window.cancelAnimationFrame = (handle) => (handle === HELD ? (held = null) : own.cancel(handle));
  window.drawFrames = (count) => ((due = count), draw());
  /** Turns a hand to a place in its own space. */
  window.point = (side, to) => {
    const { position, quaternion } = device.controllers[side];
    const way = to.clone().sub(position).normalize();
    const turn = stage().camera.quaternion.clone().setFromUnitVectors(way.clone().set(0, 0, -1), way);
    quaternion.set(turn.x, turn.y, turn.z, turn.w);
  };
  window.placeOf = (service) => {
    const { headset, world } = stage();
    return headset.head.clone().fromArray(world.table("bodies").numbers("position"), 3 * world.services.indexOf(service));
  };
  window.onBoard = (which, x, y) => {
    const { mesh, width, height, pixel } = stage().headset[which].board;
    return mesh.position.clone().set((x - width / 2) * pixel, (height / 2 - y) * pixel, 0).applyQuaternion(mesh.quaternion).add(mesh.position);
  };
  /** What both eyes see, and where a place of the world is in it: read while it is there. */
  window.seenByBoth = (services) => new Promise((resolve) => {
    const { renderer } = stage();
    renderer.xr.getSession().requestAnimationFrame(() => {
      const gl = renderer.getContext();
      const [wide, high] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
      const bytes = new Uint8Array(4 * wide * high);
      gl.readPixels(0, 0, wide, high, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
      let other = 0;
      for (let y = 0; y < high; y += 2) for (let x = 0; x < wide / 2; x += 2) {
        const [left, right] = [4 * (y * wide + x), 4 * (y * wide + x + wide / 2)];
        if (Math.abs(bytes[left] - bytes[right]) + Math.abs(bytes[left + 1] - bytes[right + 1]) + Math.abs(bytes[left + 2] - bytes[right + 2]) > 24) other += 1;
      }
      const eyes = renderer.xr.getCamera().cameras.map(({ matrixWorldInverse, projectionMatrix, viewport }) => services.map((service) => {
        const at = window.placeOf(service).applyMatrix4(matrixWorldInverse).applyMatrix4(projectionMatrix);
        const [x, y] = [viewport.x + ((at.x + 1) / 2) * viewport.z, viewport.y + ((at.y + 1) / 2) * viewport.w];
        const pixel = 4 * (Math.round(y) * wide + Math.round(x));
        return { across: (at.x + 1) / 2, seen: Math.abs(at.x) < 1 && Math.abs(at.y) < 1, colour: [...bytes.slice(pixel, pixel + 3)] };
      }));
      resolve({ other: other / ((wide / 4) * (high / 2)), eyes });
    });
    window.drawFrames(2);
  });
}

export const ask = (page, code, given) => page.evaluate(([text, value]) => new Function("stage", "headset", "given", `return ${text}`)(window.sight.stage, window.sight.stage.headset, value), [code, given]);
/** Asked again and again from here, a frame later: the page's policy lets nobody make functions of text in it. */
export async function until(page, code, given) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await ask(page, code, given))) {
    if (Date.now() > end) throw new Error(`never: ${code}`);
    await drawFrames(page, 1);
    await page.waitForTimeout(40);
  }
}
const drawFrames = (page, count) => page.evaluate((wanted) => window.drawFrames?.(wanted), count);

export async function drawn(page, hash) {
  // Two small eyes: without a graphics card each pixel counts.
  await page.setViewportSize({ width: 800, height: 400 });
  await open(page, `world${hash}`);
  await page.waitForFunction(() => document.querySelector(".sight")?.stage?.frames > 0, null, { timeout: FIRST_MS });
  await page.evaluate(() => (window.sight = document.querySelector(".sight")));
  // As it stays: a cause comes with a later answer.
  if (!hash.startsWith(WELL)) await page.waitForFunction(() => window.sight.stage.world.about.cause !== null);
}

export async function enter(page, hash = "") {
  await page.addInitScript(`${EMULATOR};(${worn})()`);
  await drawn(page, hash);
  await page.getByRole("button", { name: "Enter VR" }).click();
  await until(page, "headset !== null && headset.frames > 3");
}

export async function frames(page, count = 3) {
  const wanted = (await ask(page, "headset.frames")) + count;
  await drawFrames(page, count);
  const end = Date.now() + PATIENCE_MS;
  while ((await ask(page, "headset.frames")) < wanted) {
    check(Date.now() < end, "no frames any more");
    await page.waitForTimeout(10);
  }
}
export const stick = async (page, side, x, y) => {
  await page.evaluate(([hand, across, along]) => window.device.controllers[hand].updateAxes("thumbstick", across, along), [side, x, y]);
  await frames(page);
};
export const trigger = async (page, side, down) => {
  await page.evaluate(([hand, value]) => window.device.controllers[hand].updateButtonValue("trigger", value), [side, down ? 1 : 0]);
  await frames(page);
};
export async function pull(page, side = "right") {
  await trigger(page, side, true);
  await trigger(page, side, false);
}
export async function aim(page, service, side = "right") {
  await page.evaluate(([hand, name]) => window.point(hand, window.sight.stage.headset.rig.toOwn(window.placeOf(name))), [side, service]);
  await frames(page);
}
/** Points at a place of a board: a share of the width and height of what is pressed there. */
export async function on(page, board, name, share = 0.5, side = "right") {
  await until(page, "headset[given[0]].board.spots.some(({ name }) => name === given[1])", [board, name]);
  await page.evaluate(([which, wanted, across, hand]) => {
    const spot = window.sight.stage.headset[which].board.spots.find(({ name }) => name === wanted);
    window.point(hand, window.onBoard(which, spot.x + across * spot.wide, spot.y + spot.tall / 2));
  }, [board, name, share, side]);
  await frames(page);
}
export async function press(page, board, name, share = 0.5) {
  // A board may hang elsewhere a moment later, or say more.
  for (let tries = 0; tries < 10; tries++) {
    await on(page, board, name, share);
    if (await ask(page, "headset[given[0]].board.pointed?.name === given[1]", [board, name])) break;
  }
  await pull(page);
}
export const distance = (a, b) => Math.hypot(...a.map((value, axis) => value - b[axis]));
export const stands = (page) => ask(page, "headset.rig.toWorld(headset.head.clone()).toArray()");
export const alike = (a, b) => a.reduce((sum, value, axis) => sum + value * b[axis], 0) / (Math.hypot(...a) * Math.hypot(...b) || 1);
export const PAST = `?since=${told.broken[0]}&until=${told.broken[1]}`;
/** Before anything broke. */
export const WELL = `?since=${BigInt(told.broken[0]) - 240_000_000_000n}&until=${BigInt(told.broken[0]) - 120_000_000_000n}`;
