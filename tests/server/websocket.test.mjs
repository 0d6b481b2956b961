// Plain WebSockets (examples/ws_echo) and compression: permessage-deflate on both kinds of
// WebSocket, gzip and deflate of HTTP answers.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { constants, deflateRawSync, gunzipSync, inflateSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { clientPool } from './lib/clients.mjs';
import { frame, Polling, RawWs } from './lib/eio.mjs';
import { metricOf, SANITIZED, startExample, startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { Queue, sleep, until, within } from './lib/queue.mjs';
import { CASES, close } from './lib/wscases.mjs';

const SLOW = SANITIZED ? 4 : 1; // a sanitizer's build may take so much longer
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const deflated = (data, opts) => deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...opts }).subarray(0, -4);
const prose = (n) => 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(n / 70 + 1).slice(0, n);

let echo;
before(async () => (echo = await startExample('ws_echo', ['--port', '0'])));
after(() => echo?.end());

// A client of the npm package ws whose messages wait in a queue.
async function wsOpen(port, { path = '/', ...options } = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { maxPayload: 1 << 28, ...options });
  ws.inbox = new Queue('ws');
  ws.on('message', (data, isBinary) => ws.inbox.push(isBinary ? data : data.toString()));
  ws.on('error', (e) => ws.inbox.end(e));
  ws.ended = new Promise((resolve) => ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
  await within(new Promise((resolve, reject) => (ws.on('open', resolve), ws.on('error', reject))), 8000, 'open');
  return ws;
}
const echoed = async (ws, data) => {
  ws.send(data);
  const back = await ws.inbox.next(undefined, { timeout: 20000 * SLOW, what: `${data.length} bytes` });
  assert.equal(typeof back, typeof data);
  assert.ok(Buffer.from(back).equals(Buffer.from(data)), `${data.length} bytes came back as ${back.length}`);
};

// The same bytes the hard way: what was sent with RSV1 is told.
const raw = (headers = {}, opts = {}) => new RawWs(echo.port, { target: '/', headers, ...opts }).open();

describe('plain WebSockets: what the conformance suites ask', () => {
  const told = ({ op, data }) => (op === 1 ? `text ${data}` : op === 2 ? `binary ${data.toString('hex')}` : op === 10 ? `pong ${data.toString('latin1')}` : null);

  // One connection: send, collect up to the end.
  async function play(w, pieces, expected) {
    const open = !expected.at(-1)?.startsWith('close ');
    const got = [];
    w.answersClose = false;
    for (const piece of pieces) w.write(piece);
    if (open) w.write(close(1000));
    const code = await w.end();
    for (const m of w.inbox.peek()) if (told(m)) got.push(told(m));
    got.push(`close ${code}`);
    assert.deepEqual(got, open ? [...expected, 'close 1000'] : expected);
  }

  for (const [headers, how] of [[{}, ''], [OFFER, ', permessage-deflate negotiated']])
    describe(`the table${how}`, () => {
      for (const [name, frames, expected] of CASES) {
        if (how && /RSV [4]$/.test(name)) continue; // means something now
        it(name, async () => {
          const bytes = Buffer.concat(frames);
          await play(await raw(headers), [bytes], expected);
          if (bytes.length < 200) await play(await raw(headers), [...bytes].map((b) => Buffer.from([b])), expected);
          else await play(await raw(headers), [bytes.subarray(0, 997), bytes.subarray(997)], expected);
        });
      }
    });

  it('frames in the segment of the handshake', async () => {
    await play(await raw({}, { tail: Buffer.concat([frame('early'), close(1000)]) }), [], ['text early', 'close 1000']);
  });

  it('the close frame is ours before TCP ends, and TCP ends without the client’s doing', async () => {
    const w = await raw();
    w.write(close(1000));
    assert.equal((await w.control(8)).readUInt16BE(0), 1000);
    const begun = Date.now();
    await w.end(4000);
    assert.ok(Date.now() - begun < 3000);
  });

  for (const [n, size] of [[65536, 64], [262144, 64], [1024, 16384], [16, 1 << 20]])
    it(`${n} fragments of ${size} bytes come back whole, in a time that grows with their number alone`, async () => {
      const w = await raw();
      const part = Buffer.alloc(size, 'x');
      const first = frame(part, { opcode: 1, fin: false }), middle = frame(part, { opcode: 0, fin: false });
      w.write(first);
      for (let i = 1; i < n; i += 4096) w.write(Buffer.concat(Array(Math.min(4096, n - i)).fill(middle)));
      w.write(frame('', { opcode: 0 })); // as some end it: one more, empty
      const back = await w.text('', { timeout: 60000 }); // the square of it would be hours
      assert.equal(back.length, n * size);
      assert.ok(/^x+$/.test(back));
      w.destroy();
    });

  it('pings are answered between the fragments of a message that goes on', async () => {
    const w = await raw();
    w.write(frame('begin', { fin: false }));
    for (let i = 0; i < 5; i++) {
      w.write(frame(`p${i}`, { opcode: 9 })).write(frame('+', { opcode: 0, fin: false }));
      assert.equal((await w.control(10)).toString(), `p${i}`);
    }
    w.write(frame('.', { opcode: 0 }));
    assert.equal(await w.text(), 'begin+++++.');
    w.destroy();
  });

  it('a fault is told at once, whatever the client holds back', async () => {
    const w = await raw();
    w.write(frame(Buffer.from([0x61, 0xff]), { opcode: 1, fin: false }));
    assert.equal(await w.end(), 1007);
  });

  it('a thousand messages in one go, in order', async () => {
    const w = await raw();
    w.write(Buffer.concat(Array.from({ length: 1000 }, (_, i) => frame(`message ${i}`))));
    for (let i = 0; i < 1000; i++) assert.equal(await w.text(), `message ${i}`);
    w.destroy();
  });
});

describe('plain WebSockets: the npm client', () => {
  // permessage-deflate as the client offers it, and what it was answered
  const offers = [
    ['off', { perMessageDeflate: false }, ''],
    ['with context takeover', { perMessageDeflate: { threshold: 0 } }, ANSWER],
    ['without context takeover', { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true } }, ANSWER],
    ...[8, 9, 10, 14, 15].map((n) => [`server window of ${n} bits`, { perMessageDeflate: { threshold: 0, serverMaxWindowBits: n } }, `${ANSWER}; server_max_window_bits=${n}`]),
    ...[9, 15].map((n) => [`client window of ${n} bits`, { perMessageDeflate: { threshold: 0, clientMaxWindowBits: n } }, ANSWER]),
  ];
  for (const [name, options, extensions] of offers)
    it(`permessage-deflate ${name}: text and bytes of every size`, async () => {
      const ws = await wsOpen(echo.port, options);
      const got = ws._extensions['permessage-deflate'];
      assert.equal(Boolean(got), Boolean(extensions));
      for (const n of [0, 1, 125, 126, 127, 1023, 1024, 1025, 65535, 65536, 65537, 1 << 20]) {
        await echoed(ws, prose(n));
        await echoed(ws, randomBytes(n));
        await echoed(ws, Buffer.alloc(n, 'abc'));
      }
      ws.close(1000);
      assert.equal((await ws.ended).code, 1000);
      // And the words of the answer.
      const w = await raw(extensions ? { 'Sec-WebSocket-Extensions': extensions } : {});
      assert.equal(w.head.match(/^sec-websocket-extensions: (.*)$/im)?.[1] ?? '', extensions);
      w.destroy();
    });

  for (const perMessageDeflate of [false, { threshold: 0 }])
    it(`16 MiB of text and of bytes${perMessageDeflate ? ', compressed' : ''}; one byte more: 1009`, async () => {
      const ws = await wsOpen(echo.port, { perMessageDeflate });
      await echoed(ws, prose(1 << 24));
      await echoed(ws, perMessageDeflate ? Buffer.alloc(1 << 24, 'bytes') : randomBytes(1 << 24));
      ws.send(prose((1 << 24) + 1));
      assert.equal((await ws.ended).code, 1009);
    });

  it('messages in fragments, compressed across them', async () => {
    const ws = await wsOpen(echo.port, { perMessageDeflate: { threshold: 0 } });
    const whole = prose(10000);
    for (let i = 0; i < 10; i++) ws.send(whole.slice(i * 1000, (i + 1) * 1000), { fin: i === 9 });
    assert.equal(await ws.inbox.next(), whole);
    ws.terminate();
  });

  it('any path, with any query, and a large URL', async () => {
    for (const path of ['/', '/a/b/c', '/socket.io/?EIO=4&transport=websocket', '/x?y=z', '/%2e%2e/', '//', `/${'p'.repeat(8000)}`]) {
      const ws = await wsOpen(echo.port, { path });
      await echoed(ws, path);
      ws.terminate();
    }
  });

  it('500 messages of 64 KiB under way: nothing is lost, nothing reordered', async () => {
    const ws = await wsOpen(echo.port, { perMessageDeflate: false });
    const body = Buffer.alloc(65536);
    for (let i = 0; i < 500; i++) {
      body.writeUInt32BE(i);
      ws.send(Buffer.from(body));
    }
    for (let i = 0; i < 500; i++) assert.equal((await ws.inbox.next(undefined, { timeout: 20000 * SLOW })).readUInt32BE(0), i);
    ws.terminate();
  });

  it('a client that sends and does not read is not read from, and gets all of it later', async () => {
    const ws = await wsOpen(echo.port, { perMessageDeflate: false });
    const before = echo.memory().own;
    ws.pause();
    const piece = randomBytes(1 << 20);
    for (let i = 0; i < 200; i++) ws.send(piece);
    await sleep(1500);
    assert.ok(ws.bufferedAmount > 50 << 20, `${ws.bufferedAmount} bytes are still with the client`);
    assert.ok(echo.memory().own - before < 150 * 1024, `${echo.memory().own - before} KiB more`);
    ws.resume();
    for (let i = 0; i < 200; i++) assert.ok((await ws.inbox.next(undefined, { timeout: 30000 * SLOW })).equals(piece));
    ws.terminate();
  });

  it('65,536 pings and no reads: the pongs are bounded, and the last ping is answered', async () => {
    const w = await raw();
    const before = echo.memory().own;
    w.tcp.pause();
    const pings = (from, n) => Buffer.concat(Array.from({ length: n }, (_, i) => frame(String(from + i).padEnd(120), { opcode: 9 })));
    for (let i = 0; i < 65536; i += 4096) w.write(pings(i, 4096));
    await until(() => w.tcp.writableLength === 0, 'all pings sent', { timeout: 20000 * SLOW });
    await sleep(300);
    assert.ok(echo.memory().own - before < 4096, `${echo.memory().own - before} KiB more`);
    w.tcp.resume();
    await w.inbox.next((m) => m.op === 10 && String(m.data).startsWith('65535'), { timeout: 20000 * SLOW });
    w.destroy();
  });

  it('resets in the middle of a message and of an echo', async () => {
    for (let i = 0; i < 10; i++) {
      const w = await raw(i % 2 ? OFFER : {});
      w.tcp.pause();
      w.write(frame(Buffer.alloc(4 << 20, 'x'))).write(frame('cut').subarray(0, i));
      await sleep(30);
      w.tcp.resetAndDestroy();
    }
    const w = await raw();
    w.send('alive');
    assert.equal(await w.text(), 'alive');
    w.destroy();
  });

  it('silent clients are pinged, and cut when they do not answer', async () => {
    const quick = await startExample('ws_echo', ['--port', '0', '--ping-interval', '200', '--ping-timeout', '200']);
    try {
      const ws = await wsOpen(quick.port);
      let pings = 0;
      ws.on('ping', () => pings++);
      const dead = await new RawWs(quick.port, { target: '/' }).open(); // answers no ping
      const begun = Date.now();
      assert.equal(await dead.end(), 1006);
      assert.ok(Date.now() - begun >= 350 && Date.now() - begun < 1500 * SLOW, `${Date.now() - begun} ms`);
      await until(() => pings >= 3, 'three pings');
      await echoed(ws, 'still here');
      ws.terminate();
    } finally {
      await quick.end();
    }
  });

  it('SIGTERM: 1001 to everyone, and a clean end', async () => {
    const ending = await startExample('ws_echo', ['--port', '0']);
    const all = await Promise.all(Array.from({ length: 20 }, () => wsOpen(ending.port)));
    const stuck = await new RawWs(ending.port, { target: '/', answersClose: false }).open(); // never answers the close
    await ending.end();
    for (const ws of all) assert.deepEqual(await ws.ended, { code: 1001, reason: '' });
    assert.equal(await stuck.end(), 1001);
  });

  it('--max-payload', async () => {
    const small = await startExample('ws_echo', ['--port', '0', '--max-payload', '1000', '--path', '/x']);
    try {
      const ws = await wsOpen(small.port, { perMessageDeflate: { threshold: 0 } });
      await echoed(ws, prose(1000));
      ws.send(prose(1001));
      assert.equal((await ws.ended).code, 1009);
    } finally {
      await small.end();
    }
  });
});

const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
describe('plain WebSockets: a browser', { skip: !existsSync(BROWSER) && `no browser at ${BROWSER}: install chromium (scripts/setup test)` }, () => {
  it('negotiates permessage-deflate by itself; text, bytes, the close code and its reason', async () => {
    const browser = await chromium.launch({ executablePath: BROWSER, headless: true, args: ['--no-sandbox', '--disable-gpu'] });
    try {
      const page = await browser.newPage();
      const got = await page.evaluate(async (url) => {
        const ws = new WebSocket(url);
        ws.binaryType = 'arraybuffer';
        const next = () => new Promise((resolve) => (ws.onmessage = (e) => resolve(e.data)));
        await new Promise((resolve, reject) => ((ws.onopen = resolve), (ws.onerror = reject)));
        const text = 'The quick brown fox \u{1f98a} '.repeat(5000), bytes = new Uint8Array(300000).map((_, i) => (i * i) % 251);
        ws.send(text);
        const back = await next();
        ws.send(bytes);
        const bytesBack = new Uint8Array(await next());
        const closed = new Promise((resolve) => (ws.onclose = (e) => resolve([e.code, e.wasClean])));
        ws.close(4321, 'bye');
        return { extensions: ws.extensions, text: back === text, bytes: bytes.every((b, i) => b === bytesBack[i]), closed: await closed };
      }, `ws://127.0.0.1:${echo.port}/from/a/page`);
      assert.deepEqual(got, { extensions: ANSWER, text: true, bytes: true, closed: [4321, true] });
    } finally {
      await browser.close();
    }
  });
});

describe('plain WebSockets: the handshake', () => {
  it('no WebSocket: 426', async () => {
    const res = await request(echo.port, 'GET', '/');
    assert.equal(res.status, 426);
    assert.equal(res.headers.upgrade, 'websocket');
    assert.equal(res.json.code, 'upgrade_required');
    assert.equal((await request(echo.port, 'POST', '/', { body: 'x' })).status, 426);
  });

  for (const [name, opts, status] of [
    ['version 8', { headers: { 'Sec-WebSocket-Version': '8' } }, 426],
    ['no key', { omit: ['Sec-WebSocket-Key'] }, 400],
    ['a short key', { headers: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } }, 400],
    ['a POST', { method: 'POST' }, 426],
  ])
    it(`${name}: ${status}`, async () => {
      const w = new RawWs(echo.port, { target: '/', ...opts });
      await w.end();
      assert.equal(w.status, status);
    });

  // Hostile 131, 132.
  for (const [name, value] of [
    ['32 KiB of blanks', ' '.repeat(12000)], ['8 KiB in quotes', `x="${'y'.repeat(8000)}"`], ['commas', ','.repeat(12000)],
    ['a window of 99 bits', 'permessage-deflate; client_max_window_bits=99'], ['an unknown parameter', 'permessage-deflate; foo=1'],
    ['a parameter twice', 'permessage-deflate; client_max_window_bits; client_max_window_bits'], ['2,000 offers', Array(600).fill('permessage-deflate; x=1').join()],
    ['a broken list', 'permessage-deflate; ='], ['another extension', 'permessage-bzip2'],
  ])
    it(`Sec-WebSocket-Extensions with ${name}: declined`, async () => {
      const w = await raw({ 'Sec-WebSocket-Extensions': value });
      assert.doesNotMatch(w.head, /sec-websocket-extensions/i);
      w.send('x'.repeat(2000));
      assert.equal((await w.inbox.next()).rsv, 0);
      w.send(deflated('x'), { opcode: 1, rsv: 4 });
      assert.equal(await w.end(), 1002);
    });

  it('the first acceptable offer of several, over two lines', async () => {
    const w = await raw({ 'Sec-WebSocket-Extensions': ['foo, permessage-deflate; x', 'permessage-deflate; server_max_window_bits=10, permessage-deflate'] });
    assert.match(w.head, /permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10\r?$/im);
    w.destroy();
  });

  it('a protocol that is offered and not spoken is not answered', async () => {
    const w = await raw({ 'Sec-WebSocket-Protocol': 'a, b' });
    assert.doesNotMatch(w.head, /sec-websocket-protocol/i);
    w.destroy();
  });
});

// Hostile 138, 159 to 164: name, frames, what comes back before the end, close code.
const hello = Buffer.from('f248cdc9c90700', 'hex');
const COMPRESSED = [
  ['Hello', [[hello, { opcode: 1, rsv: 4 }]], ['Hello'], 1000],
  ['Hello in two fragments and a ping', [[hello.subarray(0, 3), { opcode: 1, rsv: 4, fin: false }], ['', { opcode: 9 }], [hello.subarray(3), { opcode: 0 }]], ['Hello'], 1000],
  ['BFINAL as RFC 7692 7.2.3.4 has it', [[Buffer.from('f348cdc9c9070000', 'hex'), { opcode: 1, rsv: 4 }]], ['Hello'], 1000],
  ['an empty message', [[Buffer.from([0]), { opcode: 1, rsv: 4 }]], [''], 1000],
  ['plain among compressed ones', [[hello, { opcode: 1, rsv: 4 }], ['plain', { opcode: 1 }], [hello, { opcode: 1, rsv: 4 }]], ['Hello', 'plain', 'Hello'], 1000],
  ['a bomb: 64 MiB of zeros in 64 KiB', [[deflated(Buffer.alloc(64 << 20), { level: 9 }), { opcode: 2, rsv: 4 }]], [], 1009],
  ['a bomb in fragments', [[deflated(Buffer.alloc(64 << 20), { level: 9 }), { opcode: 2, rsv: 4, fin: false }], ['', { opcode: 0 }]], [], 1009],
  ['no DEFLATE data', [[Buffer.from('Hello, World'), { opcode: 1, rsv: 4 }]], [], 1007],
  ['noise', [[Buffer.alloc(1000, 0xf7), { opcode: 2, rsv: 4 }]], [], 1007],
  ['no tail', [[hello.subarray(0, 6), { opcode: 1, rsv: 4 }]], [], 1007],
  ['half of it', [[deflated(prose(5000)).subarray(0, 60), { opcode: 1, rsv: 4 }]], [], 1007],
  ['BFINAL in the middle', [[Buffer.concat([deflateRawSync('Hello'), hello]), { opcode: 1, rsv: 4 }]], [], 1007],
  ['BFINAL and no empty block', [[deflateRawSync('Hello'), { opcode: 1, rsv: 4 }]], [], 1007],
  ['bad UTF-8 inside', [[deflated(Buffer.from('61ff', 'hex')), { opcode: 1, rsv: 4 }]], [], 1007],
  ['a compressed ping', [[hello, { opcode: 9, rsv: 4 }]], [], 1002],
  ['a compressed close', [[deflated(Buffer.from([3, 232])), { opcode: 8, rsv: 4 }]], [], 1002],
  ['RSV1 on a continuation', [[hello.subarray(0, 3), { opcode: 1, rsv: 4, fin: false }], [hello.subarray(3), { opcode: 0, rsv: 4 }]], [], 1002],
  ['RSV1 and RSV2', [[hello, { opcode: 1, rsv: 6 }]], [], 1002],
  ['the context of an earlier message', [[hello, { opcode: 1, rsv: 4 }], [Buffer.from('f200110000', 'hex'), { opcode: 1, rsv: 4 }]], ['Hello'], 1007],
];

describe('permessage-deflate: frames by hand', () => {
  for (const [name, frames, back, code] of COMPRESSED)
    it(`${name}: ${code}`, async () => {
      const w = await raw(OFFER);
      for (const [payload, opts] of frames) w.send(payload, opts);
      if (code === 1000) w.write(close(1000));
      assert.equal(await w.end(), code);
      assert.deepEqual(w.inbox.peek((m) => m.op < 8).map((m) => String(m.data)), back);
    });

  it('what goes out: compressed from 1,024 bytes on, when it gets smaller, each for itself', async () => {
    const w = await raw(OFFER);
    for (const [data, rsv] of [[prose(1023), 0], [prose(1024), 4], [prose(1024), 4], [randomBytes(5000), 0], [Buffer.alloc(5000), 4]]) {
      w.send(data);
      const m = await w.inbox.next();
      assert.equal(m.rsv, rsv, `${data.length} bytes`);
      assert.ok(Buffer.from(m.data).equals(Buffer.from(data)));
      assert.ok(m.sent <= data.length);
    }
    w.destroy();
  });

  it('a server window of 9 bits holds for long messages', async () => {
    const w = await raw({ 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=9' });
    w.takeWhole = function (op, fin, payload, rsv) {
      this.inbox.push({ op, payload, rsv });
    };
    const text = Array.from({ length: 3000 }, (_, i) => `{"item":"item-${i * 7919 % 1000}"},`).join('');
    w.send(text);
    const m = await w.inbox.next();
    assert.equal(m.rsv, 4);
    const { inflateRawSync } = await import('node:zlib');
    const back = inflateRawSync(Buffer.concat([m.payload, Buffer.from([0, 0, 255, 255])]), { windowBits: 9, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: 64 });
    assert.equal(back.toString(), text);
    w.destroy();
  });

  it('interleaved connections share one inflater without harm', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => raw(OFFER)));
    const parts = all.map((w, i) => deflated(`${i} ${prose(3000 + i)}`));
    for (let at = 0; at < 600; at += 50) all.forEach((w, i) => w.send(parts[i].subarray(at, at + 50), { opcode: at ? 0 : 1, rsv: at ? 0 : 4, fin: false }));
    all.forEach((w, i) => w.send(parts[i].subarray(600), { opcode: 0 }));
    for (const [i, w] of all.entries()) assert.equal(await w.text(), `${i} ${prose(3000 + i)}`);
    all.forEach((w) => w.destroy());
  });
});

describe('permessage-deflate over Engine.IO', () => {
  let server, plain;
  const pool = clientPool();
  before(async () => {
    server = await startServer({ env: { PERMESSAGE_DEFLATE: 'true', MAX_PAYLOAD: 200000, RATE_LIMIT_EVENTS: 0 } });
    plain = await startServer();
  });
  after(async () => {
    pool.close();
    await server?.stop();
    await plain?.stop();
  });

  const metrics = async (of = server) => {
    const text = (await request(of.port, 'GET', '/metrics')).body;
    const value = (name) => metricOf(text, `skybuild_${name}`);
    return { messages: value('deflated_messages_total'), in: value('deflate_in_bytes_total'), out: value('deflate_out_bytes_total'), deliveries: value('deliveries_total') };
  };
  const session = (of, headers = OFFER, opts) => new RawWs(of.port, { headers, ...opts }).handshakeDone();
  const big = (n, extra = {}) => ({ project_id: 'proj-123', item_id: 'i', user_id: 'ben', updates: { note: prose(n) }, ...extra });

  it('off by default: declined, RSV1 is a fault', async () => {
    const w = await session(plain);
    assert.doesNotMatch(w.head, /sec-websocket-extensions/i);
    w.send(hello, { opcode: 1, rsv: 4 });
    assert.equal(await w.end(), 1002);
  });

  it('a broadcast is compressed once for all who negotiated it, and goes as it is to the others', async () => {
    const join = async (headers, query) => {
      const w = await (await session(server, headers, { query })).connect({ token: server.token('anna'), projects: ['proj-123'] });
      await w.text('42["joined_project"');
      return w;
    };
    const with_ = await Promise.all(Array.from({ length: 10 }, () => join(OFFER)));
    const narrow = await join({ 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=12' });
    const without = await join({});
    const before = await metrics();
    await server.broadcast('boq-update', big(3000));
    const got = await Promise.all([...with_, narrow, without].map((w) => w.inbox.next((m) => String(m.data).startsWith('42["boq:item:updated"'))));
    assert.deepEqual(got.map((m) => m.rsv), [...Array(11).fill(4), 0]);
    for (const m of got) assert.equal(m.data, got[0].data);
    assert.ok(got[0].sent < 600, `${got[0].sent} bytes on the wire`);
    const after = await metrics();
    assert.equal(after.messages - before.messages, 1);
    assert.equal(after.in - before.in, got[0].data.length);
    assert.equal(after.out - before.out, got[0].sent);
    await server.broadcast('boq-update', big(500));
    const small = await with_[0].inbox.next((m) => String(m.data).startsWith('42["boq:item:updated"'));
    assert.equal(small.rsv, 0);
    assert.equal((await metrics()).messages, after.messages);
    for (const w of [...with_, narrow, without]) w.destroy();
  });

  it('b64=1: the base64 of an attachment-free event is the event, compressed', async () => {
    const w = await (await session(server, OFFER, { query: 'EIO=4&transport=websocket&b64=1' })).connect({ token: server.token('anna'), projects: ['proj-123'] });
    await w.text('42["joined_project"');
    await server.broadcast('boq-update', big(3000));
    assert.equal((await w.inbox.next((m) => String(m.data).startsWith('42["boq:item:updated"'))).rsv, 4);
    w.destroy();
  });

  for (const [name, options] of [
    ['websocket only', { transports: ['websocket'] }],
    ['upgrade', { transports: ['polling', 'websocket'] }],
  ])
    it(`socket.io-client with perMessageDeflate, ${name}: both ways`, async () => {
      const c = await pool.user(server, 'anna', { ...options, perMessageDeflate: { threshold: 0 } });
      if (name === 'upgrade') await c.upgraded();
      const extensions = c.socket.io.engine.transport.ws.extensions;
      assert.match(extensions, /permessage-deflate/);
      await c.ask('join_project', { project_id: 'proj-123' });
      // Every frame of the client is compressed, the acknowledgements come back.
      assert.equal((await c.ask('presence:update', { project_id: 'proj-123', state: { look: prose(800) } })).ok, true);
      const before = await metrics();
      await server.broadcast('boq-update', big(20000));
      const event = await c.event('boq:item:updated');
      assert.equal(event.updates.note, prose(20000));
      assert.equal((await metrics()).messages - before.messages, 1);
      c.close();
    });

  it('the limit counts inflated bytes: 1009, and the others go on', async () => {
    const c = await pool.user(server, 'ben', { project: 'proj-123' });
    const w = await session(server);
    w.send(deflated(`4${'x'.repeat(200000)}`), { opcode: 1, rsv: 4 });
    assert.equal(await w.end(), 1009);
    const v = await session(server);
    v.send(deflated(Buffer.alloc(500 << 20), { level: 9 }).subarray(0, 199999), { opcode: 2, rsv: 4 });
    assert.equal(await v.end(), 1009);
    await c.settle();
    c.close();
  });

  for (const [name, frames, , code] of COMPRESSED.filter((row) => row[3] === 1002 || (row[3] === 1007 && row[1].length === 1)))
    it(`${name}: ${code}`, async () => {
      const w = await session(server);
      for (const [payload, opts] of frames) w.send(payload, opts);
      assert.equal(await w.end(), code);
    });
});

describe('compressed HTTP answers', () => {
  let server, plain;
  before(async () => {
    server = await startServer({ env: { HTTP_COMPRESSION: 'true' } });
    plain = await startServer();
    for (let i = 0; i < 40; i++)
      await server.api('POST', '/api/projects/proj-123/boq', { as: 'anna', body: { code: `${i}`, description: prose(60), unit: 'm3', qty: '1', unit_price: '1', section: '01' } });
  });
  after(async () => {
    await server?.stop();
    await plain?.stop();
  });

  const LIST = '/api/projects/proj-123/boq';
  const get = (of, target, headers = {}, method = 'GET') => request(of.port, method, target, { headers: { authorization: `Bearer ${of.token('anna')}`, ...headers } });
  const opened = { gzip: gunzipSync, deflate: inflateSync };

  for (const [accept, coding] of [
    ['gzip', 'gzip'], ['gzip, deflate, br', 'gzip'], ['deflate', 'deflate'], ['gzip;q=0.5, deflate;q=0.9', 'deflate'], ['*', 'gzip'], ['gzip;q=0, *', 'deflate'],
    [undefined, undefined], ['identity', undefined], ['br', undefined], ['gzip;q=0', undefined], ['identity, gzip;q=0.1', undefined],
  ])
    it(`Accept-Encoding: ${accept}: ${coding ?? 'as it is'}`, async () => {
      const as = await get(server, LIST);
      const res = await get(server, LIST, accept ? { 'accept-encoding': accept } : {});
      assert.equal(res.status, 200);
      assert.equal(res.headers['content-encoding'], coding);
      assert.match(res.headers.vary, /accept-encoding/i);
      assert.equal(Number(res.headers['content-length']), res.raw.length);
      const body = coding ? opened[coding](res.raw) : res.raw;
      assert.ok(body.equals(as.raw));
      if (coding) assert.ok(res.raw.length < as.raw.length / 3);
    });

  it('HEAD says what GET says', async () => {
    for (const accept of ['gzip', 'identity']) {
      const [get_, head] = [await get(server, LIST, { 'accept-encoding': accept }), await get(server, LIST, { 'accept-encoding': accept }, 'HEAD')];
      for (const name of ['content-encoding', 'content-length', 'content-type', 'vary']) assert.equal(head.headers[name], get_.headers[name], name);
      assert.equal(head.raw.length, 0);
    }
  });

  it('files: compressed under a weak tag, which is known again', async () => {
    const plainFile = await get(server, '/socket.io/socket.io.min.js');
    const file = await get(server, '/socket.io/socket.io.min.js', { 'accept-encoding': 'gzip' });
    assert.equal(file.headers['content-encoding'], 'gzip');
    assert.equal(file.headers.etag, `W/${plainFile.headers.etag}`);
    assert.ok(gunzipSync(file.raw).equals(plainFile.raw));
    const known = await get(server, '/socket.io/socket.io.min.js', { 'accept-encoding': 'gzip', 'if-none-match': file.headers.etag });
    assert.equal(known.status, 304);
    assert.match(known.headers.vary, /accept-encoding/i);
    assert.equal(known.headers['content-encoding'], undefined);
  });

  it('small answers and errors go as they are', async () => {
    for (const target of ['/ws/status', '/nothing', '/healthz']) {
      const res = await get(server, target, { 'accept-encoding': 'gzip' });
      assert.equal(res.headers['content-encoding'], undefined);
      assert.ok(res.json);
    }
  });

  it('keep-alive goes on behind a compressed answer', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 5; i++) {
      const res = await request(server.port, 'GET', LIST, { agent, headers: { authorization: `Bearer ${server.token('anna')}`, 'accept-encoding': i % 2 ? 'gzip' : 'deflate' } });
      assert.equal(JSON.parse(opened[i % 2 ? 'gzip' : 'deflate'](res.raw)).items.length, 40);
    }
    agent.destroy();
  });

  it('off by default', async () => {
    const res = await get(plain, '/socket.io/socket.io.min.js', { 'accept-encoding': 'gzip' });
    assert.equal(res.headers['content-encoding'], undefined);
    assert.doesNotMatch(res.headers.vary ?? '', /accept-encoding/i);
  });

  for (const [accept, coding] of [['gzip, deflate', 'gzip'], ['deflate', 'deflate'], ['', undefined]])
    it(`polling with Accept-Encoding: ${accept}: ${coding ?? 'as it is'} from 1,024 bytes on`, async () => {
      const p = await new Polling(server.port, { headers: accept ? { 'accept-encoding': accept } : {} }).open();
      await p.connect({ token: server.token('anna'), projects: ['proj-123'] });
      await p.next('42["joined_project"');
      const event = (n) => server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'i', user_id: 'ben', updates: { note: prose(n) } });
      const skip = async () => {
        for (;;) {
          const res = await p.get();
          const body = res.headers['content-encoding'] ? opened[res.headers['content-encoding']](res.raw).toString() : res.body;
          if (body.startsWith('42["boq:item:updated"')) return { res, body };
        }
      };
      await event(300);
      assert.equal((await skip()).res.headers['content-encoding'], undefined);
      await event(3000);
      const { res, body } = await skip();
      assert.equal(res.headers['content-encoding'], coding);
      assert.ok(body.includes(prose(3000)));
      assert.equal(res.headers['cache-control'], 'no-store');
    });

  it('the counts stand in the metrics', async () => {
    const text = (await get(server, '/metrics')).body;
    const value = (name) => metricOf(text, `skybuild_${name}`);
    assert.ok(value('http_compressed_total') > 10);
    assert.ok(value('http_compress_in_bytes_total') > 2 * value('http_compress_out_bytes_total'));
  });
});
