// Long work on many items: done once, and with an account of all of them, whatever the network does.
import { RealtimeError } from '@skybuild/realtime-react';
import { beforeEach, expect, it, vi } from 'vitest';
import Papa from 'papaparse';
import { changeByPercent, csvOf, importRows, itemsAsCsv, type Progress, rowsOf } from '../src/boq/bulk';
import type { Item } from '../src/lib/api';

const items = Array.from({ length: 250 }, (_, n): Item => ({ item_id: `i-${n}`, code: `${n}`, description: `Item ${n}`, unit: 'm', qty: '2', unit_price: '1.5', section: '', version: 1, updated_at: '', updated_by: 'anna' }));
const away = new RealtimeError('away', 'unreachable');

interface Call {
  path: string;
  updates: { item_id: string }[];
  key: string;
}
function server(answer: (call: Call, n: number) => unknown) {
  const calls: Call[] = [];
  const request = (async (_method: string, path: string, body: { updates: Call['updates'] }, { idempotencyKey }: { idempotencyKey: string }) => {
    const call = { path, updates: body.updates, key: idempotencyKey };
    calls.push(call);
    const said = answer(call, calls.length);
    if (said instanceof Error) throw said;
    return said ?? { updated: body.updates?.length, skipped: 0, why: [] };
  }) as never;
  return { request, calls };
}
const stop = new AbortController();
const reasons = ({ skipped }: Progress) => Object.fromEntries([...new Set(skipped.map((s) => s.why))].map((why) => [why, skipped.filter((s) => s.why === why).length]));

beforeEach(() => void vi.useFakeTimers());

it('a portion without an answer is sent again with its key, and the rest after it', async () => {
  const { request, calls } = server((_, n) => (n === 2 || n === 3 ? away : null));
  const told: Progress[] = [];
  const end = changeByPercent(request, 'p', items, 'unit_price', '5', (p) => told.push(p), stop.signal);
  await vi.advanceTimersByTimeAsync(5000);
  expect(await end).toMatchObject({ done: 250, updated: 250, skipped: [] });
  expect([calls.length, new Set(calls.map((c) => c.key)).size, new Set([calls[1]!.key, calls[2]!.key, calls[3]!.key]).size]).toEqual([5, 3, 1]);
  expect(told.map((p) => [p.done, p.isWaiting ?? false])).toEqual([[100, false], [100, true], [100, true], [200, false], [250, false]]);
});

it('stopped without a network: all that is not done is told, and what may be done as well', async () => {
  const stop = new AbortController();
  const { request } = server((_, n) => (n > 1 ? away : null));
  const end = changeByPercent(request, 'p', items, 'unit_price', '5', () => {}, stop.signal);
  await vi.advanceTimersByTimeAsync(5500);
  stop.abort();
  const progress = await end;
  expect([progress.done, progress.updated, reasons(progress)]).toEqual([100, 100, { 'no answer: it may be done or not': 100, 'not reached': 50 }]);
});

it('a portion that is refused is told with the reason, and does not hold up the others', async () => {
  const { request } = server((_, n) => (n === 1 ? new RealtimeError('too much', 'invalid', { status: 422 }) : null));
  const progress = await changeByPercent(request, 'p', items, 'unit_price', '5', () => {}, stop.signal);
  expect([progress.done, progress.updated, reasons(progress)]).toEqual([250, 150, { 'too much': 100 }]);
});

it('rows of a file that were not reached are told, too', async () => {
  const stop = new AbortController();
  const { request } = server(() => (stop.abort(), null));
  const rows = [{ code: '3', unit: 'kg' }, { code: 'new', description: 'New' }, { code: 'other' }];
  expect(await importRows(request, 'p', items, rows, [], () => {}, stop.signal)).toMatchObject({ done: 1, total: 3, updated: 1, skipped: [{ code: 'new', what: 'New', why: 'not reached' }, { code: 'other', why: 'not reached' }] });
});

it('a code that is in a file twice counts once, and is told', async () => {
  const { request, calls } = server(() => null);
  const rows = [{ code: '3', unit: 'kg' }, { code: 'new' }, { code: '3', unit: 'm' }, { code: 'new' }, { description: 'without' }, { description: 'without' }];
  const why = 'its code is in the file twice: the first one counts';
  expect(await importRows(request, 'p', items, rows, [], () => {}, stop.signal)).toMatchObject({ done: 6, total: 6, updated: 1, created: 3, skipped: [{ code: '3', why }, { code: 'new', why }] });
  expect(calls[0]!.updates).toEqual([{ item_id: 'i-3', version: 1, code: '3', unit: 'kg' }]);
});

it('no cell of a file is a formula, numbers stay numbers, and texts come back as they were', async () => {
  const texts = ["-2+3+cmd|' /C calc'!A0", '=1+1', '@SUM(1)', '+41 44', '-', "'=quoted", "''=twice", "'tis", '-2.5', '-.5', '-2', 'plain'];
  const rows = texts.map((description, n) => ({ ...items[n]!, description, qty: '-2.5' }));
  const csv = await itemsAsCsv(rows);
  const { data, meta } = Papa.parse<Record<string, string>>(csv, { header: true });
  const formulas = data.map((line) => line.description!).filter((t) => /^[=@+-]/.test(t));
  expect(formulas).toEqual(['-2.5', '-.5', '-2']);
  expect(data[0]!.qty).toBe('-2.5');
  expect(rowsOf(data, meta.delimiter).rows.map((r) => r.description)).toEqual(texts);
  expect(await csvOf([{ code: '-2+3' }])).toBe('code\r\n"\'-2+3"');
});
