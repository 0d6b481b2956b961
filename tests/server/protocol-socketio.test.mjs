// Socket.IO v5 on the wire: what the official suites check, and
// the neighbours of it.  Runs against libsio's echo server; TARGET=reference runs
// it against Node's own server, and skips what we decided to do better.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { ours, quick, calm, pool, wsOpen, wsConnected, poll, works, wsWorks } from './lib/echo.mjs';
import { Polling } from './lib/eio.mjs';
import { REFERENCE, startEcho } from './lib/harness.mjs';
import { sleep, until } from './lib/queue.mjs';

describe('Socket.IO connect', () => {
  for (const [name, open] of [
    ['polling', poll],
    ['websocket', () => wsOpen()],
  ]) {
    const next = (s, prefix) => (s instanceof Polling ? s.next(prefix) : s.text(prefix));
    const send = (s, text) => (s instanceof Polling ? s.post(text) : s.send(text));

    it(`${name}: without payload`, async () => {
      const s = await open();
      await send(s, '40');
      const answer = JSON.parse((await next(s, '4')).slice(2));
      assert.deepEqual(Object.keys(answer), ['sid']);
      assert.equal(answer.sid.length, 20);
      assert.notEqual(answer.sid, s.sid, 'the public id is not the secret one');
      assert.equal(await next(s, '4'), '42["auth",{}]');
    });

    it(`${name}: with payload`, async () => {
      const s = await open();
      await send(s, '40{"token":"123"}');
      assert.match(await next(s, '4'), /^40\{"sid":"[^"]{20}"\}$/);
      assert.equal(await next(s, '4'), '42["auth",{"token":"123"}]');
    });

    it(`${name}: refused with message and data, then let in`, async () => {
      const s = await open();
      await send(s, '40{"refuse":true}');
      assert.equal(await next(s, '4'), '44{"message":"refused as asked","data":{"code":"asked"}}');
      await send(s, '40{}');
      assert.match(await next(s, '4'), /^40\{"sid"/);
    });

    for (const [packet, answer] of [
      ['40/random', '44/random,{"message":"Invalid namespace"}'],
      ['40/random,', '44/random,{"message":"Invalid namespace"}'],
      ['40/random,{"token":"x"}', '44/random,{"message":"Invalid namespace"}'],
      ['40/random?x=1,', '44/random?x=1,{"message":"Invalid namespace"}'],
    ])
      it(`${name}: ${packet} is refused, / still works`, async () => {
        const s = await open();
        await send(s, packet);
        assert.equal(await next(s, '4'), answer);
        await send(s, '40');
        assert.match(await next(s, '40'), /^40\{"sid"/);
      });
  }

  it('a second CONNECT closes the session', async () => {
    const w = await wsConnected();
    w.send('40');
    await w.end();
  });

  it('an event before CONNECT closes the session', async () => {
    const w = await wsOpen();
    w.send('42["message",1]');
    await w.end();
  });
});

describe('Socket.IO disconnect', () => {
  it('41: the session goes on with its heartbeat, and may connect again', async () => {
    const w = await wsConnected(undefined, quick);
    w.send('41');
    assert.equal(await w.text('2'), '2');
    w.send('3');
    w.send('40');
    assert.match(await w.text('40'), /^40\{"sid"/);
  });

  it('an event after 41 closes the session', async () => {
    const w = await wsConnected();
    w.send('41');
    await sleep(30); // in the same turn it would be dropped quietly instead
    w.send('42["message",1]');
    await w.end();
  });

  it('the server ends the socket: 41, the session stays', async () => {
    const w = await wsConnected();
    w.send('42["leave-me"]');
    assert.equal(await w.text('41'), '41');
    w.send('40');
    assert.match(await w.text('40'), /^40\{"sid"/);
  });

  it('the server ends the socket and the session: 41, then closed', async () => {
    const w = await wsConnected();
    w.send('42["close-me"]');
    assert.equal(await w.text('41'), '41');
    await w.end();
  });

  it('the same on polling: 41, then 1', async () => {
    const p = await (await poll()).connect();
    await p.next('42["auth"');
    await p.post('42["close-me"]');
    assert.equal(await p.next('41'), '41');
    assert.equal(await p.next('1'), '1');
    assert.ok(await p.isGone());
  });

  for (const [version, create] of VERSIONS)
    it(`client ${version}: told that the server disconnected it`, async () => {
      const c = await pool.open(calm.url, {}, create).connected();
      c.emit('leave-me');
      assert.equal(await c.event('disconnect'), 'io server disconnect');
    });
});

describe('namespaces made by a parent', () => {
  const enter = async (w, name, auth = '') => {
    w.send(`40${name},${auth}`);
    return w.text(`40${name},`);
  };

  for (const [name, open] of [
    ['polling', poll],
    ['websocket', () => wsOpen()],
  ])
    it(`${name}: a child without "/"; 41, and again`, async () => {
      const s = await open();
      const next = (prefix) => (s instanceof Polling ? s.next(prefix) : s.text(prefix));
      const send = (text) => (s instanceof Polling ? s.post(text) : s.send(text));
      for (const connect of ['40/child-1', '40/child-1,', '40/child-1,{}']) {
        await send(connect);
        assert.match(await next('4'), /^40\/child-1,\{"sid":"[^"]{20}"\}$/);
        assert.equal(await next('4'), '42/child-1,["auth",{}]');
        await send('42/child-1,5["message-with-ack",1]');
        assert.equal(await next('4'), '43/child-1,5[1]');
        await send('41/child-1,');
        if (REFERENCE) await sleep(30); // it takes a CONNECT in the same turn for a second one
      }
      await send('40');
      assert.match(await next('4'), /^40\{"sid"/);
    });

  it('several on one session: each with its own id, events and end', async () => {
    const w = await wsConnected();
    const ids = new Set([w.connectAnswer.slice(2)]);
    for (const name of ['/child-a', '/child-b', '/child-0']) ids.add((await enter(w, name)).slice(3 + name.length));
    assert.equal(ids.size, 4);
    w.send('42/child-b,["leave-me"]');
    assert.equal(await w.text('41'), '41/child-b,');
    for (const name of ['', '/child-a,', '/child-0,']) {
      w.send(`42${name}1["message-with-ack","${name}"]`);
      assert.equal(await w.text('43'), `43${name}1["${name}"]`);
    }
  });

  for (const name of ['/child-', '/child-A', '/child-1/x', '/xchild-1', '/child-1?x=1', '/child-1 ', '/child--1', '//child-1', '/child-é'])
    it(`${name} fits no pattern: refused, the session goes on`, async () => {
      const w = await wsConnected();
      w.send(`40${name},`);
      assert.equal(await w.text('44'), `44${name},{"message":"Invalid namespace"}`);
      await wsWorks(w);
    });

  it('a child refuses with message and data, then lets in', async () => {
    const w = await wsConnected();
    w.send('40/child-r,{"refuse":true}');
    assert.equal(await w.text('44'), '44/child-r,{"message":"refused as asked","data":{"code":"asked"}}');
    await enter(w, '/child-r');
    await wsWorks(w);
  });

  it('rooms of one name in two children, and in "/", are three', async () => {
    const all = [];
    for (const name of ['', '/child-x,', '/child-y,'])
      for (let i = 0; i < 2; i++) {
        const w = await wsOpen();
        w.send(`40${name}`);
        await w.text('40');
        w.send(`42${name}1["room:join","r"]`);
        await w.text(`43${name}1[`);
        all.push([name, w]);
      }
    for (const [name, w] of all.filter((_, i) => i % 2 === 0)) w.send(`42${name}["room:send","r","to ${name}"]`);
    for (const [name, w] of all.filter((_, i) => i % 2 === 1)) assert.equal(await w.text(`42${name}["room`), `42${name}["room:message","to ${name}"]`);
  });

  it('a middleware answers later: others are served, the answer comes', async () => {
    const [slow, fast] = [await wsConnected(), await wsConnected()];
    slow.send('40/child-w,{"wait":200}');
    await enter(fast, '/child-w');
    await wsWorks(slow);
    assert.match(await slow.text('40/child-w'), /^40\/child-w,\{"sid"/);
    slow.send('42/child-w,1["message-with-ack"]');
    assert.equal(await slow.text('43/child-w'), '43/child-w,1[]');
  });

  it('an event before a late answer closes the session', async () => {
    const w = await wsConnected();
    w.send('40/child-w,{"wait":300}').send('42/child-w,["message"]');
    await w.end();
  });

  ours('a second CONNECT before a late answer closes the session', async () => {
    const w = await wsConnected();
    w.send('40/child-w,{"wait":300}').send('40/child-w,');
    await w.end();
  });

  for (const [version, create] of VERSIONS)
    it(`client ${version}: two children over one connection`, async () => {
      const [a, b] = [pool.open(`${calm.url}/child-one`, {}, create), pool.open(`${calm.url}/child-two`, {}, create)];
      for (const c of [a, b]) await c.connected();
      assert.notEqual(a.socket.id, b.socket.id);
      assert.deepEqual(await a.ask('message-with-ack', 'one'), 'one');
      a.socket.disconnect();
      assert.deepEqual(await b.ask('message-with-ack', 'two'), 'two');
    });
});

describe('Socket.IO events and acknowledgements', () => {
  for (const [sent, answers] of [
    ['42["message",1,"2",{"3":[true]}]', ['42["message-back",1,"2",{"3":[true]}]']],
    ['42["message"]', ['42["message-back"]']],
    ['42456["message-with-ack",1,"2",{"3":[false]}]', ['43456[1,"2",{"3":[false]}]']],
    ['420["message-with-ack"]', ['430[]']],
    ['429007199254740991["message-with-ack",1]', ['439007199254740991[1]']],
  ])
    it(sent, async () => {
      const w = await wsConnected();
      await w.text('42["auth"');
      w.send(sent);
      for (const a of answers) assert.equal(await w.text(), a);
      const p = await (await poll()).connect();
      await p.next('42["auth"');
      await p.post(sent);
      for (const a of answers) assert.equal(await p.packet(), a);
    });

  it('two attachments', async () => {
    const w = await wsConnected();
    w.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]').send(Buffer.from([1, 2, 3])).send(Buffer.from([4, 5, 6]));
    assert.equal(await w.text('452'), '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    assert.deepEqual(await w.binary(), Buffer.from([1, 2, 3]));
    assert.deepEqual(await w.binary(), Buffer.from([4, 5, 6]));
  });

  it('a binary acknowledgement', async () => {
    const w = await wsConnected();
    w.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]').send(Buffer.from([1, 2, 3])).send(Buffer.from([4, 5, 6]));
    assert.equal(await w.text('46'), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    assert.deepEqual(await w.binary(), Buffer.from([1, 2, 3]));
    assert.deepEqual(await w.binary(), Buffer.from([4, 5, 6]));
  });

  it('acknowledgements for ids that nobody waits for are ignored', async () => {
    const w = await wsConnected();
    w.send('43[]').send('4377["x"]').send('461-77[{"_placeholder":true,"num":0}]').send(Buffer.from([1]));
    await wsWorks(w);
  });

  it('an event that nobody handles is no error', async () => {
    const w = await wsConnected();
    w.send('42["nobody-listens",1]').send('42["error",{}]');
    await wsWorks(w);
  });

  for (const packet of ['4abc', '4', '47', '42{}', '42[]', '42[null]', '42[true]', '42abc["message-with-ack",1,"2",{"3":[false]}]', '42["connect"]', '41{}', '44{"message":"x"}', '431{}', '40[]', '40"a"'])
    it(`${packet} closes the session`, async () => {
      const w = await wsOpen();
      if (!packet.startsWith('40')) await w.connect();
      w.send(packet);
      await w.end();
    });

  for (const [version, create] of VERSIONS)
    for (const [how, options] of TRANSPORTS)
      it(`client ${version}, ${how}: JSON and binary both ways`, async () => {
        const c = pool.open(calm.url, options, create);
        await c.connected();
        const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
        const args = [1, 'zwei ñ€😀\u001e\u2028', { drei: [null, true, { deep: 4.5 }] }];
        assert.deepEqual(await new Promise((r) => c.socket.emit('message-with-ack', ...args, (...back) => r(back))), args);
        const back = await c.ask('message-with-ack', { file: bytes, name: 'x' });
        assert.ok(Buffer.from(back.file).equals(bytes));
        assert.equal(back.name, 'x');
        c.emit('message', bytes, 'text', bytes);
        const got = await c.events.next((e) => e.name === 'message-back');
        assert.equal(got.args.length, 3);
        assert.ok(Buffer.from(got.args[0]).equals(bytes) && got.args[1] === 'text' && Buffer.from(got.args[2]).equals(bytes));
        const big = randomBytes(200000);
        assert.ok(Buffer.from(await c.ask('message-with-ack', big)).equals(big));
      });
});

describe('rooms', () => {
  for (const [how, options] of TRANSPORTS)
    it(`${how}: to the members, not to the sender, not to who left`, async () => {
      const [a, b, c] = [pool.open(calm.url, options), pool.open(calm.url, options), pool.open(calm.url, options)];
      for (const x of [a, b, c]) await x.connected();
      await a.ask('room:join', 'r');
      await b.ask('room:join', 'r');
      a.emit('room:send', 'r', { n: 1 }, Buffer.from([9]));
      const got = await b.events.next((e) => e.name === 'room:message');
      assert.deepEqual(got.args[0], { n: 1 });
      assert.ok(Buffer.from(got.args[1]).equals(Buffer.from([9])));
      await b.ask('room:leave', 'r');
      a.emit('room:send', 'r', 2);
      await a.ask('message-with-ack', 1);
      for (const x of [a, b, c]) {
        await x.ask('message-with-ack', 1);
        assert.deepEqual(x.all('room:message'), []);
      }
    });

  it('one sender, many members of each transport: once each, in order', async () => {
    const members = [];
    for (let i = 0; i < 30; i++) {
      const m = pool.open(calm.url, TRANSPORTS[i % 3][1], VERSIONS[i % VERSIONS.length][1]);
      await m.connected();
      await m.ask('room:join', 'many');
      members.push(m);
    }
    for (let i = 0; i < 100; i++) members[0].emit('room:send', 'many', i);
    await members[0].ask('message-with-ack', 1);
    for (const m of members.slice(1)) {
      await until(() => m.all('room:message').length >= 100, 'all 100');
      assert.deepEqual(m.all('room:message'), [...Array(100).keys()]);
    }
  });
});

describe('reconnection and shutdown', () => {
  it('a new session after a lost one, with a new id', async () => {
    const c = pool.open(calm.url, { reconnection: true, reconnectionDelay: 20, transports: ['websocket'] });
    await c.connected();
    const before = c.socket.id;
    c.socket.io.engine.close();
    await c.event('connect');
    assert.notEqual(c.socket.id, before);
    assert.equal(await c.ask('message-with-ack', 5), 5);
  });

  it('a server that stops closes its clients, and ends with 0', async () => {
    const server = await startEcho({ PING_INTERVAL: 60000 });
    const one = await pool.open(server.url, { transports: ['websocket'] }).connected();
    const two = await pool.open(server.url, { transports: ['polling'] }).connected();
    const raw = await wsConnected(undefined, server);
    await server.end();
    assert.match(await one.event('disconnect'), /^transport (close|error)$/);
    assert.match(await two.event('disconnect'), /^transport (close|error)$/);
    await raw.end();
  });
});
