import { describe, expect, it, vi } from 'vitest';
import { RealtimeError } from '../src/error.js';
import { type HistoryPage, Sequence } from '../src/sequence.js';
import { settle } from './fake.js';

// A history of events 1..last, read in pages of `size`; what was delivered, in order.
function setUp({ known = null as number | null, last = 0, size = 100, oldest = 1 } = {}) {
  const log: string[] = [];
  const state = { last, fails: null as RealtimeError | null };
  const reads: number[] = [];
  const read = async (after: number): Promise<HistoryPage> => {
    reads.push(after);
    await Promise.resolve();
    if (state.fails) throw state.fails;
    const to = Math.min(after + size, state.last);
    const items = Array.from({ length: Math.max(0, to - after) }, (_, i) => ({ seq: after + 1 + i, type: 'e', data: after + 1 + i }));
    return { items, oldest_seq: oldest, last_seq: state.last, next_after: to < state.last ? to : null, must_reload: after + 1 < oldest || after > state.last };
  };
  const sequence = new Sequence(
    {
      read,
      deliver: (name, data, missed) => log.push(`${name} ${data}${missed ? ' missed' : ''}`),
      reload: (seq) => log.push(`reload ${seq}`),
      settled: (error) => log.push(error ? `failed ${error.code}` : 'settled'),
    },
    known,
  );
  return { sequence, log, reads, state, read };
}

describe('a sequence of events', () => {
  it('starts with the number of the first join, and takes what follows at once', async () => {
    const { sequence, log, reads } = setUp();
    sequence.joined(7);
    sequence.take(8, 'a', 8);
    sequence.take(9, 'b', 9);
    await settle();
    expect(log).toEqual(['settled', 'a 8', 'b 9']);
    expect(reads).toEqual([]);
  });

  it('drops what it has had', () => {
    const { sequence, log } = setUp({ known: 5 });
    sequence.take(5, 'a', 5);
    sequence.take(3, 'a', 3);
    expect(log).toEqual([]);
  });

  it('fills a gap from the history, page by page, before what came live', async () => {
    const { sequence, log, reads } = setUp({ known: 2, last: 7, size: 2 });
    sequence.joined(6);
    sequence.take(7, 'live', 7); // it is in the history as well: once
    sequence.take(8, 'live', 8);
    expect(log).toEqual([]);
    await settle();
    await settle();
    expect(reads).toEqual([2, 4, 6]);
    expect(log).toEqual(['e 3 missed', 'e 4 missed', 'e 5 missed', 'e 6 missed', 'e 7 missed', 'live 8', 'settled']);
  });

  it('sees a gap between live events', async () => {
    const { sequence, log } = setUp({ known: 1, last: 3 });
    sequence.take(3, 'live', 3);
    await settle();
    expect(log).toEqual(['e 2 missed', 'e 3 missed', 'settled']);
  });

  it('holds what comes before the join', () => {
    const { sequence, log } = setUp();
    sequence.take(5, 'live', 5);
    sequence.joined(4);
    expect(log).toEqual(['live 5', 'settled']);
  });

  it('asks for a reload when the history does not reach back, and goes on from there', async () => {
    const { sequence, log } = setUp({ known: 2, last: 50, oldest: 40 });
    sequence.joined(50);
    sequence.take(51, 'live', 51);
    await settle();
    expect(log).toEqual(['reload 50', 'live 51', 'settled']);
  });

  it('asks for a reload when the server knows less than the client: its database is a copy of before', () => {
    const { sequence, log } = setUp({ known: 90 });
    sequence.joined(60);
    sequence.take(61, 'live', 61);
    expect(log).toEqual(['reload 60', 'settled', 'live 61']);
  });

  it('tells when reading fails, and reads again at the next join with nothing lost or twice', async () => {
    const { sequence, log, state } = setUp({ known: 1, last: 3 });
    state.fails = new RealtimeError('no', 'unreachable');
    sequence.joined(3);
    await settle();
    expect(log).toEqual(['failed unreachable']);
    sequence.take(4, 'live', 4);
    await settle();
    state.fails = null;
    state.last = 4;
    sequence.joined(4);
    await settle();
    expect(log.filter((l) => !l.startsWith('failed'))).toEqual(['e 2 missed', 'e 3 missed', 'e 4 missed', 'settled']);
  });

  it('drops what a reading of before the loss brings', async () => {
    const { sequence, log } = setUp({ known: 1, last: 3 });
    sequence.joined(3);
    sequence.stop();
    await settle();
    expect(log).toEqual([]);
    sequence.joined(3);
    await settle();
    expect(log).toEqual(['e 2 missed', 'e 3 missed', 'settled']);
  });

  it('while nobody listens keeps what comes: it is read when somebody does, each once', async () => {
    const { sequence, log, reads, state } = setUp();
    sequence.joined(1);
    sequence.pause();
    sequence.resume();
    expect([log.splice(0), reads]).toEqual([['settled'], []]); // nothing came
    sequence.pause();
    sequence.take(2, 'live', 2);
    sequence.take(3, 'live', 3);
    await settle();
    expect(log).toEqual([]);
    state.last = 3;
    sequence.resume();
    sequence.take(4, 'live', 4);
    await settle();
    expect(reads).toEqual([1]);
    expect(log).toEqual(['e 2 missed', 'e 3 missed', 'live 4', 'settled']);
  });

  it('paused while it reads, or joined anew while paused, reads again from the same number', async () => {
    const { sequence, log } = setUp({ known: 1, last: 3 });
    sequence.joined(3);
    sequence.pause();
    await settle();
    expect(log).toEqual([]);
    sequence.stop();
    sequence.joined(3);
    await settle();
    expect(log).toEqual([]);
    sequence.resume();
    await settle();
    expect(log).toEqual(['e 2 missed', 'e 3 missed', 'settled']);
  });

  it('hands on an event whose number is not the server’s, without believing the number', async () => {
    const { sequence, log } = setUp({ known: 3, last: 3 });
    sequence.take(900, 'foreign', 900);
    await settle();
    expect(log).toEqual(['foreign 900', 'settled']);
    sequence.take(4, 'live', 4);
    expect(log.at(-1)).toBe('live 4');
  });

  it('random losses, joins and doubles: each event once and in order', async () => {
    for (let seed = 1; seed <= 500; seed++) {
      let x = seed;
      const random = (n: number) => (x = (x * 48271) % 2147483647) % n;
      const { sequence, log, state } = setUp({ size: 1 + random(4) });
      sequence.joined(0);
      for (let step = 0; step < 60; step++) {
        const what = random(7);
        if (what < 3) sequence.take(++state.last, 'e', state.last);
        else if (what === 3) state.last += random(3); // lost on the way
        else if (what === 4) {
          sequence.stop();
          sequence.joined(state.last);
        } else if (what === 5) {
          sequence.pause();
          if (random(2)) sequence.take(++state.last, 'e', state.last);
          sequence.resume();
        } else await settle();
        if (state.last > 0 && random(5) === 0) sequence.take(Math.max(1, state.last - random(3)), 'e', 'again');
      }
      sequence.joined(state.last);
      for (let i = 0; i < 40; i++) await settle();
      expect(sequence.known, `seed ${seed}`).toBe(state.last);
      const seen = log.filter((l) => l.startsWith('e ')).map((l) => l.split(' ')[1]);
      // A double of an event that was never handled is the event itself.
      expect(seen.length, `seed ${seed}`).toBe(state.last);
      expect(seen.every((s, i) => s === 'again' || Number(s) === i + 1), `seed ${seed}: ${seen}`).toBe(true);
    }
  });
});

it('a read that throws something else is told as unreachable', async () => {
  const settled = vi.fn();
  const sequence = new Sequence({ read: () => Promise.reject(new TypeError('x')), deliver: vi.fn(), reload: vi.fn(), settled }, 0);
  sequence.joined(1);
  await settle();
  expect(settled.mock.calls[0]![0].code).toBe('unreachable');
});
