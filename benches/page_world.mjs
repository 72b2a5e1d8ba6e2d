// Opens a world in headless Chromium and says, as JSON, when its first full picture stood and what frames take.
import { createRequire } from "node:module";

const { url, browser, packages, turns } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${packages}/`)("playwright-core");
const go = () => new Promise((next) => process.stdin.once("data", next));
const say = (told) => console.log(JSON.stringify(told));
const running = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
const page = await (await running.newContext({ viewport: { width: 1280, height: 720 } })).newPage();
// The browser itself has started: what is measured is the page.
await page.goto("about:blank");
say({});
await go();
await page.goto(`${url}/#/world`, { waitUntil: "commit" });
const first = await page.evaluate(
  () =>
    new Promise((seen) => {
      const look = () => {
        const stage = document.querySelector(".sight")?.stage;
        if (!(stage?.frames > 0)) return requestAnimationFrame(look);
        // Drawn is what can be read.
        const gl = stage.renderer.getContext();
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
        const [told] = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/ask/world"));
        const { rows } = stage.world.table("bodies");
        seen({
          ready_ms: performance.now(),
          asked_ms: told.startTime,
          told_ms: told.responseEnd - told.startTime,
          bytes: told.transferSize,
          bodies: rows,
          arcs: stage.world.table("arcs").rows,
          calls: stage.calls,
          caption: stage.world.about.caption,
          renderer: gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL),
        });
      };
      look();
    }),
);
say(first);
await go();
const frames = (count) =>
  page.evaluate(
    (count) =>
      new Promise((done) => {
        const { stage } = document.querySelector(".sight");
        const taken = [];
        let last = performance.now();
        const turn = () => {
          const gl = stage.renderer.getContext();
          gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
          taken.push(performance.now() - last);
          last = performance.now();
          if (taken.length > count) return done(taken.slice(1).sort((a, b) => a - b)[count >> 1]);
          const { x, y } = stage.camera.position;
          stage.camera.position.set(x * Math.cos(0.02) - y * Math.sin(0.02), x * Math.sin(0.02) + y * Math.cos(0.02), stage.camera.position.z);
          stage.draw();
          requestAnimationFrame(() => requestAnimationFrame(turn));
        };
        turn();
      }),
    count,
  );
const frame_ms = await frames(turns);
const opened = await page.evaluate(
  () =>
    new Promise((done) => {
      const { stage } = document.querySelector(".sight");
      const groups = stage.world.about.levels === null ? null : stage.world.table("groups");
      const closed = groups === null ? -1 : [...groups.numbers("open")].indexOf(0);
      if (closed < 0) return done(null);
      const before = stage.world;
      const began = performance.now();
      stage.open([groups.words("key")[closed]]);
      const look = () => (stage.world === before ? requestAnimationFrame(look) : done(performance.now() - began));
      look();
    }),
);
say({ frame_ms, opened_ms: opened });
await go();
await running.close();
process.exit(0);
