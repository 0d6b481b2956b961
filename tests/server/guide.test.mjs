// The guide, section by section, with each stock client over each transport.  TEST_SITE=nginx: with three
// servers behind nginx, without affinity, in the place of one.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { run, SKYBUILD, serverEnv, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { startSite } from './lib/nginx.mjs';
import { unnumbered } from './lib/payload.mjs';
import { until } from './lib/queue.mjs';

const SERVERS = process.env.TEST_SITE === 'nginx' ? 3 : 1;
const start = (options) => (SERVERS > 1 ? startSite(SERVERS, options) : startServer(options));
let server; // or a site, which is used in the same way
let item; // a BoQ item of proj-123
const pool = clientPool();

before(async () => {
  server = await start({ env: { PRESENCE_GRACE: 200 } });
  const made = await server.api('POST', '/api/projects/proj-123/boq', {
    as: 'anna',
    body: { code: '03.2', description: 'Reinforced concrete C30/37, slabs', unit: 'm3', qty: '148.50', unit_price: '182.40', section: '03 Concrete' },
  });
  assert.equal(made.status, 201, made.body);
  item = made.json.item_id;
});
afterEach(async () => {
  pool.close();
  await server?.idle?.(); // a site's next test may begin on another server than this one ended on
});
after(() => server?.stop());

for (const [version, create] of VERSIONS)
  for (const [how, options] of TRANSPORTS)
    describe(`client ${version}, ${how}`, () => {
      const user = (name, more) => pool.user(server, name, { create, ...options, ...more });
      const member = (name) => user(name, { project: 'proj-123' });

      it('Client Connection: connected tells who one is', async () => {
        const anna = await user('anna');
        const data = await anna.event('connected');
        assert.deepEqual(Object.keys(data).sort(), ['message', 'user_id']);
        assert.equal(data.user_id, 'anna');
        assert.match(data.message, /^Successfully connected/);
        if (how === 'upgrade') await anna.upgraded();
        assert.equal(anna.transport(), how === 'polling only' ? 'polling' : 'websocket');
      });

      it('Client Connection: the options of the snippet, and disconnect', async () => {
        const anna = await user('anna', { transports: ['websocket', 'polling'] });
        assert.equal(anna.transport(), 'websocket');
        await anna.event('connected');
        anna.socket.disconnect();
        assert.equal(await anna.event('disconnect'), 'io client disconnect');
      });

      it('Join a Project Room: joined_project, and user:joined to the others', async () => {
        const anna = await member('anna');
        assert.equal(anna.joined.project_id, 'proj-123');
        assert.match(anna.joined.message, /^Joined project/);
        assert.deepEqual(anna.joined.users.map((u) => [u.user_id, u.name]), [['anna', 'Anna']]);
        const ben = await member('ben');
        assert.deepEqual(await anna.event('user:joined'), { user_id: 'ben', project_id: 'proj-123' });
        assert.deepEqual(ben.joined.users.map((u) => u.user_id).sort(), ['anna', 'ben']);
      });

      it('Leave a Project Room: user:left to the others, and nothing more to oneself', async () => {
        const [anna, ben] = [await member('anna'), await member('ben')];
        // On another server a stay that is shorter than a message between the two is not seen at all.
        await anna.event('user:joined');
        ben.emit('leave_project', { project_id: 'proj-123' });
        const left = await ben.event('left_project');
        assert.equal(left.project_id, 'proj-123');
        assert.deepEqual(await anna.event('user:left'), { user_id: 'ben', project_id: 'proj-123' });
        await server.broadcast('boq-update', { project_id: 'proj-123', item_id: item, updates: { qty: 1 }, user_id: 'anna' });
        await anna.event('boq:item:updated');
        await ben.ask('leave_project', { project_id: 'proj-123' });
        assert.deepEqual(ben.all('boq:item:updated'), []);
      });

      it('BoQ Item Updates: one user changes an item, the other sees it', async () => {
        const [anna, ben] = [await member('anna'), await member('ben')];
        const answer = await server.api('PATCH', `/api/projects/proj-123/boq/${item}`, { as: 'ben', body: { qty: 150, unit_price: 45.5 } });
        assert.equal(answer.status, 200, answer.body);
        for (const client of [anna, ben]) {
          const data = await client.event('boq:item:updated');
          assert.equal(data.project_id, 'proj-123');
          assert.equal(data.item_id, item);
          assert.equal(Number(data.updates.qty), 150);
          assert.equal(Number(data.updates.unit_price), 45.5);
          assert.equal(data.updated_by, 'ben');
        }
      });

      it('Bulk BoQ Updates', async () => {
        const anna = await member('anna');
        const summary = { total: 50, updated: 48, skipped: 2 };
        await server.broadcast('boq-bulk-update', { project_id: 'proj-123', summary, user_id: 'user-456' });
        assert.deepEqual(unnumbered(await anna.event('boq:bulk:updated')), { project_id: 'proj-123', summary, updated_by: 'user-456' });
      });

      it('Task Updates', async () => {
        const anna = await member('anna');
        const updates = { status: 'done', assignee_id: 'user-789' };
        await server.broadcast('task-update', { project_id: 'proj-123', task_id: 42, updates, user_id: 'user-456' });
        assert.deepEqual(unnumbered(await anna.event('task:updated')), { project_id: 'proj-123', task_id: 42, updates, updated_by: 'user-456' });
      });

      it('Comments', async () => {
        const anna = await member('anna');
        const comment = { text: 'Great work! ñ€😀', author_id: 'user-456' };
        await server.broadcast('comment', { project_id: 'proj-123', comment_id: 15, comment_data: comment });
        assert.deepEqual(unnumbered(await anna.event('comment:created')), { project_id: 'proj-123', comment_id: 15, comment });
      });

      it('Notifications go to one user, on each connection, joined or not', async () => {
        const [one, two, ben] = [await user('anna'), await member('anna'), await member('ben')];
        await server.broadcast('notify', { user_id: 'anna', notification_data: { message: 'You were assigned a task' } });
        assert.equal((await one.event('notification:new')).message, 'You were assigned a task');
        assert.equal((await two.event('notification:new')).message, 'You were assigned a task');
        await ben.settle();
        assert.deepEqual(ben.all('notification:new'), []);
      });

      it('User Presence: the user is counted, not the connection', async () => {
        const anna = await member('anna');
        const [tab1, tab2] = [await member('ben'), await member('ben')];
        await anna.event('user:joined', (d) => d.user_id === 'ben');
        const known = async () => (await anna.ask('presence:list', { project_id: 'proj-123' })).users.find((u) => u.user_id === 'ben')?.connections;
        await until(async () => (await known()) === 2, 'both tabs are known');
        tab1.close();
        await until(async () => (await anna.ask('presence:list', { project_id: 'proj-123' })) && (await server.status()).active_connections === 2, 'one connection less');
        assert.deepEqual(anna.all('user:left'), []);
        assert.deepEqual(anna.all('user:joined'), [], 'the second tab is no second user');
        tab2.close();
        assert.deepEqual(await anna.event('user:left'), { user_id: 'ben', project_id: 'proj-123' });
      });

      it('Backend Broadcasting: the four calls of the snippet', async () => {
        const [anna, assignee] = [await member('anna'), await user('ben')];
        const updates = { qty: 150, unit_price: 45.5 };
        const sent = await server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'item-789', updates, user_id: 'user-456' });
        assert.equal(sent.status, 202, sent.body);
        assert.ok(sent.json.id, 'an id');
        // Of the server that answered: with several it may be another than anna's.
        if (SERVERS > 1) assert.ok([0, 1].includes(sent.json.recipients), sent.body);
        else assert.equal(sent.json.recipients, 1);
        assert.deepEqual(unnumbered(await anna.event('boq:item:updated')), { project_id: 'proj-123', item_id: 'item-789', updates, updated_by: 'user-456' });
        await server.broadcast('task-update', { project_id: 'proj-123', task_id: 42, updates: { status: 'done' }, user_id: 'user-456' });
        assert.deepEqual((await anna.event('task:updated')).updates, { status: 'done' });
        await server.broadcast('comment', { project_id: 'proj-123', comment_id: 15, comment_data: { text: 'Great work!', author_id: 'user-456' } });
        assert.equal((await anna.event('comment:created')).comment.text, 'Great work!');
        await server.broadcast('notify', { user_id: 'ben', notification_data: { message: 'You were assigned a task' } });
        assert.equal((await assignee.event('notification:new')).message, 'You were assigned a task');
      });

      it('Error Handling: connect_error with the text, and a code behind it', async () => {
        for (const [auth, code] of [
          [{}, 'token_missing'],
          [{ token: 'abc' }, 'token_invalid'],
          [{ token: server.token('anna', { secret: 'another secret of thirty-two bytes' }) }, 'token_invalid'],
          [{ token: server.token('anna', { ttl: -3600 }) }, 'token_expired'],
        ]) {
          const c = pool.open(server.url, { auth, ...options }, create);
          const error = await c.event('connect_error');
          assert.equal(error.message, 'Authentication required');
          assert.deepEqual(error.data, { code });
          c.close();
        }
      });

      it('Error Handling: Access denied to project', async () => {
        const dora = await user('dora');
        for (const project_id of ['proj-123', 'no-such-project']) {
          dora.emit('join_project', { project_id });
          const error = await dora.event('error');
          assert.equal(error.message, 'Access denied to project');
          assert.equal(error.code, 'access_denied');
          assert.equal(error.project_id, project_id);
        }
        assert.deepEqual(dora.all('joined_project'), []);
        assert.equal(dora.socket.connected, true);
      });

      it('Room Optimization: only projects one has joined, and clean-up at the end', async () => {
        const anna = await member('anna');
        const ben = await user('ben', { project: 'proj-456' });
        await server.broadcast('boq-update', { project_id: 'proj-456', item_id: 'i', updates: { qty: 2 }, user_id: 'ben' });
        await ben.event('boq:item:updated');
        await anna.settle();
        assert.deepEqual(anna.all('boq:item:updated'), []);
        if (SERVERS > 1) await until(async () => (await server.status()).active_project_rooms === 2, 'both rooms are counted');
        else assert.equal((await server.status()).active_project_rooms, 2);
        anna.close();
        ben.close();
        await until(async () => {
          const s = await server.status();
          return s.active_connections === 0 && s.active_project_rooms === 0;
        }, 'no connection and no room');
      });

      it('Troubleshooting: Events Not Received', async () => {
        const anna = await user('anna');
        assert.equal(anna.socket.connected, true);
        await server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'i', updates: { qty: 2 }, user_id: 'ben' });
        await anna.event('connected');
        assert.deepEqual(anna.all('boq:item:updated'), []);
        anna.emit('join_project', { project_id: 'proj-123' });
        await anna.event('joined_project');
        await server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'i', updates: { qty: 3 }, user_id: 'ben' });
        assert.deepEqual((await anna.event('boq:item:updated')).updates, { qty: 3 });
      });

      it('Logs: the lines of the guide', async () => {
        const anna = await member('anna');
        const sid = anna.socket.id;
        await server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'item-log', updates: { qty: 2 }, user_id: 'ben' });
        await anna.event('boq:item:updated');
        anna.emit('leave_project', { project_id: 'proj-123' });
        await anna.event('left_project');
        anna.close();
        const disconnected = `Client disconnected: ${sid} (user: anna)`;
        await until(() => server.lines.some((l) => l.includes(disconnected)), 'the line of the disconnection');
        for (const line of [
          `Client connected: ${sid} (user: anna)`,
          'User anna joined project room: proj-123',
          'User anna left project room: proj-123',
          'Broadcasted BoQ update for item item-log to project proj-123',
          disconnected,
        ])
          assert.ok(server.lines.some((l) => l.includes(line) && /\binfo\b/i.test(l)), `logged at INFO: ${line}`);
      });

      it('acknowledgements: ok, and refused with code and message', async () => {
        const [anna, dora] = [await user('anna'), await user('dora')];
        assert.equal((await anna.ask('join_project', { project_id: 'proj-123' })).ok, true);
        const no = await dora.ask('join_project', { project_id: 'proj-123' });
        assert.equal(no.ok, false);
        assert.deepEqual(no.error, { code: 'access_denied', message: 'Access denied to project' });
        assert.equal((await anna.ask('leave_project', { project_id: 'proj-123' })).ok, true);
      });
    });

describe('API Endpoints', () => {
  it('GET /ws/status: exactly the five fields', async () => {
    const anna = await pool.user(server, 'anna', { project: 'proj-123' });
    // Servers tell each other their numbers within half a second; which of them answers is chance.
    const ask = () => request(server.port, 'GET', '/ws/status');
    const isCounted = ({ json }) => json.active_connections === 1 && json.active_project_rooms === 1;
    const res = SERVERS > 1 ? await until(async () => [await ask()].find(isCounted), 'the connection and its room are counted') : await ask();
    assert.equal(res.status, 200);
    assert.match(res.headers['content-type'], /^application\/json/);
    assert.deepEqual(res.json, {
      enabled: true,
      redis_enabled: SERVERS > 1,
      endpoint: '/socket.io',
      active_connections: 1,
      active_project_rooms: 1,
    });
    assert.equal(anna.socket.connected, true);
  });

  it('GET /ws/status?verbose=1 tells more', async () => {
    const { json } = await request(server.port, 'GET', '/ws/status?verbose=1');
    for (const key of ['enabled', 'redis_enabled', 'endpoint', 'active_connections', 'active_project_rooms', 'node', 'nodes', 'workers', 'redis', 'store', 'uptime', 'version'])
      assert.ok(key in json, key);
  });

  it('the stock client is served from the npm package', async () => {
    for (const [file, type] of [
      ['socket.io.min.js', /javascript/],
      ['socket.io.js', /javascript/],
      ['socket.io.esm.min.js', /javascript/],
      ['socket.io.msgpack.min.js', /javascript/],
    ]) {
      const res = await request(server.port, 'GET', `/socket.io/${file}`);
      assert.equal(res.status, 200, file);
      assert.match(res.headers['content-type'], type);
      assert.match(res.body.slice(0, 200), /Socket\.IO v4/);
    }
  });
});

describe('More of the contract at connecting', () => {
  it('the token may come as Authorization header', async () => {
    for (const transports of [['polling'], ['websocket']]) {
      const c = pool.open(server.url, { transports, extraHeaders: { Authorization: `Bearer ${server.token('anna')}` } });
      assert.equal((await c.event('connected')).user_id, 'anna');
    }
  });

  it('auth.projects are joined before anything that was buffered', async () => {
    const c = new Client(server.url, { transports: ['websocket'], autoConnect: false, auth: { token: server.token('anna'), projects: ['proj-123', 'proj-456'] } });
    const answer = c.ask('presence:list', { project_id: 'proj-456' });
    c.socket.connect();
    await c.event('joined_project', (d) => d.project_id === 'proj-123');
    await c.event('joined_project', (d) => d.project_id === 'proj-456');
    assert.equal((await answer).ok, true);
    c.close();
  });

  it('auth.projects without access: an error for that one, the rest is joined', async () => {
    const c = pool.open(server.url, { transports: ['websocket'], auth: { token: server.token('eve'), projects: ['proj-456', 'proj-123'] } });
    assert.equal((await c.event('error')).project_id, 'proj-456');
    await c.event('joined_project', (d) => d.project_id === 'proj-123');
  });

  it('a namespace other than / is refused as Invalid namespace', async () => {
    for (const [, create] of VERSIONS) {
      const c = pool.open(`${server.url}/admin`, { transports: ['websocket'], auth: { token: server.token('anna') } }, create);
      assert.equal((await c.event('connect_error')).message, 'Invalid namespace');
    }
  });

  it('reconnects by itself after a dropped transport', async () => {
    const anna = await pool.user(server, 'anna', { reconnection: true, reconnectionDelay: 50, project: 'proj-123' });
    await anna.event('connected');
    anna.socket.io.engine.close();
    await anna.event('disconnect');
    await anna.event('connect');
    assert.equal((await anna.event('connected')).user_id, 'anna');
  });
});

describe('Troubleshooting: Redis Connection Failed', () => {
  it('enabled but unreachable: the start fails within 5 s with a clear line', async () => {
    const dir = tempDir();
    const begun = Date.now();
    const got = await run(SKYBUILD, ['serve'], {
      cwd: dir,
      env: serverEnv(dir, { REDIS_ENABLED: 'true', REDIS_URL: 'redis://127.0.0.1:1/0' }),
      timeout: 15000,
    });
    assert.notEqual(got.code, 0);
    assert.match(got.stderr + got.stdout, /REDIS/);
    assert.ok(Date.now() - begun < 8000, 'in time');
  });
});
