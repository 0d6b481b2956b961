// Engine.IO v4 on the wire: what the official suites check, and
// the neighbours of it.  Runs against libsio's echo server; TARGET=reference runs
// it against Node's own server, and skips what we decided to do better.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { describe, it } from 'node:test';
import { VERSIONS } from './lib/clients.mjs';
import { MAX, SLOW, INTERVAL, TIMEOUT, ours, quick, calm, pool, ws, wsOpen, wsConnected, poll, works, wsWorks } from './lib/echo.mjs';
import { frame, RS } from './lib/eio.mjs';
import { REFERENCE } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { sleep, until } from './lib/queue.mjs';

describe('Engine.IO handshake', () => {
  it('polling: exactly the five keys', async () => {
    const p = await poll();
    assert.deepEqual(Object.keys(p.handshake), ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
    assert.equal(typeof p.handshake.sid, 'string');
    assert.deepEqual({ ...p.handshake, sid: 0 }, { sid: 0, upgrades: ['websocket'], pingInterval: 60000, pingTimeout: 20000, maxPayload: MAX });
    assert.match(p.opened.headers['content-type'], /^text\/plain; charset=UTF-8$/i);
    assert.equal(p.opened.headers['cache-control'], 'no-store');
  });

  it('websocket: exactly the five keys, no upgrades', async () => {
    const w = await wsOpen();
    assert.deepEqual({ ...w.handshake, sid: 0 }, { sid: 0, upgrades: [], pingInterval: 60000, pingTimeout: 20000, maxPayload: MAX });
  });

  it('session ids are 20 URL-safe characters, never twice', async () => {
    const seen = new Set();
    for (let i = 0; i < 50; i++) seen.add((await poll()).sid);
    assert.equal(seen.size, 50);
    for (const sid of seen) assert.match(sid, /^[A-Za-z0-9_-]{20}$/);
  });

  // method, query, code, message
  for (const [method, query, code, message] of [
    ['GET', '', 0, 'Transport unknown'],
    ['GET', 'EIO=4', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=abc', 0, 'Transport unknown'],
    ['GET', 'EIO=3&transport=abc', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=webtransport', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=__proto__', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=polling&sid=nobody', 1, 'Session ID unknown'],
    ['GET', 'EIO=4&transport=polling&sid=__proto__', 1, 'Session ID unknown'],
    ['POST', 'EIO=4&transport=polling&sid=nobody', 1, 'Session ID unknown'],
    ['POST', 'EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['PUT', 'EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['GET', 'EIO=4&transport=websocket', 3, 'Bad request'],
    ['GET', 'transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=3&transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=5&transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=abc&transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=04&transport=polling', 5, 'Unsupported protocol version'],
  ])
    it(`${method} ?${query}: 400, code ${code}`, async () => {
      const res = await request(calm.port, method, `/socket.io/?${query}`, { body: method === 'GET' ? undefined : 'x' });
      assert.equal(res.status, 400);
      assert.match(res.headers['content-type'], /^application\/json/);
      assert.equal(res.body, `{"code":${code},"message":"${message}"}`);
    });

  for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc'])
    it(`WebSocket ?${query}: refused`, async () => {
      const w = ws({ query });
      await w.end();
      if (!REFERENCE) assert.equal(w.status, 400);
      else assert.notEqual(w.handshake, 'given');
    });

  it('an empty sid counts as none', async () => {
    const res = await request(calm.port, 'GET', '/socket.io/?EIO=4&transport=polling&sid=');
    assert.equal(res.status, 200);
  });

  ours('the path without its last slash', async () => {
    const res = await request(calm.port, 'GET', '/socket.io?EIO=4&transport=polling');
    assert.equal(res.status, 200);
  });

  ours('transport=websocket on a WebSocket session without upgrade: 400, code 3', async () => {
    const w = await wsOpen();
    const res = await request(calm.port, 'GET', `/socket.io/?EIO=4&transport=websocket&sid=${w.sid}`);
    assert.equal(res.status, 400);
    assert.equal(res.json.code, 3);
    await w.connect();
    await wsWorks(w);
  });

  it('transport=websocket on a polling session without upgrade: 400, code 3', async () => {
    const p = await poll();
    const res = await request(calm.port, 'GET', `/socket.io/?EIO=4&transport=websocket&sid=${p.sid}`);
    assert.equal(res.status, 400);
    assert.equal(res.json.code, 3);
  });
});

describe('Engine.IO polling', () => {
  it('one packet, several packets, binary: in order, in one answer', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const res = await p.post(['42["message",1]', '42["message","zwei ñ€😀"]', '451-["message",{"_placeholder":true,"num":0}]', 'bAQIDBA=='].join(RS));
    assert.equal(res.status, 200);
    assert.equal(res.body, 'ok');
    assert.match(res.headers['content-type'], /^text\/html/);
    const answer = await p.get();
    assert.match(answer.headers['content-type'], /^text\/plain; charset=UTF-8$/i);
    assert.equal(
      answer.body,
      ['42["message-back",1]', '42["message-back","zwei ñ€😀"]', '451-["message-back",{"_placeholder":true,"num":0}]', 'bAQIDBA=='].join(RS),
    );
  });

  it('a pending GET is answered when something comes', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const pending = p.get();
    await p.post('42["message","now"]');
    assert.equal((await pending).body, '42["message-back","now"]');
  });

  it('a chunked POST', async () => {
    const p = await poll();
    const res = await p.post('40', { headers: { 'transfer-encoding': 'chunked' } });
    assert.equal(res.status, 200);
    assert.match(await p.next('40'), /^40\{"sid":"/);
  });

  it('an invalid packet: 400, then the session is gone', async () => {
    const p = await poll();
    const res = await p.post('abc').catch(() => ({ status: 400 }));
    if (!REFERENCE) assert.equal(res.status, 400);
    assert.equal((await p.get()).status, 400);
  });

  it('a second GET at the same time: 400, and the session is closed', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const first = p.get();
    await sleep(30); // nothing tells when the first GET has arrived
    const second = await p.get();
    assert.ok([400, 500].includes(second.status), `status ${second.status}`);
    assert.equal((await first).body, '1');
    assert.equal((await p.get()).status, 400);
  });

  it('a second POST while one is being read: 400, and the session is closed', async () => {
    const p = await (await poll()).connect();
    const slow = http.request({ port: calm.port, host: '127.0.0.1', method: 'POST', path: p.path(), headers: { 'content-length': 20 } });
    slow.on('error', () => {});
    slow.write('42["mes');
    await sleep(50); // nothing tells when the first POST has begun
    const second = await p.post('3');
    assert.equal(second.status, 400);
    assert.ok(await p.isGone());
    slow.destroy();
  });

  it('GET 200 and "6" for the pending one when the client sends "1", then 400', async () => {
    const p = await poll();
    const [got, sent] = await Promise.all([p.get(), p.post('1')]);
    assert.equal(sent.body, 'ok');
    assert.equal(got.status, 200);
    assert.equal(got.body, '6');
    assert.equal((await p.get()).status, 400);
  });

  it('"1" inside a payload: what stands behind it is ignored', async () => {
    const p = await (await poll()).connect();
    const res = await p.post(`1${RS}42["message",1]`);
    assert.equal(res.status, 200);
    assert.ok(await p.isGone());
  });

  it('a body of exactly maxPayload passes', async () => {
    const p = await (await poll()).connect();
    const text = 'x'.repeat(MAX - '421["message-with-ack",""]'.length);
    const body = `421["message-with-ack","${text}"]`;
    assert.equal(body.length, MAX);
    assert.equal((await p.post(body)).status, 200);
    const back = await p.next('431');
    assert.equal(back.length, '431[""]'.length + text.length);
  });

  for (const chunked of [false, true])
    it(`one byte over maxPayload: 413 (${chunked ? 'chunked' : 'content-length'})`, async () => {
      const p = await (await poll()).connect();
      const body = `421["message-with-ack","${'x'.repeat(MAX + 1 - '421["message-with-ack",""]'.length)}"]`;
      assert.equal(body.length, MAX + 1);
      const res = await p.post(body, chunked ? { headers: { 'transfer-encoding': 'chunked' } } : {}).catch((e) => ({ status: e.code }));
      assert.ok([413, 'EPIPE', 'ECONNRESET'].includes(res.status), `status ${res.status}`);
      if (!REFERENCE) assert.ok(await p.isGone(), 'closed by decision');
    });

  it('application/octet-stream: 400, closed', async () => {
    const p = await poll();
    assert.equal((await p.post('40', { headers: { 'content-type': 'application/octet-stream' } })).status, 400);
    assert.ok(await p.isGone());
  });

  it('a client that drops its pending GET is gone', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const req = http.get({ port: calm.port, host: '127.0.0.1', path: p.path(), agent: false });
    req.on('error', () => {});
    await new Promise((r) => req.once('socket', (s) => s.once('connect', r)));
    await sleep(30); // the request must have arrived before it is dropped
    req.destroy();
    await until(() => p.isGone(), 'the session is gone');
  });

  it('many messages in one POST come back complete and in order', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    await p.post(Array.from({ length: 500 }, (_, i) => `42["message",${i}]`).join(RS));
    for (let i = 0; i < 500; i++) assert.equal(await p.packet(), `42["message-back",${i}]`);
  });
});

describe('Engine.IO websocket', () => {
  it('text and binary', async () => {
    const w = await wsConnected();
    w.send('42["message","hällo"]');
    assert.equal(await w.text('42["message-back"'), '42["message-back","hällo"]');
    w.send('451-["message",{"_placeholder":true,"num":0}]').send(Buffer.from([1, 2, 3, 4]));
    assert.equal(await w.text('451-'), '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual(await w.binary(), Buffer.from([1, 2, 3, 4]));
  });

  it('base64 text is read as binary', async () => {
    const w = await wsConnected();
    w.send('451-["message",{"_placeholder":true,"num":0}]').send('bAQIDBA==');
    await w.text('451-');
    assert.deepEqual(await w.binary(), Buffer.from([1, 2, 3, 4]));
  });

  it('b64=1: binary is sent as text', async () => {
    const w = await (await wsOpen({ query: 'EIO=4&transport=websocket&b64=1' })).connect();
    w.send('451-["message",{"_placeholder":true,"num":0}]').send(Buffer.from([1, 2, 3, 4]));
    await w.text('451-');
    assert.equal(await w.text('b'), 'bAQIDBA==');
  });

  it('text abc closes', async () => {
    const w = await wsOpen();
    w.send('abc');
    await w.end();
  });

  ours('"1" closes', async () => {
    const w = await wsOpen();
    w.send('1');
    await w.end();
  });

  it('a fragmented message with a ping between its parts', async () => {
    const w = await wsConnected();
    w.send('42["mess', { fin: false }).send('middle', { opcode: 9 }).send('age",', { opcode: 0, fin: false }).send('"whole"]', { opcode: 0 });
    assert.equal((await w.control(10)).toString(), 'middle');
    assert.equal(await w.text('42["message-back"'), '42["message-back","whole"]');
  });

  it('exactly maxPayload passes, in one frame and in fragments', async () => {
    const w = await wsConnected();
    const head = '421["message-with-ack","';
    const body = `${head}${'x'.repeat(MAX - head.length - 2)}"]`;
    w.send(body);
    assert.ok((await w.text('431')).length > MAX - 100);
    for (let at = 0; at < MAX; at += 250000) w.send(body.slice(at, at + 250000), { opcode: at ? 0 : 1, fin: at + 250000 >= MAX });
    assert.ok((await w.text('431')).length > MAX - 100);
  });

  for (const fragments of [1, 5])
    it(`one byte over maxPayload in ${fragments} frame(s): 1009`, async () => {
      const w = await wsConnected();
      const size = (MAX + 1 - 1) / fragments;
      for (let i = 0; i < fragments; i++) w.send('x'.repeat(size + (i ? 0 : 1)), { opcode: i ? 0 : 1, fin: i === fragments - 1 });
      assert.equal(await w.end(), 1009);
    });

  it('a binary message of exactly maxPayload comes back', async () => {
    const w = await wsConnected();
    const data = randomBytes(MAX);
    w.send('451-["message",{"_placeholder":true,"num":0}]').send(data);
    assert.ok((await w.binary()).equals(data));
  });

  ours('frames in the segment of the handshake are parsed', async () => {
    const w = ws({ tail: frame('40') });
    await w.handshakeDone();
    assert.match(await w.text('40'), /^40\{"sid"/);
  });

  it('one byte at a time', async () => {
    const w = await wsConnected();
    for (const byte of frame('421["message-with-ack","slow"]')) {
      w.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    assert.equal(await w.text('431'), '431["slow"]');
  });

  it('a close frame is answered, then the connection ends', async () => {
    const w = await wsConnected();
    w.send(Buffer.from([0x03, 0xe8]), { opcode: 8 });
    assert.ok([1000, 1005].includes(await w.end()));
  });

  it('the old key of RFC 6455 and any subprotocol are no obstacle', async () => {
    const w = ws({ headers: { 'Sec-WebSocket-Protocol': 'chat, superchat' } });
    await w.open();
  });
});

describe('heartbeat', () => {
  it('polling: three rounds', async () => {
    const p = await poll(quick);
    await p.connect();
    for (let i = 0; i < 3; ) {
      const { body } = await p.get();
      if (body.split(RS).includes('2')) {
        i++;
        assert.equal((await p.post('3')).status, 200);
      }
    }
  });

  it('websocket: three rounds, one interval apart', async () => {
    const w = await wsConnected(undefined, quick);
    let last = Date.now();
    for (let i = 0; i < 3; i++) {
      assert.equal(await w.text('2'), '2');
      const now = Date.now();
      if (i) assert.ok(now - last >= INTERVAL * 0.8, `${now - last} ms`);
      last = now;
      w.send('3');
    }
  });

  it('polling: no pong, the session is closed', async () => {
    const p = await poll(quick);
    await p.connect();
    const begun = Date.now();
    await until(async () => (await p.get()).status === 400, 'the sid is unknown', { every: 1 });
    assert.ok(Date.now() - begun < (INTERVAL + TIMEOUT) * 4);
  });

  it('websocket: no pong, closed after interval and timeout', async () => {
    const w = await wsConnected(undefined, quick);
    const begun = Date.now();
    await w.end();
    const took = Date.now() - begun;
    assert.ok(took > (INTERVAL + TIMEOUT) * 0.7 && took < (INTERVAL + TIMEOUT) * 4, `${took} ms`);
  });

  it('a ping from the client closes the session', async () => {
    const w = await wsConnected();
    w.send('2');
    await w.end();
    const p = await poll();
    await p.post('2');
    assert.ok(await p.isGone());
  });

  it('an unasked pong is no error', async () => {
    const w = await wsConnected();
    w.send('3').send('3');
    await wsWorks(w);
  });

  it('no namespace within the connect time-out: closed', async () => {
    const w = await wsOpen({}, quick);
    const answering = (async () => {
      for (;;) {
        await w.text('2');
        w.send('3');
      }
    })().catch(() => {});
    const begun = Date.now();
    await w.end();
    await answering;
    assert.ok(Date.now() - begun >= 700 * SLOW);
  });

  it('a connected session outlives the connect time-out', async () => {
    const w = await wsConnected(undefined, quick);
    const begun = Date.now();
    while (Date.now() - begun < 1400 * SLOW) {
      await w.text('2');
      w.send('3');
    }
    await wsWorks(w);
  });
});

describe('upgrade', () => {
  const probe = async (p, server) => {
    const w = await ws({ sid: p.sid }, server).open();
    w.send('2probe');
    assert.equal(await w.text('3'), '3probe');
    return w;
  };
  const upgraded = async (server) => {
    const p = await (await poll(server)).connect();
    await p.next('42["auth"');
    const w = await probe(p, server);
    w.send('5');
    return { p, w };
  };

  it('the normal course, with a noop for the pending GET', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await probe(p);
    assert.equal((await p.get()).body, '6');
    w.send('5');
    await wsWorks(w);
  });

  it('2probe and 5 without waiting', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await ws({ sid: p.sid }).open();
    w.send('2probe').send('5');
    assert.equal(await w.text(), '3probe');
    await wsWorks(w);
  });

  it('polling after the upgrade: 400 code 3, the session goes on', async () => {
    const { p, w } = await upgraded();
    await wsWorks(w);
    const res = await p.get();
    assert.equal(res.status, 400);
    assert.equal(res.json.code, 3);
    assert.equal((await p.post('3')).status, 400);
    await wsWorks(w, 8);
  });

  it('a second WebSocket, while probing and after it, is closed; the first goes on', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await probe(p);
    await ws({ sid: p.sid }).end();
    w.send('5');
    await wsWorks(w);
    await ws({ sid: p.sid }).end();
    await wsWorks(w, 8);
  });

  it('5 without a probe completes it', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await ws({ sid: p.sid }).open();
    w.send('5');
    await wsWorks(w);
  });

  it('another packet on the probing WebSocket: closed, the session polls on', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await ws({ sid: p.sid }).open();
    w.send('42["message",1]');
    await w.end();
    await works(p);
  });

  it('a probe that goes no further: closed after the upgrade time-out, the session polls on', async () => {
    const p = await (await poll(quick)).connect();
    const w = await probe(p, quick);
    const answering = (async () => {
      while (!w.inbox.ended) if ((await p.get()).body.split(RS).includes('2')) await p.post('3');
    })();
    await w.end();
    await answering;
    await works(p);
    const again = await probe(p, quick);
    again.send('5');
    await wsWorks(again, 9);
  });

  it('the probing WebSocket breaks: the session polls on', async () => {
    const p = await (await poll()).connect();
    const w = await probe(p);
    w.destroy();
    await works(p);
  });

  it('the probe repeated is answered again', async () => {
    const p = await (await poll()).connect();
    const w = await probe(p);
    w.send('2probe');
    assert.equal(await w.text('3'), '3probe');
    w.send('5');
    await wsWorks(w);
  });

  ours('a GET still pending when 5 arrives is answered 6', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await ws({ sid: p.sid }).open();
    const pending = p.get();
    await sleep(30); // nothing tells when the GET has arrived
    w.send('5');
    assert.equal((await pending).body, '6');
    await wsWorks(w);
  });

  ours('a POST in progress when 5 arrives is read and delivered', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    const w = await probe(p);
    const body = '421["message-with-ack","late"]';
    const answer = new Promise((resolve, reject) => {
      const slow = http.request({ port: calm.port, host: '127.0.0.1', method: 'POST', path: p.path(), headers: { 'content-length': body.length }, agent: false }, (res) => {
        res.resume();
        res.on('end', () => resolve(res.statusCode));
      });
      slow.on('error', reject);
      slow.write(body.slice(0, 10));
      setTimeout(() => w.send('5'), 30); // the POST's first part must have arrived
      setTimeout(() => slow.end(body.slice(10)), 60);
    });
    assert.equal(await answer, 200);
    assert.equal(await w.text('431'), '431["late"]');
  });

  it('what was queued before it comes on the WebSocket, in order', async () => {
    for (let round = 0; round < 10; round++) {
      const p = await (await poll()).connect();
      await p.next('42["auth"');
      await p.post('42["burst",100]');
      const got = [];
      const w = await probe(p);
      if (round % 2) got.push(...(await p.get()).body.split(RS).filter((x) => x.startsWith('42')));
      w.send('5').send('42["burst",3]');
      while (got.length < 103) got.push(await w.text('42["tick"'));
      assert.deepEqual(got, [...Array(100).keys(), 0, 1, 2].map((i) => `42["tick",${i}]`));
      w.destroy();
    }
  });

  for (const [version, create] of VERSIONS)
    it(`client ${version}: order of 600 messages both ways across the upgrade`, async () => {
      for (let round = 0; round < 3; round++) {
        const c = pool.open(calm.url, { transports: ['polling', 'websocket'] }, create);
        await c.connected();
        const got = [];
        c.socket.on('message-back', (i) => got.push(i));
        for (let i = 0; i < 600; i++) {
          c.emit('message', i);
          if (i % 20 === 0) await new Promise(setImmediate);
        }
        await c.upgraded();
        await until(() => got.length >= 600, 'all 600');
        assert.deepEqual(got, [...Array(600).keys()]);
        c.close();
      }
    });

  it('WebSocket for an unknown sid: 400', async () => {
    const w = ws({ sid: 'nobody' });
    await w.end();
    assert.equal(w.status, 400);
  });
});
