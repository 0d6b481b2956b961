// The guide's console snippet in a real browser, as printed; and the demo page
// with two users in two windows.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { ROOT, startServer } from './lib/harness.mjs';
import { Queue } from './lib/queue.mjs';

const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = !existsSync(BROWSER) && `no browser at ${BROWSER}: install chromium (scripts/setup test)`;
const SHOTS = path.join(ROOT, 'build/screenshots');
const PROJECT = 'proj-riverside';
const CLIENT = readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules/socket.io-client-4.5/dist/socket.io.min.js'), 'utf8');

// The two parts that the guide tells one to paste; only address, token and
// project are filled in.
const LOAD = `
// Load Socket.IO client
const script = document.createElement('script');
script.src = 'https://cdn.socket.io/4.5.4/socket.io.min.js';
document.head.appendChild(script);
`;
const CONNECT = `
// After script loads, connect
const token = 'your_jwt_token_here';
const socket = io('http://localhost:8000', {
  path: '/socket.io',
  auth: { token: token },
  transports: ['websocket']
});

socket.on('connected', console.log);
socket.on('error', console.error);

// Join a project
socket.emit('join_project', { project_id: 'your-project-id' });
socket.on('joined_project', console.log);

// Listen for updates
socket.on('boq:item:updated', console.log);
`;

let server, browser, profile, item, items;

before(async () => {
  if (skip) return;
  server = await startServer({ fill: 'demo', env: { PRESENCE_GRACE: 200 } });
  items = (await server.api('GET', `/api/projects/${PROJECT}/boq?limit=20`, { as: 'anna' })).json.items;
  item = items[0];
  mkdirSync(SHOTS, { recursive: true });
  profile = mkdtempSync(path.join(tmpdir(), 'skybuild-chromium-'));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: BROWSER,
    headless: true,
    viewport: { width: 1200, height: 860 },
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  // There is no network here; the script that the CDN serves is the npm package's.
  await browser.route('https://cdn.socket.io/4.5.4/socket.io.min.js', (route) => route.fulfill({ contentType: 'application/javascript', body: CLIENT }));
});
after(async () => {
  await browser?.close();
  if (profile) rmSync(profile, { recursive: true, force: true });
  await server?.stop();
});

// What the page says on its console: {type, values}
function consoleOf(page) {
  const out = new Queue('console');
  page.on('console', async (m) => out.push({ type: m.type(), text: m.text(), values: await Promise.all(m.args().map((a) => a.jsonValue().catch(() => undefined))) }));
  page.on('pageerror', (e) => out.push({ type: 'pageerror', text: String(e), values: [] }));
  return out;
}

async function paste(url, user, project) {
  const page = await browser.newPage();
  const said = consoleOf(page);
  await page.goto(url);
  await page.evaluate(LOAD);
  await page.waitForFunction('window.io', undefined, { timeout: 8000 });
  const filled = CONNECT.replace('your_jwt_token_here', user ? server.token(user) : '').replace('http://localhost:8000', url).replace('your-project-id', project);
  await page.evaluate(filled);
  return { page, said };
}

const curl = (...args) => promisify(execFile)('curl', ['-sS', '--fail-with-body', '--max-time', '10', ...args]);
const patch = (id, as, body) =>
  curl('-X', 'PATCH', `${server.url}/api/projects/${PROJECT}/boq/${id}`, '-H', `Authorization: Bearer ${server.token(as)}`, '-H', 'Content-Type: application/json', '-d', JSON.stringify(body));

describe('the console snippet of the guide', { skip }, () => {
  for (const host of ['127.0.0.1', 'localhost'])
    it(`two consoles on http://${host}: one user’s change arrives at the other`, async () => {
      const url = `http://${host}:${server.port}`;
      const [anna, ben] = [await paste(url, 'anna', PROJECT), await paste(url, 'ben', PROJECT)];
      for (const [c, user] of [[anna, 'anna'], [ben, 'ben']]) {
        const connected = await c.said.next((m) => m.values[0]?.user_id === user && m.values[0].message);
        assert.match(connected.values[0].message, /^Successfully connected/);
        const joined = await c.said.next((m) => m.values[0]?.project_id === PROJECT && m.values[0].message);
        assert.match(joined.values[0].message, /^Joined project/);
      }
      await patch(item.item_id, 'ben', { qty: 151 });
      for (const c of [anna, ben]) {
        const { values } = await c.said.next((m) => m.values[0]?.item_id === item.item_id);
        assert.equal(values[0].project_id, PROJECT);
        assert.equal(Number(values[0].updates.qty), 151);
        assert.equal(values[0].updated_by, 'ben');
      }
      await anna.page.close();
      await ben.page.close();
    });

  it('a project without access: the error on the console', async () => {
    const dora = await paste(server.url, 'dora-who-is-nowhere', PROJECT);
    const { values } = await dora.said.next((m) => m.type === 'error' && m.values[0]?.message);
    assert.equal(values[0].message, 'Access denied to project');
    await dora.page.close();
  });
});

describe('the page at /', { skip }, () => {
  const enter = async (user, scheme) => {
    const page = await browser.newPage();
    const said = consoleOf(page);
    await page.emulateMedia({ colorScheme: scheme });
    await page.goto(`${server.url}/`);
    await page.getByRole('button', { name: new RegExp(user, 'i') }).click();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.locator('#people li').first().waitFor();
    return { page, said };
  };

  it('two users in two windows see each other, and a change by curl', async () => {
    const [anna, ben] = [await enter('Anna', 'light'), await enter('Ben', 'dark')];
    for (const { page } of [anna, ben]) {
      await page.locator('#people li').nth(1).waitFor();
      assert.equal(await page.locator('#boq tbody tr').count(), 20);
    }
    await patch(item.item_id, 'ben', { qty: '163.25' });
    for (const { page } of [anna, ben]) {
      await page.waitForFunction(([id]) => document.querySelector(`tr[data-item="${id}"] input`)?.value === '163.25', [item.item_id]);
      await page.locator('#feed li', { hasText: item.code ?? 'updated' }).first().waitFor();
    }
    // Anna edits in the page; Ben sees it.
    const input = anna.page.locator(`tr[data-item="${items[1].item_id}"] input`);
    await input.fill('42.5');
    await input.press('Enter');
    await ben.page.waitForFunction(([id]) => document.querySelector(`tr[data-item="${id}"] input`)?.value === '42.5', [items[1].item_id]);
    // Cursor and typing.
    const area = anna.page.locator('#cursors');
    const box = await area.boundingBox();
    await anna.page.mouse.move(box.x + 20, box.y + 20);
    await anna.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 6 });
    await ben.page.locator('#cursors .dot').first().waitFor();
    await anna.page.locator('#note').fill('On my way');
    await ben.page.getByText(/Anna .*typing/i).waitFor();
    for (const [who, name] of [[anna, 'demo-light'], [ben, 'demo-dark']]) await who.page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
    await anna.page.setViewportSize({ width: 390, height: 800 });
    await anna.page.screenshot({ path: path.join(SHOTS, 'demo-phone.png'), fullPage: true });
    assert.deepEqual([...anna.said.items, ...ben.said.items].filter((m) => ['error', 'pageerror'].includes(m.type)).map((m) => m.text), []);
    await anna.page.close();
    await ben.page.waitForFunction(() => document.querySelectorAll('#people li').length === 1);
    await ben.page.close();
  });

  it('shows markup in data as text', async () => {
    const { page } = await enter('Anna', 'light');
    await patch(item.item_id, 'ben', { description: '<img src=x onerror="window.hacked=1">' });
    await page.locator('#feed li', { hasText: '<img' }).or(page.locator('#boq td', { hasText: '<img' })).first().waitFor();
    assert.equal(await page.evaluate('window.hacked'), undefined);
    await page.close();
  });

  it('tells when the server is gone, and is live again when it is back', async () => {
    const { page } = await enter('Anna', 'light');
    await browser.setOffline(true);
    await page.evaluate('window.skybuildDemo.socket.io.engine.close()');
    await page.locator('#status[data-state="reconnecting"]').waitFor();
    await browser.setOffline(false);
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 15000 });
    await page.close();
  });
});
