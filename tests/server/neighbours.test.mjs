// Processes of other kinds on the same Redis: what they publish reaches the clients of our servers,
// once each, and what they may not do is not done; what ours publish reaches theirs, once each, and does
// not come back.  The real packages, a real redis-server.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
import { createAdapter } from '@socket.io/redis-adapter';
import { Emitter } from '@socket.io/redis-emitter';
import { createClient } from 'redis';
import { Server as NodeServer } from 'socket.io';
import { clientPool } from './lib/clients.mjs';
import { run, startCluster } from './lib/harness.mjs';
import { PATIENCE, Queue, sleep, until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { metric, startServers } from './lib/servers.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const pool = clientPool();
const P = 'proj-123';
const ROOM = `project:${P}`;

let redis, servers, anna, ben;
before(async () => {
  redis = await startRedis();
  servers = await startServers(2, { REDIS_URL: redis.url });
  anna = await pool.user(servers[0], 'anna', { project: P });
  ben = await pool.user(servers[1], 'ben', { project: P, transports: ['polling'] });
});
after(async () => {
  pool.close();
  await servers?.stop();
  await redis?.stop();
});

// Publish a mark behind what was sent, by the same way, and wait until both have it: then nothing
// of before is under way any more.
let marks = 0;
async function settled(clients = [anna, ben]) {
  const n = ++marks;
  await publish({ method: 'emit', event: 'mark', data: [n], namespace: '/', room: null, skip_sid: null, callback: null, host_id: 'tests' });
  for (const c of clients) await c.event('mark', (d) => d === n);
}
const publish = (message, channel = 'socketio') =>
  redis.cli('PUBLISH', channel, typeof message === 'string' ? message : JSON.stringify(message));
// All arguments of the events of that name, and none of them is kept.
async function taken(c, name, n) {
  await until(() => c.all(name).length >= n, `${n} of ${name}`);
  const got = c.events.peek((e) => e.name === name).map((e) => e.args);
  for (let i = 0; i < got.length; i++) await c.events.next((e) => e.name === name);
  return got;
}
// Calls of a python-socketio manager that only writes.
async function python(calls, kind = 'AsyncRedisManager') {
  const got = await run(PYTHON, [path.join(HERE, 'python', 'manager.py'), kind, redis.url], {
    input: calls.map((c) => JSON.stringify(c)).join('\n'),
    env: { PYTHONDONTWRITEBYTECODE: '1' },
    timeout: PATIENCE * 4,
  });
  assert.equal(got.stdout, 'ok\n', got.stdout + got.stderr);
}
// An event that ends in a string, or has no arguments, has null behind it, so that nothing looks like
// an offset (decision 0026).
const total = async (name) => (await Promise.all(servers.map((s) => metric(s, name)))).reduce((a, b) => a + b, 0);

describe("python-socketio's write-only manager", () => {
  for (const kind of ['AsyncRedisManager', 'RedisManager'])
    it(`${kind}: to a project, a user, everybody; once at each`, async () => {
      await python([
        ['emit', ['py:project', { item_id: 'i1', updates: { qty: '2.50' } }], { room: ROOM }],
        ['emit', ['py:user', { for: 'ben' }], { room: 'user:ben' }],
        ['emit', ['py:all', 'ä𝄞\u0001"'], {}],
        ['emit', ['py:elsewhere', 1], { room: 'project:proj-456' }],
        ['emit', ['py:nowhere', 1], { namespace: '/none' }],
        ['emit', ['py:rooms', 7], { room: [ROOM, 'user:anna'] }],
        ['emit', ['py:skip', 8], { room: ROOM, skip_sid: anna.socket.id }],
        ['emit', ['py:skips', 9], { skip_sid: [ben.socket.id, 'x'] }],
      ], kind);
      await settled();
      assert.deepEqual(await taken(ben, 'py:user', 1), [[{ for: 'ben' }]]);
      assert.deepEqual(await taken(ben, 'py:skip', 1), [[8]]);
      assert.deepEqual(await taken(anna, 'py:skips', 1), [[9]]);
      for (const c of [anna, ben]) {
        assert.deepEqual(await taken(c, 'py:project', 1), [[{ item_id: 'i1', updates: { qty: '2.50' } }]]);
        assert.deepEqual(await taken(c, 'py:all', 1), [['ä𝄞\u0001"', null]]);
        assert.deepEqual(await taken(c, 'py:rooms', 1), [[7]]);
        for (const none of ['py:elsewhere', 'py:nowhere']) assert.deepEqual(c.all(none), []);
      }
      assert.deepEqual([anna.all('py:user'), anna.all('py:skip'), ben.all('py:skips')], [[], [], []]);
    });

  it('arguments of all kinds: tuples, bytes, None, numbers, nesting', async () => {
    const data = { n: [0, 255, 256, 65535, 65536, -1, -2147483649, 2 ** 53, 0.1, 1e300, -0.5], deep: [[[{ a: null }]]], t: true, f: false, s: 'x'.repeat(300) };
    await python([
      ['emit', ['py:a', data], {}],
      ['emit', ['py:b', { tuple: [1, 'two', [3]] }], {}],
      ['emit', ['py:c', null], {}],
      ['emit', ['py:d', [1, 2]], {}],
      ['emit', ['py:e', { tuple: [] }], {}],
      ['emit', ['py:f', { file: { b64: '3q0=' }, more: [{ b64: '' }] }], {}],
    ]);
    for (const c of [anna, ben]) {
      assert.deepEqual(await taken(c, 'py:a', 1), [[data]]);
      assert.deepEqual(await taken(c, 'py:b', 1), [[1, 'two', [3]]]);
      assert.deepEqual(await taken(c, 'py:c', 1), [[null]]);
      assert.deepEqual(await taken(c, 'py:d', 1), [[[1, 2]]]);
      assert.deepEqual(await taken(c, 'py:e', 1), [[null]]);
      assert.deepEqual(await taken(c, 'py:f', 1), [[{ file: Buffer.from('dead', 'hex'), more: [Buffer.alloc(0)] }]]);
    }
  });

  it('JSON of 5.14 and later, byte for byte as that writes it', async () => {
    const emit = (event, data, more = '"binary": false, ') =>
      `{"method": "emit", "event": "${event}", "data": ${data}, ${more}"namespace": "/", "room": "${ROOM}", "skip_sid": null, "callback": null, "host_id": "145d387fcb414ac893ba84aa27e844ac"}`;
    await publish(emit('js:a', '[{"id": 7, "s": "\\u00e4\\ud834\\udd1e"}]'));
    await publish(emit('js:b', '[1, "two", [3]]'));
    await publish(emit('js:c', '[null]'));
    await publish(emit('js:d', '[]'));
    await publish(emit('js:e', '{"bare": 1}', '')); // 5.14.0
    await publish(emit('js:f', '[[1, {"_placeholder": true, "num": 0}], "3q0="]', '"binary": true, '));
    await publish(emit('js:g', '[{"x": NaN, "y": [Infinity, -Infinity], "z": "NaN"}]'));
    for (const c of [anna, ben]) {
      assert.deepEqual(await taken(c, 'js:a', 1), [[{ id: 7, s: 'ä𝄞' }]]);
      assert.deepEqual(await taken(c, 'js:b', 1), [[1, 'two', [3]]]);
      assert.deepEqual(await taken(c, 'js:c', 1), [[null]]);
      assert.deepEqual(await taken(c, 'js:d', 1), [[null]]);
      assert.deepEqual(await taken(c, 'js:e', 1), [[{ bare: 1 }]]);
      assert.deepEqual(await taken(c, 'js:f', 1), [[1, Buffer.from('dead', 'hex')]]);
      assert.deepEqual(await taken(c, 'js:g', 1), [[{ x: null, y: [null, null], z: 'NaN' }]]);
    }
  });

  it('what is none, and what would run code, changes nothing and is counted', async () => {
    const before = await total('skybuild_redis_dropped_total{why="neighbour_malformed"}');
    const evil = "\\x80\\x04cposix\\nsystem\\n\\x8c\\x04true\\x85R."; // redis-cli has no way for NUL in arguments
    const bad = ['', 'x', '[]', '{}', '{"method":1}', '{"method":"emit","namespace":"/"}', '{"method":"boom","namespace":"/"}', evil];
    for (const b of bad) await redis.cli('EVAL', `return redis.call('PUBLISH', 'socketio', "${b.replaceAll('"', '\\"')}")`, 0);
    await publish({ method: 'emit', event: 'bad:placeholder', data: [[{ _placeholder: true, num: 1 }], '3q0='], binary: true, namespace: '/' });
    await publish({ method: 'emit', event: 'nobody', data: [1], namespace: '/', room: [] });
    await publish({ method: 'emit', event: 'nobody', data: [1], namespace: null });
    await publish({ method: 'emit', event: 'connect', data: [1], namespace: '/' }); // a reserved name
    await settled();
    for (const c of [anna, ben]) assert.deepEqual([c.all('nobody'), c.all('bad:placeholder'), c.socket.connected], [[], [], true]);
    const after = await total('skybuild_redis_dropped_total{why="neighbour_malformed"}');
    assert.equal(after - before, 2 * (bad.length + 1));
  });

  it('joins, leaves and disconnects are not done unless they are allowed', async () => {
    const before = await total('skybuild_redis_dropped_total{why="neighbour_control"}');
    const sid = anna.socket.id;
    await publish({ method: 'enter_room', sid, room: 'secret', namespace: '/', host_id: 'x' });
    await publish({ method: 'leave_room', sid, room: ROOM, namespace: '/', host_id: 'x' });
    await publish({ method: 'close_room', room: ROOM, namespace: '/', host_id: 'x' });
    await publish({ method: 'disconnect', sid, namespace: '/', host_id: 'x' });
    await python([['emit', ['py:still', 1], { room: ROOM }], ['emit', ['py:secret', 1], { room: 'secret' }]]);
    await settled();
    for (const c of [anna, ben]) assert.deepEqual(await taken(c, 'py:still', 1), [[1]]);
    assert.deepEqual(anna.all('py:secret'), []);
    assert.equal((await total('skybuild_redis_dropped_total{why="neighbour_control"}')) - before, 2 * 4);
  });
});

// A connection of the npm package redis.
async function connect(at = redis) {
  const client = createClient({ url: at.url });
  client.on('error', () => {});
  return client.connect();
}

// A Node server with the Redis adapter, and how to end it.
async function nodeServer(options, at) {
  const [pub, sub] = [await connect(at), await connect(at)];
  const http = createServer();
  const io = new NodeServer(http, { adapter: createAdapter(pub, sub, options) });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  io.url = `http://127.0.0.1:${http.address().port}`;
  io.end = async () => {
    await io.close();
    await Promise.all([pub.quit(), sub.quit()]);
  };
  return io;
}

const DATA = { n: [0, 127, 128, 255, 65536, -1, -33, -129, 2 ** 40, -(2 ** 40), 0.1, -2.5], deep: [[[{ a: null }]]], t: true, s: 'ä𝄞'.repeat(200) };
const WHEN = new Date('2026-11-27T18:00:00.123Z');

// What an emitter and a server have in common.
async function sends(io, prefix) {
  io.to(ROOM).emit(`${prefix}:project`, DATA);
  io.to('user:ben').emit(`${prefix}:user`, 1);
  io.emit(`${prefix}:all`, 1, 'two', [3], { when: WHEN });
  io.to(ROOM).to('user:anna').emit(`${prefix}:rooms`, 7);
  io.to(ROOM).except(anna.socket.id).emit(`${prefix}:except`, 8);
  io.to([ROOM, 'nobody']).except(['user:ben', 'user:x']).emit(`${prefix}:excepts`, 9);
  io.volatile.emit(`${prefix}:volatile`, 10);
  io.compress(false).emit(`${prefix}:compress`, 11);
  io.emit(`${prefix}:binary`, { file: Buffer.from('dead', 'hex') }, Buffer.alloc(0));
  io.of('/none').emit(`${prefix}:nowhere`, 1);
  io.to('project:proj-456').emit(`${prefix}:elsewhere`, 1);
  io.emit(`${prefix}:end`, 1);
}

async function arrived(prefix) {
  for (const c of [anna, ben]) {
    await c.event(`${prefix}:end`);
    const of = async (name) => (await taken(c, `${prefix}:${name}`, 1));
    assert.deepEqual(await of('project'), [[DATA]]);
    assert.deepEqual(await of('all'), [[1, 'two', [3], { when: WHEN.toISOString() }]]);
    assert.deepEqual(await of('rooms'), [[7]]);
    assert.deepEqual(await of('volatile'), [[10]]);
    assert.deepEqual(await of('compress'), [[11]]);
    assert.deepEqual(await of('binary'), [[{ file: Buffer.from('dead', 'hex') }, Buffer.alloc(0)]]);
    for (const none of ['nowhere', 'elsewhere']) assert.deepEqual(c.all(`${prefix}:${none}`), []);
  }
  assert.deepEqual(await taken(ben, `${prefix}:user`, 1), [[1]]);
  assert.deepEqual(await taken(ben, `${prefix}:except`, 1), [[8]]);
  assert.deepEqual(await taken(anna, `${prefix}:excepts`, 1), [[9]]);
  assert.deepEqual([anna.all(`${prefix}:user`), anna.all(`${prefix}:except`), ben.all(`${prefix}:excepts`)], [[], [], []]);
}

describe('@socket.io/redis-emitter', () => {
  let client, emitter;
  before(async () => {
    client = await connect();
    emitter = new Emitter(client);
  });
  after(() => client?.quit());

  it('to a project, a user, everybody; rooms, exceptions, flags, bytes', async () => {
    await sends(emitter, 'em');
    await arrived('em');
  });

  it('joins, leaves and disconnects are not done unless they are allowed', async () => {
    const before = await total('skybuild_redis_dropped_total{why="neighbour_control"}');
    emitter.in(ROOM).socketsJoin('secret');
    emitter.socketsLeave(ROOM);
    emitter.disconnectSockets(true);
    emitter.serverSideEmit('hello', 1);
    emitter.to(ROOM).emit('em:still', 1);
    emitter.to('secret').emit('em:secret', 1);
    emitter.emit('em:end', 1);
    for (const c of [anna, ben]) {
      await c.event('em:end');
      assert.deepEqual(await taken(c, 'em:still', 1), [[1]]);
      assert.deepEqual(c.all('em:secret'), []);
    }
    assert.equal((await total('skybuild_redis_dropped_total{why="neighbour_control"}')) - before, 2 * 3);
  });

  it('what is no message of theirs changes nothing and is counted', async () => {
    const before = await total('skybuild_redis_dropped_total{why="neighbour_malformed"}');
    const bad = [Buffer.from('93', 'hex'), Buffer.from('c1', 'hex'), Buffer.from('80', 'hex'), Buffer.from('dfffffffff', 'hex'), Buffer.from('{}'), Buffer.from(''), Buffer.alloc(2000, 0x91)];
    for (const b of bad) await client.publish('socket.io#/#', b);
    for (const text of ['{', '[]', '{"type":2}', '{"type":4,"close":true}', '{"type":99}']) await client.publish('socket.io-request#/#', text);
    emitter.emit('em:end', 2);
    for (const c of [anna, ben]) await c.event('em:end', (d) => d === 2);
    assert.equal((await total('skybuild_redis_dropped_total{why="neighbour_malformed"}')) - before, 2 * (bad.length + 5));
  });
});

describe('a Node server with @socket.io/redis-adapter', () => {
  let io, two;
  before(async () => {
    io = await nodeServer();
    two = await nodeServer();
  });
  after(async () => {
    await io?.end();
    await two?.end();
  });

  it('to a project, a user, everybody; rooms, exceptions, flags, bytes', async () => {
    await sends(io, 'node');
    await arrived('node');
  });

  it('its own local events are its own, and events with an acknowledgement arrive, without one', async () => {
    io.local.emit('node:local', 1);
    const asked = new Promise((resolve) => io.timeout(5000).emit('node:ask', 5, (err, answers) => resolve([err, answers])));
    for (const c of [anna, ben]) assert.equal(await c.event('node:ask'), 5);
    io.emit('node:end', 1);
    for (const c of [anna, ben]) {
      await c.event('node:end');
      assert.deepEqual(c.all('node:local'), []);
    }
    assert.deepEqual(await asked, [null, []]); // its servers have no clients, and we are not counted
  });

  it('is not made to wait for us: fetchSockets, serverSideEmit with an acknowledgement', async () => {
    two.on('ping', (cb) => cb('pong'));
    assert.deepEqual(await io.fetchSockets(), []);
    assert.deepEqual(await io.serverSideEmitWithAck('ping'), ['pong']);
  });
});

describe('REDIS_ALLOW_REMOTE_CONTROL=true, REDIS_CHANNEL=other', () => {
  let own;
  before(async () => {
    own = await startServers(2, { REDIS_URL: redis.url, REDIS_PREFIX: 'other', REDIS_CHANNEL: 'other', REDIS_ALLOW_REMOTE_CONTROL: 'true' });
  });
  after(() => own?.stop());
  const say = (message) => publish({ namespace: '/', host_id: 'x', ...message }, 'other');
  const emit = (event, room) => say({ method: 'emit', event, data: [1], room });

  it('a python process moves and disconnects clients', async () => {
    const cleo = await pool.user(own[0], 'anna', { project: P });
    const dora = await pool.user(own[1], 'ben', { project: P });
    await publish({ method: 'emit', event: 'x:foreign', data: [1], namespace: '/', room: null }); // the default channel
    await say({ method: 'enter_room', sid: cleo.socket.id, room: 'club' });
    await emit('x:club', 'club');
    await cleo.event('x:club');
    await say({ method: 'leave_room', sid: cleo.socket.id, room: 'club' });
    await emit('x:left', 'club');
    await say({ method: 'close_room', room: ROOM });
    await emit('x:closed', ROOM);
    await emit('x:end', null);
    for (const c of [cleo, dora]) {
      await c.event('x:end');
      for (const none of ['x:left', 'x:closed', 'x:foreign']) assert.deepEqual(c.all(none), []);
    }
    assert.deepEqual(dora.all('x:club'), []);
    await say({ method: 'disconnect', sid: ROOM }); // no socket's id
    await say({ method: 'disconnect', sid: dora.socket.id });
    const end = await dora.events.next((e) => e.local && e.name === 'disconnect', { timeout: PATIENCE });
    assert.equal(end.args[0], 'io server disconnect');
    await sleep(50);
    assert.equal(cleo.socket.connected, true);
    for (const c of [cleo, dora]) c.close();
  });

  it('an emitter and a Node server move and disconnect clients', async () => {
    const client = await connect();
    const emitter = new Emitter(client);
    const io = await nodeServer();
    const cleo = await pool.user(own[0], 'anna', { project: P });
    const dora = await pool.user(own[1], 'ben', { project: P });
    for (const [who, room] of [[emitter, 'em-club'], [io, 'io-club']]) {
      const { length } = cleo.all('x:mark');
      who.in('user:anna').socketsJoin([room, `${room}-2`]);
      await until(async () => {
        who.to(`${room}-2`).emit('x:mark', room);
        return cleo.all('x:mark').length > length;
      }, 'it has joined');
      who.to(room).emit('x:club', room);
      assert.equal(await cleo.event('x:club', (d) => d === room), room);
      who.in(room).socketsLeave([room, `${room}-2`]);
      await sleep(100);
      who.to(room).emit('x:left', 1);
      who.emit('x:end', room);
      for (const c of [cleo, dora]) await c.event('x:end', (d) => d === room);
      assert.deepEqual([cleo.all('x:left'), dora.all('x:left'), dora.all('x:club')], [[], [], []]);
    }
    emitter.in('user:ben').disconnectSockets(); // the session stays, the namespace is left
    io.in('user:anna').disconnectSockets(true);
    for (const c of [cleo, dora]) await c.events.next((e) => e.local && e.name === 'disconnect', { timeout: PATIENCE });
    await io.end();
    await client.quit();
  });
});

describe('REDIS_LISTEN_TO=none', () => {
  it('hears nobody', async () => {
    const own = await startServers(1, { REDIS_URL: redis.url, REDIS_PREFIX: 'alone', REDIS_LISTEN_TO: 'none' });
    const client = await connect();
    const cleo = await pool.user(own[0], 'anna');
    await publish({ method: 'emit', event: 'x:python', data: [1], namespace: '/', room: null });
    new Emitter(client).emit('x:node', 1);
    await sleep(200);
    assert.deepEqual([cleo.all('x:python'), cleo.all('x:node')], [[], []]);
    assert.equal(await redis.cli('PUBSUB', 'NUMSUB', 'socketio'), 'socketio\n2'); // those of the first tests
    cleo.close();
    await client.quit();
    await own.stop();
  });
});

// A script of python/ that runs until it is ended; its lines in a queue.
function startPython(script, ...args) {
  const child = spawn(PYTHON, [path.join(HERE, 'python', script), ...args], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }, stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = new Queue(script);
  let rest = '';
  child.stdout.on('data', (d) => {
    const all = (rest + d).split('\n');
    rest = all.pop();
    for (const line of all) lines.push(line);
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const end = async () => {
    child.stdin.end();
    await ended;
  };
  process.on('exit', () => child.kill('SIGKILL'));
  return { lines, end };
}

async function pythonServer(kind, at) {
  const server = startPython('server.py', kind, at.url);
  const line = await server.lines.next((l) => l.startsWith('port '), { timeout: PATIENCE * 4 });
  return { ...server, url: `http://127.0.0.1:${line.slice(5)}` };
}

// Debian's client, with the face of ours.
async function pythonClient(url, room) {
  const script = startPython('listener.py', url, room);
  await script.lines.next((l) => l === '["joined"]', { timeout: PATIENCE * 4 });
  const all = (name) => script.lines.peek((l) => l.startsWith(`["${name}"`)).map((l) => JSON.parse(l)[1]);
  return { all, close: script.end };
}

// A Node server whose clients may do what those of python/server.py may.
async function nodeServerWithClients(at) {
  const io = await nodeServer(undefined, at);
  io.on('connection', (s) => {
    s.on('join', (room, ack) => (s.join(room), ack(room)));
    s.on('say', (room, event, argument) => io.to(room).emit(event, argument));
  });
  return io;
}

describe('REDIS_PUBLISH_TO=python,node: our events reach the clients of their servers', () => {
  let own, at, io, snakes, ours, theirs, others;
  const N = 20;
  const stay = []; // to be ended
  // A stock client of a server of theirs, in rooms.
  const guest = async (url, options, ...rooms) => {
    const c = await pool.open(url, { transports: ['websocket'], ...options }).connected();
    for (const room of rooms) await c.ask('join', room);
    return c;
  };
  before(async () => {
    at = await startRedis();
    own = await startServers(2, { REDIS_URL: at.url, REDIS_PUBLISH_TO: 'python,node' });
    io = await nodeServerWithClients(at);
    snakes = await Promise.all(['AsyncRedisManager', 'RedisManager'].map((kind) => pythonServer(kind, at)));
    ours = [await pool.user(own[0], 'anna', { project: P }), await pool.user(own[1], 'ben', { project: P, transports: ['polling'] })];
    const rooms = [ROOM, 'user:ben'];
    others = {
      node: await guest(io.url, {}, ...rooms),
      nodePolling: await guest(io.url, { transports: ['polling'] }, ...rooms),
      pythonAsync: await guest(snakes[0].url, {}, ...rooms),
      pythonThreads: await guest(snakes[1].url, { transports: ['polling'] }, ...rooms),
      pythonClient: await pythonClient(snakes[0].url, ROOM),
    };
    stay.push(others.pythonClient);
    theirs = Object.entries(others);
  });
  after(async () => {
    pool.close();
    for (const s of [...stay, ...(snakes ?? [])]) await (s.end ?? s.close)();
    await io?.end();
    await own?.stop();
    await at?.stop();
  });
  const sum = async (name) => (await Promise.all(own.map((s) => s.metric(name)))).reduce((a, b) => a + b, 0);
  const boq = (i, item) => own[i].broadcast('boq-update', { project_id: P, item_id: item, updates: { qty: '1.50', n: [1, -2, 0.5, null] }, user_id: 'anna' });
  const emit = (i, body) => own[i].broadcast('emit', body);
  // Node's server throws a volatile event away while its client is between two polls, so that one may miss it.
  const isWhole = (who, got, want) => (who === 'nodePolling' && got.length === 0) || assert.deepEqual(got, want, who);
  let marks = 0;
  // Behind what was sent before, by the same server: then all of it is there.
  const flushed = async (i = 0, room = ROOM) => {
    const n = ++marks;
    assert.equal((await emit(i, { room, event: 'mark', data: { n } })).status, 202);
    for (const [who, c] of theirs)
      if (room === ROOM || who !== 'pythonClient') await until(() => c.all('mark').some((d) => d.n === n), `the mark at ${who}`);
  };

  it('durable events of all servers: once each, whole, in the order of their server', async () => {
    for (let k = 0; k < N; k++) for (const i of [0, 1]) assert.equal((await boq(i, `${i}-${k}`)).status, 202);
    for (const i of [0, 1]) await flushed(i);
    for (const c of ours) await until(() => c.all('boq:item:updated').length >= 2 * N, 'ours have them');
    const want = Object.fromEntries(ours[0].all('boq:item:updated').map((d) => [d.item_id, d]));
    for (const [who, c] of theirs) {
      const got = c.all('boq:item:updated');
      assert.equal(got.length, 2 * N, who);
      for (const d of got) assert.deepEqual(d, want[d.item_id], who);
      for (const i of [0, 1]) assert.deepEqual(got.map((d) => d.item_id).filter((x) => x.startsWith(`${i}-`)), Array.from({ length: N }, (_, k) => `${i}-${k}`), who);
    }
    for (const c of ours) assert.equal(c.all('boq:item:updated').length, 2 * N);
  });

  it('to a user, to a room that none of ours is in, volatile, except one', async () => {
    const skipped = others.node.socket.id;
    assert.equal((await own[0].broadcast('notify', { user_id: 'ben', notification_data: { title: 'hello' } })).status, 202);
    await emit(1, { room: 'user:nobody', event: 'x:nobody', data: { a: 1 } });
    await emit(1, { room: ROOM, event: 'x:volatile', data: { a: 'ä𝄞\u0001"' }, volatile: true });
    await emit(1, { room: ROOM, event: 'x:text', data: 'plain' });
    await emit(1, { room: ROOM, event: 'x:except', data: { a: 2 }, except_sid: skipped });
    await emit(0, { room: 'club', event: 'x:club', data: { a: 3 } });
    for (const i of [0, 1]) await flushed(i);
    for (const [who, c] of theirs) {
      assert.deepEqual(c.all('notification:new').map((d) => d.title), who === 'pythonClient' ? [] : ['hello'], who);
      isWhole(who, c.all('x:volatile'), [{ a: 'ä𝄞\u0001"' }]);
      assert.deepEqual(c.all('x:text'), ['plain'], who);
      assert.deepEqual(c.all('x:except').map((d) => d.a), who === 'node' ? [] : [2], who);
      for (const none of ['x:nobody', 'x:club']) assert.deepEqual(c.all(none), [], `${who} ${none}`);
    }
    const member = await guest(io.url, {}, 'club');
    await emit(0, { room: 'club', event: 'x:club', data: { a: 4 } });
    assert.equal((await member.event('x:club')).a, 4);
    member.close();
  });

  it('what members do: cursors, typing and states, not who comes and goes', async () => {
    ours[0].emit('cursor:move', { project_id: P, cursor: { x: 7 } });
    ours[1].emit('typing:start', { project_id: P, target: 'boq' });
    ours[1].emit('presence:update', { project_id: P, state: { page: 'boq' } });
    const late = await pool.user(own[1], 'cleo', { project: P });
    late.close();
    for (const [who, c] of theirs) {
      await until(() => (c.all('cursor:moved').length || who === 'nodePolling') && c.all('typing:started').length && c.all('presence:updated').length, `they come to ${who}`);
      isWhole(who, c.all('cursor:moved').map((d) => [d.user_id, d.cursor]), [['anna', { x: 7 }]]);
      assert.deepEqual(c.all('typing:started').map((d) => d.user_id), ['ben'], who);
    }
    await ours[0].event('user:joined', (d) => d.user_id === 'cleo');
    await ours[0].event('user:left', (d) => d.user_id === 'cleo');
    for (const i of [0, 1]) await flushed(i);
    for (const [who, c] of theirs) assert.deepEqual([...c.all('user:joined'), ...c.all('user:left')], [], who);
  });

  it('both ways at once: everybody once, and what we publish does not come back to us', async () => {
    const before = [await sum('skybuild_redis_messages_total{direction="neighbours"}'), await sum('skybuild_redis_messages_total{direction="to_neighbours"}')];
    for (let k = 0; k < N; k++) {
      others.node.emit('say', ROOM, 'b:node', { k });
      // Theirs handles each event by a task of its own and publishes on connections of a pool: one after the other, or its order is none.
      await Promise.all([others.pythonAsync.ask('say', ROOM, 'b:python', { k }), emit(k % 2, { room: ROOM, event: 'b:own', data: { k } })]);
    }
    const want = { 'b:node': [...ours, others.node, others.nodePolling], 'b:python': [...ours, others.pythonAsync, others.pythonThreads, others.pythonClient], 'b:own': [...ours, ...Object.values(others)] };
    for (const [event, who] of Object.entries(want)) for (const c of who) await until(() => c.all(event).length >= N, `${event} everywhere`);
    for (const i of [0, 1]) await flushed(i);
    for (const [event, who] of Object.entries(want))
      for (const c of who) {
        const ks = c.all(event).map((d) => d.k);
        assert.equal(ks.length, N);
        if (event !== 'b:own') assert.deepEqual(ks, Array.from({ length: N }, (_, k) => k)); // one sender, one order
        else assert.equal(new Set(ks).size, N);
      }
    const after = [await sum('skybuild_redis_messages_total{direction="neighbours"}'), await sum('skybuild_redis_messages_total{direction="to_neighbours"}')];
    assert.equal(after[0] - before[0], 2 * 2 * N, 'each server of ours has heard theirs, and not its own');
    assert.equal(after[1] - before[1], 2 * (N + 2), 'one message for each kind and event, whoever of ours made it');
    assert.equal(await sum('skybuild_redis_dropped_total{why="neighbour_untold"}'), 0);
    assert.equal(await sum('skybuild_redis_dropped_total{why="neighbour_malformed"}'), 0);
  });

  it('without Redis what is volatile is dropped, the rest waits, and it goes on when Redis is back', async () => {
    await at.kill();
    await until(async () => (await own[0].metric('skybuild_redis_up')) === 0, 'it is noticed', { timeout: 20000 });
    assert.equal((await emit(0, { room: ROOM, event: 'x:gone', data: {}, volatile: true })).status, 202);
    assert.equal((await boq(0, 'while-away')).status, 202);
    assert.ok((await own[0].metric('skybuild_redis_dropped_total{why="neighbour_untold"}')) >= 2);
    assert.ok((await own[0].metric('skybuild_redis_outbox_messages')) >= 2);
    await at.start();
    await until(async () => (await own[0].metric('skybuild_redis_up')) === 1, 'it is back', { timeout: 20000 });
    for (const c of [others.node, others.pythonAsync]) {
      let k = 0;
      await until(async () => (await boq(0, `again-${k++}`), c.all('boq:item:updated').some((d) => d.item_id.startsWith('again-'))), 'events come again', { timeout: 30000 });
    }
    for (const c of ours) await c.event('boq:item:updated', (d) => d.item_id === 'while-away');
  });
});

describe('a server of the library tells its broadcasts: several arguments, rooms, bytes', () => {
  it('Node clients get them as they are', async () => {
    const io = await nodeServerWithClients(redis);
    const cluster = await startCluster(2, { redis: redis.url });
    try {
      const nina = await pool.open(io.url, { transports: ['websocket'] }).connected();
      await nina.ask('join', 'lib');
      const cleo = await pool.open(cluster.urls[0], { transports: ['websocket'] }).connected();
      await until(async () => (await cleo.ask('stats')).nodes === 2, 'they know each other');
      const args = [{ file: Buffer.from('dead', 'hex'), n: [1, 2.5, null] }, [Buffer.alloc(70000, 7), 'ä𝄞'], true];
      await until(() => {
        if (nina.all('said').length === 0) cleo.emit('say', 'lib', ...args);
        return nina.all('said').length > 0;
      }, 'it comes');
      const [got] = await taken(nina, 'said', 1);
      assert.deepEqual(got, args);
      cleo.emit('say', null, 'to all', []);
      await until(() => nina.all('said').includes('to all'), 'to everybody');
      for (const c of [nina, cleo]) c.close();
    } finally {
      await cluster.end();
      await io.end();
    }
  });
});
