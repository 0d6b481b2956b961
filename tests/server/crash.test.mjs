// kill -9 in the middle of writes: what was answered is there, what was committed and
// not sent is in the event history, and the numbers stay dense.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { fillStore, cliIn, jwt, Server, serverEnv, SKYBUILD, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { sleep, until } from './lib/queue.mjs';

const P = '/api/projects/proj-123';
const pool = clientPool();
afterEach(() => pool.close());

describe('kill -9', () => {
  it('in the middle of writes, three times: every answered write is there, and nothing else', async () => {
    const dir = tempDir();
    const env = serverEnv(dir);
    await fillStore((args, opts) => cliIn(dir, env, args, opts));
    const answered = { comments: new Set(), versions: new Map() };
    let server, unanswered = 0;
    for (let round = 0; round < 3; round++) {
      server = await new Server(dir, env).listening();
      const items = [];
      for (let i = 0; i < 4; i++) items.push((await server.api('POST', `${P}/boq`, { as: 'anna', body: { code: `${round}.${i}` } })).json.item_id);
      let running = true;
      const writer = async (w) => {
        for (let i = 0; running; i++) {
          const item = items[w % items.length];
          try {
            const res = w % 2
              ? await server.api('POST', `${P}/comments`, { as: 'ben', body: { text: `@eve ${round} ${w} ${i}` } })
              : await server.api('PATCH', `${P}/boq/${item}`, { as: 'ben', body: { qty: i, unit_price: '0.1' } });
            if (res.status === 201) answered.comments.add(res.json.comment_id);
            else if (res.status === 200) answered.versions.set(`${item}@${res.json.version}`, res.json.qty);
          } catch {
            unanswered++; // the connection broke: it may have happened or not
          }
        }
      };
      const writers = Array.from({ length: 12 }, (_, w) => writer(w));
      await sleep(300 + 200 * round);
      await server.kill();
      running = false;
      await Promise.all(writers);
    }
    assert.ok(answered.comments.size > 10 && answered.versions.size > 10, `${answered.comments.size} and ${answered.versions.size} were answered`);
    assert.ok(unanswered > 0, 'some writes were under way');
    server = await new Server(dir, env).listening();
    const events = await server.history();
    const told = new Set(events.filter((e) => e.type === 'comment:created').map((e) => e.data.comment_id));
    for (const id of answered.comments) assert.ok(told.has(id), `comment ${id} was answered`);
    const updates = events.filter((e) => e.type === 'boq:item:updated');
    const versions = new Map(updates.map((e) => [`${e.data.item_id}@${e.data.version}`, e.data.updates.qty]));
    assert.equal(versions.size, updates.length, 'each version once');
    for (const [key, qty] of answered.versions) assert.equal(versions.get(key), qty, key);
    // The rows and the events tell the same.
    const rows = [];
    for (let cursor = ''; cursor !== null; ) {
      const { json } = await server.api('GET', `${P}/comments?limit=1000${cursor && `&cursor=${cursor}`}`, { as: 'anna' });
      rows.push(...json.items.map((c) => c.comment_id));
      cursor = json.next_cursor;
    }
    assert.deepEqual(rows, [...told].sort((a, b) => a - b));
    for (const item of (await server.api('GET', `${P}/boq?limit=1000`, { as: 'anna' })).json.items)
      assert.equal(item.version, 1 + updates.filter((e) => e.data.item_id === item.item_id).length, item.item_id);
    // Each of them notified eve, in the same transaction.
    const inbox = (await server.api('GET', '/api/notifications?limit=1000', { as: 'eve' })).json;
    assert.equal(inbox.unread, Math.min(told.size, 1000));
    await server.stop();
  });

  it('an event that was committed and not sent is in the history; a client finds it by the numbers', async () => {
    const dir = tempDir();
    const env = serverEnv(dir);
    await fillStore((args, opts) => cliIn(dir, env, args, opts));
    // The server's log goes into a pipe that nobody reads after the start.  When it is
    // full the loop stands still at its next line: "Broadcasted ...", written behind the
    // commit and before the turn's end, when messages and answers go out.
    const fifo = path.join(dir, 'log');
    execFileSync('mkfifo', [fifo]);
    const log = openSync(fifo, 'r+');
    const child = spawn(SKYBUILD, ['serve'], { env: { ...env, ASAN_OPTIONS: 'detect_leaks=0' }, cwd: dir, stdio: ['ignore', log, log] });
    try {
      const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      let text = '';
      const port = await until(() => {
        const chunk = Buffer.alloc(4096);
        try {
          text += chunk.toString('latin1', 0, readSync(reader, chunk));
        } catch (e) {
          if (e.code !== 'EAGAIN') throw e;
        }
        return Number(text.match(/Listening on http:\/\/\S+:(\d+)/)?.[1]);
      }, 'listening', { timeout: 20000 });
      const token = (user) => jwt({ sub: user }, { secret: env.JWT_SECRET });
      const member = await pool.user({ url: `http://127.0.0.1:${port}`, token }, 'anna', { project: 'proj-123' });
      const agent = new http.Agent({ keepAlive: true });
      let answered = 0, stuck = false;
      const write = async () => {
        while (!stuck) {
          const res = await request(port, 'POST', `${P}/comments`, { headers: { authorization: `Bearer ${token('ben')}` }, json: { text: 'x'.repeat(50) }, agent, timeout: 3000 }).catch(() => null);
          if (!res) stuck = true;
          else answered++;
        }
      };
      await Promise.all([write(), write(), write()]);
      closeSync(reader);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.on('close', resolve));
      agent.destroy();
      const heard = Math.max(...member.all('comment:created').map((d) => d.seq));
      const server = await new Server(dir, env).listening();
      const events = await server.history();
      assert.ok(events.length > heard, `${events.length} were committed, ${heard} were sent`);
      assert.ok(events.filter((e) => e.type === 'comment:created').length > answered, 'and not answered');
      // What the client does: join again, see the number, read what lies between.
      const again = await pool.user(server, 'anna', { project: 'proj-123' });
      assert.equal(again.joined.seq, events.length);
      assert.deepEqual((await server.history('proj-123', { after: heard })).map((e) => e.seq), Array.from({ length: events.length - heard }, (_, i) => heard + 1 + i));
      await server.stop();
    } finally {
      child.kill('SIGKILL');
      closeSync(log);
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
