// bulk.ts -- long work on many items: in portions, with progress, to be stopped, and with an
// account at the end of what was left out and why.
//
// A portion without an answer is sent again with its key, so it counts once, until there is one or
// the person stops.
import type { Request } from '@skybuild/realtime-react';
import { isLater, type Item, pathOf, RETRY_MS } from '../lib/api';
import { byPercent, CONTINENTAL, type Decimal, ENGLISH } from '../lib/decimal';
import { accept } from './columns';

const PORTION = 100;
const PLACES = { qty: 3, unit_price: 2 };

export interface Skipped {
  code: string;
  what: string;
  why: string;
}
export interface Progress {
  done: number;
  total: number;
  updated: number;
  created: number;
  skipped: Skipped[];
  /** The server cannot be reached, and is tried again. */
  isWaiting?: boolean;
}
export type Tell = (progress: Progress) => void;

interface BulkAnswer {
  updated: number;
  skipped: number;
  why: { item_id: string; code: string; message: string }[];
}
interface Update {
  item: Item;
  body: Partial<Record<'code' | 'description' | 'unit' | 'qty' | 'unit_price' | 'section', string>>;
}

const start = (total: number): Progress => ({ done: 0, total, updated: 0, created: 0, skipped: [] });

const NOT_REACHED = 'not reached';
const NO_ANSWER = 'no answer: it may be done or not';

interface Job<T> {
  path: string;
  body: object;
  /** What of it is counted, and told when it is not done. */
  of: readonly { code?: string; what?: string }[];
  count(answer: T): Partial<Pick<Progress, 'updated' | 'created' | 'skipped'>>;
}

/** One after the other; what is refused, or not reached, is told with its reason. */
async function inTurn<T>(request: Request, jobs: readonly Job<T>[], progress: Progress, tell: Tell, signal: AbortSignal): Promise<Progress> {
  const leave = (of: Job<T>['of'], why: string) => of.map(({ code = '', what = '' }) => ({ code, what, why }));
  for (const { path, body, of, count } of jobs) {
    if (signal.aborted) {
      progress = { ...progress, skipped: [...progress.skipped, ...leave(of, NOT_REACHED)] };
      continue;
    }
    const idempotencyKey = crypto.randomUUID();
    for (let isOpen = true; isOpen; ) {
      try {
        const { updated = 0, created = 0, skipped = [] } = count(await request<T>('POST', path, body, { idempotencyKey }));
        progress = { ...progress, done: progress.done + of.length, updated: progress.updated + updated, created: progress.created + created, skipped: [...progress.skipped, ...skipped] };
        isOpen = false;
      } catch (error) {
        if (isLater(error) && !signal.aborted) {
          tell({ ...progress, isWaiting: true });
          await pause(signal);
        }
        if (isLater(error) && !signal.aborted) continue;
        const isKnown = !isLater(error);
        progress = { ...progress, done: progress.done + (isKnown ? of.length : 0), skipped: [...progress.skipped, ...leave(of, isKnown ? (error as Error).message : NO_ANSWER)] };
        isOpen = false;
      }
    }
    tell(progress);
  }
  return progress;
}

/** A moment, or until the person stops. */
const pause = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, RETRY_MS);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

function update(request: Request, projectId: string, updates: Update[], progress: Progress, tell: Tell, signal: AbortSignal): Promise<Progress> {
  const jobs: Job<BulkAnswer>[] = [];
  for (let at = 0; at < updates.length; at += PORTION) {
    const portion = updates.slice(at, at + PORTION);
    const items = new Map(portion.map(({ item }) => [item.item_id, item]));
    jobs.push({
      path: `${pathOf(projectId)}/boq/bulk`,
      body: { updates: portion.map(({ item, body }) => ({ item_id: item.item_id, version: item.version, ...body })) },
      of: portion.map(({ item }) => ({ code: item.code, what: item.description })),
      count: ({ updated, why }) => ({
        updated,
        skipped: why.map((w) => ({ code: items.get(w.item_id)?.code ?? w.item_id, what: items.get(w.item_id)?.description ?? '', why: w.code === 'conflict' ? 'somebody else has just changed it' : w.message })),
      }),
    });
  }
  return inTurn(request, jobs, progress, tell, signal);
}

/** Change one number of each item by so many percent. */
export function changeByPercent(request: Request, projectId: string, items: readonly Item[], field: 'qty' | 'unit_price', percent: Decimal, tell: Tell, signal: AbortSignal): Promise<Progress> {
  const able = items.filter((i) => i[field]);
  const skipped = items.filter((i) => !i[field]).map((i) => ({ code: i.code, what: i.description, why: 'it has no value to change' }));
  const progress = { ...start(items.length), done: skipped.length, skipped };
  return update(request, projectId, able.map((item) => ({ item, body: { [field]: byPercent(item[field]!, percent, PLACES[field]) } })), progress, tell, signal);
}

// ---- files ---------------------------------------------------------------------------

const FIELDS = ['section', 'code', 'description', 'unit', 'qty', 'unit_price'] as const;
type Row = Partial<Record<(typeof FIELDS)[number], string>>;
const NAMES: Record<string, (typeof FIELDS)[number]> = { section: 'section', code: 'code', description: 'description', unit: 'unit', qty: 'qty', quantity: 'qty', unit_price: 'unit_price', 'unit price': 'unit_price', price: 'unit_price', rate: 'unit_price' };

/** Papa Parse, loaded when a file comes or goes. */
const papa = async () => (await import('papaparse')).default;

type CsvLine = Record<string, string>;

/** The rows of a file, read beside the page (in a worker). */
export async function readCsv(file: File): Promise<{ rows: Row[]; skipped: Skipped[] }> {
  const Papa = await papa();
  const { data, meta } = await new Promise<{ data: CsvLine[]; meta: { delimiter: string } }>((resolve, reject) =>
    Papa.parse<CsvLine>(file, { header: true, skipEmptyLines: 'greedy', worker: true, complete: resolve, error: reject }),
  );
  return rowsOf(data, meta.delimiter);
}

/** A comma between the cells leaves the point to numbers; where numbers have a comma, a semicolon is between the cells. */
const MARKS: Record<string, typeof ENGLISH> = { ',': ENGLISH, ';': CONTINENTAL };

export function rowsOf(lines: readonly CsvLine[], delimiter: string): { rows: Row[]; skipped: Skipped[] } {
  const rows: Row[] = [];
  const skipped: Skipped[] = [];
  for (const [i, line] of lines.entries()) {
    const row: Row = {};
    let fault = '';
    for (const [name, text] of Object.entries(line)) {
      const field = NAMES[name.trim().toLowerCase()];
      if (!field || typeof text !== 'string' || text.trim() === '') continue;
      const got = accept(field, GUARDED.test(text) ? text.slice(1) : text, MARKS[delimiter]);
      if ('error' in got) fault = got.error;
      else row[field] = got.value;
    }
    if (!fault && !row.code && !row.description) fault = 'it has neither code nor description';
    if (fault) skipped.push({ code: row.code ?? `line ${i + 2}`, what: row.description ?? '', why: fault });
    else rows.push(row);
  }
  return { rows, skipped };
}

/** Items whose code is known are changed, others are made. */
export async function importRows(request: Request, projectId: string, items: readonly Item[], rows: Row[], refused: Skipped[], tell: Tell, signal: AbortSignal): Promise<Progress> {
  const byCode = new Map(items.filter((i) => i.code).map((i) => [i.code, i]));
  const [known, fresh]: [Update[], Row[]] = [[], []];
  const codes = new Set<string>();
  const twice: Skipped[] = [];
  for (const row of rows) {
    if (row.code && codes.has(row.code)) {
      twice.push({ code: row.code, what: row.description ?? '', why: 'its code is in the file twice: the first one counts' });
      continue;
    }
    if (row.code) codes.add(row.code);
    const item = row.code ? byCode.get(row.code) : undefined;
    if (item) known.push({ item, body: row });
    else fresh.push(row);
  }
  const skipped = [...refused, ...twice];
  let progress: Progress = { ...start(rows.length + refused.length), done: skipped.length, skipped };
  progress = await update(request, projectId, known, progress, tell, signal);
  const path = `${pathOf(projectId)}/boq`;
  return inTurn(request, fresh.map((row) => ({ path, body: row, of: [{ code: row.code, what: row.description }], count: () => ({ created: 1 }) })), progress, tell, signal);
}

// A cell that begins like a formula would be one in a spreadsheet: an apostrophe before it makes it a
// text, and is taken off again on the way in.  One that has such an apostrophe gets another.
const FORMULA = /^'*(?:[=@\t\r]|[+-](?!\d*\.?\d+$))/;
const GUARDED = new RegExp(FORMULA.source.replace('*', '+'));

export const csvOf = async (rows: readonly object[]): Promise<string> => (await papa()).unparse(rows as object[], { escapeFormulae: FORMULA });
export const itemsAsCsv = (items: readonly Item[]) => csvOf(items.map((i) => Object.fromEntries(FIELDS.map((f) => [f, i[f] ?? '']))));

export function download(name: string, text: string): void {
  // Without the mark at its beginning Excel takes a file for one of an old code page.
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
