// decimal.ts -- quantities and money as exact decimals.
//
// A value is its text, as the server has it; sums and products are whole numbers of any length,
// the rest is big.js's.  No JavaScript number ever holds one, for it would round what has more
// than 15 digits.
import Big from 'big.js';

Big.DP = 20;
Big.PE = 40; // no exponents in texts
Big.NE = -40;

export type Decimal = string;

/** Members of the API's rows that are decimals. */
const MEMBERS = /"(qty|unit_price|total)":(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[,}\]])/g;

/** Reads JSON with these members as text.  Inside of a string their quotes would be escaped, so only members match. */
export const parseExact = (text: string): unknown => JSON.parse(text.replace(MEMBERS, '"$1":"$2"'));

/**
 * The text of a decimal that came as a JSON number over the socket; null when it may have been
 * rounded on the way: up to 9 digits before the point and 6 behind are exact in a double.
 */
export function textOf(value: unknown): Decimal | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Math.abs(value) < 1e9 ? new Big(value).toFixed() : null;
}

/** What stands before the places of a number, and between its thousands. */
export interface Marks {
  point: string;
  group: string;
}
export const ENGLISH: Marks = { point: '.', group: ',' };
export const CONTINENTAL: Marks = { point: ',', group: '.' };

/** The marks of a locale; without one, of the user's, which shown() writes with. */
export function marksOf(locale?: string): Marks {
  const parts = new Intl.NumberFormat(locale).formatToParts(-1234567.8);
  const mark = (type: 'decimal' | 'group') => parts.find((p) => p.type === type)?.value ?? '';
  return { point: mark('decimal'), group: mark('group') };
}
const OURS = marksOf();

const NUMBER = /^-?(\d+\.?\d*|\.\d+)$/;
const WHOLE_IN_GROUPS = /^-?(?!0)\d{1,3}([.,])(\d{2,3}\1)*\d{3}$/;

/**
 * What a person typed, as the server takes it; null: no number, or one that can be read in two
 * ways.  The other form than the user's is taken where it cannot be meant otherwise: "1.234,50"
 * and "1,234.50" anywhere, "0,125" and "12,5" where a comma stands between thousands.
 */
export function typed(text: string, marks: Marks = OURS): Decimal | null {
  const t = text.trim().replace(/[\s'’\u00a0\u202f]/g, '').replace('−', '-');
  const found: readonly string[] = t.match(/[.,]/g) ?? [];
  let point = found.at(-1) ?? '.';
  if (!found.includes('.') || !found.includes(',')) {
    // Marks of one kind: before the places if it is the user's, or cannot stand between thousands.
    const isWhole = (found.length > 1 || point !== marks.point) && WHOLE_IN_GROUPS.test(t);
    if (isWhole && found.length === 1 && point !== marks.group) return null;
    if (isWhole) point = '';
  } else if (!WHOLE_IN_GROUPS.test(t.slice(0, t.lastIndexOf(point)))) return null;
  const plain = [...t].map((c) => (c === point ? '.' : c === '.' || c === ',' ? '' : c)).join('');
  if (!NUMBER.test(plain)) return null;
  return new Big(plain.replace(/^(-?)\./, '$10.').replace(/\.$/, '')).toFixed();
}

/** A decimal as a person edits it: as it is shown, without marks between thousands. */
export const untyped = (value: Decimal, marks: Marks = OURS): string => value.replace('.', marks.point);

export const sameNumber = (a: Decimal | null, b: Decimal | null) => a === b || (a !== null && b !== null && a !== '' && b !== '' && new Big(a).eq(b));

interface Priced {
  qty: Decimal | null;
  unit_price: Decimal | null;
}

const PLACES = 6; // the server takes no more
const SCALE = 10n ** 12n; // of a product of two such numbers
const PLAIN = /^(-?\d+)(?:\.(\d{1,6}))?$/;

/** In millionths; null: it has more places. */
function millionths(text: Decimal): bigint | null {
  const m = PLAIN.exec(text);
  return m && BigInt(m[1]! + (m[2] ?? '').padEnd(PLACES, '0'));
}

const totals = new WeakMap<object, bigint>();

/**
 * qty × unit price to the last digit, in units of 10⁻¹².  Kept with the row, which is never
 * changed in place.  Whole numbers of any length, for thousands of them are added up at once.
 */
export function totalOf(row: Priced): bigint {
  let total = totals.get(row);
  if (total === undefined) totals.set(row, (total = row.qty && row.unit_price ? product(row.qty, row.unit_price) : 0n));
  return total;
}

function product(a: Decimal, b: Decimal): bigint {
  const [x, y] = [millionths(a), millionths(b)];
  // More places than the server takes: shown until it refuses them.
  return x !== null && y !== null ? x * y : BigInt(new Big(a).times(b).times(SCALE.toString()).round(0).toFixed());
}

/** The text of such a total. */
export function exact(total: bigint): Decimal {
  const digits = (total < 0n ? -total : total).toString().padStart(13, '0');
  const behind = digits.slice(-12).replace(/0+$/, '');
  return `${total < 0n ? '-' : ''}${digits.slice(0, -12)}${behind && `.${behind}`}`;
}

const formats = new Map<number, Intl.NumberFormat>();
/** A decimal, or a total of totalOf(), in the user's way of writing, with at least so many digits behind the point and none left out. */
export function shown(value: Decimal | bigint | null, digits = 0): string {
  if (value === null || value === '') return '';
  let format = formats.get(digits);
  if (!format) formats.set(digits, (format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: 12 })));
  return format.format((typeof value === 'string' ? value : exact(value)) as `${number}`);
}

/** value changed by so many percent, rounded half up to `places`. */
export const byPercent = (value: Decimal, percent: Decimal, places: number): Decimal =>
  new Big(value).times(new Big(100).plus(percent)).div(100).round(places, Big.roundHalfUp).toFixed();

/** How much of whole part is, 0..1, for a picture only. */
export const shareOf = (part: bigint, whole: bigint): number => (whole === 0n ? 0 : Number(part) / Number(whole));
