// decimal.ts -- quantities and money as exact decimals.
//
// A value is its text, as the server has it; sums and products are big.js's.  No JavaScript
// number ever holds one, for it would round what has more than 15 digits.
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

/** What a person typed, as the server takes it: "1 234,5" and "1,234.50" too; null: no number. */
export function typed(text: string): Decimal | null {
  let t = text.trim().replace(/[\s'\u00a0\u202f]/g, '');
  const comma = t.lastIndexOf(',');
  const point = t.lastIndexOf('.');
  if (comma > point && (point >= 0 || !/,\d{3}$/.test(t))) t = t.replaceAll('.', '').replace(',', '.');
  t = t.replaceAll(',', '');
  if (!/^-?(\d+\.?\d*|\.\d+)$/.test(t)) return null;
  return new Big(t.replace(/^(-?)\./, '$10.').replace(/\.$/, '')).toFixed();
}

export const sameNumber = (a: Decimal | null, b: Decimal | null) => a === b || (a !== null && b !== null && a !== '' && b !== '' && new Big(a).eq(b));

interface Priced {
  qty: Decimal | null;
  unit_price: Decimal | null;
}

const totals = new WeakMap<object, Big>();
const ZERO = new Big(0);

/** qty × unit price, to the last digit.  Kept with the row, which is never changed in place. */
export function totalOf(row: Priced): Big {
  let total = totals.get(row);
  if (!total) totals.set(row, (total = row.qty && row.unit_price ? new Big(row.qty).times(row.unit_price) : ZERO));
  return total;
}

export const sumOf = (rows: readonly Priced[]): Big => rows.reduce((sum, row) => sum.plus(totalOf(row)), ZERO);

const formats = new Map<number, Intl.NumberFormat>();
/** In the user's way of writing, with at least so many digits behind the point and none left out. */
export function shown(value: Decimal | Big | null, digits = 0): string {
  if (value === null || value === '') return '';
  let format = formats.get(digits);
  if (!format) formats.set(digits, (format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: 12 })));
  return format.format((typeof value === 'string' ? value : value.toFixed()) as `${number}`);
}

/** value changed by so many percent, rounded half up to `places`. */
export const byPercent = (value: Decimal, percent: Decimal, places: number): Decimal =>
  new Big(value).times(new Big(100).plus(percent)).div(100).round(places, Big.roundHalfUp).toFixed();

/** How much of whole part is, 0..1, for a picture only. */
export const shareOf = (part: Big, whole: Big): number => (whole.eq(0) ? 0 : part.div(whole).toNumber());
