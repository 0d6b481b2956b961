// What a stranger may send about namespaces that a parent makes.  After each case another
// client goes on in its child, and a new child can be made.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MAX } from './lib/bystander.mjs';
import { RawWs } from './lib/eio.mjs';
import { startEcho } from './lib/harness.mjs';
import { sleep, until } from './lib/queue.mjs';

// skybuild has one namespace; these meet libsio's echo server with "/child-[0-9a-z]+".
describe('Socket.IO packets: namespaces made by a parent', () => {
  const WAIT = 1000; // ms that a CONNECT is under decision
  let echo, witness;
  const fresh = () => new RawWs(echo.port).handshakeDone();
  const connected = async () => (await fresh()).connect();
  const works = async (w, name) => {
    w.send(`42${name},7["message-with-ack","still here"]`);
    assert.equal(await w.text(`43${name},7`, { timeout: 20000 }), `43${name},7["still here"]`);
  };

  before(async () => {
    echo = await startEcho({ PING_INTERVAL: 60000, CONNECT_TIMEOUT: 30000, MAX_PAYLOAD: MAX });
    witness = await fresh();
    witness.send('40/child-witness,');
    await witness.text('40/child-witness,');
  });
  after(async () => {
    witness?.destroy();
    await echo?.end();
  });

  // Run a case; afterwards a child that was there before goes on, and a new one is made.
  const hostileChild = (name, fn) =>
    it(name, async () => {
      await fn();
      assert.ok(echo.alive(), `the echo server ended with ${echo.code}`);
      await works(witness, '/child-witness');
      const w = await fresh();
      w.send('40/child-new');
      await w.text('40/child-new,');
      w.destroy();
    });

  for (const [name, packets] of [
    ['an event for a child that it is not in', ['42/child-witness,["message",1]']],
    ['an event for a child that there is none of', ['42/child-none,["message",1]']],
    ['an acknowledgement for a child that it is not in', ['43/child-witness,0[]']],
    ['DISCONNECT of a child that it is not in', ['41/child-witness,']],
    ['a binary header for a child that it is not in', ['451-/child-witness,["e"]']],
    ['a second CONNECT', ['40/child-a,', '40/child-a,']],
    ['a second CONNECT without the comma', ['40/child-a,', '40/child-a']],
    ['a second CONNECT while the first is under decision', [`40/child-a,{"wait":${WAIT}}`, '40/child-a,']],
    ['an event while CONNECT is under decision', [`40/child-a,{"wait":${WAIT}}`, '42/child-a,["message",1]']],
    ['a binary header while CONNECT is under decision', [`40/child-a,{"wait":${WAIT}}`, '451-/child-a,["e"]']],
    ['DISCONNECT while CONNECT is under decision', [`40/child-a,{"wait":${WAIT}}`, '41/child-a,']],
    ['an event after a refusal', ['40/child-a,{"refuse":1}', '42/child-a,["message",1]']],
    ['an event after leaving', ['40/child-a,', '41/child-a,', '42/child-a,["message",1]']],
    ['CONNECT between a header and its attachment', ['40/child-a,', '451-/child-a,["e"]', '40/child-b,']],
    ['CONNECT with an array', ['40/child-a,[]']],
    ['CONNECT with a string', ['40/child-a,"x"']],
    ['CONNECT with an id', ['40/child-a,1{}']],
    ['CONNECT with two objects', ['40/child-a,{}{}']],
    ['CONNECT with 90 KB of {', [`40/child-a,${'{"a":'.repeat(15000)}`]],
    ['a name of 256 bytes', [`40/child-${'a'.repeat(249)},`]],
    ['a name of 90 KB', [`40/child-${'a'.repeat(90000)},`]],
    ['a name that is not UTF-8', [Buffer.from('4\x30/child-\xff,', 'latin1')]],
  ])
    hostileChild(`${name}: closed`, async () => {
      const w = await connected();
      for (const p of packets) w.send(p, Buffer.isBuffer(p) ? { opcode: 1 } : {});
      await w.end();
    });

  hostileChild('names that are nearly one: refused each, the session goes on', async () => {
    const w = await connected();
    for (const name of ['/child-', '/child-\u0000', '/child-a\u0000', '/child-a\n', '\n/child-a', '/child-a/', '/child-a?b=1', '/child-%61', '/child-A', '/CHILD-a', '/child-\u0430', '/child-a.*', '/.*', '//child-a', '/../child-a', `/child-${'-'.repeat(248)}`]) {
      if (name[0] !== '/') continue; // no namespace at all: closed, above
      w.send(`40${name},`);
      assert.equal(await w.text('44/'), `44${name},{"message":"Invalid namespace"}`);
    }
    w.send('421["message-with-ack"]');
    await w.text('431');
    w.destroy();
  });

  hostileChild('the longest name is one', async () => {
    const w = await connected();
    const name = `/child-${'a'.repeat(248)}`;
    w.send(`40${name},`);
    await w.text(`40${name},{"sid"`);
    await works(w, name);
    w.destroy();
  });

  hostileChild('10,000 CONNECTs to random children: 100 of them, 100 refusals, the end', async () => {
    const w = await fresh();
    for (let i = 0; i < 10000 && !w.inbox.ended; i++) w.send(`40/child-n${i},`);
    await w.end(20000);
    const said = w.inbox.items.map((m) => String(m.data));
    assert.equal(said.filter((s) => s.startsWith('40/child-n')).length, 100);
    assert.equal(said.filter((s) => s.endsWith(',{"message":"Too many namespaces"}')).length, 100);
  });

  hostileChild('10,000 children of 101 clients: no more', async () => {
    await sleep(WAIT + 100); // a child stands as long as somebody waits for its middleware's word
    const crowd = [];
    for (let i = 0; i < 101; i++) {
      const w = await fresh();
      for (let n = 0; n < 99; n++) w.send(`40/child-c${i * 99 + n},`);
      crowd.push(w);
    }
    for (const [i, w] of crowd.entries()) await w.text(`40/child-c${i * 99 + 98},`, { timeout: 20000 });
    const late = await fresh();
    const ask = async (name) => (late.send(`40${name},`), await late.inbox.next((m) => m.op === 1 && /^4[04]/.test(m.data))).data;
    assert.equal(await ask('/child-late'), '44/child-late,{"message":"Invalid namespace"}', '9,999 and the witness are 10,000');
    assert.match(await ask('/child-c7'), /^40/, 'one that is there may be joined');
    crowd[0].destroy();
    await until(async () => (await ask('/child-late')).startsWith('40'), 'room again');
    for (const w of [...crowd, late]) w.destroy();
  });

  hostileChild('one child joined and left 2,000 times by several', async () => {
    const several = await Promise.all(Array.from({ length: 4 }, connected));
    for (let i = 0; i < 500; i++) for (const w of several) w.send('40/child-j,').send('42/child-j,["room:join","r"]').send('41/child-j,');
    for (const w of several) {
      w.send('421["message-with-ack"]');
      await w.text('431', { timeout: 20000 });
      assert.equal(w.inbox.items.filter((m) => String(m.data).startsWith('40/child-j,')).length, 500);
      w.destroy();
    }
  });

  hostileChild('clients that go while a middleware decides', async () => {
    for (let i = 0; i < 100; i++) {
      const w = await fresh();
      for (let n = 0; n < 20; n++) w.send(`40/child-g${n % 10}${i % 3},{"wait":${1 + ((i * 7 + n) % 40)}}`);
      if (i % 4 === 0) w.send('42["not connected"]');
      else if (i % 4 === 1) await sleep(5);
      w.destroy();
    }
    await sleep(60); // the last middlewares answer
  });

  hostileChild('leaving a child with attachments still awaited', async () => {
    for (let i = 0; i < 50; i++) {
      const w = await connected();
      w.send('40/child-a,').send('452-/child-a,["e",{"_placeholder":true,"num":0}]').send(Buffer.alloc(5000));
      if (i % 2) w.send('41/child-a,'); // text: the session ends
      w.destroy();
    }
  });
});
