// The programs of examples/, used as their head comments say.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { clientPool, TRANSPORTS } from './lib/clients.mjs';
import { run, SKYBUILD, startExample } from './lib/harness.mjs';
import path from 'node:path';

const pool = clientPool();
const servers = [];
const start = async (name, args) => {
  const server = await startExample(name, args);
  servers.push(server);
  return server;
};
after(async () => {
  pool.close?.();
  for (const server of servers) await server.end();
});

describe('echo', () => {
  it('acknowledges with the arguments', async () => {
    const server = await start('echo', ['0']);
    const c = await pool.open(server.url, { transports: ['websocket'] }).connected();
    const got = await new Promise((resolve) => c.socket.emit('echo', 'hi', { a: [1] }, Buffer.from([7]), (...a) => resolve(a)));
    assert.equal(got[0], 'hi');
    assert.deepEqual(got[1], { a: [1] });
    assert.ok(Buffer.from(got[2]).equals(Buffer.from([7])));
  });
});

describe('chat', () => {
  it('rooms, names and acknowledgements', async () => {
    const server = await start('chat', ['0']);
    const enter = (name) => pool.open(server.url, { auth: { name }, transports: ['websocket'] }).connected();
    const [anna, ben] = [await enter('Anna'), await enter('Ben "B" 😀')];
    assert.deepEqual(await anna.ask('join', 'kitchen'), { ok: true, people: 1 });
    assert.deepEqual(await ben.ask('join', 'kitchen'), { ok: true, people: 2 });
    assert.deepEqual(await anna.event('came'), { room: 'kitchen', name: 'Ben "B" 😀', text: '' });
    assert.deepEqual(await ben.ask('say', 'kitchen', 'Hello\n"you"'), { ok: true });
    assert.deepEqual(await anna.event('said'), { room: 'kitchen', name: 'Ben "B" 😀', text: 'Hello\n"you"' });
    assert.deepEqual(await ben.ask('say', 'cellar', 'x'), { ok: false, error: 'join the room first' });
    assert.equal((await ben.ask('join', 7)).ok, false);
    ben.close();
    assert.equal((await anna.event('went')).name, 'Ben "B" 😀');
    const nobody = pool.open(server.url, { transports: ['websocket'] });
    const refused = await nobody.events.next((e) => e.name === 'connect_error');
    assert.deepEqual(refused.args[0].data, { code: 'no_name' });
  });
});

describe('conformance', () => {
  let server;
  for (const [how, options] of TRANSPORTS)
    for (const name of ['/', '/custom'])
      it(`${name} ${how}: auth, message, message-with-ack`, async () => {
        server ??= await start('conformance', ['--port', '0', '--ping-interval', '300', '--ping-timeout', '200']);
        const c = await pool.open(server.url.replace(/\/$/, '') + name, { ...options, auth: { token: '123' } }).connected();
        assert.deepEqual(await c.event('auth'), { token: '123' });
        c.emit('message', 1, '2', { 3: [false, Buffer.from([4])] });
        const back = await c.events.next((e) => e.name === 'message-back');
        assert.deepEqual(back.args.slice(0, 2), [1, '2']);
        assert.ok(Buffer.from(back.args[2][3][1]).equals(Buffer.from([4])));
        assert.equal(await c.ask('message-with-ack', 'x'), 'x');
      });

  it('no auth is an empty object; another namespace is refused without data', async () => {
    const c = await pool.open(server.url).connected();
    assert.deepEqual(await c.event('auth'), {});
    const d = pool.open(server.url.replace(/\/$/, '') + '/random');
    const refused = await d.events.next((e) => e.name === 'connect_error');
    assert.equal(refused.args[0].message, 'Invalid namespace');
    assert.equal(refused.args[0].data, undefined);
  });

  it('an unknown option: the usage, and exit code 2', async () => {
    const got = await run(path.join(path.dirname(SKYBUILD), 'examples', 'conformance'), ['--bogus', '1']);
    assert.equal(got.code, 2);
    assert.match(got.stderr, /--ping-interval/);
  });
});
