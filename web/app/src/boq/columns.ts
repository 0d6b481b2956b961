// columns.ts -- what the table shows of an item, and how a value is read and written.
import type { Item } from '../lib/api';
import { ENGLISH, exact, type Marks, shown, totalOf, typed, untyped } from '../lib/decimal';
import { type Field, isNumber } from '../lib/outbox';
import type { Section } from './items';

export type ColumnId = Field | 'total';

export interface Column {
  id: ColumnId;
  title: string;
  isNumber: boolean;
  /** Of each of its cells. */
  classes: string;
  text(item: Item): string;
}

const columns: readonly Omit<Column, 'classes'>[] = [
  { id: 'code', title: 'Code', isNumber: false, text: (i) => i.code },
  { id: 'description', title: 'Description', isNumber: false, text: (i) => i.description },
  { id: 'unit', title: 'Unit', isNumber: false, text: (i) => i.unit },
  { id: 'qty', title: 'Quantity', isNumber: true, text: (i) => shown(i.qty) },
  { id: 'unit_price', title: 'Unit price', isNumber: true, text: (i) => shown(i.unit_price, 2) },
  { id: 'total', title: 'Total', isNumber: true, text: (i) => shown(totalOf(i), 2) },
];
export const COLUMNS: readonly Column[] = columns.map((c) => ({ ...c, classes: `cell ${c.id}${c.isNumber ? ' number' : ''}` }));

export const titleOf = (id: ColumnId) => COLUMNS.find((c) => c.id === id)?.title ?? id;

/** What a person typed as the server takes it, or what is wrong with it. */
export function accept(field: Field, text: string, marks?: Marks): { value: string } | { error: string } {
  if (!isNumber(field)) return { value: text.trim() };
  const value = typed(text, marks);
  if (value !== null) return { value };
  return { error: typed(text, ENGLISH) === null ? `“${text}” is not a number` : `“${text}” can be read in two ways` };
}

/** A value as a person edits it. */
export const editable = (item: Item, field: Field, marks?: Marks): string => (isNumber(field) ? untyped(item[field] ?? '', marks) : (item[field] ?? ''));

export interface Pasted {
  edits: { item: Item; field: Field; value: string }[];
  /** Why so many cells were left out; empty: none was. */
  dropped: string;
}

/** A range of a spreadsheet, laid into the items (in their order) and columns from that one on. */
export function pasted(text: string, items: readonly Item[], first: ColumnId, marks?: Marks): Pasted {
  const columns = COLUMNS.slice(COLUMNS.findIndex((c) => c.id === first));
  const edits: Pasted['edits'] = [];
  let [unread, beyond] = [0, 0];
  for (const [down, line] of text.replace(/\r?\n$/, '').split(/\r?\n/).entries())
    for (const [right, cell] of line.split('\t').entries()) {
      const [item, field] = [items[down], columns[right]?.id];
      if (field === 'total') continue; // it follows from the others
      if (!item || !field) {
        beyond++;
        continue;
      }
      if (cell.trim() === '' && !item[field]) continue;
      const got = accept(field, cell, marks);
      if ('value' in got) edits.push({ item, field, value: got.value });
      else unread++;
    }
  const why = [unread > 0 && `${unread} without a number`, beyond > 0 && `${beyond} beyond the table`].filter(Boolean).join(', ');
  return { edits, dropped: why && `${unread + beyond} ${unread + beyond === 1 ? 'cell was' : 'cells were'} left out: ${why}` };
}

/** Items as a spreadsheet takes them. */
export const copied = (items: readonly Item[], columns: readonly ColumnId[], marks?: Marks): string =>
  items.map((item) => columns.map((id) => (id === 'total' ? untyped(exact(totalOf(item)), marks) : editable(item, id, marks)).replace(/\s+/g, ' ')).join('\t')).join('\n');

export type Line = { kind: 'section'; key: string; name: string; count: number } | { kind: 'item'; key: string };

/** The items that pass under their sections, one line each. */
export function linesOf(sections: readonly Section[], passes: (id: string) => boolean): Line[] {
  const lines: Line[] = [];
  for (const { name, ids } of sections) {
    const of = ids.filter(passes);
    if (of.length === 0) continue;
    lines.push({ kind: 'section', key: `section ${name}`, name, count: of.length });
    for (const id of of) lines.push({ kind: 'item', key: id });
  }
  return lines;
}

/** Does any text of the item hold the words? */
export const fits = (item: Item, words: string) => `${item.code} ${item.description} ${item.unit} ${item.section}`.toLowerCase().includes(words);
