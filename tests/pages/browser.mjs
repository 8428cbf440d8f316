// A page in headless Chromium, driven through a pipe (https://chromedevtools.github.io/devtools-protocol/).

import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
  "--window-size=1280,900",
];

/** How long anything may take: a slow machine starts Chromium in some ten seconds. */
const TIMEOUT_MS = 60_000;

export class Browser {
  constructor(program, place) {
    const flags = [...FLAGS, `--user-data-dir=${join(place, "profile")}`, "about:blank"];
    this.process = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.answers = new Map();
    this.listeners = [];
    this.lastId = 0;
    let text = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (part) => {
      const messages = (text + part).split("\0");
      text = messages.pop();
      for (const message of messages) this.receive(JSON.parse(message));
    });
  }

  receive({ id, method, params, result, error }) {
    if (method) for (const listener of this.listeners) listener(method, params);
    if (!id) return;
    const { resolve, reject } = this.answers.get(id);
    this.answers.delete(id);
    if (error) reject(new Error(error.message));
    else resolve(result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.lastId;
    const answer = new Promise((resolve, reject) => {
      this.answers.set(id, { resolve, reject });
      setTimeout(() => reject(new Error(`${method}: no answer`)), TIMEOUT_MS).unref();
    });
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return answer;
  }

  /** Opens a file, and waits until its script has run. */
  async open(file) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    await page.resize(1280);
    const loaded = page.until("Page.loadEventFired");
    await page.send("Page.navigate", { url: pathToFileURL(file).href });
    await loaded;
    return page;
  }

  close() {
    this.process.kill("SIGKILL");
  }
}

class Page {
  constructor(browser, sessionId) {
    this.browser = browser;
    this.sessionId = sessionId;
    /** Errors and warnings of the console, and exceptions. */
    this.complaints = [];
    /** Addresses that the page asked for. */
    this.requests = [];
    browser.listeners.push((method, params) => this.hear(method, params));
  }

  hear(method, params) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") this.complaints.push(params.args.map((value) => value.value).join(" "));
    if (method === "Log.entryAdded") this.complaints.push(params.entry.text);
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  /** Gives the window another width: the pages have another shape on a narrow screen. */
  async resize(width) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
  }

  until(event) {
    return new Promise((resolve, reject) => {
      this.browser.listeners.push((method) => method === event && resolve());
      setTimeout(() => reject(new Error(`${event}: it did not happen`)), TIMEOUT_MS).unref();
    });
  }

  /** The value of an expression in the page, once two frames have been drawn. */
  async value(expression) {
    const drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression: `${drawn}.then(() => (${expression}))`,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception.description}`);
    return result.value;
  }

  /** Scrolls to the first element of a selector, and returns its middle. */
  async middle(selector) {
    return this.value(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: "center" });
      const box = element.getClientRects()[0];
      return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
    })()`);
  }

  async mouse(type, place, more = {}) {
    await this.send("Input.dispatchMouseEvent", { type, ...place, pointerType: "mouse", ...more });
  }

  async point(selector) {
    await this.mouse("mouseMoved", await this.middle(selector));
  }

  async click(selector) {
    const place = await this.middle(selector);
    await this.mouse("mouseMoved", place);
    for (const type of ["mousePressed", "mouseReleased"]) await this.mouse(type, place, { button: "left", clickCount: 1 });
  }

  async press(key, text = undefined) {
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", key, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key });
  }
}
