// metrics.ts -- Prometheus' text format, as far as the page needs it.
export type Figures = Record<string, Record<string, number>>;
interface Reading {
  at: number;
  figures: Figures;
}

/** Values by name, then by their labels as they are written. */
export function readMetrics(text: string): Figures {
  const figures: Figures = {};
  for (const line of text.split('\n')) {
    const m = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (m) (figures[m[1]!] ??= {})[m[2] ?? ''] = Number(m[3]);
  }
  return figures;
}

export function sum(figures: Figures, name: string): number | null {
  const values = figures[name];
  return values ? Object.values(values).reduce((a, b) => a + b, 0) : null;
}

/** By the second, of a counter; a server that was started anew counts from 0. */
export function rateOf(now: Reading, before: Reading, name: string): number | null {
  const [a, b] = [sum(before.figures, name), sum(now.figures, name)];
  return a === null || b === null || now.at <= before.at ? null : Math.max(0, b - a) / (now.at - before.at);
}

/** A quantile of what a histogram has counted between two readings, within its bucket by proportion. */
export function quantileOf(now: Reading, before: Reading, name: string, q: number): number | null {
  const buckets = now.figures[`${name}_bucket`];
  if (!buckets) return null;
  const counts = new Map<number, number>();
  for (const [labels, value] of Object.entries(buckets)) {
    const le = /le="([^"]+)"/.exec(labels)?.[1];
    if (le === undefined) continue;
    const bound = le === '+Inf' ? Infinity : Number(le);
    counts.set(bound, (counts.get(bound) ?? 0) + value - (before.figures[`${name}_bucket`]?.[labels] ?? 0));
  }
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total <= 0) return 0;
  let [lower, below] = [0, 0];
  for (const [bound, n] of sorted) {
    if (n >= q * total) return bound === Infinity ? lower : lower + ((bound - lower) * (q * total - below)) / Math.max(1, n - below);
    [lower, below] = [bound, n];
  }
  return lower;
}
