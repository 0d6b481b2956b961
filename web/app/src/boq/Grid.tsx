// Grid.tsx -- the table of thousands of rows: only those in sight exist.
//
// One cell is active; arrows move it, typing edits it, Enter goes down and Tab right.  What is
// drawn of others (their cell, their cursor, what they have just changed) lies over it and
// never moves a row.
import { type Member, type Point, useCursors, useOthers } from '@skybuild/realtime-react';
import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual';
import { type ClipboardEvent, type KeyboardEvent, memo, type PointerEvent, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { shown } from '../lib/decimal';
import type { Item } from '../lib/api';
import { firstName, type People, when } from '../lib/people';
import type { CellRef, Presence } from '../lib/presence';
import { CellTrouble } from './CellTrouble';
import { accept, type ColumnId, COLUMNS, editable, fits, type Line, linesOf, sumOfSection } from './columns';
import { type Boq, cellKey, type Flash, type Trouble } from './useBoq';

const ROW_PX = 32;

/** Ids of the items that are ticked. */
export type Selection = ReadonlySet<string>;

export interface GridHandle {
  show(cell: CellRef): void;
}

interface Editing {
  item: Item;
  column: ColumnId;
  text: string;
  /** What it was when editing began: a change of it meanwhile is a conflict. */
  was: string;
  error: string | null;
}

interface Props {
  boq: Boq;
  people: People;
  isEditable: boolean;
  filter: string;
  selection: Selection;
  onSelection: (selection: Selection) => void;
  onCell: (cell: CellRef | null) => void;
  onOpen: (item: Item) => void;
  handle: React.Ref<GridHandle>;
}

/** A cursor in the table: at which row and how far down in it, and how far right of the whole width. */
interface TableCursor {
  row: string;
  dy: number;
  x: number;
}

export function Grid({ boq, people, isEditable, filter, selection, onSelection, onCell, onOpen, handle }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<CellRef | null>(null);
  const [editing, setEditing] = useState<Editing | null>(null);

  const last = useRef<Line[]>([]);
  const lines = useMemo(() => {
    const words = filter.trim().toLowerCase();
    return linesOf(words ? boq.items.filter((i) => fits(i, words)) : boq.items, last.current);
  }, [boq.items, filter]);
  useEffect(() => {
    last.current = lines;
  }, [lines]);
  const items = useMemo(() => lines.flatMap((l) => (l.kind === 'item' ? [l.item] : [])), [lines]);
  const heads = useMemo(() => lines.flatMap((l, i) => (l.kind === 'section' ? [i] : [])), [lines]);
  const placeOf = useMemo(() => new Map(lines.map((l, i) => [l.key, i])), [lines]);

  // The head of the section in sight stays at the top while its rows scroll.
  const sticky = useRef(0);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (i) => lines[i]!.key,
    overscan: 12,
    scrollPaddingStart: 2 * ROW_PX,
    rangeExtractor: (range) => {
      sticky.current = heads.findLast((h) => h <= range.startIndex) ?? 0;
      return [...new Set([sticky.current, ...defaultRangeExtractor(range)])].sort((a, b) => a - b);
    },
  });

  const go = useCallback(
    (cell: CellRef) => {
      const at = placeOf.get(cell.item);
      if (at === undefined) return;
      setActive(cell);
      rows.scrollToIndex(at, { align: 'auto' });
    },
    [placeOf, rows],
  );
  useImperativeHandle(handle, () => ({ show: go }), [go]);
  useEffect(() => onCell(active), [active, onCell]);

  // ---- editing ----
  // An editor is closed once: giving the focus back makes its field lose it, which would commit again.
  const isClosed = useRef(true);
  const begin = (cell: CellRef, text?: string) => {
    const item = boq.items.find((i) => i.item_id === cell.item);
    if (!item || !isEditable || cell.column === 'total') return;
    const was = editable(item, cell.column);
    isClosed.current = false;
    setEditing({ item, column: cell.column, text: text ?? was, was, error: null });
  };
  const focus = () => scroller.current?.focus({ preventScroll: true });
  const close = () => {
    isClosed.current = true;
    setEditing(null);
    focus();
  };
  const commit = (move: [number, number] | null): void => {
    if (isClosed.current || !editing || editing.column === 'total') return;
    const got = accept(editing.column, editing.text);
    if ('error' in got && editing.text.trim() !== editing.was) return setEditing({ ...editing, error: got.error });
    close();
    if ('value' in got) boq.edit(editing.item, editing.column, got.value, editing.was);
    if (move) moveBy(...move);
  };
  const moveBy = (down: number, right: number) => {
    const cell = active ?? (items[0] && { item: items[0].item_id, column: 'code' as const });
    if (!cell) return;
    const at = items.findIndex((i) => i.item_id === cell.item);
    const column = COLUMNS.findIndex((c) => c.id === cell.column);
    const next = items[Math.max(0, Math.min(items.length - 1, at + down))];
    if (next) go({ item: next.item_id, column: COLUMNS[Math.max(0, Math.min(COLUMNS.length - 1, column + right))]!.id });
  };

  const onKey = (e: KeyboardEvent) => {
    if (e.target !== scroller.current) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_PX) - 3);
    const isCommand = e.ctrlKey || e.metaKey;
    const moves: Record<string, [number, number]> = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageDown: [page, 0], PageUp: [-page, 0], Home: [isCommand ? -items.length : 0, -COLUMNS.length], End: [isCommand ? items.length : 0, COLUMNS.length] };
    const move = moves[e.key];
    if (move) moveBy(...move);
    else if (isCommand && e.key.toLowerCase() === 'z') (e.shiftKey ? boq.redo : boq.undo)();
    else if (isCommand && e.key.toLowerCase() === 'y') boq.redo();
    else if (!active || isCommand || e.altKey) return;
    else if (e.key === 'Enter' || e.key === 'F2') begin(active);
    else if (e.key === ' ') toggle(active.item);
    else if (e.key === 'Escape') onSelection(new Set());
    else if (e.key === 'Delete' && active.column === 'description') begin(active, '');
    else if (e.key.length === 1) begin(active, e.key);
    else return;
    e.preventDefault();
  };

  // A range of a spreadsheet goes into the cells from the active one on.
  const onPaste = (e: ClipboardEvent) => {
    if (e.target !== scroller.current || !active || !isEditable) return;
    e.preventDefault();
    const at = items.findIndex((i) => i.item_id === active.item);
    const first = COLUMNS.findIndex((c) => c.id === active.column);
    e.clipboardData.getData('text/plain').replace(/\r?\n$/, '').split(/\r?\n/).forEach((line, down) =>
      line.split('\t').forEach((text, right) => {
        const [item, column] = [items[at + down], COLUMNS[first + right]];
        if (!item || !column || column.id === 'total') return;
        const got = accept(column.id, text);
        if ('value' in got) boq.edit(item, column.id, got.value);
      }),
    );
  };

  const toggle = (id: string) => {
    const next = new Set(selection);
    if (!next.delete(id)) next.add(id);
    onSelection(next);
  };
  const isAll = items.length > 0 && items.every((i) => selection.has(i.item_id));

  // ---- others ----
  const others = useOthers<Presence>();
  const cells = useMemo(() => {
    const by = new Map<string, Member<Presence>[]>();
    for (const o of others) {
      const cell = o.presence?.cell;
      if (cell && o.presence?.tab === 'boq') by.set(cell.item, [...(by.get(cell.item) ?? []), o]);
    }
    return by;
  }, [others]);

  const toPoint = (c: TableCursor): Point | null => {
    const at = placeOf.get(c.row);
    const width = sheet.current?.clientWidth ?? 0;
    return at === undefined ? null : { x: c.x * width, y: at * ROW_PX + c.dy };
  };
  const { cursors, move, refresh } = useCursors<TableCursor>({ toPoint });
  useEffect(refresh, [refresh, placeOf]);
  const onPointer = (e: PointerEvent) => {
    const box = sheet.current?.getBoundingClientRect();
    if (!box || e.pointerType === 'touch') return;
    const y = e.clientY - box.top;
    const line = lines[Math.floor(y / ROW_PX)];
    move(line ? { row: line.key, dy: Math.round(y % ROW_PX), x: Math.round(((e.clientX - box.left) / box.width) * 1e4) / 1e4 } : null);
  };

  // Rows get one object that never changes, so that a row renders for what it shows alone.
  const now: Acts = {
    select: toggle,
    pick: (item, column) => {
      setActive({ item: item.item_id, column });
      focus();
    },
    begin: (item, column) => begin({ item: item.item_id, column }),
    type: (text) => setEditing((e) => e && { ...e, text, error: null }),
    commit,
    revert: close,
    settle: boq.settle,
    open: onOpen,
  };
  const acts = useRef(now);
  useLayoutEffect(() => {
    acts.current = now;
  });

  const active_ = active && placeOf.has(active.item) ? active : null;
  return (
    <div className="grid-frame">
      <div
        className="grid-scroll"
        ref={scroller}
        role="grid"
        tabIndex={0}
        aria-label="Bill of quantities"
        aria-rowcount={lines.length + 1}
        aria-colcount={COLUMNS.length + 1}
        aria-multiselectable
        aria-activedescendant={active_ ? `cell-${active_.item}-${active_.column}` : undefined}
        onKeyDown={onKey}
        onPaste={onPaste}
        onPointerMove={onPointer}
        onPointerLeave={() => move(null)}
        onFocus={() => setActive((cell) => cell ?? (items[0] ? { item: items[0].item_id, column: 'qty' } : null))}
      >
        <div className="grid-row grid-head" role="row" aria-rowindex={1}>
          <span role="columnheader" className="cell check">
            <input type="checkbox" tabIndex={-1} aria-label="Select all" checked={isAll} onChange={() => onSelection(isAll ? new Set() : new Set(items.map((i) => i.item_id)))} />
          </span>
          {COLUMNS.map((c) => (
            <span key={c.id} role="columnheader" className={`cell ${c.id}${c.isNumber ? ' number' : ''}`}>
              {c.title}
            </span>
          ))}
        </div>
        <div className="grid-sheet" ref={sheet} role="rowgroup" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((v) => {
            const line = lines[v.index]!;
            if (line.kind === 'section') return <SectionRow key={line.key} line={line} index={v.index} y={v.start} isSticky={v.index === sticky.current} />;
            const { item } = line;
            return (
              <ItemRow
                key={line.key}
                item={item}
                index={v.index}
                y={v.start}
                isSelected={selection.has(item.item_id)}
                column={active_?.item === item.item_id ? active_.column : null}
                editing={editing?.item.item_id === item.item_id ? editing : null}
                others={cells.get(item.item_id) ?? NOBODY}
                pending={COLUMNS.filter((c) => c.id !== 'total' && boq.isPending(item, c.id)).map((c) => c.id).join()}
                flashes={boq.flashes}
                troubles={boq.troubles}
                people={people}
                acts={acts}
              />
            );
          })}
          <div className="cursors" aria-hidden="true">
            {cursors.map((c) => (
              <div key={c.userId} ref={c.ref} className="cursor" style={{ '--who': people.colourOf(c.userId) } as React.CSSProperties}>
                <svg width="14" height="16" viewBox="0 0 14 16">
                  <path d="M1 1l12 6-5 1.5L5.5 14z" />
                </svg>
                <span>{firstName(people.nameOf(c.userId))}</span>
              </div>
            ))}
          </div>
        </div>
      </div>
      {items.length === 0 && <p className="grid-empty">{filter ? 'No item fits the filter.' : 'There are no items yet. Import a CSV file to begin.'}</p>}
    </div>
  );
}

const NOBODY: Member<Presence>[] = [];

const SectionRow = memo(function SectionRow({ line, index, y, isSticky }: { line: Extract<Line, { kind: 'section' }>; index: number; y: number; isSticky: boolean }) {
  const total = sumOfSection(line);
  return (
    <div className="grid-row section" role="row" aria-rowindex={index + 2} data-section={line.section} style={isSticky ? { position: 'sticky', top: ROW_PX, zIndex: 3 } : { position: 'absolute', top: 0, transform: `translateY(${y}px)` }}>
      <span role="gridcell" className="cell check" />
      <span role="rowheader" className="cell section-name" aria-colspan={5}>
        {line.section || 'Without a section'} <span className="quiet">{line.items.length}</span>
      </span>
      <span role="gridcell" className="cell total number">
        {shown(total, 2)}
      </span>
    </div>
  );
});

interface Acts {
  select(id: string): void;
  pick(item: Item, column: ColumnId): void;
  begin(item: Item, column: ColumnId): void;
  type(text: string): void;
  commit(move: [number, number] | null): void;
  revert(): void;
  settle: Boq['settle'];
  open(item: Item): void;
}

interface RowProps {
  item: Item;
  index: number;
  y: number;
  isSelected: boolean;
  column: ColumnId | null;
  editing: Editing | null;
  others: Member<Presence>[];
  pending: string;
  flashes: ReadonlyMap<string, Flash>;
  troubles: ReadonlyMap<string, Trouble>;
  people: People;
  acts: { current: Acts };
}

const ItemRow = memo(function ItemRow({ item, index, y, isSelected, column, editing, others, pending, flashes, troubles, people, acts }: RowProps) {
  return (
    <div className={`grid-row${isSelected ? ' selected' : ''}`} role="row" aria-rowindex={index + 2} aria-selected={isSelected} data-item={item.item_id} style={{ position: 'absolute', top: 0, transform: `translateY(${y}px)` }}>
      <span role="gridcell" className="cell check">
        <input type="checkbox" tabIndex={-1} aria-label={`Select ${item.code}`} checked={isSelected} onChange={() => acts.current.select(item.item_id)} />
      </span>
      {COLUMNS.map((c) => {
        const key = cellKey(item.item_id, c.id);
        const flash = flashes.get(key) ?? (c.id === 'total' ? (flashes.get(cellKey(item.item_id, 'qty')) ?? flashes.get(cellKey(item.item_id, 'unit_price'))) : undefined);
        const trouble = troubles.get(key);
        const here = others.filter((o) => o.presence?.cell?.column === c.id);
        const isEdited = editing?.column === c.id;
        const who = here[0] ?? null;
        const classes = ['cell', c.id, c.isNumber && 'number', column === c.id && 'active', who && 'theirs', flash && 'flash', pending.split(',').includes(c.id) && 'pending', trouble && 'troubled'];
        const colour = who ? people.colourOf(who.userId) : flash ? people.colourOf(flash.by) : undefined;
        return (
          <span
            key={c.id}
            id={`cell-${item.item_id}-${c.id}`}
            role="gridcell"
            data-column={c.id}
            className={classes.filter(Boolean).join(' ')}
            style={colour ? ({ '--who': colour } as React.CSSProperties) : undefined}
            title={isEdited ? undefined : `${c.id === 'description' ? `${item.description}\n` : ''}${people.nameOf(item.updated_by)}, ${when(item.updated_at)}`}
            onPointerDown={(e) => {
              if (isEdited || (e.target as HTMLElement).closest('.no-pick')) return;
              acts.current.commit(null);
              acts.current.pick(item, c.id);
            }}
            onDoubleClick={() => acts.current.begin(item, c.id)}
          >
            {isEdited ? <Editor editing={editing} acts={acts} /> : <span className="text">{c.text(item)}</span>}
            {who && !isEdited && <span className="tag">{here.map((o) => firstName(o.name)).join(', ')}</span>}
            {isEdited && editing.error && (
              <span className="refusal" role="alert">
                {editing.error}
              </span>
            )}
            {trouble && !isEdited && <CellTrouble trouble={trouble} people={people} onSettle={acts.current.settle} />}
            {c.id === 'description' && (
              <button type="button" className="open no-pick" tabIndex={-1} aria-label={`Comments of ${item.code}`} onClick={() => acts.current.open(item)}>
                ›
              </button>
            )}
          </span>
        );
      })}
    </div>
  );
});

function Editor({ editing, acts }: { editing: Editing; acts: RowProps['acts'] }) {
  return (
    <input
      className="editor"
      autoFocus
      aria-label={`${COLUMNS.find((c) => c.id === editing.column)?.title} of ${editing.item.code}`}
      aria-invalid={editing.error !== null}
      inputMode={editing.column === 'qty' || editing.column === 'unit_price' ? 'decimal' : 'text'}
      value={editing.text}
      onChange={(e) => acts.current.type(e.target.value)}
      onBlur={() => acts.current.commit(null)}
      onKeyDown={(e) => {
        const moves: Record<string, [number, number]> = { Enter: [e.shiftKey ? -1 : 1, 0], Tab: [0, e.shiftKey ? -1 : 1] };
        const move = moves[e.key];
        if (e.key === 'Escape') acts.current.revert();
        else if (move) acts.current.commit(move);
        else return;
        e.preventDefault();
      }}
    />
  );
}
