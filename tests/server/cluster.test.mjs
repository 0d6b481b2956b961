// Two servers in one process, each on a thread of its own, joined by the bus in memory:
// their stock clients are one crowd.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { startCluster } from './lib/harness.mjs';
import { PATIENCE } from './lib/queue.mjs';

const pool = clientPool();
let cluster;
before(async () => {
  cluster = await startCluster(2);
});
after(async () => {
  pool.close();
  await cluster.end();
});

let rooms = 0;
const newRoom = () => `room-${++rooms}`;

async function client(node, room, options = {}, create) {
  const c = await pool.open(cluster.urls[node], { transports: ['websocket'], ...options }, create).connected();
  if (room) await c.ask('join', room);
  return c;
}

// Everything that was said to c: whoever says it last of all says "end".
async function heard(c) {
  await c.events.next((e) => e.name === 'said' && e.args[0] === 'end', { what: 'said end' });
  const all = c.all('said');
  c.events.clear();
  return all;
}

for (const [version, create] of VERSIONS)
  for (const [how, options] of TRANSPORTS)
    describe(`client ${version}, ${how}`, () => {
      it('a room on two servers: each message once, in order, both ways', async () => {
        const room = newRoom();
        const [a, b] = [await client(0, room, options, create), await client(1, room, options, create)];
        const stranger = await client(1, newRoom(), options, create);
        for (let i = 0; i < 20; i++) a.emit('say', room, i);
        a.emit('say', room, 'end');
        const want = Array.from({ length: 20 }, (_, i) => i);
        assert.deepEqual([await heard(a), await heard(b)], [want, want]);
        for (let i = 0; i < 20; i++) b.emit('say', room, i);
        b.emit('say', room, 'end');
        assert.deepEqual([await heard(a), await heard(b)], [want, want]);
        assert.deepEqual(stranger.all('said'), []);
        for (const c of [a, b, stranger]) c.close();
      });

      it('to all but the sender, with binary', async () => {
        const room = newRoom();
        const [a, a2, b] = [await client(0, room, options, create), await client(0, room, options, create), await client(1, room, options, create)];
        await a.ask('tell', room, { bytes: Buffer.from([0, 255, 30]) });
        for (const c of [a2, b]) assert.deepEqual([...new Uint8Array((await c.event('said')).bytes)], [0, 255, 30]);
        await b.ask('say', room, 'end');
        assert.deepEqual(await heard(a), []);
        for (const c of [a, a2, b]) c.close();
      });

      it('a question to everybody, on both servers', async () => {
        const room = newRoom();
        const [a, b] = [await client(0, room, options, create), await client(1, room, options, create)];
        a.socket.on('question', (n, ack) => ack(`a${n}`));
        b.socket.on('question', (n, ack) => ack(`b${n}`));
        const got = await a.ask('ask', room, 7);
        assert.deepEqual({ ...got, answers: got.answers.sort() }, { status: 0, asked: 2, missing: 0, answers: ['a7', 'b7'] });
        for (const c of [a, b]) c.close();
      });
    });

describe('two servers', () => {
  it('know each other', async () => {
    const [a, b] = [await client(0), await client(1)];
    for (const c of [a, b]) assert.equal((await c.ask('stats')).nodes, 2);
    for (const c of [a, b]) c.close();
  });

  it('to a socket of the other server, by its id', async () => {
    const [a, b, b2] = [await client(0), await client(1), await client(1)];
    await a.ask('say', b.socket.id, 'for you');
    assert.equal(await b.event('said'), 'for you');
    await a.ask('say', null, 'end');
    assert.deepEqual(await heard(b2), []);
    for (const c of [a, b, b2]) c.close();
  });

  it('a server without members hears nothing', async () => {
    const room = newRoom();
    const [a, b] = [await client(0, room), await client(1)];
    const before = (await b.ask('stats')).received;
    for (let i = 0; i < 50; i++) await a.ask('say', room, i);
    assert.equal((await b.ask('stats')).received, before);
    await b.ask('join', room);
    await a.ask('say', room, 'x');
    assert.equal(await b.event('said'), 'x');
    assert.equal((await b.ask('stats')).received, before + 1);
    await b.ask('leave', room);
    await a.ask('say', room, 'y');
    await a.ask('say', null, 'end');
    assert.deepEqual(await heard(b), []);
    assert.equal((await b.ask('stats')).received, before + 2);
    for (const c of [a, b]) c.close();
  });

  it('a question whose client leaves, and one that nobody answers', async () => {
    const room = newRoom();
    const [a, b, b2] = [await client(0), await client(1, room), await client(1, room)];
    b.socket.on('question', (ack) => ack(1));
    b2.socket.on('question', () => b2.close());
    assert.deepEqual(await a.ask('ask', room), { status: -4, asked: 2, missing: 0, answers: [1] });
    b.socket.off('question');
    assert.deepEqual(await a.ask('ask', room), { status: -12, asked: 1, missing: 0, answers: [] });
    assert.deepEqual(await a.ask('ask', newRoom()), { status: 0, asked: 0, missing: 0, answers: [] });
    for (const c of [a, b]) c.close();
  });

  it('fetch lists the sockets of both', async () => {
    const room = newRoom();
    const [a, b] = [await client(0, room), await client(1, room)];
    await b.ask('join', newRoom());
    const got = await a.ask('fetch', room);
    assert.deepEqual(got, {
      status: 0,
      missing: 0,
      sockets: [
        { id: a.socket.id, rooms: 1, data: { server: 0 } },
        { id: b.socket.id, rooms: 2, data: { server: 1 } },
      ],
    });
    for (const c of [a, b]) c.close();
  });

  it('everybody in a room moves to another, hears what is said there at once, and is put out', async () => {
    const [from, to] = [newRoom(), newRoom()];
    const [a, b] = [await client(0, from), await client(1, from)];
    a.emit('move', from, to).emit('say', to, 'end');
    assert.deepEqual([await heard(a), await heard(b)], [[], []]);
    a.emit('kick', to);
    for (const c of [a, b]) {
      const e = await c.events.next((x) => x.name === 'disconnect', { timeout: PATIENCE });
      assert.equal(e.args[0], 'io server disconnect');
    }
  });

  it('servers ask each other', async () => {
    const [a, b] = [await client(0), await client(1)];
    assert.deepEqual(await a.ask('servers', 'x'), { status: 0, asked: 1, missing: 0, answers: [[{ server: 1 }, 'x']] });
    assert.deepEqual(await b.ask('servers', 'y'), { status: 0, asked: 1, missing: 0, answers: [[{ server: 0 }, 'y']] });
    for (const c of [a, b]) c.close();
  });

  it('under load from both sides: nothing lost, nothing twice, each sender in order', async () => {
    const room = newRoom();
    const N = 1000;
    const senders = [await client(0, room), await client(1, room)];
    const listeners = [await client(0, room), await client(1, room), await client(1, room, { transports: ['polling'] })];
    for (let i = 0; i < N; i++) senders.forEach((s, k) => s.emit('say', room, [k, i]));
    await Promise.all(senders.map((s) => s.ask('say', room, [9])));
    for (const c of [...senders, ...listeners]) {
      for (let k = 0; k < 2; k++) await c.event('said', (x) => x[0] === 9);
      const all = c.all('said');
      assert.equal(all.length, 2 * N);
      for (const k of [0, 1]) assert.deepEqual(all.filter((x) => x[0] === k).map((x) => x[1]), Array.from({ length: N }, (_, i) => i));
      c.close();
    }
    const c = await client(0);
    const { refused, failed } = await c.ask('stats');
    assert.deepEqual({ refused, failed }, { refused: 0, failed: 0 });
    c.close();
  });
});
