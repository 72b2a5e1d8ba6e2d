// The ways of somebody in an incident through a shop whose database of inventory is slow.
import { axe, check, open, says, settled, told, walk } from "./walking.mjs";

const VIEWS = {
  overview: "",
  search: "search?order=slowest",
  spans: "search?service=checkout&spans=1",
  compare: "compare?service=checkout&slowest=0.05",
  trace: `trace/${told.trace}`,
  span: `trace/${told.trace}?span=${told.span}`,
  flames: `trace/${told.trace}?tab=flame`,
  logs: `trace/${told.trace}?tab=logs`,
  service: "service/web",
  database: `service/${encodeURIComponent(told.database)}`,
  map: "topology",
  live: "live",
  unknown: "nowhere",
};

const ways = {
  async "from the overview to the cause to its trace"(page) {
    await open(page, "");
    await says(page, "likely cause");
    check((await page.locator(".cause").first().innerText()).includes(told.database), "the cause is not the database");
    await page.getByRole("link", { name: "Open the worst trace" }).first().click();
    await page.getByRole("heading", { level: 1, name: /web POST/ }).waitFor();
    const slow = page.getByRole("button", { name: /inventory.*stock/ }).first();
    await slow.click();
    await says(page, "db.system.name");
    check(page.url().includes("span="), "the open span is not in the address");
    const again = await page.context().newPage();
    await again.goto(page.url());
    await says(again, "db.system.name");
  },
  async "a keyboard goes over the map, takes a cloud and compares it"(page) {
    await open(page, "search");
    await settled(page);
    const map = page.getByRole("application", { name: "Map of durations" });
    await map.focus();
    await page.keyboard.press("ArrowRight");
    const status = () => page.locator(".heat [role=status]").innerText();
    check(/\d+ spans?, \d+ with errors/.test(await status()), `it says ${await status()}`);
    const one = Number(/([\d,]+) span/.exec(await status())[1].replaceAll(",", ""));
    await page.keyboard.press("Home");
    for (let step = 0; step < 4; step++) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Shift+End");
    for (let step = 0; step < 60; step++) await page.keyboard.press("Shift+ArrowUp");
    const all = Number(/([\d,]+) span/.exec(await status())[1].replaceAll(",", ""));
    check(all > one, `${all} of all, ${one} of one`);
    await page.getByRole("link", { name: "Compare these with the rest" }).waitFor();
    check((await axe(page)) === "", await axe(page));
    await page.keyboard.press("Escape");
    check((await status()) === "", "it is still chosen");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Shift+ArrowLeft");
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/compare.*cell=/);
  },
  async "from a search to a cloud to what is different"(page) {
    await open(page, "search");
    await page.getByLabel("Service", { exact: true }).fill("checkout");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.waitForURL(/service=checkout/);
    await settled(page);
    const map = page.locator(".heat svg");
    const box = await map.boundingBox();
    await page.mouse.move(box.x + box.width * 0.2, box.y + 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 6, box.y + box.height * 0.35, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("link", { name: "Compare these with the rest" }).click();
    await says(page, "Values that stand out");
    check(page.url().includes("cell="), "the cloud is not in the address");
  },
  async "changes are looked for when somebody wants to know"(page) {
    await open(page, "?since=all");
    await page.getByRole("button", { name: "Look for changes in this time" }).click();
    await page.getByRole("listitem").filter({ hasText: /^change/ }).getByRole("link", { name: "Show this time" }).first().click();
    await page.waitForURL(/until=\d{19}/);
    await says(page, "likely cause");
  },
  async "pages of a search go on and back"(page) {
    await open(page, "search?spans=1");
    const first = await page.locator("tbody a").first().getAttribute("href");
    await page.getByRole("button", { name: "Older ones" }).click();
    await page.waitForFunction((before) => document.querySelector("tbody a")?.getAttribute("href") !== before, first);
    await page.getByRole("button", { name: "First page" }).click();
    await page.waitForFunction(() => !location.hash.includes("after="));
  },
  async "a trace id in the search opens the trace"(page) {
    await open(page, "search");
    await page.locator("#where").fill(told.trace);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: /web POST/ }).waitFor();
  },
  async "an attribute is found again"(page) {
    await open(page, `trace/${told.trace}?span=${told.span}`);
    await page.getByRole("link", { name: /find http.request.method/ }).first().click();
    await page.waitForURL(/where=/);
    await page.locator("tbody tr").first().waitFor();
  },
  async "the keyboard is enough"(page) {
    await open(page, "");
    await says(page, "likely cause");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("m");
    await page.getByRole("heading", { level: 1, name: "Map" }).waitFor();
    await page.keyboard.press("/");
    await page.locator("#where:focus").waitFor();
    await page.keyboard.type("status = error");
    await page.keyboard.press("Enter");
    await page.waitForURL(/status/);
    await open(page, `trace/${told.trace}`);
    await page.locator("button.line").first().focus();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await says(page, "Own work");
  },
  async "another time is chosen and shared"(page) {
    await open(page, "");
    await says(page, "likely cause");
    await page.getByRole("button", { name: "Last 15 minutes" }).click();
    await page.getByRole("button", { name: "Last 5 minutes" }).click();
    await page.waitForURL(/since=5m/);
    await page.getByRole("button", { name: "Last 5 minutes" }).click();
    await page.getByRole("button", { name: "Show this time" }).click();
    await page.waitForURL(/since=\d{19}&until=\d{19}/);
    await settled(page);
    await page.getByRole("link", { name: "Map", exact: true }).click();
    check(/since=\d{19}/.test(page.url()), "the time does not go along");
  },
  async "what arrives is seen live"(page) {
    const line = page.waitForResponse((response) => response.url().includes("/ask/tail"));
    await open(page, "live?traces=0");
    await line;
    await says(page, "connected");
    const sent = await fetch(`${told.url}/v1/traces`, { method: "POST", headers: { "Content-Type": "application/json" }, body: told.arriving });
    check(sent.ok, `not taken: ${await sent.text()}`);
    await page.getByRole("link", { name: "late arrival" }).waitFor();
  },
  async "a time of which nothing is stored"(page) {
    await open(page, "?since=1000000000000000000&until=1000000001000000000");
    await says(page, "Nothing was stored in this time.");
    await page.getByRole("button", { name: "Show the last that is stored" }).click();
    await says(page, "likely cause");
  },
  async "an unknown trace is a sentence"(page) {
    await open(page, "trace/00000000000000000000000000000001");
    await says(page, "No span of trace 00000000000000000000000000000001 is stored");
    await open(page, "trace/nonsense");
    await says(page, /trace id/);
  },
  async "a wrong filter is a sentence"(page) {
    await open(page, `search?where=${encodeURIComponent("duration > > 1")}`);
    await page.locator(".problem").first().waitFor();
    check(/filter|expected|column|value/i.test(await page.locator(".problem").first().innerText()), "no sentence");
  },
  async "a lost connection is a sentence, and is found again"(page, context) {
    await open(page, "?refresh=5s");
    await says(page, "likely cause");
    await context.setOffline(true);
    await page.keyboard.press("r");
    await says(page, "The collector does not answer.");
    await says(page, "likely cause"); // what was known stays
    await context.setOffline(false);
    await page.keyboard.press("r");
    await page.waitForFunction(() => !document.body.textContent.includes("does not answer"));
  },
  async "a phone needs no sideways scrolling"(page) {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const [name, hash] of Object.entries(VIEWS)) {
      await open(page, hash);
      await settled(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      check(wide <= 360, `${name} is ${wide} wide`);
    }
  },
};

for (const [name, hash] of Object.entries(VIEWS)) {
  ways[`axe finds nothing: ${name}`] = async (page) => {
    await open(page, hash);
    await settled(page);
    let found = await axe(page);
    for (const theme of ["light", "colour-blind"]) {
      check(found === "", found);
      await page.getByRole("button", { name: /^Colours/ }).click();
      // Themes differ in colours alone.
      found = await axe(page, { runOnly: ["color-contrast"] }).then((problem) => problem && `${theme}: ${problem}`);
    }
    check(found === "", found);
  };
}

await walk(ways);
