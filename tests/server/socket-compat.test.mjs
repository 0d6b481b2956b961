// tests/compat/socket_client_server.c, used as the stock client's own test suite uses its
// server: every event that it lists, recovery, and what the client does when it is refused.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { startCompat } from './lib/harness.mjs';
import { within, PATIENCE } from './lib/queue.mjs';

const pool = clientPool();
let server, slow;
const at = (name) => server.url.replace(/\/$/, '') + name;
const bytes = (...list) => Buffer.from(list);
const asdfasdf = Buffer.from('asdfasdf');

before(async () => {
  server = await startCompat('socket_client_server', ['--port', '0']);
});
after(async () => {
  pool.close();
  await server.end();
  await slow?.end();
});

for (const [how, transports] of TRANSPORTS)
  for (const [version, create] of VERSIONS)
    describe(`${version}, ${how}`, () => {
      const open = (options = {}, url = server.url) => pool.open(url, { ...transports, ...options }, create);

      it('events and acknowledgements', async () => {
        const c = await open().connected();
        c.emit('hi');
        await c.event('hi');
        assert.deepEqual(await c.ask('echo', { a: ['b', 1] }), { a: ['b', 1] });
        c.socket.on('ack', (fn) => fn(5, { test: true }));
        c.emit('ack');
        await c.event('got it');
        assert.ok(!Number.isNaN(Date.parse(await c.ask('getAckDate', { test: true }))));
        c.emit('getDate').emit('getDateObj').emit('false').emit('getUtf8');
        assert.match(await c.event('takeDate'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.equal(typeof (await c.event('takeDateObj')).date, 'string');
        assert.equal(await c.event('false'), false);
        for (const want of ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string'])
          assert.equal(await c.event('takeUtf8'), want);
        assert.equal(await c.ask('getId'), c.socket.id);
      });

      it('binary', async () => {
        const c = await open().connected();
        c.emit('doge').emit('getbin');
        assert.ok(asdfasdf.equals(await c.event('doge')));
        assert.ok(asdfasdf.equals(await c.event('takebin')));
        c.emit('buffa', bytes(1, 2));
        await c.event('buffack');
        c.emit('jsonbuff', { hello: 'lol', message: bytes(3), goodbye: 'gotcha' });
        await c.event('jsonbuff-ack');
        c.emit('abuff1', bytes(4)).emit('abuff2', 'please arrive second');
        await c.event('abuff2-ack');
        c.emit('blob', Buffer.from('hello world'));
        assert.equal(String(await c.event('back')), 'hello world');
        c.emit('jsonblob', { hello: 'lol', message: bytes(5), goodbye: 'gotcha' });
        await c.event('jsonblob-ack');
        c.emit('blob1', bytes(6)).emit('blob2', 'second').emit('blob3', bytes(7));
        await c.event('blob3-ack');
      });

      it('the handshake, and namespaces', async () => {
        const c = await open({ query: { foo: 'bar', 'a b': 'ä&' }, auth: { a: 'b' }, extraHeaders: { 'x-one': '1' } }).connected();
        const h = await c.ask('getHandshake');
        assert.deepEqual(Object.keys(h), ['headers', 'time', 'address', 'xdomain', 'secure', 'issued', 'url', 'query', 'auth']);
        assert.equal(h.headers['x-one'], '1');
        assert.equal(h.query.foo, 'bar');
        assert.equal(h.query['a b'], 'ä&');
        assert.equal(h.query.EIO, '4');
        assert.deepEqual(h.auth, { a: 'b' });
        assert.equal(h.secure, false);
        assert.match(h.address, /127\.0\.0\.1/);
        assert.ok(Math.abs(h.issued - Date.now()) < 60000);
        const abc = await open({ query: { b: 'c' }, auth: { b: 'd' } }, at('/abc')).connected();
        const greeting = await abc.event('handshake');
        assert.equal(greeting.query.b, 'c');
        assert.deepEqual(greeting.auth, { b: 'd' });
        const foo = await open({}, at('/foo')).connected();
        assert.equal(await foo.ask('getId'), foo.socket.id);
      });

      it('refusals', async () => {
        for (const [c, want] of [
          [open({ query: { fail: 'true' } }), 'Auth failed (main namespace)'],
          [open({}, at('/no')), 'Auth failed (custom namespace)'],
          [open({}, at('/unknown')), 'Invalid namespace'],
        ]) {
          const refused = await c.events.next((e) => e.name === 'connect_error');
          assert.equal(refused.args[0].message, want);
          assert.equal(refused.args[0].data, undefined);
        }
      });

      if (version === 'latest')
        it('a connection lost: the same id, the rooms, and what was missed', async () => {
          const c = await open({ reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 60 }).connected();
          const id = c.socket.id;
          assert.equal(c.socket.recovered, false);
          c.emit('hi'); // its answer brings an offset
          await c.event('hi');
          for (let i = 0; i < 3; i++) {
            const again = within(new Promise((resolve) => c.socket.once('connect', resolve)), PATIENCE, 'reconnection');
            c.socket.io.engine.close();
            await again;
            assert.equal(c.socket.recovered, true);
            assert.equal(c.socket.id, id);
          }
          assert.equal(await c.ask('getId'), id);
        });
    });

it('events sent while a client was away arrive once and in order', async () => {
  // What the server emits to one socket is kept as well: a burst is asked for, and the
  // connection is cut in the middle of it.
  const c = await pool.open(server.url, { transports: ['websocket'], reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 30 }).connected();
  const got = [];
  c.socket.on('takeUtf8', (text) => got.push(text));
  for (let round = 0; round < 20; round++) {
    const again = within(new Promise((resolve) => c.socket.once('connect', resolve)), PATIENCE, 'reconnection');
    const begun = within(new Promise((resolve) => c.socket.once('takeUtf8', resolve)), PATIENCE, 'the first of the burst');
    c.emit('getUtf8');
    await begun;
    c.socket.io.engine.transport.ws?.terminate?.();
    await again;
    assert.equal(c.socket.recovered, true);
  }
  await c.ask('getId');
  const want = ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string'];
  assert.equal(got.length, 100);
  got.forEach((text, i) => assert.equal(text, want[i % 5]));
});

it('--connect-delay', async () => {
  slow = await startCompat('socket_client_server', ['--port', '0', '--connect-delay', '300']);
  const begun = Date.now();
  await pool.open(slow.url, { transports: ['websocket'] }).connected();
  assert.ok(Date.now() - begun >= 280);
});
