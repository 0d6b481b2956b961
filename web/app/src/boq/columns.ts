// columns.ts -- what the table shows of an item, and how a value is read and written.
import type Big from 'big.js';
import type { Item } from '../lib/api';
import { shown, sumOf, totalOf, typed } from '../lib/decimal';
import { type Field, isNumber } from '../lib/outbox';

export type ColumnId = Field | 'total';

export interface Column {
  id: ColumnId;
  title: string;
  isNumber: boolean;
  text(item: Item): string;
}

export const COLUMNS: readonly Column[] = [
  { id: 'code', title: 'Code', isNumber: false, text: (i) => i.code },
  { id: 'description', title: 'Description', isNumber: false, text: (i) => i.description },
  { id: 'unit', title: 'Unit', isNumber: false, text: (i) => i.unit },
  { id: 'qty', title: 'Quantity', isNumber: true, text: (i) => shown(i.qty) },
  { id: 'unit_price', title: 'Unit price', isNumber: true, text: (i) => shown(i.unit_price, 2) },
  { id: 'total', title: 'Total', isNumber: true, text: (i) => shown(totalOf(i), 2) },
];

export const titleOf = (id: ColumnId) => COLUMNS.find((c) => c.id === id)?.title ?? id;

/** What a person typed as the server takes it, or what is wrong with it. */
export function accept(field: Field, text: string): { value: string } | { error: string } {
  if (!isNumber(field)) return { value: text.trim() };
  const value = typed(text);
  return value === null ? { error: `“${text}” is not a number` } : { value };
}

/** A value as a person edits it. */
export const editable = (item: Item, field: Field): string => item[field] ?? '';

export type Line =
  | { kind: 'section'; key: string; section: string; items: readonly Item[] }
  | { kind: 'item'; key: string; item: Item };

/**
 * The items under their sections, which are in the order of the items.  A section in which nothing
 * has changed is the same object as before, so that what was made of it need not be made again.
 */
export function linesOf(items: readonly Item[], before: readonly Line[] = []): Line[] {
  const sections = new Map<string, Item[]>();
  for (const item of items) {
    const of = sections.get(item.section);
    if (of) of.push(item);
    else sections.set(item.section, [item]);
  }
  const old = new Map(before.flatMap((l): [string, Line][] => (l.kind === 'section' ? [[l.section, l]] : [])));
  const lines: Line[] = [];
  for (const [section, of] of sections) {
    const was = old.get(section);
    const isSame = was?.kind === 'section' && was.items.length === of.length && was.items.every((item, i) => item === of[i]);
    lines.push(isSame ? was : { kind: 'section', key: `section ${section}`, section, items: of });
    for (const item of of) lines.push({ kind: 'item', key: item.item_id, item });
  }
  return lines;
}

const sums = new WeakMap<object, Big>();
/** The sum of a section's items, kept with it. */
export function sumOfSection(line: Extract<Line, { kind: 'section' }>): Big {
  let sum = sums.get(line);
  if (!sum) sums.set(line, (sum = sumOf(line.items)));
  return sum;
}

/** Does any text of the item hold the words? */
export const fits = (item: Item, words: string) => `${item.code} ${item.description} ${item.unit} ${item.section}`.toLowerCase().includes(words);
