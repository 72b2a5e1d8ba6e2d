// Through the world of a shop whose database of inventory is slow.
import { FIRST_MS, PATIENCE_MS, axe, check, open, says, settled, told, walk } from "./walking.mjs";

const drawn = (page) => page.waitForFunction(() => document.querySelector(".sight")?.stage?.frames > 0, null, { timeout: FIRST_MS });
const seen = (page, ask, given) => page.evaluate(([code, value]) => new Function("stage", "given", `return ${code}`)(document.querySelector(".sight").stage, value), [ask, given]);
const body = (page, service) => seen(page, "stage.world.services.indexOf(given)", service);
const WELL = `?since=${told.since}&until=${told.until}`;
const BROKEN = `?since=${told.broken[0]}&until=${told.broken[1]}`;
/** The world as it stays: a cause comes with a later answer, and makes room for its flag. */
const world = async (page, hash = "") => {
  await open(page, `world${hash}`);
  await drawn(page);
  if (hash !== WELL) await page.waitForFunction(() => document.querySelector(".sight").stage.world.about.cause !== null);
  await rests(page);
};
const rests = (page) => page.waitForFunction(() => document.querySelector(".sight").stage.pending === 0);

/** What the bytes say, read by nobody who draws. */
async function told_in_bytes(page, query) {
  const bytes = Buffer.from(await (await fetch(`${told.url}/ask/world?${query}`)).arrayBuffer());
  const length = bytes.readUInt32LE(8);
  const says = JSON.parse(bytes.subarray(12, 12 + length).toString());
  const column = (table, name) => {
    const { type, at, count } = says.tables[table].columns[name];
    const size = { f4: 4, u1: 1, i4: 4 }[type];
    const take = { f4: "readFloatLE", u1: "readUInt8", i4: "readInt32LE" }[type];
    return Array.from({ length: count }, (_, number) => bytes[take](12 + length + at + number * size));
  };
  return { ...says, column, names: says.tables.bodies.texts.service.values };
}

/** The part of a page's own text that says what kind of message it was. */
async function kind(response) {
  const bytes = await response.body();
  return JSON.parse(bytes.subarray(12, 12 + bytes.readUInt32LE(8)).toString());
}

const COLOURS = ["healthy", "degraded", "failing", "idle", "absent"];

const ways = {
  async "the beacon is on the cause, and n goes there"(page) {
    await world(page);
    await page.locator(".names .flag").waitFor();
    check((await page.locator(".names .flag b").innerText()).startsWith("postgresql inventory"), "the flag is on another");
    const before = await seen(page, "stage.camera.position.toArray()");
    await page.keyboard.press("n");
    await page.waitForURL(/view=/);
    check(decodeURIComponent(page.url()).replaceAll("+", " ").includes(told.database), "another one is chosen");
    const after = await seen(page, "stage.camera.position.toArray()");
    check(JSON.stringify(before) !== JSON.stringify(after), "nobody flew");
    await page.keyboard.press("f");
    await page.waitForFunction(([x, y, z]) => { const at = document.querySelector(".sight").stage.camera.position; return Math.hypot(at.x - x, at.y - y, at.z - z) > 5; }, after);
  },
  async "no name of another lies on somebody who is sick"(page) {
    await world(page, BROKEN);
    const { sick, names } = await page.evaluate(() => {
      const { stage } = document.querySelector(".sight");
      const box = document.querySelector(".sight").getBoundingClientRect();
      const bodies = stage.world.table("bodies");
      return {
        sick: [...bodies.numbers("state")].flatMap((state, body) => {
          const spot = [1, 2, 4].includes(state) ? stage.spot(body) : null;
          return spot === null ? [] : [{ name: bodies.words("label")[body], x: box.x + spot.x, y: box.y + spot.y }];
        }),
        names: [...document.querySelectorAll(".names > div:not([hidden]):not(.flag)")].map((each) => ({ name: each.querySelector("b").textContent, look: each.className, ...each.getBoundingClientRect().toJSON() })),
      };
    });
    check(sick.length >= 3, `only ${sick.length} are sick`);
    check(names.some(({ look }) => look === "sick"), "nobody who is sick is named");
    for (const { x, y, name } of sick)
      for (const each of names)
        check(each.name === name || each.right < x || each.left > x || each.bottom < y || each.top > y, `${each.name} lies on ${name}`);
  },
  async "what is drawn is what the bytes say"(page) {
    await world(page, WELL);
    const bytes = await told_in_bytes(page, `since=${told.since}&until=${told.until}`);
    const names = await seen(page, "[...stage.world.services]");
    check(JSON.stringify(names) === JSON.stringify(bytes.names), `other bodies: ${names}`);
    const places = await seen(page, "stage.kinds.flatMap((mesh) => [...mesh.geometry.getAttribute('place').array].slice(0, 3 * mesh.geometry.instanceCount))");
    const sorted = (values) => values.map((value) => value.toFixed(4)).sort().join();
    check(sorted(places) === sorted(bytes.column("bodies", "position")), "bodies stand elsewhere");
    const arcs = await seen(page, "stage.ways.geometry.instanceCount");
    const bright = bytes.column("arcs", "seen").filter((share) => share >= 0.025).length;
    check(arcs === bright, `${arcs} arcs instead of ${bright}`);
    const wanted = await page.evaluate((states) => states.map((state) => getComputedStyle(document.documentElement).getPropertyValue(`--${state}`).trim()), COLOURS);
    const states = bytes.column("bodies", "state");
    const colours = await seen(page, "stage.world.services.map((_, body) => stage.colourOf(body))");
    colours.forEach((colour, number) => check(colour === wanted[states[number]], `${names[number]} is ${colour}`));
    check((await seen(page, "stage.calls")) <= 30, "too many draw calls");
  },
  async "lights move where drawing is cheap, and nothing is drawn while nothing changes"(page) {
    await world(page, "?refresh=off");
    // A later answer may be drawn, once.
    const resting = async () => {
      for (let tries = 0; tries < 10; tries++) {
        const before = await seen(page, "stage.frames");
        await page.waitForTimeout(400);
        if ((await seen(page, "stage.frames")) === before) return true;
      }
      return false;
    };
    check(await resting(), "a processor draws all the time");
    const cheap = () => seen(page, "void ((stage.lit = true), (stage.pace.after = () => null), stage.paint())");
    const lights = () => seen(page, "stage.ways.material.uniforms.lights.value");
    await cheap();
    const [frames, time] = await seen(page, "[stage.frames, stage.ways.material.uniforms.time.value]");
    await page.waitForFunction(([before, then]) => { const { stage } = document.querySelector(".sight"); return stage.frames > before + 3 && stage.ways.material.uniforms.time.value !== then; }, [frames, time]);
    check((await lights()) === 1, "no lights");
    await world(page, WELL);
    await page.waitForFunction((until) => document.querySelector(".sight").stage.world.about.until_ns === until, told.until);
    await cheap();
    await rests(page);
    check((await lights()) === 0 && (await resting()), "lights move in the past");
  },
  async "who is clicked has its panel, and its address"(page) {
    await world(page);
    const at = await seen(page, "stage.spot(stage.world.services.indexOf(given))", "payment");
    const box = await page.locator(".sight").boundingBox();
    await page.mouse.move(box.x + at.x, box.y + at.y);
    await page.getByRole("tooltip").getByText("payment").waitFor();
    await page.mouse.click(box.x + at.x, box.y + at.y);
    await page.waitForURL(/service=payment/);
    await page.getByRole("complementary").getByRole("heading", { name: /payment/, level: 1 }).waitFor();
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => !location.hash.includes("service="));
  },
  async "a connection says its figures, and has a panel and an address"(page, context) {
    await world(page, WELL);
    await page.locator(".sight").focus();
    const edges = (await (await fetch(`${told.url}/ask/topology?since=${told.since}&until=${told.until}`)).json()).edges;
    // A place on a curve where nothing else is nearer.
    const at = await seen(page, `(() => {
      const table = stage.world.table('arcs'), q = stage.world.about.quantum, names = stage.world.services;
      for (let arc = 0; arc < table.rows; arc++) {
        const curve = [...table.numbers('curve').slice(9 * arc, 9 * arc + 9)].map((value) => value * q);
        for (let t = 0.2; t < 0.8; t += 0.02) {
          const place = [0, 1, 2].map((axis) => (1 - t) ** 2 * curve[axis] + 2 * t * (1 - t) * curve[3 + axis] + t * t * curve[6 + axis]);
          const v = stage.camera.position.clone().set(...place).project(stage.camera);
          const [x, y] = [((v.x + 1) * stage.size.width) / 2, ((1 - v.y) * stage.size.height) / 2];
          if (stage.bodyAt(x, y) === null && stage.arcAt(x, y) === arc) return { x, y, source: names[table.numbers('source')[arc]], target: names[table.numbers('target')[arc]] };
        }
      }
    })()`);
    check(at !== undefined, "nobody can point at any");
    const edge = edges.find(({ source, target }) => source === at.source && target === at.target);
    const box = await page.locator(".sight").boundingBox();
    await page.mouse.move(box.x + at.x, box.y + at.y);
    const tip = page.getByRole("tooltip");
    await tip.getByText(`${edge.source} → ${edge.target}`).waitFor();
    check((await tip.innerText()).includes(`${edge.calls.toLocaleString("en")} calls`), await tip.innerText());
    check(/p50 .*p95/.test(await tip.innerText()), await tip.innerText());
    const tall = await tip.locator("div").boundingBox();
    for (const service of [edge.source, edge.target]) {
      const spot = await seen(page, "stage.spot(stage.world.services.indexOf(given))", service);
      const [x, y] = [box.x + spot.x, box.y + spot.y];
      check(x < tall.x || x > tall.x + tall.width || y < tall.y || y > tall.y + tall.height, `the tip hides ${service}`);
    }
    await page.mouse.click(box.x + at.x, box.y + at.y);
    await page.waitForURL(/service=.*to=/);
    const other = await context.newPage();
    await other.goto(page.url());
    await other.getByRole("complementary").getByRole("heading", { name: `${edge.source} → ${edge.target}` }).waitFor();
    for (const told of [`${edge.source} waited`, `${edge.target} worked`]) await other.getByRole("complementary").getByText(told, { exact: true }).waitFor();
    await drawn(other);
    check(JSON.stringify(await seen(other, "stage.selectedWay")) === JSON.stringify([edge.source, edge.target]), "it is not marked");
    check((await axe(other)) === "", await axe(other));
  },
  async "an address has the moment, the choice and where one stands"(page, context) {
    await world(page, WELL);
    await page.getByLabel("Fly to").fill("catal");
    await page.keyboard.press("Enter");
    await page.waitForURL(/service=catalog.*view=|view=.*service=catalog/);
    const stands = await seen(page, "stage.camera.position.toArray()");
    const other = await context.newPage();
    await other.goto(page.url());
    await drawn(other);
    await other.waitForFunction(([x, y, z]) => { const at = document.querySelector(".sight").stage.camera.position; return Math.hypot(at.x - x, at.y - y, at.z - z) < 0.01; }, stands);
    check((await seen(other, "stage.selected")) === "catalog", "nobody is chosen");
    check((await seen(other, "stage.world.about.until_ns")) === told.until, "another moment");
  },
  async "one walks with the keyboard"(page) {
    await world(page);
    const before = await seen(page, "stage.camera.position.y");
    await page.locator(".sight").focus();
    await page.keyboard.down("w");
    await page.waitForFunction((y) => document.querySelector(".sight").stage.camera.position.y > y + 1, before);
    await page.keyboard.up("w");
    await page.waitForURL(/view=/);
    check(page.url().includes("#/world"), "a key of the page was meant");
  },
  async "the past is the past"(page) {
    const state = () => seen(page, "stage.world.table('bodies').numbers('state')[stage.world.services.indexOf(given)]", told.database);
    await world(page, BROKEN);
    check((await state()) === 2, `in its fault it is ${await state()}`);
    await page.getByText("The past").waitFor();
    await world(page, WELL);
    await page.waitForFunction((until) => document.querySelector(".sight").stage.world.about.until_ns === until, told.until);
    await rests(page);
    check((await state()) === 0, `before its fault it is ${await state()}`);
    check((await page.locator(".names .flag").count()) === 0, "there is a beacon");
    check((await seen(page, "stage.ways.material.uniforms.lights.value")) === 0, "it looks live");
    await page.getByRole("button", { name: "Now", exact: true }).click();
    await page.waitForFunction(() => document.querySelector(".past-mark") === null && document.querySelector(".sight").stage.world.about.past === false);
  },
  async "a request is replayed through the world"(page) {
    await open(page, `trace/${told.trace}`);
    await page.getByRole("link", { name: "replay it through the world" }).click();
    await drawn(page);
    await page.getByRole("group", { name: "The request" }).waitFor();
    await page.waitForFunction(() => document.querySelector(".sight").stage.ridden !== null);
    const bytes = await (await fetch(`${told.url}/ask/replay?id=${told.trace}`)).json();
    const lit = bytes.ways.filter((way) => way.lit_ns[0] !== null).length;
    const flows = () => seen(page, "[...stage.ways.geometry.getAttribute('flow').array].flatMap((value, at, all) => at % 2 ? [] : [[value, all[at + 1]]]).filter(([kind]) => kind === -1).map(([, reach]) => reach)");
    check((await flows()).length === lit, `${await flows()} instead of ${lit} ways are lit`);
    const far = page.getByLabel("How far the request is");
    await far.focus();
    await page.keyboard.press("Home");
    await page.waitForURL(/share=0/);
    await page.waitForFunction(() => document.querySelector(".sight").stage.ridden.at === 0);
    check((await flows()).every((reach) => reach === 0), "it has begun before its begin");
    const label = async (name) => (await page.locator(".names > div:not([hidden])").filter({ has: page.getByText(name, { exact: true }) }).locator("span").allInnerTexts()).join();
    const words = (at) => bytes.says.filter(([since]) => since <= at).at(-1)[1];
    // Names are written with the next frame.
    const becomes = async (name, wanted) => {
      for (const end = Date.now() + PATIENCE_MS; (await label(name)) !== wanted; await page.waitForTimeout(50)) check(Date.now() < end, `${name} ${await label(name)} instead of ${wanted}`);
    };
    await becomes("checkout", "not reached yet");
    await page.getByText(`${bytes.title} · ${bytes.outcome}`, { exact: true }).waitFor();
    await page.getByText(words(0)).waitFor();
    const idle = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--idle").trim());
    check((await seen(page, "stage.colourOf(stage.world.services.indexOf(given))", "inventory")) === idle, "it is there already");
    // Half way, everybody says what the collector says that they do then.
    await far.fill("0.5");
    await page.waitForURL(/share=0.5/);
    await page.getByText(words(bytes.length_ns / 2)).waitFor();
    const waits = bytes.nodes.find(({ service }) => service === "checkout").says.filter(([since]) => since <= bytes.length_ns / 2).at(-1)[1];
    check(waits !== "", "checkout does nothing");
    await becomes("checkout", waits);
    check(!(await page.locator(".names").innerText()).includes("% errors"), "somebody has the figures of all requests");
    await far.focus();
    await page.keyboard.press("End");
    await page.waitForURL(/share=1/);
    await page.waitForFunction(() => { const { ridden } = document.querySelector(".sight").stage; return ridden.at === ridden.replay.length_ns; });
    check((await flows()).every((reach) => reach === 1), "it has not come to its end");
    check((await seen(page, "stage.colourOf(stage.world.services.indexOf(given))", "inventory")) !== idle, "it was never there");
    await page.getByRole("button", { name: "Play" }).click();
    await page.waitForFunction(() => { const { travellers } = document.querySelector(".sight").stage; return travellers.visible && travellers.geometry.instanceCount > 0; });
    await page.getByRole("button", { name: "Leave it" }).click();
    await page.waitForFunction(() => document.querySelector(".sight").stage.ridden === null);
  },
  async "one drags through time"(page) {
    await world(page);
    await page.getByLabel("Moment").focus();
    for (let step = 0; step < 5; step++) await page.keyboard.press("ArrowLeft");
    await page.waitForURL(/since=\d{19}&until=\d{19}/);
    await page.getByText("The past").waitFor();
  },
  async "what changes comes as a change, and in colour"(page) {
    const sent = async (document) => check((await fetch(`${told.url}/v1/traces`, { method: "POST", headers: { "Content-Type": "application/json" }, body: document })).ok, "not taken");
    await sent(told.well);
    await world(page, "?refresh=off");
    await page.waitForFunction(() => document.querySelector(".sight").stage.world.services.includes("newcomer"));
    const before = await seen(page, "stage.colourOf(stage.world.services.indexOf('newcomer'))");
    await sent(told.sick);
    const answer = page.waitForResponse((response) => response.url().includes("/ask/world") && response.url().includes("known="));
    await page.getByRole("button", { name: "Ask again now" }).click();
    const message = await kind(await answer);
    check(message.base !== null, "everything was sent again");
    await page.waitForFunction((colour) => { const stage = document.querySelector(".sight").stage; return stage.colourOf(stage.world.services.indexOf("newcomer")) !== colour; }, before);
    check((await seen(page, "stage.world.table('bodies').numbers('state')[stage.world.services.indexOf('newcomer')]")) === 2, "it is not failing");
  },
  async "without WebGL2 there is the flat map"(page) {
    await page.addInitScript(() => {
      const own = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind === "webgl2" ? null : own.call(this, kind, ...rest);
      };
    });
    await open(page, "world");
    await says(page, "draws no WebGL2");
    await page.getByRole("group", { name: /Who calls whom/ }).waitFor();
  },
  async "lost graphics are a sentence, and come back"(page) {
    await world(page);
    await seen(page, "void (stage.lose = stage.renderer.getContext().getExtension('WEBGL_lose_context'), stage.lose.loseContext())");
    await says(page, "The graphics of this browser were lost");
    await page.getByRole("group", { name: /Who calls whom/ }).waitFor();
    await seen(page, "void stage.lose.restoreContext()");
    await page.waitForFunction(() => !document.body.textContent.includes("graphics of this browser were lost"));
    const frames = await seen(page, "stage.frames");
    await page.waitForFunction((before) => document.querySelector(".sight").stage.frames > before, frames);
  },
  async "a lost connection leaves the world standing"(page, context) {
    await world(page);
    await context.setOffline(true);
    await page.keyboard.press("r");
    await says(page, "The collector does not answer.");
    check((await seen(page, "stage.world.services.length")) > 10, "the world is gone");
    await context.setOffline(false);
    await page.keyboard.press("r");
    await page.waitForFunction(() => !document.body.textContent.includes("does not answer"));
  },
  async "a view that is none is as good as none"(page) {
    await world(page, "?view=1,2,nonsense&service=nobody-at-all");
    await says(page, "Nothing called nobody-at-all");
  },
  async "a phone needs no sideways scrolling"(page) {
    await page.setViewportSize({ width: 360, height: 740 });
    await world(page, "?service=payment");
    await settled(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= 360, `it is ${wide} wide`);
  },
  async "axe finds nothing, in any colours"(page) {
    await world(page, "?service=payment");
    await settled(page);
    check((await axe(page)) === "", await axe(page));
    for (const theme of ["light", "colour-blind"]) {
      const before = await seen(page, "stage.colourOf(0)");
      await page.getByRole("button", { name: /^Colours/ }).click();
      await page.waitForFunction((colour) => document.querySelector(".sight").stage.colourOf(0) !== colour, before);
      const found = await axe(page, { runOnly: ["color-contrast"] });
      check(found === "", `${theme}: ${found}`);
    }
  },
};

await walk(ways);
