// How quick the workspace is: a bill of 5,000 items, an edit on its way to another's screen, fifty
// cursors.  What the page's own thread computes is measured in time of the processor, which does not
// depend on who else uses the machine, and held to what is aimed at.  What passes on the clock is
// told; what fails there is several times what is aimed at, for a machine that does much else at the
// same time must not fail here.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { RawWs } from './lib/eio.mjs';
import { startServer } from './lib/harness.mjs';
import { PAGE, Person, skip, startBrowser } from './lib/workspace.mjs';

const ITEMS = 5000, SECTIONS = 25, CURSORS = 50, HZ = 30, FRAMES = 180;
const BIG = 'big';
let server, browser;

before(async () => {
  if (skip) return;
  const users = Array.from({ length: CURSORS }, (_, i) => `user-${i}`);
  server = await startServer({
    env: { WEB_ROOT: PAGE, RATE_LIMIT_EVENTS: 0, PRESENCE_GRACE: 0 },
    fill: async (cli) => {
      await cli(['demo']);
      await cli(['demo', '--users', String(CURSORS), '--projects', '1']);
      await cli(['project', 'add', BIG, '--name', 'Big', '--owner', 'anna']);
      await cli(['project', 'share', BIG, 'ben', 'editor']);
    },
  });
  for (const user of users) await server.api('PUT', `/api/projects/${BIG}/collaborators/${user}`, { as: 'anna', body: { role: 'viewer' } });
  const authorization = `Bearer ${server.token('anna')}`;
  let next = 0;
  const add = async () => {
    while (next < ITEMS) {
      const n = next++;
      const answer = await fetch(`${server.url}/api/projects/${BIG}/boq`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ item_id: `i-${n}`, code: `${n % SECTIONS}.${n}`, description: `Item number ${n} of many`, unit: 'm²', qty: `${n}.25`, unit_price: '12.40', section: `${String(n % SECTIONS).padStart(2, '0')} Section` }),
      });
      assert.equal(answer.status, 201);
      await answer.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 64 }, add));
  browser = await startBrowser();
});
afterEach(() => Person.closeAll());
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Seconds of the processor that the page's own thread spends from now on, when asked. */
async function processor({ context, page }) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]));
  const from = await read();
  return async () => {
    const now = await read();
    const of = (name) => now[name] - from[name];
    return { script: of('ScriptDuration'), layout: of('LayoutDuration') + of('RecalcStyleDuration'), all: of('TaskDuration') };
  };
}

/** How long each frame took while a wheel, turned evenly, moved the table by that many pixels. */
async function wheel({ context, page }, px, speed) {
  const cdp = await context.newCDPSession(page);
  const frames = page.evaluate(async (px) => {
    const scroller = document.querySelector('.grid-scroll');
    const from = scroller.scrollTop;
    const took = [];
    let [at, top] = [await new Promise(requestAnimationFrame), from];
    while (Math.abs(top - from) < px - 1) {
      const now = await new Promise(requestAnimationFrame);
      if (scroller.scrollTop !== top && top !== from) took.push(now - at);
      [at, top] = [now, scroller.scrollTop];
    }
    return took;
  }, px);
  await cdp.send('Input.synthesizeScrollGesture', { x: 600, y: 400, yDistance: px, speed, gestureSourceType: 'mouse', preventFling: true });
  return frames;
}

const open = (name) => Person.open(browser, server, name, { project: BIG });
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];

describe('a bill of 5,000 items', { skip }, () => {
  it('loads, sums exactly, and scrolls', async (t) => {
    const anna = await open('anna');
    const { page } = anna;
    const took = [];
    for (let i = 0; i < 3; i++) {
      await page.reload();
      await page.locator('[data-item="i-0"]').waitFor();
      took.push(await page.evaluate(() => performance.now()));
    }
    t.diagnostic(`from the address to its rows: ${Math.round(median(took))} ms (aimed at: under 1000)`);
    assert.ok(median(took) < 5000);
    // Σ (n + 0.25) × 12.40, n = 0..4999
    assert.equal(await page.getByTestId('grand-total').textContent(), '154,984,500.00');
    const spent = await processor(anna);
    const head = await page.locator('.grid-row.sticky').elementHandle();
    const frames = await page.evaluate(async (n) => {
      const scroller = document.querySelector('.grid-scroll');
      const at = [];
      for (let i = 0; i < n; i++) at.push(await new Promise(requestAnimationFrame)), scroller.scrollBy(0, 240);
      return at.slice(1).map((x, i) => x - at[i]);
    }, FRAMES);
    const { script, layout, all } = await spent();
    const ms = (seconds) => ((1000 * seconds) / FRAMES).toFixed(1);
    t.diagnostic(`while scrolling: median frame ${median(frames).toFixed(1)} ms, ${frames.filter((f) => f > 25).length} of ${frames.length} longer than 25 ms (aimed at: none)`);
    t.diagnostic(`processor for a frame: script ${ms(script)} ms (aimed at: under 8), layout and style ${ms(layout)}, the page's thread in all ${ms(all)}`);
    assert.ok(script / FRAMES < 0.008, `${ms(script)} ms of script`);
    assert.ok(median(frames) < 100);
    assert.ok((await page.locator('.grid-row').count()) < 100, 'only rows in sight exist');
    // The head of the section in sight is one element from the first section to the last: another one would have all rows laid out anew.
    const top = await page.evaluate(() => document.querySelector('.grid-scroll').scrollTop);
    assert.equal(await head.getAttribute('data-section'), `${String(Math.floor(top / 32 / (ITEMS / SECTIONS + 1))).padStart(2, '0')} Section`);
    assert.equal(await page.locator('.grid-row.sticky').count(), 1);
    const byWheel = await wheel(anna, 14000, 4000);
    t.diagnostic(`by wheel, 4,000 pixels a second: ${byWheel.filter((f) => f > 25).length} of ${byWheel.length} frames longer than 25 ms (aimed at: none)`);
    assert.ok(median(byWheel) < 100);
    await anna.shot('many-items');
    await anna.close();
  });

  it('an edit is on another’s screen', async (t) => {
    const [anna, ben] = [await open('anna'), await open('ben')];
    await ben.text('i-0', 'qty').waitFor();
    const took = [];
    for (let n = 1; n <= 15; n++) {
      await anna.cell('i-0', 'qty').click();
      const seen = ben.page.evaluate((text) => new Promise((resolve) => {
        const look = () => (document.querySelector('[data-item="i-0"] [data-column="qty"] .text')?.textContent === text ? resolve(Date.now()) : requestAnimationFrame(look));
        look();
      }), String(n * 3 + 1));
      await anna.page.keyboard.type(String(n * 3 + 1));
      const from = await anna.page.evaluate(() => {
        const at = Date.now();
        document.querySelector('.editor').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
        return at;
      });
      took.push((await seen) - from);
    }
    t.diagnostic(`from Enter to the other’s screen: median ${median(took)} ms (aimed at: under 50), slowest ${Math.max(...took)} ms`);
    assert.ok(median(took) < 500);
    await anna.close();
    await ben.close();
  });

  it('fifty cursors move', async (t) => {
    const anna = await open('anna');
    const { page } = anna;
    const sockets = await Promise.all(Array.from({ length: CURSORS }, async (_, i) => {
      const ws = await new RawWs(server.port).handshakeDone();
      await ws.connect({ token: server.token(`user-${i}`), projects: [BIG] });
      await ws.text('42["joined_project"');
      ws.tcp.pause(); // what they would hear of each other is not what is measured
      return ws;
    }));
    await page.locator('[data-item="i-0"]').waitFor();
    const rows = await page.evaluate(() => [...document.querySelectorAll('[data-item]')].sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top).slice(0, 17).map((e) => e.dataset.item)); // in sight
    let step = 0;
    const timer = setInterval(() => {
      step++;
      sockets.forEach((ws, i) => ws.send(`42["cursor:move",{"project_id":"${BIG}","cursor":{"row":"${rows[i % rows.length]}","dy":${(step + i) % 32},"x":${((step * 7 + i * 20) % 1000) / 1000}}}]`));
    }, 1000 / HZ);
    await page.waitForFunction((n) => [...document.querySelectorAll('.cursor')].filter((e) => e.style.visibility === 'visible').length === n, CURSORS);
    const spent = await processor(anna);
    const { fps, seconds } = await page.evaluate(async () => {
      const begun = performance.now();
      let n = 0;
      while (performance.now() - begun < 3000) await new Promise(requestAnimationFrame), n++;
      const seconds = (performance.now() - begun) / 1000;
      return { fps: n / seconds, seconds };
    });
    const share = (await spent()).script / seconds;
    clearInterval(timer);
    t.diagnostic(`${CURSORS} cursors at ${HZ} Hz: ${fps.toFixed(0)} frames a second (aimed at: over 50), scripting ${(100 * share).toFixed(0)} % of a core (under 30)`);
    assert.ok(share < 0.3, `${share}`);
    assert.ok(fps > 8);
    await anna.shot('fifty-cursors');
    // All of them leave while the page is busy: it hears of it at once, and draws that as one change or a few.
    for (const ws of sockets) ws.tcp.destroy();
    await page.evaluate(() => {
      for (let here = Infinity; here > 1; ) {
        const ask = new XMLHttpRequest();
        ask.open('GET', '/ws/status', false);
        ask.send();
        here = JSON.parse(ask.responseText).active_connections;
      }
    });
    await page.waitForFunction(() => document.querySelectorAll('.here .face, .cursor').length === 0);
    await anna.close(); // without a complaint
  });
});
