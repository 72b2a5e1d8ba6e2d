// What changes, what was, and what is said where there is no headset; in the same shop.
import { check, says, told, walk } from "./walking.mjs";
import { EMULATOR, PAST, aim, alike, ask, distance, drawn, enter, frames, on, press, pull, stands, trigger, until, worn } from "./wearing.mjs";

const ways = {
  async "what changes live changes its colour before one's eyes"(page) {
    const sent = async (document) => check((await fetch(`${told.url}/v1/traces`, { method: "POST", headers: { "Content-Type": "application/json" }, body: document })).ok, "not taken");
    await sent(told.well);
    await enter(page, "?refresh=5s");
    await until(page, "stage.world.services.includes('newcomer')");
    await page.evaluate(() => {
      window.device.controllers.right.quaternion.set(0.7071, 0, 0, 0.7071);
      // While somebody has a headset on, browsers draw for it alone: the page gets no frames, the emulator gets its own.
      const own = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = (does) => (String(does).includes("deviceFrameHandle") ? own(does) : 0);
    });
    await ask(page, "void headset.goTo('newcomer')");
    await until(page, "!headset.vignette.mesh.visible");
    const seen = async () => (await page.evaluate(() => window.seenByBoth(["newcomer"]))).eyes.map(([each]) => each.colour);
    const before = await seen();
    await sent(told.sick);
    await until(page, "stage.world.table('bodies').numbers('state')[stage.world.services.indexOf('newcomer')] === 2");
    await frames(page, 4);
    const wanted = await ask(page, "stage.bodyColour(stage.world.services.indexOf('newcomer')).toArray()");
    const after = await seen();
    after.forEach((colour, eye) => {
      check(alike(colour, before[eye]) < 0.95, `eye ${eye} sees ${before[eye]} and ${colour}`);
      // Light falls on it.
      check(alike(colour, wanted) > 0.96, `eye ${eye} sees ${colour} instead of ${wanted}`);
    });
  },
  async "the strip is grabbed and shows the past, which never looks live"(page) {
    await enter(page);
    const sky = () => ask(page, "stage.renderer.getClearColor(stage.palette.ground.clone()).getHexString()");
    const now = await sky();
    check((await ask(page, "headset.strip.told")).includes("Now"), "it does not say when it is");
    const lit = () => ask(page, "headset.strip.board.spots.find(({ name }) => name === 'now').lit");
    check(await lit(), "now is not lit");
    await on(page, "strip", "time", 0.75);
    await trigger(page, "right", true);
    await on(page, "strip", "time", 0.5);
    // Beside the strip, and still held.
    const held = await ask(page, "headset.strip.dragged");
    await page.evaluate(() => window.point("right", window.onBoard("strip", 600, -60)));
    await frames(page);
    check((await ask(page, "headset.strip.dragged")) < held, "it is let go beside the strip");
    await trigger(page, "right", false);
    // It was shown where it was grabbed, too.
    await until(page, "stage.world.about.past && headset.strip.dragged === null && location.hash.includes(`until=${stage.world.about.until_ns}`)");
    check(/since=\d{19}&until=\d{19}/.test(page.url()), `the address does not say when: ${page.url()}`);
    await until(page, "headset.strip.told.some((line) => /^PAST \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$/.test(line))");
    check(!(await lit()), "now is lit in the past");
    check((await sky()) !== now, "the sky is the same");
    check((await ask(page, "stage.ways.material.uniforms.lights.value")) === 0, "lights move");
    check((await ask(page, "stage.world.table('bodies').numbers('state')[stage.world.services.indexOf(given)]", told.database)) === 0, "it is broken before its fault");
    await press(page, "strip", "now");
    await until(page, "!stage.world.about.past");
    await until(page, "headset.strip.told.includes('Now') && !headset.strip.told.some((line) => line.startsWith('PAST'))");
    check((await sky()) === now, "the sky of the past stays");
  },
  async "a request from the panel is replayed around one"(page) {
    await enter(page, `${PAST}&service=checkout`);
    await press(page, "panel", "trace 0");
    await page.waitForFunction(() => /trace=[0-9a-f]{32}/.test(location.hash));
    await until(page, "headset.ride.replay !== null && stage.ridden !== null");
    check((await ask(page, "headset.rig.scale")) === "room", "it is small");
    const middle = await ask(page, "(() => { const of = headset.ride.replay.nodes.map(({ service }) => window.placeOf(service)); return of.reduce((sum, place) => sum.add(place), headset.head.clone().set(0, 0, 0)).multiplyScalar(1 / of.length).toArray(); })()");
    const away = distance(middle.slice(0, 2), (await stands(page)).slice(0, 2)) * (await ask(page, "headset.rig.metres"));
    check(away < 2, `it is not around one, but ${away} m away`);
    check(await ask(page, "headset.rig.room(...headset.rig.toWorld(headset.head.clone()).toArray().slice(0, 2), headset.head.y, stage.world) > 0.5"), "one stands in somebody");
    check(await ask(page, "headset.strip.told.some((line) => line.includes(headset.ride.replay.title) && line.includes(headset.ride.replay.outcome))"), "the strip does not say which request it is");
    check(await ask(page, "headset.ride.replay.says.some(([, words]) => headset.strip.told.some((line) => line.startsWith(words)))"), "the strip does not say what happens");
    const at = await ask(page, "headset.ride.at");
    await until(page, "headset.ride.at > given && stage.ridden.at === headset.ride.at", at);
    await until(page, "stage.travellers.visible");
    await press(page, "strip", "play");
    await until(page, "!headset.ride.playing");
    const rested = await ask(page, "stage.ridden.at");
    await frames(page, 6);
    check((await ask(page, "stage.ridden.at")) === rested, "it goes on");
    await press(page, "strip", "request", 0.97);
    await until(page, "headset.ride.at > 0.9 * headset.ride.replay.length_ns");
    await page.waitForFunction(() => /share=(0\.9|1)/.test(location.hash));
    const failed = await ask(page, "headset.ride.replay.nodes.filter(({ failed_ns }) => failed_ns !== null && failed_ns <= headset.ride.at).map(({ service }) => stage.colourOf(stage.world.services.indexOf(service)))");
    const red = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--failing").trim());
    check(failed.length > 0 && failed.every((colour) => colour === red), `who has failed is ${failed}`);
    await press(page, "strip", "stop");
    await page.waitForFunction(() => !location.hash.includes("trace="));
    await until(page, "stage.ridden === null");
  },
  async "a request in the address is there when one enters"(page) {
    await enter(page, `${PAST}&trace=${told.trace}&share=0.5`);
    await until(page, "headset.ride.replay !== null && stage.ridden !== null && Math.abs(stage.ridden.at / headset.ride.replay.length_ns - 0.5) < 0.01");
    check(!(await ask(page, "headset.ride.playing")), "it plays by itself");
  },
  async "an unknown request is a sentence on the strip"(page) {
    await enter(page, `${PAST}&trace=${"ab".repeat(16)}`);
    await until(page, "headset.ride.problem !== null && headset.strip.told.includes(headset.ride.problem)");
  },
  async "whoever leaves is back where the page was"(page) {
    await enter(page, PAST);
    const stood = await ask(page, "stage.camera.position.toArray()");
    await aim(page, "payment");
    await pull(page);
    await page.waitForURL(/service=payment/);
    const address = page.url();
    await press(page, "strip", "scale");
    check((await ask(page, "headset.rig.scale")) === "room", "it stays on the table");
    const before = await ask(page, "stage.frames");
    await on(page, "strip", "leave");
    await page.evaluate(() => window.device.controllers.right.updateButtonValue("trigger", 1));
    await until(page, "headset === null && stage.frames > given", before);
    check(page.url() === address, `another address: ${page.url()}`);
    check(distance(stood, await ask(page, "stage.camera.position.toArray()")) < 1e-6, "one stands elsewhere");
    check(await page.evaluate(() => window.sight.querySelector("canvas") !== null), "the canvas is gone");
    check((await ask(page, "stage.scene.children.length")) === (await ask(page, "stage.scene.children.filter((each) => each.type !== 'Group').length")), "hands are left behind");
    await page.getByRole("button", { name: "Enter VR" }).click();
    await until(page, "headset !== null && headset.frames > 2");
    // The headset is taken off.
    await page.evaluate(() => window.sight.stage.renderer.xr.getSession().end());
    await until(page, "headset === null");
    await page.locator(".names").getByText("payment").first().waitFor();
  },
  async "leaving the view ends the session"(page) {
    await enter(page, PAST);
    await page.evaluate(() => (window.kept = window.sight.stage));
    await page.evaluate(() => (location.hash = "#/topology"));
    await page.waitForFunction(() => window.kept.headset === null);
    await says(page, "Map");
  },
  async "names from strangers are text"(page) {
    check((await fetch(`${told.url}/v1/traces`, { method: "POST", headers: { "Content-Type": "application/json" }, body: told.hostile })).ok, "not taken");
    await enter(page, `?service=${encodeURIComponent(told.stranger)}&refresh=5s`);
    await until(page, "stage.world.services.includes(given)", told.stranger);
    await until(page, "headset.panel.told[0] === given && headset.panel.told.length > 3", told.stranger);
    await ask(page, "void headset.goTo(given)", told.stranger);
    await until(page, "headset.tags.shown.some((name) => name.includes('<img'))");
    check((await page.evaluate(() => window.hacked)) === undefined, "it is markup");
  },
  async "a session that is refused is a sentence, and the page goes on"(page) {
    await page.addInitScript(`${EMULATOR};(${worn})();navigator.xr.requestSession = () => Promise.reject(new DOMException("somebody else has it", "InvalidStateError"))`);
    await drawn(page, PAST);
    await page.getByRole("button", { name: "Enter VR" }).click();
    await says(page, "The headset did not begin: somebody else has it.");
    check((await ask(page, "headset")) === null, "nobody draws any more");
    await page.getByRole("button", { name: "Everything" }).click();
  },
  async "without WebXR there is a sentence"(page) {
    await page.addInitScript(() => Object.defineProperty(navigator, "xr", { value: undefined }));
    await drawn(page, PAST);
    await page.getByRole("button", { name: "Enter VR" }).click();
    await says(page, "This browser has no WebXR: open this page in the headset's own browser.");
    check((await page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("session")).length)) === 0, "it was loaded for nobody");
  },
  async "without a headset there is a sentence"(page) {
    await page.addInitScript(() => Object.defineProperty(navigator, "xr", { value: { isSessionSupported: async () => false, addEventListener() {}, removeEventListener() {} } }));
    await drawn(page, PAST);
    await page.getByRole("button", { name: "Enter VR" }).click();
    await says(page, "No headset is connected to this browser");
  },
  async "an address that is not secure is a sentence that says what to do"(page) {
    const { url } = told;
    await page.route("http://world.example:4318/**", async (route) => {
      const { pathname, search } = new URL(route.request().url());
      const answer = await fetch(`${url}${pathname}${search}`);
      await route.fulfill({ status: answer.status, headers: Object.fromEntries([...answer.headers].filter(([name]) => !["content-encoding", "content-length"].includes(name))), body: Buffer.from(await answer.arrayBuffer()) });
    });
    told.url = "http://world.example:4318";
    try {
      await drawn(page, PAST);
      await page.getByRole("button", { name: "Enter VR" }).click();
      await says(page, "http://world.example:4318 is neither");
      await says(page, "adb reverse tcp:4318 tcp:4318");
    } finally {
      told.url = url;
    }
  },
};

await walk(ways, { width: 720, height: 450 });
