// Plain Engine.IO on examples/engine_echo: what Engine.IO's own protocol test suite
// checks, in its order, and the neighbours of it; then what only a server without
// Socket.IO on top shows.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import { ENGINE_IO, frame, Polling, RawWs, RS } from './lib/eio.mjs';
import { EngineClient } from './lib/engine.mjs';
import { ROOT, run, SANITIZED, SKYBUILD, startExample } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { sleep, until, within } from './lib/queue.mjs';
import path from 'node:path';

const SLOW = SANITIZED === 'valgrind' ? 6 : 1;
const INTERVAL = 300 * SLOW, TIMEOUT = 200 * SLOW, MAX = 1000000;

let server, calm;
const raws = [];
const ws = (opts = {}, to = server) => (raws.push(new RawWs(to.port, { base: ENGINE_IO, ...opts })), raws.at(-1));
const wsOpen = (opts, to) => ws(opts, to).handshakeDone();
const poll = (to = server) => new Polling(to.port, { base: ENGINE_IO }).open();
const ask = (method, query, opts) => request(server.port, method, `${ENGINE_IO}${query}`, opts);
const echo = async (w, text = '4hello') => {
  w.send(text);
  assert.equal(await w.text('4'), text);
};
const upgrade = async (p, to) => {
  const w = await ws({ sid: p.sid }, to).open();
  w.send('2probe');
  assert.equal(await w.text(), '3probe');
  w.send('5');
  return w;
};

before(async () => {
  server = await startExample('engine_echo', ['--port', '0', '--ping-interval', `${INTERVAL}`, '--ping-timeout', `${TIMEOUT}`, '--max-payload', `${MAX}`]);
  calm = await startExample('engine_echo', ['--port', '0', '--path', '/engine.io/', '--max-payload', '1000']);
});
afterEach(() => raws.splice(0).forEach((raw) => raw.destroy()));
after(async () => {
  await server?.end();
  await calm?.end();
});

describe('protocol suite: handshake', () => {
  const expected = (upgrades) => ({ sid: '', upgrades, pingInterval: INTERVAL, pingTimeout: TIMEOUT, maxPayload: MAX });

  it('HTTP long-polling: the open packet alone, five keys', async () => {
    const res = await ask('GET', '?EIO=4&transport=polling');
    assert.equal(res.status, 200);
    assert.equal(res.body[0], '0');
    const value = JSON.parse(res.body.slice(1));
    assert.equal(typeof value.sid, 'string');
    assert.deepEqual({ ...value, sid: '' }, expected(['websocket']));
    assert.deepEqual(Object.keys(value), ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
  });

  it('WebSocket: five keys, no upgrades', async () => {
    const w = await wsOpen();
    assert.deepEqual({ ...w.handshake, sid: '' }, expected([]));
  });

  for (const query of ['?transport=polling', '?EIO=abc&transport=polling', '?EIO=4', '?EIO=4&transport=abc'])
    it(`GET ${query}: 400`, async () => assert.equal((await ask('GET', query)).status, 400));
  for (const method of ['POST', 'PUT'])
    it(`${method} without sid: 400`, async () => assert.equal((await ask(method, '?EIO=4&transport=polling', { body: '' })).status, 400));
  for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc'])
    it(`WebSocket ?${query}: closed`, async () => {
      const w = ws({ query });
      await w.end();
      assert.equal(w.status, 400);
    });

  it('CORS: any origin', async () => {
    const res = await ask('GET', '?EIO=4&transport=polling', { headers: { origin: 'http://elsewhere.example' } });
    assert.equal(res.status, 200);
    assert.equal(res.headers['access-control-allow-origin'], '*');
    const pre = await ask('OPTIONS', '?EIO=4&transport=polling', { headers: { origin: 'http://elsewhere.example', 'access-control-request-method': 'POST' } });
    assert.equal(pre.status, 204);
    assert.equal(pre.headers['access-control-allow-origin'], '*');
  });
});

describe('protocol suite: message', () => {
  for (const [name, body] of [
    ['one text packet', '4hello'],
    ['several text packets', ['4test1', '4test2', '4test3'].join(RS)],
    ['text and binary packets', ['4hello', 'bAQIDBA=='].join(RS)],
    ['binary packets alone', ['bAQIDBA==', 'b', 'bAA=='].join(RS)],
    ['an empty text', ['4', '4after'].join(RS)],
  ])
    it(`long-polling: ${name}`, async () => {
      const p = await poll();
      const sent = await p.post(body);
      assert.equal(sent.status, 200);
      assert.equal(sent.body, 'ok');
      const got = await p.get();
      assert.equal(got.status, 200);
      assert.equal(got.body, body);
    });

  it('long-polling: an invalid packet closes the session', async () => {
    const p = await poll();
    const sent = await p.post('abc').catch(() => ({ status: 400 }));
    assert.equal(sent.status, 400);
    assert.equal((await p.get()).status, 400);
  });

  it('long-polling: two GETs 5 ms apart close the session', async () => {
    const p = await poll();
    const [first, second] = await Promise.all([p.get(), sleep(5).then(() => p.get())]);
    // Which of the two comes first is the network's business.
    const [held, late] = first.status === 200 ? [first, second] : [second, first];
    assert.equal(held.body, '1');
    assert.equal(late.status, 400);
    assert.equal((await p.get()).status, 400);
  });

  it('WebSocket: text and binary', async () => {
    const w = await wsOpen();
    await echo(w);
    await echo(w, '4ñ€😀');
    await echo(w, '4');
    for (const data of [Buffer.from([1, 2, 3, 4]), Buffer.alloc(0), Buffer.alloc(70000, 7)]) {
      w.send(data);
      assert.ok((await w.binary()).equals(data));
    }
  });

  it('WebSocket: b64=1 gets binary as text', async () => {
    const w = await wsOpen({ query: 'EIO=4&transport=websocket&b64=1' });
    w.send(Buffer.from([1, 2, 3, 4]));
    assert.equal(await w.text('b'), 'bAQIDBA==');
    w.send('bAQIDBA==');
    assert.equal(await w.text('b'), 'bAQIDBA==');
  });

  it('WebSocket: an invalid packet closes', async () => {
    const w = await wsOpen();
    w.send('abc');
    assert.equal(await w.end(), 1005);
  });
});

describe('protocol suite: heartbeat', () => {
  it('long-polling: three rounds', async () => {
    const p = await poll();
    for (let i = 0; i < 3; i++) {
      assert.equal((await p.get()).body, '2');
      assert.equal((await p.post('3')).status, 200);
    }
  });

  it('WebSocket: three rounds', async () => {
    const w = await wsOpen();
    for (let i = 0; i < 3; i++) {
      assert.equal(await w.text(), '2');
      w.send('3');
    }
  });

  it('long-polling: no pong, closed', async () => {
    const p = await poll();
    await sleep(INTERVAL + TIMEOUT + 150 * SLOW);
    assert.equal((await p.get()).status, 400);
  });

  it('WebSocket: no pong, closed', async () => {
    const w = await wsOpen();
    const begun = Date.now();
    await w.end();
    assert.ok(Date.now() - begun > (INTERVAL + TIMEOUT) * 0.7);
  });
});

describe('protocol suite: close', () => {
  it('long-polling: "1" beside a pending GET: it gets 6', async () => {
    for (let i = 0; i < 10; i++) {
      const p = await poll();
      const [got, sent] = await Promise.all([p.get(), p.post('1')]);
      assert.equal(sent.status, 200);
      assert.equal(got.status, 200);
      assert.equal(got.body, '6');
      assert.equal((await p.get()).status, 400);
    }
  });

  it('WebSocket: "1" closes', async () => {
    const w = await wsOpen();
    const begun = Date.now();
    w.send('1');
    await w.end();
    assert.ok(Date.now() - begun < INTERVAL);
  });
});

describe('protocol suite: upgrade', () => {
  it('a poll behind 3probe gets exactly 6, then the WebSocket works', async () => {
    const p = await poll(calm); // no ping may come between
    const w = await ws({ sid: p.sid }, calm).open();
    w.send('2probe');
    assert.equal(await w.text(), '3probe');
    const got = await p.get();
    assert.equal(got.status, 200);
    assert.equal(got.body, '6');
    w.send('5');
    await echo(w);
  });

  it('the old sid over polling: 400, the WebSocket goes on', async () => {
    const p = await poll();
    const w = await ws({ sid: p.sid }).open();
    w.send('2probe').send('5');
    assert.equal(await w.text(), '3probe');
    assert.equal((await p.get()).status, 400);
    await echo(w);
  });

  it('a second WebSocket is closed, the first goes on', async () => {
    const p = await poll();
    const w = await ws({ sid: p.sid }).open();
    w.send('2probe').send('5');
    assert.equal(await w.text(), '3probe');
    await ws({ sid: p.sid }).end();
    await echo(w);
  });
});

// Debian's python3-engineio comes with python3-socketio.
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
let noPython = false;
try {
  execFileSync(PYTHON, ['-c', 'import engineio, websocket, requests'], { stdio: 'ignore' });
} catch {
  noPython = `${PYTHON} has no engineio: install python3-socketio (scripts/setup test)`;
}

describe('python-engineio client', { skip: noPython }, () => {
  for (const transport of ['polling', 'websocket', 'upgrade'])
    it(`${transport}: text and binary come back in order`, async () => {
      const env = { ENGINE_URL: server.url, ENGINE_TRANSPORT: transport, PYTHONDONTWRITEBYTECODE: '1' };
      const got = await run(PYTHON, [path.join(ROOT, 'tests/server/python/engine.py')], { env, timeout: 30000 });
      assert.equal(got.code, 0, got.stdout + got.stderr);
      assert.equal(got.stdout.trim(), 'ok');
    });
});

describe('docs/guide/engine.md', () => {
  const guide = readFileSync(path.join(ROOT, 'docs/guide/engine.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```c\n(.*?)^```/gms)].map((m) => m[1]);

  it('shows examples/engine_echo.c as it is', () => {
    const source = readFileSync(path.join(ROOT, 'examples/engine_echo.c'), 'utf8');
    const code = source.slice(source.indexOf('*/') + 3);
    assert.ok(blocks.includes(code), 'the first block is the example without its head comment');
  });

  it('its other pieces of C compile', async () => {
    const pieces = blocks.filter((b) => !b.includes('int main('));
    assert.ok(pieces.length >= 5);
    const includes = ['engine', 'handshake', 'server', 'work'].map((h) => `#include <sio/${h}.h>\n`).join('');
    const code = `#include <stdlib.h>\n#include <stdio.h>\n${includes}${pieces.join('\n')}`;
    const got = await run('gcc', ['-x', 'c', '-std=c17', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-Wno-unused-function', `-I${path.join(ROOT, 'include')}`, '-'], { input: code });
    assert.equal(got.code, 0, got.stderr);
  });
});

describe('plain Engine.IO', () => {
  it('nothing is sent by itself', async () => {
    const w = await wsOpen({}, calm);
    await sleep(100);
    assert.deepEqual(w.inbox.items, []);
  });

  it('Socket.IO packets are messages like any other', async () => {
    const w = await wsOpen({}, calm);
    await echo(w, '40');
    await echo(w, '42["event"]');
    const p = await poll(calm);
    await p.post('40/nowhere,');
    assert.equal(await p.next('4'), '40/nowhere,');
  });

  it('the path: with and without its last slash, and nothing else', async () => {
    for (const [url, status] of [
      ['/engine.io/', 200],
      ['/engine.io', 200],
      ['/engine.io//', 404],
      ['/engine.io/x', 404],
      ['/engine.iox', 404],
      ['/Engine.io/', 404],
      ['/socket.io/', 404],
      ['/', 404],
    ])
      assert.equal((await request(calm.port, 'GET', `${url}?EIO=4&transport=polling`)).status, status, url);
  });

  it('what was queued comes over the WebSocket after an upgrade, in order', async () => {
    const p = await poll(calm);
    await p.post(Array.from({ length: 20 }, (_, i) => `4a${i}`).join(RS));
    const w = await upgrade(p, calm);
    for (let i = 0; i < 20; i++) w.send(i % 2 ? Buffer.from([i]) : `4b${i}`);
    for (let i = 0; i < 20; i++) assert.equal(await w.text('4'), `4a${i}`);
    for (let i = 0; i < 20; i++)
      if (i % 2) assert.deepEqual(await w.binary(), Buffer.from([i]));
      else assert.equal(await w.text('4'), `4b${i}`);
  });

  it('binary that waits over an upgrade to a b64 WebSocket comes as text', async () => {
    const p = await poll(calm);
    await p.post('bAQIDBA==');
    const w = await ws({ sid: p.sid, query: 'EIO=4&transport=websocket&b64=1' }, calm).open();
    w.send('2probe').send('5');
    assert.equal(await w.text('b'), 'bAQIDBA==');
  });

  it('a text with the byte 0x1e: a WebSocket carries it', async () => {
    const w = await wsOpen({}, calm);
    await echo(w, '4a\x1eb');
  });

  it('bytes over the limit: 413 with an empty body, 1009 with an empty reason', async () => {
    const p = await poll(calm);
    const res = await p.post('4' + 'x'.repeat(1000));
    assert.equal(res.status, 413);
    assert.equal(res.body, '');
    const w = await wsOpen({}, calm);
    w.send('4' + 'x'.repeat(1000));
    assert.equal(await w.end(), 1009);
    assert.equal(w.closeReason, '');
  });

  it('a body that says it is octet-stream: 400', async () => {
    const p = await poll(calm);
    assert.equal((await p.post('4x', { headers: { 'content-type': 'application/octet-stream' } })).status, 400);
  });

  it('a thousand messages in one turn come back in order', async () => {
    const w = await wsOpen({}, calm);
    w.write(Buffer.concat(Array.from({ length: 1000 }, (_, i) => frame(`4${i}`))));
    for (let i = 0; i < 1000; i++) assert.equal(await w.text('4'), `4${i}`);
  });

  it('a client that reads nothing is cut, others go on', async () => {
    const deaf = http.get({ port: calm.port, path: `${ENGINE_IO}?EIO=4&transport=websocket`, headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
    const tcp = await new Promise((resolve, reject) => deaf.on('upgrade', (res, socket) => resolve(socket)).on('error', reject));
    tcp.on('error', () => {});
    tcp.pause();
    let gone = false;
    tcp.on('close', () => (gone = true));
    const burst = Buffer.concat(Array.from({ length: 200 }, () => frame('4' + 'x'.repeat(900))));
    const begun = Date.now();
    while (!gone && !tcp.writableNeedDrain && Date.now() - begun < 5000) tcp.write(burst), await sleep(1);
    const other = await wsOpen({}, calm);
    for (let i = 0; i < 200 && !gone; i++) {
      await echo(other, `4${i}`);
      if (!tcp.destroyed && !tcp.writableNeedDrain) tcp.write(burst);
      await sleep(5);
    }
    tcp.resume(); // only now does it see that it was cut
    await until(() => gone, 'the connection was cut');
  });

  it('the server ends: clients are closed, exit code 0', async () => {
    const mine = await startExample('engine_echo', ['--port', '0']);
    const p = await new Polling(mine.port, { base: ENGINE_IO }).open();
    const w = await wsOpen({}, mine);
    const pending = p.get();
    await sleep(30); // nothing tells when the GET has arrived
    await mine.end();
    assert.equal((await pending).body, '1');
    assert.equal(await w.end(), 1005);
  });

  it('a server that stops answering: the stock client closes with "ping timeout"', async () => {
    const mine = await startExample('engine_echo', ['--port', '0', '--ping-interval', '300', '--ping-timeout', '200']);
    const c = new EngineClient(mine.url, { transports: ['websocket'] });
    await c.opened();
    mine.child.kill('SIGSTOP');
    const [reason] = await within(c.event('close'), 4000, 'close').finally(() => mine.child.kill('SIGCONT'));
    assert.equal(reason, 'ping timeout');
    await mine.end();
  });

  it('an unknown option: the usage, and exit code 2', async () => {
    const got = await run(path.join(path.dirname(SKYBUILD), 'examples', 'engine_echo'), ['--bogus', '1']);
    assert.equal(got.code, 2);
    assert.match(got.stderr, /--max-payload/);
  });
});
