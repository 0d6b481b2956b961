// The stock engine.io-client against tests/compat/engine_client_server, the server that
// the client's own test suite expects: what that suite checks, for several versions.
import assert from 'node:assert/strict';
import http from 'node:http';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ENGINE_IO, frame, Polling, RawWs } from './lib/eio.mjs';
import { engine, enginePool, TRANSPORTS, VERSIONS } from './lib/engine.mjs';
import { run, startCompat } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { PATIENCE, sleep, until, within } from './lib/queue.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const UTF8 = 'пойду спать всем спокойной ночи';
const EMOJI = '\uD800\uDC00-\uDB7F\uDFFF\uDB80\uDC00-\uDBFF\uDFFF\uE000-\uF8FF';
const FIVE = Buffer.from([0, 1, 2, 3, 4]);
const MAX = 100;

let server;
const pool = enginePool();
const open = (options, module) => pool.open(server.url, options, module);
// Open and past the greeting.
const greeted = async (options, module) => {
  const c = await open(options, module).opened();
  assert.equal(await c.message(), 'hi');
  return c;
};

before(async () => (server = await startCompat('engine_client_server', ['--port', '0'])));
afterEach(() => pool.close());
after(async () => server?.end());

for (const [version, module, can, folder] of VERSIONS) {
  describe(`engine.io-client ${version}`, () => {
    for (const [how, options] of TRANSPORTS) {
      const start = async (more) => {
        const c = await greeted({ ...options, ...more }, module);
        return how === 'upgrade' ? c.upgraded() : c;
      };

      it(`${how}: hi, texts of many bytes`, async () => {
        const c = await start();
        for (const text of ['cash money €€€', EMOJI, 'a', '{"json":[1]}']) assert.equal(await c.ask(text), text);
        assert.equal((await c.ask('')) ?? '', ''); // the client's parser makes an empty text undefined
        assert.equal(await c.ask('give utf8'), UTF8);
      });

      it(`${how}: binary back and forth`, async () => {
        const c = await start();
        const got = await c.ask('give binary');
        assert.ok(Buffer.isBuffer(got) && got.equals(FIVE));
        for (const data of [FIVE, Buffer.alloc(0), Buffer.alloc(60, 0xff)]) assert.ok((await c.ask(data)).equals(data));
        const typed = await c.ask(new Int8Array([0, 1, 2, 3, 4]));
        assert.ok(typed.equals(FIVE));
      });

      it(`${how}: binary as ArrayBuffer, then a text; the order holds`, async () => {
        const c = await start({ binaryType: 'arraybuffer' });
        c.send(FIVE).send('cash money €€€');
        const first = await c.message();
        assert.ok(first instanceof ArrayBuffer);
        assert.deepEqual(new Uint8Array(first), new Uint8Array(FIVE));
        assert.equal(await c.message(), 'cash money €€€');
      });

      it(`${how}: forceBase64`, async () => {
        const c = await start({ forceBase64: true });
        assert.ok((await c.ask(FIVE)).equals(FIVE));
        assert.ok((await c.ask('give binary')).equals(FIVE));
      });

      it(`${how}: alive over several heartbeats`, async () => {
        const c = await start();
        for (let i = 0; i < 3; i++) await c.heartbeat();
        assert.equal(await c.ask('still'), 'still');
        assert.equal(c.all('close').length, 0);
      });

      it(`${how}: the handshake as the server was set up`, async () => {
        const handshakes = [];
        const c = open(options, module);
        c.socket.on('handshake', (h) => handshakes.push(h));
        await c.opened();
        assert.equal(handshakes[0].pingInterval, 500);
        assert.equal(handshakes[0].maxPayload, MAX);
        assert.deepEqual(handshakes[0].upgrades, how === 'websocket only' ? [] : ['websocket']);
      });

      it(`${how}: refused with deny`, async () => {
        const c = open({ ...options, query: { deny: 1 } }, module);
        const [error] = await c.event('error');
        assert.match(error.message, how === 'websocket only' ? /websocket error/ : /xhr poll error/);
        if (how !== 'websocket only') assert.equal(error.description, 403);
        await c.event('close');
      });
    }

    it('a session that the client has closed is unknown', async () => {
      for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
        const c = await greeted({ transports }, module);
        if (transports.length === 2) await c.upgraded();
        const { id } = c.socket;
        c.close();
        await until(async () => (await request(server.port, 'GET', `${ENGINE_IO}?EIO=4&transport=polling&sid=${id}`)).json?.code === 1, 'the sid is unknown');
      }
    });

    it('no packet after close', async () => {
      const c = await open({}, module).opened();
      c.events.clear();
      c.close();
      c.send('hi');
      await sleep(200);
      assert.equal(c.all('packetCreate').filter((e) => e.args[0].type === 'message').length, 0);
    });

    it('close while upgrading waits for the upgrade', async () => {
      const c = open({}, module);
      c.socket.on('upgrading', () => c.close());
      await c.event('upgrade');
      const [reason] = await c.event('close');
      assert.equal(reason, 'forced close');
    });

    it('close while upgrading, and the upgrade fails', async () => {
      const c = open({}, module);
      c.socket.on('upgrading', () => {
        c.close();
        c.socket.transport.onError('upgrade error');
      });
      await c.event('close');
      await c.event('upgradeError');
    });

    it('what was buffered while upgrading is sent before a close', async () => {
      const c = open({}, module);
      c.socket.on('upgrading', () => {
        c.send('bye');
        c.close();
      });
      await c.event('close');
      assert.equal(c.socket.writeBuffer.length, 0);
    });

    it('200 messages across the upgrade, in order', async () => {
      const c = open({}, module);
      await c.opened();
      for (let i = 0; i < 200; i++) {
        c.send(`${i}`);
        if (!can.maxPayload || i % 10 === 0) await sleep(2); // older clients send all they have at once
      }
      assert.equal(await c.message(), 'hi');
      for (let i = 0; i < 200; i++) assert.equal(await c.message(), `${i}`);
      await c.upgraded();
    });

    it('a session id that is unknown', async () => {
      for (const transports of [['polling'], ['websocket']]) {
        const c = open({ transports, query: { sid: 'abc' } }, module);
        const [error] = await c.event('error');
        assert.equal(error.type, 'TransportError');
        if (transports[0] === 'polling') assert.equal(error.description, 400);
        if (transports[0] === 'polling' && can.details) assert.equal(c.errorBody, '{"code":1,"message":"Session ID unknown"}');
        const [reason] = await c.event('close');
        assert.equal(reason, 'transport error');
      }
    });

    it('rememberUpgrade', async () => {
      const c = await open({}, module).opened();
      await c.upgraded();
      const again = open({ rememberUpgrade: true }, module);
      assert.equal(again.socket.transport.name, 'websocket');
      await again.opened();
      assert.equal(open({ rememberUpgrade: false }, module).socket.transport.name, 'polling');
    });

    it('message over the limit: polling 413 with an empty body, WebSocket 1009 with an empty reason', async () => {
      const p = await greeted({ transports: ['polling'] }, module);
      p.send('a'.repeat(MAX + 1));
      const [error] = await p.event('error');
      assert.equal(error.type, 'TransportError');
      assert.equal(error.description, 413);
      if (can.details) {
        assert.equal(error.message, 'xhr post error');
        assert.equal(p.errorBody, '');
      }
      assert.equal((await p.event('close'))[0], 'transport error');

      const w = await greeted({ transports: ['websocket'] }, module);
      w.send('a'.repeat(MAX + 1));
      const [reason, details] = await w.event('close');
      assert.equal(reason, 'transport close');
      if (!can.details) return;
      assert.equal(details.description, 'websocket connection closed');
      assert.equal(details.context.code, 1009);
      assert.equal(details.context.reason, '');
    });

    if (can.maxPayload) {
      it('texts are merged up to maxPayload', async () => {
        const c = await greeted({ transports: ['polling'] }, module);
        const texts = ['a'.repeat(99), 'b'.repeat(30), 'c'.repeat(30), 'd'.repeat(35), '€'.repeat(33), 'f'.repeat(99)];
        for (const text of texts) c.send(text);
        for (const text of texts) assert.equal(await c.message(), text);
      });

      it('binary packets are merged up to maxPayload', async () => {
        const c = await greeted({ transports: ['polling'] }, module);
        const list = [Buffer.alloc(72, 1), Buffer.alloc(20, 2), 'a'.repeat(20), Buffer.alloc(20, 3), Buffer.alloc(72, 4)];
        for (const item of list) c.send(item);
        for (const item of list) assert.deepEqual(await c.message(), item);
      });

      it('a packet above maxPayload is sent all the same, and closes', async () => {
        const c = await greeted({ transports: ['polling'] }, module);
        c.send('a'.repeat(101)).send('b');
        await c.event('close');
      });
    }

    for (const transports of can.unref ? [['polling'], ['websocket'], ['polling', 'websocket']] : [])
      it(`autoUnref over ${transports}: a process with nothing else to do ends`, async () => {
        const code = `import { createRequire } from 'node:module';
          const { Socket } = createRequire(${JSON.stringify(path.join(HERE, 'x.js'))})(${JSON.stringify(folder)});
          const s = new Socket(${JSON.stringify(server.url)}, { autoUnref: true, transports: ${JSON.stringify(transports)} });
          s.on('open', () => console.log('open'));
          setTimeout(() => console.log('done'), 500);`;
        const got = await run(process.execPath, ['--input-type=module', '-e', code], { timeout: 10000 });
        assert.equal(got.code, 0, got.stderr);
        assert.deepEqual(got.stdout.trim().split('\n'), ['open', 'done']);
      });

    it('extraHeaders come with the POST', async () => {
      const c = await greeted({ transports: ['polling'], extraHeaders: { 'X-Custom-Header': 'my "secret"', Cookie: 'user_session=abc; path=/' } }, module);
      const headers = JSON.parse(await c.ask('sendHeaders'));
      assert.equal(headers['x-custom-header'], 'my "secret"');
      assert.match(headers.cookie, /user_session=abc/);
    });

    if (can.cookies)
      for (const [name, more] of [
        ['XMLHttpRequest', {}],
        ...(can.fetch ? [['fetch', { transports: [engine.Fetch] }]] : []),
      ]) {
        it(`${name}: cookies with withCredentials`, async () => {
          const c = await greeted({ transports: ['polling'], ...more, withCredentials: true }, module);
          await sleep(10);
          assert.equal(JSON.parse(await c.ask('sendHeaders')).cookie, '1=1; 2=2');
        });

        it(`${name}: no cookies without`, async () => {
          const c = await greeted({ transports: ['polling'], ...more, withCredentials: false }, module);
          assert.equal(JSON.parse(await c.ask('sendHeaders')).cookie, undefined);
        });
      }

    if (can.tryAll) {
      const deny = { query: { deny: 1 } };
      it('tryAllTransports: polling after a WebSocket that was refused, and the other way', async () => {
        const a = await greeted({ transports: ['websocket', 'polling'], transportOptions: { websocket: deny }, tryAllTransports: true }, module);
        assert.equal(a.socket.transport.name, 'polling');
        const b = await greeted({ transports: ['polling', 'websocket'], transportOptions: { polling: deny }, tryAllTransports: true }, module);
        assert.equal(b.socket.transport.name, 'websocket');
      });

      it('without it the first refusal counts', async () => {
        const c = open({ transports: ['polling', 'websocket'], transportOptions: { polling: deny } }, module);
        assert.equal((await c.event('error'))[0].message, 'xhr poll error');
      });
    }

    if (can.fetch)
      for (const [name, transports] of [
        ['fetch', [engine.Fetch]],
        ['fetch, then WebSocket', [engine.Fetch, engine.NodeWebSocket]],
        ['NodeXHR', [engine.NodeXHR]],
        ['NodeWebSocket', [engine.NodeWebSocket]],
      ])
        it(`transports given as ${name}`, async () => {
          const c = await greeted({ transports }, module);
          if (transports.length === 2) await c.upgraded();
          assert.equal(await c.ask(UTF8.slice(0, 20)), UTF8.slice(0, 20));
          assert.ok((await c.ask('give binary')).equals(FIVE));
        });

    if (can.fetch)
      it('fetch: a message over the limit, and an unknown session', async () => {
        const c = await greeted({ transports: [engine.Fetch] }, module);
        c.send('a'.repeat(101));
        const [error] = await c.event('error');
        assert.deepEqual([error.message, error.description], ['fetch write error', 413]);
        const d = open({ transports: [engine.Fetch], query: { sid: 'abc' } }, module);
        const [unknown] = await d.event('error');
        assert.deepEqual([unknown.message, unknown.description], ['fetch read error', 400]);
      });
  });
}

describe('what the server says, byte by byte', () => {
  const poll = (query) => new Polling(server.port, { base: ENGINE_IO, query }).open();

  it('the open packet alone, then hi; four cookies, once', async () => {
    const p = await poll();
    assert.deepEqual(p.opened.headers['set-cookie'].slice(0, 3), ['1=1; Max-Age=86400', '2=2; Path=/; HttpOnly; Secure; SameSite=Strict', '3=3; Max-Age=0']);
    assert.match(p.opened.headers['set-cookie'][3], /^4=4; Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    assert.ok(Math.abs(new Date(p.opened.headers['set-cookie'][3].slice(12)) - Date.now()) < 5000);
    const got = await p.get();
    assert.equal(got.body, '4hi');
    assert.equal(got.headers['set-cookie'], undefined);
    assert.equal((await p.post('4x')).headers['set-cookie'], undefined);
  });

  it('a WebSocket handshake gets them too, an upgrade does not', async () => {
    const w = await new RawWs(server.port, { base: ENGINE_IO }).open();
    assert.equal(w.head.match(/^set-cookie: [1-4]=/gim).length, 4);
    assert.match(await w.text('4'), /^4hi$/);
    const p = await poll();
    const u = await new RawWs(server.port, { base: ENGINE_IO, sid: p.sid }).open();
    assert.doesNotMatch(u.head, /set-cookie/i);
    w.destroy();
    u.destroy();
  });

  it('deny: 403 with code 4; for a WebSocket 400 and the bare text', async () => {
    for (const query of ['deny=1', 'deny', 'deny=', 'x=1&deny=0', '%64eny']) {
      const res = await request(server.port, 'GET', `${ENGINE_IO}?EIO=4&transport=polling&${query}`);
      assert.deepEqual([res.status, res.body], [403, '{"code":4,"message":"Forbidden"}'], query);
      assert.equal(res.headers['set-cookie'], undefined);
    }
    const w = new RawWs(server.port, { base: ENGINE_IO, query: 'EIO=4&transport=websocket&deny=1' });
    await w.end();
    assert.equal(w.status, 400);
    assert.match(w.head, /content-type: text\/html/i);
    assert.equal(w.buf.toString().split('\r\n\r\n')[1], 'Forbidden');
    // Before the version, as the reference has it; behind the rest.
    assert.equal((await request(server.port, 'GET', `${ENGINE_IO}?EIO=3&transport=polling&deny=1`)).json.code, 4);
    assert.equal((await request(server.port, 'GET', `${ENGINE_IO}?EIO=3&transport=polling`)).json.code, 5);
    assert.equal((await request(server.port, 'GET', `${ENGINE_IO}?EIO=4&transport=abc&deny=1`)).json.code, 0);
    assert.equal((await request(server.port, 'POST', `${ENGINE_IO}?EIO=4&transport=polling&deny=1`, { body: '' })).json.code, 2);
  });

  it('deny in the query of a session that is there means nothing', async () => {
    const p = await poll();
    const res = await request(server.port, 'GET', `${p.path()}&deny=1`);
    assert.equal(res.body, '4hi');
  });

  it('headers: repeated ones are joined, quotes escaped; none on a WebSocket', async () => {
    const p = await poll();
    await p.next('4hi');
    await p.post('4sendHeaders', { headers: { 'x-a': ['1', '2'], 'x-b': 'say "hi"' } });
    const headers = JSON.parse((await p.next('4')).slice(1));
    assert.equal(headers['x-a'], '1, 2');
    assert.equal(headers['x-b'], 'say "hi"');
    assert.equal(headers['content-length'], '12');
    const w = await new RawWs(server.port, { base: ENGINE_IO }).handshakeDone();
    await w.text('4hi');
    w.send('4sendHeaders');
    assert.equal(await w.text('4'), '4{}');
    w.destroy();
  });

  it('both loopback addresses, where there are two', async (t) => {
    const six = await request(server.port, 'GET', `${ENGINE_IO}?EIO=4&transport=polling`, { host: '::1' }).catch((e) => e);
    if (six.code === 'EADDRNOTAVAIL' || six.code === 'ECONNREFUSED') return t.skip('no IPv6 here');
    assert.equal(six.status, 200);
  });

  it('a flood of handshakes that are denied: others go on, nothing is left', async () => {
    const by = await greeted({ transports: ['websocket'] });
    const fds = server.fds();
    for (let round = 0; round < 20; round++) {
      const denied = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          i % 2
            ? request(server.port, 'GET', `${ENGINE_IO}?EIO=4&transport=polling&deny=1`)
            : new RawWs(server.port, { base: ENGINE_IO, query: 'EIO=4&transport=websocket&deny=1', tail: frame('4x') }),
        ),
      );
      for (const d of denied)
        if (d instanceof RawWs) {
          await d.end();
          assert.equal(d.status, 400);
        } else assert.equal(d.status, 403);
      assert.equal(await by.ask(`${round}`), `${round}`);
    }
    await until(() => server.fds() <= fds + 2, 'the descriptors are back');
  });

  it('a wrong command line: the usage, and exit code 2', async () => {
    const got = await run(server.child.spawnfile, ['--bogus', '1']);
    assert.equal(got.code, 2);
    assert.match(got.stderr, /--port/);
  });
});

const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = !existsSync(BROWSER) && `no browser at ${BROWSER}: install chromium (scripts/setup test)`;

describe('in a browser, from a page of another origin', { skip }, () => {
  let browser, profile, page, pages, origin;
  const BUNDLE = readFileSync(path.join(HERE, 'node_modules/engine.io-client/dist/engine.io.min.js'), 'utf8');

  before(async () => {
    if (skip) return;
    profile = mkdtempSync(path.join(tmpdir(), 'skybuild-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: BROWSER,
      headless: true,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    pages = http.createServer((req, res) => {
      const isScript = req.url.endsWith('.js');
      res.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      res.end(isScript ? BUNDLE : '<script src="/eio.js"></script>');
    });
    await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${pages.address().port}`;
    page = await browser.newPage();
    await page.goto(origin);
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    if (profile) rmSync(profile, { recursive: true, force: true });
  });

  const evaluate = (...args) => within(page.evaluate(...args), PATIENCE, 'what the page was to see');

  for (const [how, options] of TRANSPORTS)
    it(`${how}: hi, text, binary as ArrayBuffer`, async () => {
      const got = await evaluate(
        ([url, opts, text]) =>
          new Promise((resolve, reject) => {
            const got = [];
            const socket = window.eio(url, opts);
            socket.binaryType = 'arraybuffer';
            const go = () => (socket.send(text), socket.send('give binary'), socket.send(new Uint8Array([7, 8])));
            socket.on(opts.transports.length === 2 ? 'upgrade' : 'open', go);
            socket.on('error', reject);
            socket.on('message', (data) => {
              got.push(typeof data === 'string' ? data : [...new Uint8Array(data)]);
              if (got.length === 4) resolve([socket.transport.name, ...got]), socket.close();
            });
          }),
        [server.url, options, UTF8],
      );
      assert.deepEqual(got, [how === 'polling only' ? 'polling' : 'websocket', 'hi', UTF8, [0, 1, 2, 3, 4], [7, 8]]);
    });

  it('in a worker', async () => {
    const got = await evaluate(
      ([url, from]) =>
        new Promise((resolve, reject) => {
          const code = `importScripts('${from}/eio.js');
            const socket = eio(${JSON.stringify(url)});
            let n = 0;
            socket.on('message', (data) => { postMessage(data); if (n++ < 5) socket.send(n < 3 ? 'give utf8' : 'give binary'); });
            socket.on('error', (e) => postMessage('error ' + e.message));`;
          const worker = new Worker(URL.createObjectURL(new Blob([code])));
          const got = [];
          worker.onerror = (e) => reject(new Error(e.message));
          worker.onmessage = (e) => {
            got.push(typeof e.data === 'string' ? e.data : [...new Uint8Array(e.data)]);
            if (got.length === 6) resolve(got), worker.terminate();
          };
        }),
      [server.url, origin],
    );
    assert.deepEqual(got, ['hi', UTF8, UTF8, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]);
  });

  it('over the limit: the close code is 1009', async () => {
    const got = await evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = window.eio(url, { transports: ['websocket'] });
          socket.on('open', () => socket.send('a'.repeat(101)));
          socket.on('close', (reason, details) => resolve([reason, details.context.code, details.context.reason]));
        }),
      server.url,
    );
    assert.deepEqual(got, ['transport close', 1009, '']);
  });
});
