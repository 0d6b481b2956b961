// People in browsers of their own, working in the workspace of a server.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, afterEach, before } from 'node:test';
import { chromium } from 'playwright-core';
import { clientPool } from './clients.mjs';
import { ROOT, startServer } from './harness.mjs';

export const PAGE = path.join(ROOT, 'build/web/page');
const SHOTS = path.join(ROOT, 'build/screenshots');
const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
export const PROJECT = 'proj-riverside';

/** Why the tests cannot run, or false. */
export const skip =
  (!existsSync(BROWSER) && `no browser at ${BROWSER}: install chromium (scripts/setup test)`) ||
  (!existsSync(path.join(PAGE, 'index.html')) && 'the workspace is not built: scripts/build-web');

export async function startBrowser() {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: BROWSER,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      // A window that is not in front is not put to sleep: all of them are looked at.
      '--disable-renderer-backgrounding', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows'],
  });
}

const open = new Set();
const PATIENCE_MS = Number(process.env.TEST_PATIENCE ?? 30000); // a machine that does much else at the same time is slow

/** Somebody with a window.  What the page complains about is kept, and must be nothing (`quiet`) at the end. */
export class Person {
  constructor(name, page, context) {
    Object.assign(this, { name, page, context, complaints: [] });
    open.add(this);
    context.once('close', () => open.delete(this));
    page.on('pageerror', (e) => this.complaints.push(String(e.stack ?? e)));
    page.on('console', (m) => m.type() === 'error' && !/Failed to load resource|WebSocket connection to/.test(m.text()) && this.complaints.push(m.text()));
  }

  static async open(browser, server, name, { tab = 'boq', project = PROJECT, token, init, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', locale: 'en-GB', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    if (init) await context.addInitScript(init);
    // Signed in already: the test of signing in does it by hand.
    const session = JSON.stringify({ userId: name, token: token ?? server.token(name) });
    if (token !== null) await context.addInitScript((s) => sessionStorage.getItem('skybuild-session') ?? sessionStorage.setItem('skybuild-session', s), session);
    const person = new Person(name, await context.newPage(), context);
    if (tab) {
      await person.page.goto(`${server.url}/p/${project}/${tab}`);
      await person.live();
    }
    return person;
  }

  static closeAll() {
    return Promise.all([...open].map(async (person) => {
      await person.shot(`failed-${person.name}`).catch(() => {});
      if (person.complaints.length) console.log(`what the page of ${person.name} complained about:`, person.complaints);
      await person.context.close();
    }));
  }

  live() {
    return this.page.locator('.pill[data-state="live"], .pill[data-state="caught-up"]').waitFor();
  }

  cell(item, column) {
    return this.page.locator(`[data-item="${item}"] [data-column="${column}"]`);
  }

  text(item, column) {
    return this.cell(item, column).locator('.text');
  }

  async type(item, column, text, key = 'Enter') {
    await this.cell(item, column).click();
    await this.page.keyboard.type(text);
    await this.page.keyboard.press(key);
  }

  /** Wait until the cell shows that. */
  sees(item, column, text) {
    return this.text(item, column).filter({ hasText: new RegExp(`^${text.replace(/[.]/g, '\\.')}$`) }).waitFor();
  }

  shot(name) {
    return this.page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
  }

  /** What axe finds wrong, as one line each. */
  async accessibility() {
    await this.page.evaluate(async () => {
      await Promise.allSettled(document.getAnimations().map((a) => a.finished));
    });
    if (!(await this.page.evaluate('window.axe'))) await this.page.evaluate((await import('node:fs')).readFileSync(AXE, 'utf8'));
    const { violations } = await this.page.evaluate(() => window.axe.run({ exclude: ['.cursors'] /* they fade, and are hidden from readers */ }, { resultTypes: ['violations'] }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140)).join(' | ')}`), [], this.page.url());
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.complaints, [], `what the page of ${this.name} complained about`);
  }
}

/** A server with the demonstration's data and a browser, for all tests of a file. */
export function openSite() {
  const pool = clientPool();
  const item = (id) => `/api/projects/${PROJECT}/boq/${id}`;
  const site = {
    pool,
    server: null, // a test may put another one here
    browser: null,
    items: [], // as they were at the beginning
    person: (name, options) => Person.open(site.browser, site.server, name, options),
    patch: (id, as, body) => site.server.api('PATCH', item(id), { as, body }),
    itemOf: async (id) => (await site.server.api('GET', item(id), { as: 'anna' })).json,
  };
  before(async () => {
    if (skip) return;
    site.server = await startServer({ fill: 'demo', env: { WEB_ROOT: PAGE, PRESENCE_GRACE: 200 } });
    site.browser = await startBrowser();
    site.items = (await site.server.api('GET', `/api/projects/${PROJECT}/boq?limit=1000`, { as: 'anna' })).json.items;
  });
  // What a test that failed has left open would be seen by the next one.
  afterEach(() => {
    pool.close();
    return Person.closeAll();
  });
  after(async () => {
    pool.close();
    await site.browser?.close();
    await site.server?.stop();
  });
  return site;
}
