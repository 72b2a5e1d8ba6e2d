// A collector with keys, whose services are called what an attacker would call them.
import { check, open, says, settled, told, walk } from "./walking.mjs";

async function enter(page, hash = "") {
  await open(page, hash);
  await page.getByRole("textbox", { name: "API key" }).fill(told.key);
  await page.getByRole("button", { name: "Enter" }).click();
  await settled(page);
}

const VIEWS = ["", "search?spans=1", `trace/${told.trace}?span=${told.span}`, `trace/${told.trace}?tab=flame`, `trace/${told.trace}?tab=logs`, `service/${encodeURIComponent(told.service)}`, "topology", "world", `world?service=${encodeURIComponent(told.service)}`, "compare?slowest=0.5", `service/${encodeURIComponent("<img src=x onerror=alert(1)>")}`];

await walk({
  async "without a key nothing is shown, a wrong one is a sentence"(page) {
    await open(page, "");
    await page.getByRole("heading", { name: "This collector wants an API key" }).waitFor();
    check(!(await page.content()).includes("onerror"), "something is shown");
    await page.getByRole("textbox", { name: "API key" }).fill("not-the-right-key-at-all");
    await page.getByRole("button", { name: "Enter" }).click();
    await says(page, /not known here/);
    await page.getByRole("textbox", { name: "API key" }).fill(told.key);
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await says(page, told.service);
  },
  async "the key stays in its tab"(page, context) {
    await enter(page);
    check(!page.url().includes(told.key), "the key is in the address");
    check((await page.evaluate(() => JSON.stringify(localStorage))).includes(told.key) === false, "the key is kept");
    const other = await context.newPage();
    await open(other, "");
    await other.getByRole("textbox", { name: "API key" }).waitFor();
  },
  async "names never become markup"(page) {
    await enter(page);
    for (const hash of VIEWS) {
      await open(page, hash);
      await settled(page);
      check((await page.locator("main img, main script, main iframe, main b > *").count()) === 0, `markup in ${hash}`);
      check(await page.evaluate(() => window.hacked === undefined), `script ran in ${hash}`);
    }
    await open(page, "world");
    await page.locator(".names b").first().waitFor();
    check((await page.locator(".names *:not(div, b, span)").count()) === 0, "markup in the world");
    await open(page, `trace/${told.trace}?span=${told.span}`);
    await says(page, told.operation);
    await says(page, told.value);
  },
});
