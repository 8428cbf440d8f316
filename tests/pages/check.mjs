// Checks what the pages' JavaScript does: node check.mjs CHROMIUM FOLDER

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { Browser } from "./browser.mjs";

const [program, folder] = process.argv.slice(2);
const DATA = 'JSON.parse(document.getElementById("data").textContent)';
const text = (selector) => `document.querySelector(${JSON.stringify(selector)})?.textContent ?? null`;
const count = (selector) => `document.querySelectorAll(${JSON.stringify(selector)}).length`;
/** Without the marks that keep a name's direction to itself. */
const plain = (value) => value.replace(/[\u2066\u2069]/g, "");
const HINT = "Point at a token or a term";

async function explain(page) {
  const { terms } = await page.value(DATA);
  const [heaviest] = terms;
  assert.equal(await page.value(count("#terms tbody tr")), terms.length);
  assert.ok((await page.value(text("#detail"))).startsWith(HINT), "nothing is selected at first");

  await page.point("#terms tbody tr:nth-child(2)");
  assert.equal(plain(await page.value(text("#detail h2"))), `Close${terms[1][0]}`, "the pointer shows a term");
  await page.point("h1");
  assert.ok((await page.value(text("#detail"))).startsWith(HINT), "and lets go of it");

  await page.click("#terms tbody tr:first-child button");
  assert.equal(plain(await page.value(text("#detail h2"))), `Close${heaviest[0]}`, "a click selects a term");
  assert.ok((await page.value(text("#detail"))).includes(`weight ${heaviest[1].toFixed(4)}`));
  assert.equal(await page.value(count(".shaded .is-shown")), 1, "the token that it came from is marked");
  assert.equal(await page.value(count("#terms .is-shown")), 1);
  assert.ok(plain(await page.value(text("#said"))).startsWith(`${heaviest[0]}, `), "it is said to those who cannot see");
  await page.point("h1");
  assert.equal(plain(await page.value(text("#detail h2"))), `Close${heaviest[0]}`, "a selection stays");

  await page.press("ArrowDown");
  assert.equal(plain(await page.value(text("#detail h2"))), `Close${terms[1][0]}`, "an arrow goes to the next term");
  await page.press("End");
  assert.equal(plain(await page.value(text("#detail h2"))), `Close${terms.at(-1)[0]}`);
  await page.press("Escape");
  assert.ok((await page.value(text("#detail"))).startsWith(HINT), "Escape lets go");

  await page.click("#terms tbody tr:first-child button");
  await page.click("#detail .actions button");
  const own = terms.filter(([, , , position]) => position === heaviest[3]);
  assert.equal(await page.value("document.activeElement.parentElement.closest('.shaded') !== null"), true, "the token has the focus");
  const detail = await page.value(text("#detail"));
  assert.ok(detail.includes(`${own.length} term`), `the terms of the token are counted: ${detail}`);
  assert.equal(await page.value(count("#detail tr")), own.length, "and listed");
  await page.press("ArrowRight");
  assert.equal(await page.value(count(".shaded .is-shown")), 1, "an arrow goes to the next token");
  // Where the details cover the page there may be no Escape key.
  await page.resize(400);
  await page.click("#detail .close");
  assert.ok((await page.value(text("#detail"))).startsWith(HINT), "the button lets go");
}

async function score(page) {
  const { documents } = await page.value(DATA);
  for (const [index, { terms }] of documents.entries()) {
    const section = `#document-${index + 1}`;
    assert.equal(await page.value(count(`${section} .shared tbody tr`)), terms.length);
    if (terms.length === 0) continue;
    await page.click(`${section} .shared tbody tr:first-child button`);
    const [name, [query, document], part] = terms[0];
    const summary = plain(await page.value(text(`${section} .summary`)));
    assert.ok(summary.startsWith(`${name}: `), summary);
    for (const number of [query, document, part]) assert.ok(summary.includes(number.toFixed(4)), `${summary} has ${number}`);
    assert.equal(await page.value(count(`${section} .shaded .is-joined`)), 2, "a token of each side is joined");
    assert.ok((await page.value(count("#lines path:not([d=''])"))) >= 1, "by a line");
    assert.equal(plain(await page.value(text("#said"))), summary);
    await page.press("Escape");
    assert.ok((await page.value(text(`${section} .summary`))).startsWith(HINT));

    await page.click(`${section} .document .shaded .is-joined, ${section} .document .shaded .text span`);
    assert.equal(await page.value(count(`${section} .document .shaded .is-shown`)), 1, "a click selects a token");
    assert.ok(plain(await page.value(text("#detail"))).includes("in the document"));
    await page.press("Escape");
  }
  await page.point(`.ranking a`);
  await page.click(`.ranking tbody tr:last-child a`);
  assert.equal(await page.value("location.hash"), `#document-${documents.length}`, "the ranking leads to the document");
}

async function sweep(page) {
  const points = await page.value(DATA);
  assert.equal(points.length, 9);
  assert.equal(await page.value(count(".wide tbody tr")), points.length);
  assert.equal(await page.value(count("svg.plot")), 2);
  for (const point of points) assert.ok(await page.value(`[...document.querySelectorAll(".wide tbody th")].some((cell) => cell.textContent === ${JSON.stringify(point.setting)})`), point.setting);
  assert.equal(await page.value(count("svg.plot title")), 2 * points.length, "each point says what it is");
  assert.equal(await page.value(count(".wide tr.kept")), 1);
  assert.equal(await page.value(count("svg.plot .ring")), 2);
  const outside = `[...document.querySelectorAll("svg.plot [transform]")].filter((mark) => {
    const [box, plot] = [mark.getBoundingClientRect(), mark.closest("svg").getBoundingClientRect()];
    return box.left < plot.left || box.right > plot.right || box.top < plot.top || box.bottom > plot.bottom;
  }).length`;
  assert.equal(await page.value(outside), 0, "every point is in sight");
}

/** What holds for every page. */
async function sound(page, file) {
  assert.deepEqual(page.complaints, [], "the console is empty");
  assert.deepEqual(page.requests.map((url) => url.split("#")[0]), [`file://${file}`], "nothing but the page is asked for");
  assert.notEqual(await page.value("document.title"), "run", "no text becomes a script");
  assert.equal(await page.value(count("body img, body iframe, body object, body link")), 0);
  assert.equal(await page.value("document.documentElement.scrollWidth <= innerWidth"), true, "it is no wider than the window");
}

const CHECKS = { explain, score, sweep };
const browser = new Browser(program, folder);
let failed = 0;
try {
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".html")).sort()) {
    const file = join(folder, name);
    const page = await browser.open(file);
    try {
      const check = CHECKS[name.split(/[-.]/)[0]];
      if (name !== "explain-empty.html") await check(page);
      await sound(page, file);
      console.log(`${name}: ok`);
    } catch (error) {
      failed += 1;
      console.error(`${name}: ${error.message}`);
      console.error(error.stack.split("\n").filter((line) => line.includes("check.mjs")).join("\n"));
    }
  }
} finally {
  browser.close();
}
process.exit(failed === 0 ? 0 : 1);
