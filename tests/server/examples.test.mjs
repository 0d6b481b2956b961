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
