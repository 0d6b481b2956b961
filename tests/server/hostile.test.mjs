// What a stranger may send as Engine.IO, Socket.IO and in its handshakes, as tables; HTTP is in
// hostile-http, namespaces made by a parent in hostile-namespaces.  After each case the server
// lives, and another session that was there before goes on unharmed.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { MAX, withBystander } from './lib/bystander.mjs';
import { frame, Polling, RawWs, RS, tcpTalk } from './lib/eio.mjs';
import { startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { Queue, sleep, until } from './lib/queue.mjs';

let server, bystander;
const { hostile, pool } = withBystander((given) => ({ server, bystander } = given));

describe('Engine.IO', () => {
  const open = () => new Polling(server.port).open();
  const connected = async () => (await open()).connect({ token: server.token('anna') });

  hostile('a sid of 20 KiB', async () => {
    const res = await tcpTalk(server.port, `GET /socket.io/?EIO=4&transport=polling&sid=${'a'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`, { quiet: 1000 });
    assert.ok([400, 414, 431].includes(res.status));
  });

  for (const [name, body] of [
    ['an empty body', ''],
    ['empty packets', RS.repeat(3)],
    ['100 KB of separators', RS.repeat(MAX)],
    ['type 7', '7'],
    ['type 9', '9'],
    ['type x', 'x'],
    ['a control byte', '\x01'],
    ['bad base64', 'b!!!!'],
    ['wrong padding', 'bAQ='],
    ['one character of base64', 'bA'],
    ['NUL in base64', 'bAQID\0AQI'],
    ['invalid UTF-8', Buffer.from([0x34, 0x32, 0x5b, 0xff, 0xfe, 0x5d])],
    ['overlong UTF-8', Buffer.from([0x34, 0x32, 0x5b, 0x22, 0xc0, 0xaf, 0x22, 0x5d])],
    ['a surrogate in UTF-8', Buffer.from([0x34, 0x32, 0x5b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x5d])],
    ['binary that nobody announced', 'bAQIDBA=='],
    ['a ping', '2'],
    ['a ping probe', '2probe'],
  ])
    hostile(`POST ${name}: the session is closed`, async () => {
      const p = await connected();
      const begun = Date.now();
      const res = await p.post(body).catch(() => ({ status: 400 }));
      assert.ok([200, 400, 413].includes(res.status), `status ${res.status}`);
      assert.ok(await p.isGone());
      assert.ok(Date.now() - begun < 2000, 'in linear time');
    });

  for (const packet of ['0{"sid":"x"}', '5', '6', '3', '3probe'])
    hostile(`POST ${packet}: ignored or closed, never more`, async () => {
      const p = await connected();
      const res = await p.post(packet);
      assert.ok([200, 400].includes(res.status));
    });

  for (const method of ['PUT', 'DELETE', 'PATCH'])
    hostile(`${method} with a sid: refused`, async () => {
      const p = await connected();
      const res = await request(server.port, method, p.path(), { body: 'x' });
      assert.ok([400, 405].includes(res.status), `${res.status}`);
    });

  hostile('a lone surrogate in JSON is passed on as it was, valid UTF-8', async () => {
    const anna = await pool.user(server, 'anna', { project: 'proj-123' });
    const p = await new Polling(server.port).open();
    await p.connect({ token: server.token('eve'), projects: ['proj-123'] });
    await p.post('42["cursor:move",{"project_id":"proj-123","cursor":"\\ud800"}]');
    const got = await anna.event('cursor:moved');
    assert.equal(got.user_id, 'eve');
    anna.close();
  });

  hostile('JSONP is not spoken', async () => {
    const res = await request(server.port, 'GET', '/socket.io/?EIO=4&transport=polling&j=0;alert(1)//');
    assert.ok(!res.body.includes('alert'));
  });

  // headers of the upgrade, statuses
  for (const [name, opts, statuses] of [
    ['Upgrade: h2c', { headers: { Upgrade: 'h2c' } }, [400]],
    ['Sec-WebSocket-Version: 8', { headers: { 'Sec-WebSocket-Version': '8' } }, [400, 426]],
    ['Sec-WebSocket-Version: 777', { headers: { 'Sec-WebSocket-Version': '777' } }, [400, 426]],
    ['no version', { omit: ['Sec-WebSocket-Version'] }, [400, 426]],
    ['no key', { omit: ['Sec-WebSocket-Key'] }, [400]],
    ['a key of 15 bytes', { headers: { 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') } }, [400]],
    ['a key of 17 bytes', { headers: { 'Sec-WebSocket-Key': Buffer.alloc(17).toString('base64') } }, [400]],
    ['a key that is no base64', { headers: { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' } }, [400]],
    ['two keys', { headers: { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] } }, [400]],
    ['Connection without upgrade', { headers: { Connection: 'close' } }, [400]],
    ['a POST', { method: 'POST', headers: { 'Content-Length': '0' } }, [400, 405]],
    ['an unknown sid', { sid: 'nobody' }, [400]],
    ['EIO=3', { query: 'EIO=3&transport=websocket' }, [400]],
    ['another path', { query: '', method: 'GET', headers: {} }, [400]],
  ])
    hostile(`WebSocket handshake with ${name}: refused, closed`, async () => {
      const ws = new RawWs(server.port, opts);
      await ws.end();
      assert.ok(statuses.includes(ws.status), ws.head);
      if (ws.status === 426) assert.match(ws.head, /Sec-WebSocket-Version: 13/i);
    });

  hostile('a WebSocket handshake on another path: 404 or 400, never 101', async () => {
    const got = await tcpTalk(server.port, 'GET /ws/status HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    assert.notEqual(got.status, 101);
    assert.notEqual(got.status, 0);
  });

  for (const value of [' '.repeat(8000), ',,,,', Array(100).fill('p').join(', '), 'permessage-deflate; client_max_window_bits=99', `x="${'y'.repeat(7000)}"`, 'permessage-deflate, permessage-deflate; server_no_context_takeover'])
    hostile(`Sec-WebSocket-Protocol/-Extensions of ${value.length} bytes: declined or refused at once`, async () => {
      for (const name of ['Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions']) {
        const ws = new RawWs(server.port, { headers: { [name]: value } });
        const begun = Date.now();
        await Promise.race([ws.ready, ws.closed]);
        assert.ok(Date.now() - begun < 1000);
        assert.ok([101, 400, 431].includes(ws.status), ws.head);
        assert.ok(!/permessage-deflate/i.test(ws.head ?? ''), 'compression is declined');
        ws.destroy();
      }
    });

  hostile('an upgrade that never probes: closed after its time-out, polling goes on', async () => {
    const p = await connected();
    const ws = await new RawWs(server.port, { sid: p.sid }).open();
    await ws.end();
    await p.post('421["presence:list",{"project_id":"x"}]');
    await p.next('431');
  });

  hostile('a second upgrade beside the first: that one is closed', async () => {
    const p = await connected();
    const [a, b] = [await new RawWs(server.port, { sid: p.sid }).open(), new RawWs(server.port, { sid: p.sid })];
    await b.end();
    a.send('2probe').send('5');
    a.send('421["presence:list",{"project_id":"x"}]');
    await a.text('431');
    a.destroy();
  });

  hostile('500 handshakes without CONNECT', async () => {
    for (let i = 0; i < 500; i++) {
      const res = await request(server.port, 'GET', '/socket.io/?EIO=4&transport=polling');
      assert.ok([200, 429, 503].includes(res.status));
    }
  });
});

describe('WebSocket frames', () => {
  const ws = async () => (await new RawWs(server.port).handshakeDone()).connect({ token: server.token('anna') });

  // name, what is sent, accepted close codes
  for (const [name, send, codes] of [
    ['an unmasked frame', (w) => w.send('3', { mask: false }), [1002]],
    ['RSV1', (w) => w.send('3', { rsv: 4 }), [1002]],
    ['RSV2', (w) => w.send('3', { rsv: 2 }), [1002]],
    ['RSV3', (w) => w.send('3', { rsv: 1 }), [1002]],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((op) => [`opcode ${op}`, (w) => w.send('x', { opcode: op }), [1002]]),
    ['a ping of 126 bytes', (w) => w.send('x'.repeat(126), { opcode: 9 }), [1002]],
    ['a fragmented ping', (w) => w.send('x', { opcode: 9, fin: false }), [1002]],
    ['a fragmented close', (w) => w.send(Buffer.from([3, 232]), { opcode: 8, fin: false }), [1002]],
    ['a continuation without a start', (w) => w.send('x', { opcode: 0 }), [1002]],
    ['a new message inside a message', (w) => w.send('4', { fin: false }).send('4', {}), [1002]],
    ['a 64-bit length with its top bit', (w) => w.send('', { length: 1n << 63n }), [1002, 1009]],
    ['a length over 2^32', (w) => w.send('', { length: 1n << 33n }), [1002, 1009]],
    ['a length one over the limit, no data', (w) => w.send('', { length: MAX + 1 }), [1009]],
    ['126 for 5 bytes', (w) => w.send('4xxxx', { lengthForm: 16 }), [1002]],
    ['127 for 200 bytes', (w) => w.send(`4${'x'.repeat(199)}`, { lengthForm: 64 }), [1002]],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map((code) => [`close code ${code}`, (w) => w.send(Buffer.from([code >> 8, code & 255]), { opcode: 8 }), [1002]]),
    ['a close body of one byte', (w) => w.send(Buffer.from([3]), { opcode: 8 }), [1002]],
    ['a close reason that is no UTF-8', (w) => w.send(Buffer.from([3, 232, 0xff, 0xfe]), { opcode: 8 }), [1002, 1007]],
    ['overlong UTF-8', (w) => w.send(Buffer.from([0x34, 0xc0, 0xaf]), { opcode: 1 }), [1007]],
    ['a surrogate', (w) => w.send(Buffer.from([0x34, 0xed, 0xa0, 0x80]), { opcode: 1 }), [1007]],
    ['over U+10FFFF', (w) => w.send(Buffer.from([0x34, 0xf4, 0x90, 0x80, 0x80]), { opcode: 1 }), [1007]],
    ['a character cut off at the end', (w) => w.send(Buffer.from([0x34, 0xe2, 0x82]), { opcode: 1 }), [1007]],
    ['bad UTF-8 in a later fragment', (w) => w.send(Buffer.from([0x34, 0xe2]), { opcode: 1, fin: false }).send(Buffer.from([0x28]), { opcode: 0 }), [1007]],
    ['300,000 one-byte fragments', (w) => {
      w.send('4', { fin: false });
      const one = frame('x', { opcode: 0, fin: false });
      w.write(Buffer.concat(Array(300000).fill(one)));
    }, [1008, 1009, 1006]],
    ['fragments over the limit in sum', (w) => {
      for (let i = 0; i < 12; i++) w.send('4'.repeat(10000), { opcode: i ? 0 : 1, fin: false });
    }, [1009]],
    ['a binary frame that nobody announced', (w) => w.send(Buffer.from([1])), [1005, 1000, 1002, 1006]],
    ['an empty text message', (w) => w.send(''), [1005, 1000, 1002]],
  ])
    hostile(`${name}: ${codes}`, async () => {
      const w = await ws();
      send(w);
      const code = await w.end();
      assert.ok(codes.includes(code), `close code ${code}`);
    });

  for (const code of [1000, 1001, 1003, 1007, 1011, 3000, 4999])
    hostile(`close code ${code} is a proper end`, async () => {
      const w = await ws();
      w.send(Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from('bye')]), { opcode: 8 });
      assert.ok([code, 1000, 1005].includes(await w.end()));
    });

  hostile('data after a close frame is ignored', async () => {
    const w = await ws();
    w.send(Buffer.from([3, 232]), { opcode: 8 }).send('42["cursor:move",{"project_id":"proj-123","cursor":1}]').write(Buffer.from([0xff, 0xff, 0xff]));
    await w.end();
  });

  hostile('a close without the end of TCP: the server ends it', async () => {
    const w = await ws();
    w.answersClose = false;
    w.send(Buffer.from([3, 232]), { opcode: 8 });
    const begun = Date.now();
    await w.end(6000);
    assert.ok(Date.now() - begun < 5000);
  });

  hostile('20,000 pings and no reads: pongs are bounded', async () => {
    const w = await ws();
    w.tcp.pause();
    w.write(Buffer.concat(Array(20000).fill(frame('x'.repeat(100), { opcode: 9 }))));
    await bystander.settle();
    w.destroy();
  });

  hostile('reset in the middle of a frame', async () => {
    for (let i = 0; i < 20; i++) {
      const w = await ws();
      w.write(frame(`4${'x'.repeat(1000)}`).subarray(0, 10 + i * 40));
      w.tcp.resetAndDestroy?.() ?? w.destroy();
    }
  });

  hostile('a reader who never reads: cut at its queue’s limit, memory bounded', async () => {
    const lazy = await startServer({ env: { SEND_QUEUE_LIMIT: 65536, RATE_LIMIT_EVENTS: 0 } });
    try {
      const w = await (await new RawWs(lazy.port).handshakeDone()).connect({ token: lazy.token('anna'), projects: ['proj-123'] });
      await w.text('42["joined_project"');
      w.tcp.pause();
      const big = { project_id: 'proj-123', item_id: 'i', updates: { note: 'x'.repeat(60000) }, user_id: 'ben' };
      let status;
      for (let i = 0; i < 400; i++) {
        await lazy.broadcast('boq-update', big);
        if (i % 20 === 19 && (status = await lazy.status()).active_connections === 0) break;
      }
      assert.equal(status.active_connections, 0, 'the slow reader was cut');
      w.destroy();
    } finally {
      await lazy.stop();
    }
  });
});

describe('Socket.IO packets', () => {
  const fresh = () => new RawWs(server.port).handshakeDone();
  const connected = async () => (await fresh()).connect({ token: server.token('anna') });

  for (const packet of [
    '4', '47', '48', '49', '4x', '4 ', '4-', '4\u0000',
    '42', '42{}', '42[]', '42[null]', '42[{"toString":"foo"}]', '42[["a"]]', '42[true]', '42abc["x"]', '42 ["e",1]', '42["e",1',
    '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]', '42["newListener"]', '42["removeListener"]',
    '422999999999999999999999["a"]', '42-1["a"]', '421e9["a"]', '420x10["a"]', '4299999999999999999999["a"]',
    '431{}', '431"x"', '43', '41{}', '41[]', '44{"message":"x"}', '44"x"',
    '450-["e"]', '45-["e"]', '4511-["e"]', '45["e"]', '451["e"]', '45x-["e"]', '451-', '451-{}', '461-0{}', '4599999999999999999999-["e"]', '451-42["connect"]',
    '42["e",NaN]', '42["e",Infinity]', '42["e",/*x*/1]', '42["e",1,]', "42['e']", '42\ufeff["e"]', '42["e",01]', '42["e",.5]', '42["e","\t"]', '42["e","\\x"]', '42["e"]x', '42["e"][1]',
    '40[]', '40"a"', '40null', '401', '40{"token":1', '40{}{}',
  ])
    hostile(`${JSON.stringify(packet)}: closed`, async () => {
      const w = packet.startsWith('40') ? await fresh() : await connected();
      w.send(packet);
      await w.end();
    });

  for (const [name, packets] of [
    ['a header, then a text packet', ['451-["e",{"_placeholder":true,"num":0}]', '42["x"]']],
    ['num out of range', ['451-["e",{"_placeholder":true,"num":1}]', Buffer.from([1])]],
    ['num negative', ['451-["e",{"_placeholder":true,"num":-1}]', Buffer.from([1])]],
    ['num a string', ['451-["e",{"_placeholder":true,"num":"0"}]', Buffer.from([1])]],
    ['num a fraction', ['451-["e",{"_placeholder":true,"num":0.5}]', Buffer.from([1])]],
    ['the same num twice', ['451-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', Buffer.from([1])]],
    ['_placeholder a string', ['451-["e",{"_placeholder":"true","num":0}]', Buffer.from([1])]],
    ['num missing', ['451-["e",{"_placeholder":true}]', Buffer.from([1])]],
    ['a binary header before CONNECT', null],
    ['depth 100,000', [`42["e",${'['.repeat(40000)}${']'.repeat(40000)}]`]],
    ['90 KB of [', [`42${'['.repeat(90000)}`]],
    ['a namespace of 4 KiB', [`42/${'n'.repeat(4096)},["e"]`]],
    ['an event for another namespace', ['42/admin,["e"]']],
  ])
    hostile(`${name}: closed`, async () => {
      const w = packets ? await connected() : await fresh();
      for (const p of packets ?? ['451-["e",{"_placeholder":true,"num":0}]']) w.send(p);
      await w.end();
    });

  for (const [name, packets] of [
    ['an attachment without a placeholder', ['451-["e",{}]', Buffer.from([1])]],
    ['a placeholder in a plain event', ['42["e",{"_placeholder":true,"num":0}]']],
    ['acknowledgements that nobody waits for', Array.from({ length: 2000 }, (_, i) => `43${i}["x"]`)],
    ['server events from a client', ['42["connected",{"user_id":"x"}]', '42["user:joined",{"user_id":"x","project_id":"proj-123"}]', '42["error",{}]', '42["boq:item:updated",{"project_id":"proj-123"}]']],
    ['numbers at their limits', ['42["e",-0,1e400,1e-400,' + '9'.repeat(400) + ']']],
    ['a name of 60 KB', [`42["${'n'.repeat(60000)}",1]`]],
    ['__proto__ everywhere', ['42["__proto__",{"__proto__":{"admin":true},"constructor":1}]']],
  ])
    hostile(`${name}: no harm`, async () => {
      const w = await connected();
      for (const p of packets) w.send(p);
      w.send('4277["presence:list",{"project_id":"x"}]');
      const end = await Promise.race([w.text('4377').then(() => 'works'), w.closed.then(() => 'closed')]);
      assert.equal(end, 'works');
      await bystander.settle();
      for (const event of ['connected', 'user:joined', 'boq:item:updated']) assert.ok(!bystander.all(event).some((d) => d?.user_id === 'x' || d?.updated_by === undefined && event === 'boq:item:updated'), `${event} was echoed`);
      w.destroy();
    });

  hostile('a second CONNECT makes no second socket', async () => {
    const before = (await server.status()).active_connections;
    const w = await fresh();
    w.send(`40${JSON.stringify({ token: server.token('anna') })}`).send(`40${JSON.stringify({ token: server.token('anna') })}`);
    await w.end();
    await until(async () => (await server.status()).active_connections === before, 'as many connections as before');
  });

  hostile('10,000 CONNECTs to namespaces that are not there: capped or refused each', async () => {
    const w = await fresh();
    for (let i = 0; i < 10000 && !w.inbox.ended; i++) {
      w.send(`40/n${i},`);
      if (i % 1000 === 999) await sleep(1); // lets the answers in
    }
    await Promise.race([w.text('44/n9999', { timeout: 20000 }), w.closed]);
    w.destroy();
  });

  hostile('disconnect with attachments still awaited', async () => {
    for (let i = 0; i < 50; i++) {
      const w = await connected();
      w.send('452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]').send(Buffer.alloc(5000));
      if (i % 2) w.send('41');
      w.destroy();
    }
  });
});

describe('authentication: Authentication required, and why', () => {
  const part = (o) => Buffer.from(typeof o === 'string' ? o : JSON.stringify(o)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const good = { sub: 'anna', iat: now, exp: now + 3600 };
  const sign = (head, body, alg = 'sha256', secret = server.env.JWT_SECRET) => {
    const signed = `${part(head)}.${part(body)}`;
    return `${signed}.${createHmac(alg, secret).update(signed).digest('base64url')}`;
  };
  const hs = { alg: 'HS256', typ: 'JWT' };
  const raw = (claims, head = hs) => () => sign(head, claims);

  // name, auth payload (or a function that makes the token), code
  for (const [name, auth, code] of [
    ['no auth', undefined, 'token_missing'],
    ['auth without token', {}, 'token_missing'],
    ['token null', { token: null }, 'token_missing'],
    ['token a number', { token: 1 }, 'token_invalid'],
    ['token an array', { token: ['a'] }, 'token_invalid'],
    ['token an object', { token: {} }, 'token_invalid'],
    ['token empty', { token: '' }, 'token_missing'],
    ['token of 90 KB', { token: 'a'.repeat(90000) }, 'token_invalid'],
    ...['none', 'None', 'NONE', 'nOnE', ''].map((alg) => [`alg ${JSON.stringify(alg)}, unsigned`, () => `${part({ alg, typ: 'JWT' })}.${part(good)}.`, 'token_invalid']),
    ...['none', 'HS512', 'HS384', 'RS256', 'ES256', 'PS256', 'EdDSA', 'hs256', 'HS256 '].map((alg) => [`alg ${alg}, signed by HS256`, raw(good, { alg, typ: 'JWT' }), 'token_invalid']),
    ['alg missing', raw(good, { typ: 'JWT' }), 'token_invalid'],
    ['alg an array', raw(good, { alg: ['HS256'] }), 'token_invalid'],
    ['alg twice', () => sign('{"alg":"none","alg":"HS256"}', good), 'token_invalid'],
    ['the signature of another secret', () => sign(hs, good, 'sha256', 'another secret'), 'token_invalid'],
    ['the empty secret', () => sign(hs, good, 'sha256', ''), 'token_invalid'],
    ['the signature cut off', () => sign(hs, good).replace(/\.[^.]*$/, '.'), 'token_invalid'],
    ['two parts', () => sign(hs, good).replace(/\.[^.]*$/, ''), 'token_invalid'],
    ['four parts', () => `${sign(hs, good)}.x`, 'token_invalid'],
    ['five parts', () => `${sign(hs, good)}.x.y`, 'token_invalid'],
    ['a dot in front', () => `.${sign(hs, good)}`, 'token_invalid'],
    ['a blank behind', () => `${sign(hs, good)} `, 'token_invalid'],
    ['a newline behind', () => `${sign(hs, good)}\n`, 'token_invalid'],
    ['padding', () => `${sign(hs, good)}=`, 'token_invalid'],
    ['a signature whose last bits differ', () => sign(hs, good).replace(/.$/, (c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.replace(c, '')[(c.charCodeAt(0) + 1) % 60]), 'token_invalid'],
    ['crit', raw(good, { ...hs, crit: ['exp'], exp: 1 }), 'token_invalid'],
    ['b64 false', raw(good, { ...hs, b64: false, crit: ['b64'] }), 'token_invalid'],
    ['zip', raw(good, { ...hs, zip: 'DEF', crit: ['zip'] }), 'token_invalid'],
    ['expired', raw({ ...good, exp: now - 3600 }), 'token_expired'],
    ['exp missing', raw({ sub: 'anna', iat: now }), 'token_invalid'],
    ['exp a string', raw({ ...good, exp: String(now + 3600) }), 'token_invalid'],
    ['exp true', raw({ ...good, exp: true }), 'token_invalid'],
    ['exp null', raw({ ...good, exp: null }), 'token_invalid'],
    ['exp negative', raw({ ...good, exp: -1 }), undefined],
    ['nbf in the future', raw({ ...good, nbf: now + 3600 }), 'token_invalid'],
    ['nbf a string', raw({ ...good, nbf: 'x' }), 'token_invalid'],
    ['sub missing', raw({ iat: now, exp: now + 3600 }), 'token_invalid'],
    ['sub empty', raw({ ...good, sub: '' }), 'token_invalid'],
    ['sub a number', raw({ ...good, sub: 7 }), 'token_invalid'],
    ['sub null', raw({ ...good, sub: null }), 'token_invalid'],
    ['sub of 4 KiB', raw({ ...good, sub: 'a'.repeat(4096) }), 'token_invalid'],
    ['sub with a newline', raw({ ...good, sub: 'anna\nClient connected' }), 'token_invalid'],
    ['sub with NUL', raw({ ...good, sub: 'anna\u0000x' }), 'token_invalid'],
    ['sub twice', () => sign(hs, `{"sub":"anna","sub":"ben","exp":${now + 3600}}`), 'token_invalid'],
    ['claims that are a list', () => sign(hs, '[]'), 'token_invalid'],
    ['claims that are no JSON', () => sign(hs, 'abc'), 'token_invalid'],
    ['claims nested 2,000 deep', () => sign(hs, `{"sub":"anna","exp":${now + 3600},"x":${'['.repeat(2000)}${']'.repeat(2000)}}`), 'token_invalid'],
    ['a token of 9 KiB', raw({ ...good, fill: 'x'.repeat(9000) }), 'token_invalid'],
  ])
    hostile(name, async () => {
      const payload = typeof auth === 'function' ? { token: auth() } : auth;
      const w = await new RawWs(server.port).handshakeDone();
      await w.connect(payload);
      const { message, data } = JSON.parse(w.connectAnswer.replace(/^44/, ''));
      assert.ok(w.connectAnswer.startsWith('44'), `let in: ${w.connectAnswer}`);
      assert.equal(message, 'Authentication required');
      if (code) assert.deepEqual(data, { code });
      // The session stays; a good token gets in.
      await w.connect({ token: server.token('anna') });
      assert.match(w.connectAnswer, /^40\{"sid"/);
      w.destroy();
    });

  hostile('unusual but right: kid with a path, typ missing, more claims', async () => {
    for (const token of [sign({ ...hs, kid: '../../dev/null' }, good), sign({ alg: 'HS256' }, good), sign(hs, { ...good, exp: now + 3600.5, extra: { a: [1] } })]) {
      const w = await new RawWs(server.port).handshakeDone();
      await w.connect({ token });
      assert.match(w.connectAnswer, /^4[04]/);
      w.destroy();
    }
  });

  hostile('a token in the query is refused, and not logged', async () => {
    const token = server.token('anna');
    const w = await new RawWs(server.port, { query: `EIO=4&transport=websocket&token=${token}` }).handshakeDone();
    await w.connect();
    assert.match(w.connectAnswer, /^44/);
    assert.ok(!server.lines.some((l) => l.includes(token)));
    w.destroy();
  });

  it('keys: RS256 and ES256 by PEM; HS256 signed with the public key is refused', async () => {
    const { mkdtempSync, writeFileSync, rmSync } = await import('node:fs');
    const { sign: signKey } = await import('node:crypto');
    const { tmpdir } = await import('node:os');
    const dir = mkdtempSync(`${tmpdir()}/skybuild-keys-`);
    try {
      for (const [alg, kind, options] of [
        ['RS256', 'rsa', { modulusLength: 2048 }],
        ['ES256', 'ec', { namedCurve: 'P-256' }],
      ]) {
        const { publicKey, privateKey } = generateKeyPairSync(kind, options);
        const pem = publicKey.export({ type: 'spki', format: 'pem' });
        writeFileSync(`${dir}/${alg}.pem`, pem);
        const keyed = await startServer({ env: { JWT_ALGORITHMS: alg, JWT_PUBLIC_KEY: `${dir}/${alg}.pem` } });
        try {
          const signed = `${part({ alg, typ: 'JWT' })}.${part(good)}`;
          const token = `${signed}.${signKey('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
          const ok = pool.open(keyed.url, { auth: { token }, transports: ['websocket'] });
          assert.equal((await ok.event('connected')).user_id, 'anna');
          for (const bad of [sign(hs, good, 'sha256', pem), sign(hs, good, 'sha256', publicKey.export({ type: 'spki', format: 'der' })), sign({ alg, typ: 'JWT' }, good, 'sha256', pem), keyed.token('anna')]) {
            const no = pool.open(keyed.url, { auth: { token: bad }, transports: ['websocket'] });
            assert.deepEqual((await no.event('connect_error')).data, { code: 'token_invalid' });
          }
          ok.close();
        } finally {
          await keyed.stop();
        }
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('issuer and audience are checked when set', async () => {
    const strict = await startServer({ env: { JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'skybuild' } });
    const code = async (claims) => {
      const c = pool.open(strict.url, { auth: { token: strict.token('anna', { claims }) }, transports: ['websocket'] });
      const first = await c.events.next((e) => e.name === 'connected' || e.name === 'connect_error');
      c.close();
      return first.args[0].data?.code ?? 'in';
    };
    try {
      assert.equal(await code({ iss: 'https://id.example', aud: 'skybuild' }), 'in');
      assert.equal(await code({ iss: 'https://id.example', aud: ['other', 'skybuild'] }), 'in');
      for (const bad of [{}, { iss: 'https://id.example' }, { iss: 'https://evil.example', aud: 'skybuild' }, { iss: 'https://id.example', aud: 'other' }, { iss: 'https://id.example', aud: [] }, { iss: ['https://id.example'], aud: 'skybuild' }])
        assert.equal(await code(bad), 'token_invalid', JSON.stringify(bad));
    } finally {
      await strict.stop();
    }
  });
});

describe('rooms and application events', () => {
  for (const project_id of ['proj-456', 'none', '', 'x'.repeat(1024), '../proj-123', '*', 'user:ben', 'project:proj-123', 'proj-123\u0000', ' proj-123', 'PROJ-123', 1, {}, [], null, true])
    hostile(`join_project ${JSON.stringify(project_id).slice(0, 40)}: no access`, async () => {
      const eve = await pool.user(server, 'eve');
      eve.emit('join_project', { project_id });
      const error = await eve.event('error');
      assert.equal(typeof error.message, 'string');
      if (typeof project_id === 'string' && /^[\w-]+$/.test(project_id) && project_id.length < 100) assert.equal(error.message, 'Access denied to project');
      const ack = await eve.ask('join_project', { project_id });
      assert.equal(ack.ok, false);
      assert.deepEqual(eve.all('joined_project'), []);
      eve.close();
    });

  hostile('the id of another socket is no project', async () => {
    const eve = await pool.user(server, 'eve');
    assert.equal((await eve.ask('join_project', { project_id: bystander.socket.id })).ok, false);
    eve.close();
  });

  hostile('a member twice in the payload: refused', async () => {
    const w = await (await new RawWs(server.port).handshakeDone()).connect({ token: server.token('eve') });
    w.send('421["join_project",{"project_id":"proj-123","project_id":"proj-456"}]');
    assert.match(await w.text('431'), /"ok":false/);
    w.destroy();
  });

  hostile('a spoofed user_id: the server’s value wins', async () => {
    const eve = await pool.user(server, 'eve', { project: 'proj-123' });
    eve.emit('typing:start', { project_id: 'proj-123', target: 't', user_id: 'anna' });
    assert.equal((await bystander.event('typing:started')).user_id, 'eve');
    eve.close();
    await bystander.event('typing:stopped');
  });

  hostile('payloads of every wrong kind', async () => {
    const eve = await pool.user(server, 'eve', { project: 'proj-123' });
    for (const event of ['join_project', 'leave_project', 'presence:list', 'cursor:move', 'typing:start', 'typing:stop', 'presence:update', 'auth:refresh'])
      for (const payload of [undefined, null, 1, 'x', [], [[]], { project_id: 1 }, { project_id: { a: 1 } }, { token: 1 }, true]) {
        const answer = await eve.ask(event, ...(payload === undefined ? [] : [payload]));
        assert.equal(answer.ok, false, `${event} ${JSON.stringify(payload)}`);
        assert.equal(typeof answer.error.code, 'string');
      }
    assert.equal(eve.socket.connected, true);
    eve.close();
  });

  it('limits: rooms of a connection, connections of a user, events a second', async () => {
    const tight = await startServer({
      env: { MAX_ROOMS_PER_CONNECTION: 1, MAX_CONNECTIONS_PER_USER: 2, RATE_LIMIT_EVENTS: 20 },
    });
    try {
      const anna = await pool.user(tight, 'anna', { project: 'proj-123' });
      const over = await anna.ask('join_project', { project_id: 'proj-456' });
      assert.equal(over.ok, false, 'one room more');
      const second = await pool.user(tight, 'anna');
      const third = pool.open(tight.url, { auth: { token: tight.token('anna') }, transports: ['websocket'] });
      const refused = await third.events.next((e) => ['connect_error', 'connected'].includes(e.name));
      assert.equal(refused.name, 'connect_error', 'one connection more');
      second.close();
      for (let i = 0; i < 300; i++) anna.emit('typing:stop', { project_id: 'proj-123', target: 'x' });
      const limited = await anna.event('error', (e) => e.code === 'rate_limited');
      assert.equal(typeof limited.message, 'string');
      assert.equal((await tight.status()).enabled, true);
    } finally {
      await tight.stop();
    }
  });

  it('past MAX_CONNECTIONS: a clear refusal, then room again', async () => {
    const tight = await startServer({ env: { MAX_CONNECTIONS: 3 } });
    const open = new Queue();
    try {
      for (let i = 0; i < 3; i++) open.push(await new RawWs(tight.port).handshakeDone());
      const refused = new RawWs(tight.port);
      await Promise.race([refused.ready, refused.closed]);
      assert.ok([503, 429].includes(refused.status) || refused.status === undefined, refused.head);
      refused.destroy();
      for (const w of open.items) w.destroy();
      await until(async () => {
        const w = new RawWs(tight.port);
        await Promise.race([w.ready, w.closed]);
        const status = w.status;
        w.destroy();
        return status === 101;
      }, 'room for one');
    } finally {
      await tight.stop();
    }
  });
});
