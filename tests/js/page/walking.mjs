// Walks through the page in one browser, a fresh tab a way; says of each what was wrong, or nothing.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

export const told = JSON.parse(process.argv[2]);
const require = createRequire(`${told.packages}/package.json`);
const { chromium } = require("playwright-core");
// No machine that runs this needs a graphics card. Without one, WebGL alone is worth going its way.
const GRAPHICS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing"];
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** In the page: the collector's clock stands still, and so does the browser's. */
function stopped(at) {
  const Own = Date;
  window.Date = class extends Own {
    constructor(...given) {
      if (given.length > 0) super(...given);
      else super(at);
    }
    static now() {
      return at;
    }
  };
}

/** ``size`` of the window: a small one where what is drawn without a graphics card is most of the time that it takes. */
export async function walk(ways, size = { width: 1280, height: 800 }) {
  const browser = await chromium.launch({ executablePath: told.browser, args: ["--no-sandbox", "--headless=new", ...GRAPHICS] });
  // What one tab has compiled is there for the next.
  const context = await browser.newContext({ viewport: size, colorScheme: "dark" });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(stopped, told.now);
  // A tab that another one opens needs no process of its own, which takes as long to start as the page to load.
  const first = await context.newPage();
  await first.goto(`${told.url}/favicon.ico`);
  const seen = {};
  for (const [name, way] of Object.entries(ways)) {
    const opened = context.waitForEvent("page");
    await first.evaluate(() => void open(location.href));
    const page = await opened;
    const problems = [];
    page.on("pageerror", (error) => problems.push(`an error: ${error.message}`));
    page.on("console", (line) => {
      if (/Content Security Policy|Trusted/.test(line.text())) problems.push(line.text());
    });
    page.on("dialog", (dialog) => (problems.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
    page.on("request", (asked) => {
      if (new URL(asked.url()).origin !== new URL(told.url).origin) problems.push(`asked elsewhere: ${asked.url()}`);
      if (told.key && asked.url().includes(told.key)) problems.push("the key is in an address");
    });
    try {
      await way(page, context);
      seen[name] = problems.join("; ");
    } catch (error) {
      seen[name] = `${error.message}; ${problems.join("; ")}; at ${page.url()}: ${await text(page)}`;
    }
    // Nothing of one way is left for the next.
    await context.setOffline(false);
    await page.evaluate(() => localStorage.clear()).catch(() => {});
    for (const each of context.pages()) if (each !== first) await each.close();
  }
  await browser.close();
  console.log(JSON.stringify(seen));
}

/** What does not come in so long never comes: a machine may have other work. */
export const PATIENCE_MS = 60_000;

/** The first world of a machine compiles code, which the page says: minutes where others work at the same time. */
export const FIRST_MS = 120_000;

export const open = (page, hash) => page.goto(`${told.url}/#/${hash}`);
export const text = (page) => page.locator("body").innerText().catch(() => "").then((all) => all.slice(0, 1500));

/** Everything that was asked for is there. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main")?.textContent && !document.querySelector(".waiting"));
}

export async function says(page, words) {
  await page.getByText(words).first().waitFor();
}

export function check(right, otherwise) {
  if (!right) throw new Error(otherwise);
}

/** What axe-core finds, as a sentence; empty for nothing. */
export async function axe(page, rules = {}) {
  await page.evaluate(AXE);
  const found = await page.evaluate((only) => axe.run(document, { resultTypes: ["violations"], ...only }), rules);
  return found.violations.map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`)}`).join("\n");
}
