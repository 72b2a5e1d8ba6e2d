// Through a world of more services than a processor draws one by one.
import { FIRST_MS, PATIENCE_MS, axe, check, open, settled, walk } from "./walking.mjs";

const seen = (page, ask, given) => page.evaluate(([code, value]) => new Function("stage", "given", `return ${code}`)(document.querySelector(".sight").stage, value), [ask, given]);
// The page's policy lets no text become code but in an evaluation.
const until = async (page, ask, given, within = PATIENCE_MS) => {
  for (const end = Date.now() + within; Date.now() < end; await page.waitForTimeout(50)) {
    if (await page.evaluate(([code, value]) => new Function("stage", "given", `return ${code}`)(document.querySelector(".sight")?.stage, value), [ask, given])) return;
  }
  throw new Error(`never ${ask}`);
};
const world = async (page, hash = "") => {
  await open(page, `world${hash}`);
  await until(page, "stage?.frames > 0 && stage.pending === 0", null, FIRST_MS);
};
const domes = (page) => seen(page, "[...stage.world.table('bodies').numbers('group')].filter((group) => group >= 0).length");
const closed = (page) => seen(page, "stage.world.table('groups').words('key').filter((_, group) => stage.world.table('groups').numbers('open')[group] === 0)");
const is_open = (page, key) => until(page, "stage.world.table('groups').numbers('open')[stage.world.table('groups').words('key').indexOf(given)] === 1", key);
const is_closed = (page, key) => until(page, "stage.world.table('groups').numbers('open')[stage.world.table('groups').words('key').indexOf(given)] === 0", key);
/** Where one sees and clicks the dome of a group. */
const spot = async (page, key) => {
  const at = await seen(page, "(() => { const row = stage.world.table('groups').words('key').indexOf(given); return stage.spot([...stage.world.table('bodies').numbers('group')].indexOf(row)); })()", key);
  const box = await page.locator(".sight").boundingBox();
  return { x: box.x + at.x, y: box.y + at.y };
};

const ways = {
  async "islands are domes, and what is hidden is said"(page) {
    await world(page);
    check((await domes(page)) > 10, "there are no domes");
    const bodies = await seen(page, "stage.world.table('bodies').rows");
    check(bodies <= 2000, `${bodies} bodies are drawn`);
    check((await seen(page, "stage.world.everybody.length")) === 3200, "somebody is lost");
    check((await seen(page, "stage.world.services.includes('s3-7')")), "the sick one is hidden");
    // It fails without errors: a p95 alone would not say why.
    check((await seen(page, "stage.world.table('bodies').words('subtitle')[stage.world.services.indexOf('s3-7')]")) === "slower: p95 1 ms", "it does not say why it is sick");
    check((await seen(page, "stage.calls")) <= 30, "too many draw calls");
    await page.getByText(/of 3,200 services are inside/).waitFor();
  },
  async "a dome says whom it stands for, and a click opens it"(page) {
    await world(page);
    const key = (await closed(page))[0];
    const { x, y } = await spot(page, key);
    await page.mouse.move(x, y);
    await page.getByRole("tooltip").getByText("40 services").waitFor();
    await page.getByRole("tooltip").getByText("40 healthy").waitFor();
    await page.getByRole("tooltip").getByText("click to open").waitFor();
    await page.mouse.click(x, y);
    await is_open(page, key);
    check((await seen(page, "stage.world.services.includes(given)", `${key.split("-")[0]}-20`)), "its members are not drawn");
    check(!page.url().includes("service="), "a service was meant");
  },
  async "an address has what was opened"(page, context) {
    await world(page);
    const key = (await closed(page))[0];
    const { x, y } = await spot(page, key);
    await page.mouse.click(x, y);
    await is_open(page, key);
    await page.waitForURL(/open=/);
    const other = await context.newPage();
    await other.goto(page.url());
    await until(other, "stage?.frames > 0", null, FIRST_MS);
    await is_open(other, key);
  },
  async "coming near opens an island, leaving closes it"(page) {
    await world(page);
    const key = (await closed(page)).at(-1);
    const [x, y] = await seen(page, "[0, 1].map((axis) => stage.world.table('groups').numbers('centre')[2 * stage.world.table('groups').words('key').indexOf(given) + axis])", key);
    await seen(page, "stage.look(given)", [x, y - 6, 8, x, y, 0].join());
    await is_open(page, key);
    await page.locator(".sight").focus();
    await page.keyboard.press("f");
    await is_closed(page, key);
  },
  async "one flies to somebody who is hidden, and they are drawn"(page) {
    await world(page);
    const key = (await closed(page))[0];
    const hidden = `${key.split("-")[0]}-17`;
    check(!(await seen(page, "stage.world.services.includes(given)", hidden)), "not hidden at all");
    await page.getByLabel("Fly to").fill(hidden);
    await page.keyboard.press("Enter");
    await until(page, "stage.world.services.includes(given)", hidden);
    await is_open(page, key);
    check((await seen(page, "stage.selected")) === hidden, "nobody is chosen");
  },
  async "whoever is slow is shown less"(page) {
    await world(page);
    const before = await seen(page, "stage.world.table('bodies').rows");
    await seen(page, "stage.events.slow()");
    await until(page, "stage.world.table('bodies').rows < given", before);
  },
  async "axe finds nothing"(page) {
    await world(page);
    await settled(page);
    check((await axe(page)) === "", await axe(page));
  },
};

await walk(ways, { width: 900, height: 640 });
