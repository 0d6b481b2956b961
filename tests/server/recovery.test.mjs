// Connection state recovery on the store, with stock clients: a network that is cut, a server
// that is killed, and everything for which a client is not recovered but starts anew.
//
// KILL_ROUNDS=N makes the loop of kills longer (make torture).
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { clientPool, Client, COMES_BACK, TRANSPORTS } from './lib/clients.mjs';
import { RawWs } from './lib/eio.mjs';
import { cliIn, fillStore, freePort, Server, serverEnv, startServer, tempDir } from './lib/harness.mjs';
import { Network } from './lib/network.mjs';
import { sleep, until } from './lib/queue.mjs';

const KILL_ROUNDS = Number(process.env.KILL_ROUNDS ?? 4);
const P = '/api/projects/proj-123';
const pool = clientPool();
const servers = new Set();
afterEach(async () => {
  pool.close();
  Network.closeAll();
  for (const s of servers) if (s.alive()) await s.stop();
  servers.clear();
});

async function start(env = {}) {
  const server = await startServer({ env });
  servers.add(server);
  const network = await new Network(server.port).listen();
  return { server, network };
}

// A client behind the network, that comes back quickly; joined to projects of auth.
async function arrive({ server, network }, user, projects = [], options = {}) {
  const c = pool.open(network.url, {
    name: user,
    auth: { token: server.token(user), projects },
    ...COMES_BACK,
    ...options,
  }, options.create);
  await c.connected();
  await c.event('connected');
  for (const id of projects) await c.event('joined_project', (d) => d.project_id === id);
  return c;
}

async function comment(server, text, as = 'ben', project = 'proj-123') {
  const res = await server.api('POST', `/api/projects/${project}/comments`, { as, body: { text } });
  assert.equal(res.status, 201, res.body);
  return res.json;
}

const texts = (c) => c.all('comment:created').map((d) => d.comment.text);

const recoveries = (server, result) => server.metric(`skybuild_recoveries_total{result="${result}"}`);

// Same folder, same port: the server that comes after a kill.
async function restart(server, network, env = {}) {
  const next = await new Server(server.dir, { ...server.env, ...env }).listening();
  servers.delete(server);
  servers.add(next);
  network.to = next.port;
  return next;
}

describe('the network is cut', () => {
  for (const [name, transport] of TRANSPORTS)
    it(`over ${name}: what was missed comes, once, in order, before anything else`, async () => {
      const at = await start();
      const c = await arrive(at, 'anna', ['proj-123', 'proj-456'], transport);
      if (name === 'upgrade') await c.upgraded();
      await comment(at.server, 'one');
      await c.event('comment:created');
      const id = c.socket.id;
      at.network.cut();
      await c.lost();
      await comment(at.server, 'two @anna');
      await comment(at.server, 'three', 'ben', 'proj-456');
      await comment(at.server, 'four');
      c.events.clear();
      at.network.mend();
      assert.equal(await c.back(), true);
      assert.equal(c.socket.id, id);
      await c.event('joined_project', (d) => d.project_id === 'proj-456');
      const names = c.events.peek((e) => !e.local).map((e) => e.name);
      assert.deepEqual(texts(c), ['two @anna', 'three', 'four']);
      assert.deepEqual(names.slice(0, 4), ['comment:created', 'notification:new', 'comment:created', 'comment:created']);
      await comment(at.server, 'five');
      await c.event('comment:created', (d) => d.comment.text === 'five');
      assert.equal(await recoveries(at.server, 'recovered'), 1);
      assert.equal(at.server.logged(/Client recovered: \S+ \(user: anna\), it had missed 4 events/).length, 1);
    });

  it('in the middle of bursts, again and again: each event once', async () => {
    const at = await start();
    const clients = [await arrive(at, 'anna', ['proj-123']), await arrive(at, 'cleo', ['proj-123'], { transports: ['polling'] })];
    const recovered = clients.map(() => []);
    clients.forEach((c, i) => c.socket.on('connect', () => recovered[i].push(c.socket.recovered)));
    let n = 0;
    for (let round = 0; round < 6; round++) {
      const writes = Array.from({ length: 15 }, () => comment(at.server, `@cleo ${++n}`));
      await sleep(5 + 7 * round);
      at.network.cut();
      await Promise.all(writes);
      await sleep(round % 2 ? 0 : 60);
      at.network.mend();
      await sleep(120);
    }
    const last = await comment(at.server, 'last');
    for (const c of clients) {
      await c.event('comment:created', (d) => d.comment_id === last.comment_id, { timeout: 20000 });
      assert.deepEqual(c.all('comment:created').map((d) => d.seq), Array.from({ length: n }, (_, i) => 4 + i));
    }
    assert.equal(clients[1].all('notification:new').length, n);
    for (const r of recovered) assert.ok(r.length >= 2 && r.every((x) => x === true), `came back ${r.length} times: ${r}`);
    assert.equal(await recoveries(at.server, 'unknown'), 0);
  });

  it('and mended before the server notices: the old connection gives way, and nobody hears of it', async () => {
    const at = await start({ PRESENCE_GRACE: 1000, PING_INTERVAL: 60000 });
    const ben = await pool.user(at.server, 'ben', { project: 'proj-123' });
    const c = await arrive(at, 'anna', ['proj-123']);
    await ben.event('user:joined');
    at.network.deafen();
    await comment(at.server, 'unheard');
    await ben.event('comment:created'); // so it was sent to the deaf one, too
    // The client's side alone breaks, as when a phone changes its network.
    const pid = c.socket._pid;
    const second = pool.open(at.server.url, { auth: { token: at.server.token('anna') }, transports: ['websocket'], autoConnect: false });
    second.socket._pid = pid;
    second.socket.connect();
    await second.connected();
    assert.equal(second.socket.recovered, true);
    assert.equal((await second.event('comment:created')).comment.text, 'unheard');
    await sleep(1300);
    assert.deepEqual(ben.events.peek((e) => e.name.startsWith('user:')), []);
    assert.equal((await at.server.api('GET', '/api/projects/proj-123/presence', { key: true })).json.users.find((u) => u.user_id === 'anna').connections, 1);
  });

  it('a client that never received an event recovers as well', async () => {
    const at = await start();
    await comment(at.server, 'before its time');
    const c = await arrive(at, 'anna');
    c.emit('join_project', { project_id: 'proj-123' });
    await c.event('joined_project');
    assert.equal(c.socket._lastOffset, undefined);
    at.network.cut();
    await c.lost();
    await comment(at.server, 'first');
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.event('joined_project');
    assert.deepEqual(texts(c), ['first']);
  });

  it('what it left is not replayed, what it joined again only from there', async () => {
    const at = await start();
    const c = await arrive(at, 'anna', ['proj-456']);
    c.emit('join_project', { project_id: 'proj-123' });
    await c.event('joined_project');
    assert.equal((await c.ask('leave_project', { project_id: 'proj-123' })).ok, true);
    await comment(at.server, 'while out');
    await comment(at.server, 'here', 'ben', 'proj-456');
    await c.event('comment:created');
    at.network.cut();
    await c.lost();
    await comment(at.server, 'still out');
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.event('joined_project');
    assert.deepEqual(texts(c), []);
    c.emit('join_project', { project_id: 'proj-123' });
    await c.event('joined_project', (d) => d.project_id === 'proj-123');
    at.network.cut();
    await c.lost();
    await comment(at.server, 'in again');
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.event('joined_project', (d) => d.project_id === 'proj-456');
    assert.deepEqual(texts(c), ['in again']);
  });

  it('notifications of a user who is in no project', async () => {
    const at = await start();
    const c = await arrive(at, 'dora');
    at.network.cut();
    await c.lost();
    await at.server.broadcast('notify', { user_id: 'dora', notification_data: { message: 'hello' } });
    at.network.mend();
    assert.equal(await c.back(), true);
    assert.deepEqual(c.all('notification:new').map((d) => d.message), ['hello']);
  });

  it('a leaving of its own will is final', async () => {
    const at = await start();
    const c = await arrive(at, 'anna', ['proj-123']);
    const pid = c.socket._pid;
    c.socket.disconnect();
    await until(() => at.server.logged(/Client disconnected/).length, 'the end');
    c.socket._pid = pid;
    c.socket.connect();
    assert.equal(await c.back(), false);
    assert.equal(await recoveries(at.server, 'unknown'), 1);
  });

  it('clients of before 4.6 reconnect as ever', async () => {
    const { io: io45 } = { io: (await import('socket.io-client-4.5')).io };
    const at = await start();
    const c = await arrive(at, 'anna', ['proj-123'], { create: io45 });
    at.network.cut();
    await c.lost();
    await comment(at.server, 'missed');
    at.network.mend();
    assert.notEqual(await c.back(), true);
    const joined = await c.event('joined_project');
    assert.deepEqual(texts(c), []);
    assert.equal(joined.seq, 4); // and finds it by the number
  });
});

describe('presence of a client that is back', () => {
  it('within the grace nobody hears anything; the room is as it was', async () => {
    const at = await start({ PRESENCE_GRACE: 1500 });
    const ben = await pool.user(at.server, 'ben', { project: 'proj-123' });
    const c = await arrive(at, 'anna', ['proj-123']);
    await ben.event('user:joined');
    await c.ask('presence:update', { project_id: 'proj-123', state: { row: 3 } });
    await ben.event('presence:updated');
    at.network.cut();
    await c.lost();
    at.network.mend();
    assert.equal(await c.back(), true);
    const joined = await c.event('joined_project');
    assert.deepEqual(joined.users.find((u) => u.user_id === 'anna').state, { row: 3 });
    await sleep(1800); // longer than the grace
    assert.deepEqual(ben.events.peek((e) => /^user:|^presence:/.test(e.name)), []);
  });

  it('after it, others hear user:left, then user:joined and what it looked at', async () => {
    const at = await start({ PRESENCE_GRACE: 50 });
    const ben = await pool.user(at.server, 'ben', { project: 'proj-123' });
    const c = await arrive(at, 'anna', ['proj-123']);
    await ben.event('user:joined');
    await c.ask('presence:update', { project_id: 'proj-123', state: [1, 'two'] });
    await ben.event('presence:updated');
    at.network.cut();
    await ben.event('user:left');
    at.network.mend();
    assert.equal(await c.back(), true);
    await ben.event('user:joined');
    assert.deepEqual((await ben.event('presence:updated')).state, [1, 'two']);
    const { json } = await at.server.api('GET', '/api/projects/proj-123/presence', { key: true });
    assert.deepEqual(json.users.find((u) => u.user_id === 'anna').state, [1, 'two']);
    assert.equal(json.users.find((u) => u.user_id === 'anna').connections, 1);
  });
});

describe('the server is killed', () => {
  for (const [name, transport] of TRANSPORTS)
    it(`kill -9 and a new start, over ${name}`, async () => {
      const at = await start();
      const c = await arrive(at, 'anna', ['proj-123', 'proj-456'], transport);
      const silent = await arrive(at, 'cleo', ['proj-123'], transport);
      const ben = await arrive(at, 'ben', ['proj-123'], transport);
      await comment(at.server, 'one', 'ben', 'proj-456');
      await c.event('comment:created');
      at.network.deafen();
      await comment(at.server, 'two @anna');
      const id = c.socket.id;
      await at.server.kill();
      at.network.cut();
      for (const x of [c, silent, ben]) await x.lost();
      at.server = await restart(at.server, at.network);
      await comment(at.server, 'three');
      at.network.mend();
      assert.deepEqual(await Promise.all([c.back(), silent.back(), ben.back()]), [true, true, true]);
      assert.equal(c.socket.id, id);
      for (const x of [c, silent, ben]) {
        await x.event('joined_project', (d) => d.project_id === 'proj-123');
        assert.deepEqual(texts(x), ['two @anna', 'three']);
      }
      assert.equal(c.all('notification:new').length, 1);
      await comment(at.server, 'four');
      await c.event('comment:created', (d) => d.comment.text === 'four');
      const { json } = await at.server.api('GET', '/api/projects/proj-123/presence', { key: true });
      assert.deepEqual(json.users.map((u) => u.user_id).sort(), ['anna', 'ben', 'cleo']);
    });

  it('SIGTERM and a new start: the window begins with the start', async () => {
    const at = await start({ RECOVERY_WINDOW: 2 });
    const c = await arrive(at, 'anna', ['proj-123']);
    at.network.deafen();
    const old = at.server;
    await old.end();
    at.network.cut();
    await c.lost();
    await sleep(2500);
    at.server = await restart(old, at.network);
    await comment(at.server, 'after');
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.event('joined_project');
    assert.deepEqual(texts(c), ['after']);
  });

  it(`again and again while writers write (${KILL_ROUNDS} times): every client ends with 1 to N, in order, each once`, async () => {
    const dir = tempDir();
    const port = await freePort();
    const env = serverEnv(dir, { PORT: String(port), RATE_LIMIT_EVENTS: '0' });
    await fillStore((args, opts) => cliIn(dir, env, args, opts));
    let server = await new Server(dir, env).listening();
    servers.add(server);
    const network = await new Network(port).listen();
    const at = { get server() { return server; }, network };
    const clients = [];
    for (const [user, options] of [['anna', {}], ['cleo', { transports: ['polling'] }], ['eve', { transports: ['polling', 'websocket'] }], ['ben', {}]])
      clients.push(await arrive(at, user, ['proj-123'], options));
    const recovered = clients.map(() => []);
    clients.forEach((c, i) => c.socket.on('connect', () => recovered[i].push(c.socket.recovered)));
    let running = true;
    const writer = async (w) => {
      for (let i = 0; running; i++) {
        const res = await server.api('POST', `${P}/comments`, { as: 'ben', body: { text: `@eve ${w} ${i}` } }).catch(() => null);
        if (!res) await sleep(20);
      }
    };
    const writers = [0, 1, 2, 3].map(writer);
    for (let round = 0; round < KILL_ROUNDS; round++) {
      await sleep(150 + 50 * (round % 7));
      servers.delete(server);
      await server.kill();
      server = await new Server(dir, env).listening();
      servers.add(server);
      // Now and then it dies before everybody is back.
      if (round % 3 !== 2) await until(() => recovered.every((r) => r.length > round - Math.floor((round + 1) / 3)), 'all are back', { timeout: 20000 });
    }
    running = false;
    await Promise.all(writers);
    const last = await comment(server, 'last');
    const made = (await server.history()).filter((e) => e.type === 'comment:created');
    const want = made.map((e) => e.seq);
    for (const [i, c] of clients.entries()) {
      await c.events.next((e) => e.name === 'comment:created' && e.args[0].comment_id === last.comment_id, { what: 'the last', timeout: 20000 });
      const got = [...c.all('comment:created').map((d) => d.seq), want.at(-1)];
      const who = `${c.socket.io.opts.name}, recovered: ${recovered[i]}; missing: ${want.filter((n) => !got.includes(n))}; twice: ${got.filter((n, at) => got.indexOf(n) !== at)}`;
      assert.ok(recovered[i].length > 0 && recovered[i].every((r) => r === true), who);
      assert.deepEqual(got, want, who);
    }
    // And nothing of what eve was told is missing or twice.  (PostgreSQL leaves out numbers of what was killed.)
    const told = clients[2].all('notification:new');
    assert.deepEqual(told.map((d) => d.comment_id), made.slice(0, -1).map((e) => e.data.comment_id));
    assert.ok(told.every((d, i) => i === 0 || d.id > told[i - 1].id), 'each has an id of its own');
  });
});

describe('not recovered', () => {
  it('an expired token is refused; with a fresh one the client is recovered', async () => {
    const at = await start();
    let ttl = 3600;
    const c = await arrive(at, 'anna', ['proj-123'], { auth: (cb) => cb({ token: at.server.token('anna', { ttl }), projects: ['proj-123'] }) });
    at.network.cut();
    await c.lost();
    await comment(at.server, 'secret');
    ttl = -3600;
    at.network.mend();
    const { args } = await c.events.next((e) => e.name === 'connect_error' && e.args[0].data, { what: 'connect_error' });
    assert.equal(args[0].message, 'Authentication required');
    assert.deepEqual(args[0].data, { code: 'token_expired' });
    assert.deepEqual(texts(c), []);
    ttl = 3600;
    c.socket.connect();
    assert.equal(await c.back(), true);
    assert.deepEqual(texts(c), ['secret']);
  });

  it('access that was revoked: the room is not restored, its events are not told, the client is told', async () => {
    const at = await start();
    const c = await arrive(at, 'anna', ['proj-123', 'proj-456']);
    at.network.cut();
    await c.lost();
    await comment(at.server, 'secret', 'ben', 'proj-456');
    await comment(at.server, 'open');
    assert.equal((await at.server.api('DELETE', '/api/projects/proj-456/collaborators/anna', { as: 'ben' })).status, 204);
    at.network.mend();
    assert.equal(await c.back(), true);
    assert.deepEqual(await c.event('access:revoked'), { project_id: 'proj-456' });
    await c.event('joined_project', (d) => d.project_id === 'proj-123');
    assert.deepEqual(texts(c), ['open']);
    await comment(at.server, 'more', 'ben', 'proj-456');
    await c.settle();
    assert.deepEqual(texts(c), ['open']);
    // And it stays out the next time, without being told again.
    at.network.cut();
    await c.lost();
    c.events.clear();
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.settle();
    assert.deepEqual(c.all('access:revoked'), []);
    assert.deepEqual(c.all('error').map((d) => d.project_id), ['proj-456']); // auth.projects names it
  });

  it('the window is over', async () => {
    const at = await start({ RECOVERY_WINDOW: 1 });
    const c = await arrive(at, 'anna', ['proj-123']);
    at.network.cut();
    await c.lost();
    await comment(at.server, 'missed');
    await sleep(1300);
    at.network.mend();
    assert.equal(await c.back(), false);
    assert.equal((await c.event('joined_project')).seq, 4);
    assert.deepEqual(texts(c), []);
    assert.equal(await recoveries(at.server, 'expired'), 1);
  });

  it('what was missed is not kept any more', async () => {
    const at = await start({ EVENTS_KEEP_COUNT: 3 });
    const c = await arrive(at, 'anna', ['proj-123']);
    await comment(at.server, 'heard');
    await c.event('comment:created');
    at.network.cut();
    await c.lost();
    for (let i = 0; i < 8; i++) await comment(at.server, `missed ${i}`);
    await until(async () => (await at.server.api('GET', `${P}/events?after=0`, { as: 'anna' })).json.oldest_seq > 5, 'the sweep', { timeout: 20000 });
    at.network.mend();
    assert.equal(await c.back(), false);
    assert.equal(await recoveries(at.server, 'retention'), 1);
    const joined = await c.event('joined_project');
    const { json } = await at.server.api('GET', `${P}/events?after=4`, { as: 'anna' });
    assert.equal(json.must_reload, true);
    assert.equal(joined.seq, json.last_seq);
    assert.deepEqual(texts(c), []);
  });

  it('more was missed than is replayed: RECOVERY_EVENTS_MAX and half of SEND_QUEUE_LIMIT', async () => {
    const at = await start({ RECOVERY_EVENTS_MAX: 5, SEND_QUEUE_LIMIT: 65536 });
    const c = await arrive(at, 'anna', ['proj-123']);
    const away = async (n, text) => {
      at.network.cut();
      await c.lost();
      for (let i = 0; i < n; i++) await comment(at.server, text);
      c.events.clear();
      at.network.mend();
      return c.back();
    };
    assert.equal(await away(5, 'x'), true);
    assert.equal(texts(c).length, 5);
    assert.equal(await away(6, 'x'), false);
    assert.equal(texts(c).length, 0);
    assert.equal(await away(4, 'y'.repeat(9000)), false);
    assert.equal(await recoveries(at.server, 'too_many'), 2);
    assert.equal(await away(3, 'y'.repeat(9000)), true);
  });

  it('RECOVERY_WINDOW=0: no private id, no offset, no row', async () => {
    const at = await start({ RECOVERY_WINDOW: 0 });
    const ws = await new RawWs(at.server.port).handshakeDone();
    await ws.connect({ token: at.server.token('anna'), projects: ['proj-123'], pid: 'a'.repeat(20), offset: '1' });
    assert.deepEqual(Object.keys(JSON.parse(ws.connectAnswer.slice(2))), ['sid']);
    await comment(at.server, 'one');
    const packet = await ws.text('42["comment:created"');
    assert.equal(JSON.parse(packet.slice(2)).length, 2);
    ws.destroy();
  });
});

describe('on the wire', () => {
  const tracked = async (at, user, auth = {}, opts) => {
    const ws = await new RawWs(at.server.port, opts).handshakeDone();
    await ws.connect({ token: at.server.token(user), projects: ['proj-123'], ...auth });
    await ws.text('42["joined_project"');
    return ws;
  };

  it('what is passing never ends in a string; durable events end in their offset, which grows', async () => {
    const at = await start();
    const ws = await tracked(at, 'anna');
    const ben = await pool.user(at.server, 'ben', { project: 'proj-123' });
    for (const data of ['"looks like 7"', '"7"', '[]', '{"a":"b"}', '7'])
      await at.server.broadcast('emit', { room: 'project:proj-123', event: 'passing', data: JSON.parse(data), volatile: true });
    await at.server.broadcast('emit', { room: 'project:proj-123', event: 'lasting', data: 'text' });
    await ben.ask('typing:start', { project_id: 'proj-123', target: 'a' });
    await ben.ask('cursor:move', { project_id: 'proj-123', cursor: 'text' });
    await comment(at.server, 'end @anna');
    await ws.text('42["notification:new"');
    const events = ws.inbox.peek((m) => m.op === 1 && m.data.startsWith('42[')).map((m) => JSON.parse(m.data.slice(2)));
    const offsets = [];
    for (const event of events) {
      const last = event.at(-1);
      if (['lasting', 'comment:created', 'notification:new'].includes(event[0])) offsets.push(Number(last));
      else assert.notEqual(typeof last, 'string', JSON.stringify(event));
    }
    assert.deepEqual(events.filter((e) => e[0] === 'passing').slice(0, 2), [['passing', 'looks like 7', null], ['passing', '7', null]]);
    assert.equal(offsets.length, 2);
    assert.ok(offsets[0] > 0 && offsets[1] > offsets[0], String(offsets));
    ws.destroy();
  });

  it('the Python client, and who says recovery: false, get no offsets and no private id', async () => {
    const at = await start();
    const plain = [
      await tracked(at, 'anna', { recovery: false }),
      await tracked(at, 'anna', {}, { headers: { 'User-Agent': 'Python/3.11 aiohttp/3.9' } }),
      await tracked(at, 'anna', {}, { query: 'EIO=4&transport=websocket&t=1764248888.1234' }),
    ];
    const full = [
      await tracked(at, 'anna', { recovery: true }, { headers: { 'User-Agent': 'python-requests/2' } }),
      await tracked(at, 'anna', {}, { query: 'EIO=4&transport=websocket&t=12345678' }),
    ];
    await comment(at.server, 'x @anna');
    for (const ws of plain) {
      assert.deepEqual(Object.keys(JSON.parse(ws.connectAnswer.slice(2))), ['sid']);
      assert.equal(JSON.parse((await ws.text('42["comment:created"')).slice(2)).length, 2);
      assert.equal(JSON.parse((await ws.text('42["notification:new"')).slice(2)).length, 2);
    }
    for (const ws of full) {
      assert.deepEqual(Object.keys(JSON.parse(ws.connectAnswer.slice(2))), ['sid', 'pid']);
      assert.equal(typeof JSON.parse((await ws.text('42["comment:created"')).slice(2))[2], 'string');
    }
    for (const ws of [...plain, ...full]) ws.destroy();
  });

  it('wrong, foreign and forged private ids and offsets start anew, and nobody else notices', async () => {
    const at = await start();
    const victim = await pool.user(at.server, 'ben', { project: 'proj-123' });
    await comment(at.server, 'one', 'anna');
    await victim.event('comment:created');
    const pid = victim.socket._pid;
    const hostile = [
      [{ pid: 'a'.repeat(20), offset: '1' }, 'unknown'],
      [{ pid, offset: victim.socket._lastOffset }, 'foreign'], // stolen: anna has no use of it
      [{ pid }, 'foreign'],
      [{ pid: 'short', offset: '1' }, null],
      [{ pid: 'a'.repeat(21) }, null],
      [{ pid: 7, offset: 7 }, null],
      [{ pid: null, offset: null }, null],
      [{ pid: { a: 1 }, offset: [] }, null],
      [{ pid: "' OR 1=1 --aaaaaaaaaa".slice(0, 20) }, null],
      [{ pid: '\u0000'.repeat(20) }, null],
      [{ pid: '%s%n%s%n%s%n%s%n%s%n' }, null],
      [{ pid: 'é'.repeat(10) }, null],
    ];
    for (const [auth, why] of hostile) {
      const before = why && (await recoveries(at.server, why));
      const ws = await tracked(at, 'anna', auth);
      const answer = JSON.parse(ws.connectAnswer.slice(2));
      assert.notEqual(answer.pid, auth.pid, JSON.stringify(auth));
      assert.equal(ws.inbox.peek((m) => m.op === 1 && m.data.includes('comment:created')).length, 0);
      if (why) assert.equal(await recoveries(at.server, why), before + 1, JSON.stringify(auth));
      ws.destroy();
    }
    const mine = await tracked(at, 'anna');
    const own = JSON.parse(mine.connectAnswer.slice(2)).pid;
    mine.destroy();
    for (const offset of ['-', '0', '-1', '01', '1x', ' 1', '1.5', '1e3', '99999999999999999999', '9223372036854775807', '2'.repeat(39), 'x'.repeat(500), 'kd93nd.4', '"', '\u0000', 7, null, {}, true]) {
      const before = await recoveries(at.server, 'offset');
      const ws = await tracked(at, 'anna', { pid: own, offset });
      assert.notEqual(JSON.parse(ws.connectAnswer.slice(2)).pid, own, String(offset));
      assert.equal(await recoveries(at.server, 'offset'), before + 1, String(offset));
      ws.destroy();
    }
    // The session is still its owner's, and a smaller offset gives nothing from before its time.
    const ws = await tracked(at, 'anna', { pid: own, offset: '1' });
    assert.equal(JSON.parse(ws.connectAnswer.slice(2)).pid, own);
    assert.equal(ws.inbox.peek((m) => m.op === 1 && m.data.includes('comment:created')).length, 0);
    ws.destroy();
    assert.equal(victim.socket.connected, true);
    await victim.settle();
  });

  it('two with the same private id at once: one is recovered, both are connected, nothing breaks', async () => {
    const at = await start();
    const first = await tracked(at, 'anna');
    const { pid } = JSON.parse(first.connectAnswer.slice(2));
    first.destroy();
    await until(() => at.server.logged(/Client disconnected/).length, 'the end');
    const all = await Promise.all([1, 2, 3, 4, 5].map(() => tracked(at, 'anna', { pid }).catch(() => null))); // null: gave way
    const pids = all.map((ws) => ws && JSON.parse(ws.connectAnswer.slice(2)).pid);
    assert.ok(pids.includes(pid));
    await comment(at.server, 'x');
    const heard = await Promise.all(all.map((ws) => ws?.text('42["comment:created"').then(() => true, () => false)));
    const open = all.filter((ws, i) => ws && !ws.tcp.destroyed && heard[i]);
    assert.ok(open.length >= 1);
    assert.equal(open.filter((ws) => JSON.parse(ws.connectAnswer.slice(2)).pid === pid).length, 1);
    const theirs = open.map((ws) => JSON.parse(ws.connectAnswer.slice(2)).pid); // one that gave way had its own as well
    assert.equal(new Set(theirs).size, theirs.length, 'each has one of its own');
    for (const ws of all) ws?.destroy();
  });

  it('changes by the command line are recovered as well', async () => {
    const at = await start();
    const c = await arrive(at, 'anna', ['proj-123']);
    at.network.cut();
    await c.lost();
    await at.server.cli(['project', 'share', 'proj-123', 'dora', 'viewer']);
    await comment(at.server, 'then');
    at.network.mend();
    assert.equal(await c.back(), true);
    await c.event('joined_project');
    assert.deepEqual(c.events.peek((e) => /^collab|^comment/.test(e.name)).map((e) => e.name), ['collaborator:changed', 'comment:created']);
  });
});
