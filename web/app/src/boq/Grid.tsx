// Grid.tsx -- the table of thousands of rows: only those in sight exist.
//
// One cell is active; arrows move it, typing edits it, Enter goes down and Tab right, Shift+Enter
// opens the item.  What is drawn of others (their cell, their cursor, what they have just changed)
// lies over it and never moves a row.
import { type Member, type Point, useCursors, useOthers } from '@skybuild/realtime-react';
import { type Range, useVirtualizer } from '@tanstack/react-virtual';
import { type ClipboardEvent, type KeyboardEvent, memo, type MouseEvent, type PointerEvent, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Item } from '../lib/api';
import { shown } from '../lib/decimal';
import { firstName, type People, when } from '../lib/people';
import type { CellRef, Presence } from '../lib/presence';
import { CellTrouble, enterTrouble } from './CellTrouble';
import { accept, type ColumnId, COLUMNS, copied, editable, fits, type Line, linesOf, pasted } from './columns';
import { type Boq, useOrder, useRow, useSectionSum, useTopic, useTroubles } from './useBoq';

const OVERSCAN = 8;

/** Ids of the items that are ticked. */
export type Selection = ReadonlySet<string>;

export interface GridHandle {
  show(cell: CellRef): void;
  focus(): void;
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
  /** Height of a row. */
  rowPx: number;
  filter: string;
  selection: Selection;
  onSelection: (selection: Selection) => void;
  onCell: (cell: CellRef | null) => void;
  onOpen: (id: string) => void;
  handle: React.Ref<GridHandle>;
}

/** A cursor in the table: at which row and how far down in it, and how far right of the whole width. */
interface TableCursor {
  row: string;
  dy: number;
  x: number;
}

export function Grid({ boq, people, isEditable, rowPx, filter, selection, onSelection, onCell, onOpen, handle }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<CellRef | null>(null);
  const [editing, setEditing] = useState<Editing | null>(null);

  const order = useOrder(boq);
  const words = filter.trim().toLowerCase();
  const texts = useTopic(boq, words ? 'texts' : null);
  const lines = useMemo(() => linesOf(order.sections, words ? (id) => fits(boq.items.get(id)!, words) : () => true), [boq, order, words, texts]);
  const ids = useMemo(() => lines.flatMap((l) => (l.kind === 'item' ? [l.key] : [])), [lines]);
  const heads = useMemo(() => lines.flatMap((l, i) => (l.kind === 'section' ? [i] : [])), [lines]);
  const placeOf = useMemo(() => new Map(lines.map((l, i) => [l.key, i])), [lines]);

  // The head of the section in sight stays at the top while its rows scroll.
  const sticky = useRef(0);
  // As many at the ends as in the middle, so that a row used again finds its place (see below).
  const rangeExtractor = useCallback(
    ({ startIndex, count }: Range) => {
      const n = Math.min(count, Math.ceil((scroller.current?.clientHeight ?? 0) / rowPx) + 2 * OVERSCAN);
      const from = Math.max(0, Math.min(startIndex - OVERSCAN, count - n));
      sticky.current = heads.findLast((h) => h <= startIndex) ?? 0;
      return Array.from({ length: n }, (_, i) => from + i);
    },
    [heads, rowPx],
  );
  // Sections and rows begin below the head: as much less of them is in sight at the end.
  const rows = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: useCallback(() => rowPx, [rowPx]), overscan: OVERSCAN, scrollPaddingStart: 2 * rowPx, scrollPaddingEnd: rowPx, rangeExtractor });
  useEffect(() => rows.measure(), [rows, rowPx]);

  const go = useCallback(
    (cell: CellRef) => {
      const at = placeOf.get(cell.item);
      if (at === undefined) return;
      setActive(cell);
      rows.scrollToIndex(at, { align: 'auto' });
    },
    [placeOf, rows],
  );
  const focus = useCallback(() => scroller.current?.focus({ preventScroll: true }), []);
  useImperativeHandle(handle, () => ({ show: go, focus }), [go, focus]);
  useEffect(() => onCell(active), [active, onCell]);

  // ---- what did not go through: that of the active cell is asked about, else the oldest ----
  const troubles = useTroubles(boq);
  const troubleAt = (cell: CellRef | null) => troubles.find((t) => t.itemId === cell?.item && t.field === cell.column);
  const asked = troubleAt(active) ?? troubles[0];

  // ---- editing ----
  // An editor is closed once: giving the focus back makes its field lose it, which would commit again.
  const isClosed = useRef(true);
  const begin = (cell: CellRef, text?: string) => {
    const item = boq.items.get(cell.item);
    if (!item || !isEditable || cell.column === 'total') return;
    isClosed.current = false;
    setEditing({ item, column: cell.column, text: text ?? editable(item, cell.column), was: item[cell.column] ?? '', error: null });
  };
  const close = () => {
    isClosed.current = true;
    setEditing(null);
    focus();
  };
  const commit = (move: [number, number] | null): void => {
    if (isClosed.current || !editing || editing.column === 'total') return;
    const got = accept(editing.column, editing.text);
    if ('error' in got && (editing.text.trim() || editing.was)) return setEditing({ ...editing, error: got.error });
    isClosed.current = true;
    if ('value' in got) boq.edit(editing.item, editing.column, got.value, editing.was); // first: it is on its way while this page is drawn
    close();
    if (move) moveBy(...move);
  };
  const moveBy = (down: number, right: number) => {
    const cell = active ?? (ids[0] === undefined ? null : { item: ids[0], column: 'code' as const });
    if (!cell) return;
    const at = ids.indexOf(cell.item);
    const column = COLUMNS.findIndex((c) => c.id === cell.column);
    const next = ids[Math.max(0, Math.min(ids.length - 1, at + down))];
    if (next !== undefined) go({ item: next, column: COLUMNS[Math.max(0, Math.min(COLUMNS.length - 1, column + right))]!.id });
  };

  const onKey = (e: KeyboardEvent) => {
    if (e.target !== scroller.current) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowPx) - 3);
    const isCommand = e.ctrlKey || e.metaKey;
    const moves: Record<string, [number, number]> = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageDown: [page, 0], PageUp: [-page, 0], Home: [isCommand ? -ids.length : 0, -COLUMNS.length], End: [isCommand ? ids.length : 0, COLUMNS.length] };
    const move = moves[e.key];
    if (move) moveBy(...move);
    else if (isCommand && e.key.toLowerCase() === 'z') (e.shiftKey ? boq.redo : boq.undo)();
    else if (isCommand && e.key.toLowerCase() === 'y') boq.redo();
    else if (isCommand && e.key.toLowerCase() === 'a') onSelection(new Set(ids));
    else if (!active || isCommand || e.altKey) return;
    else if ((e.key === 'Enter' || e.key === 'F2') && !e.shiftKey && troubleAt(active)) enterTrouble();
    else if (e.key === 'Enter' && (e.shiftKey || !isEditable || active.column === 'total')) onOpen(active.item);
    else if (e.key === 'Enter' || e.key === 'F2') begin(active);
    else if (e.key === ' ') toggle(active.item);
    else if (e.key === 'Escape') onSelection(new Set());
    else if (e.key === 'Delete' && active.column === 'description') begin(active, '');
    else if (e.key.length === 1) begin(active, e.key);
    else return;
    e.preventDefault();
  };

  // The ticked rows, or the active cell.
  const onCopy = (e: ClipboardEvent) => {
    if (!active || (e.target as Element).closest('input') || getSelection()?.toString()) return;
    e.preventDefault();
    const [rows, columns] = selection.size ? [ids.filter((id) => selection.has(id)), COLUMNS.map((c) => c.id)] : [[active.item], [active.column]];
    e.clipboardData.setData('text/plain', copied(rows.flatMap((id) => boq.items.get(id) ?? []), columns));
  };

  // A range of a spreadsheet goes into the cells from the active one on.
  const onPaste = (e: ClipboardEvent) => {
    if (e.target !== scroller.current || !active || !isEditable) return;
    e.preventDefault();
    const below = ids.slice(ids.indexOf(active.item)).flatMap((id) => boq.items.get(id) ?? []);
    const { edits, dropped } = pasted(e.clipboardData.getData('text/plain'), below, active.column);
    boq.editAll(edits);
    if (dropped) boq.notify(dropped);
  };

  const toggle = (id: string) => {
    const next = new Set(selection);
    if (!next.delete(id)) next.add(id);
    onSelection(next);
  };
  const isAll = ids.length > 0 && selection.size >= ids.length && ids.every((id) => selection.has(id));

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
    return at === undefined ? null : { x: c.x * width, y: at * rowPx + c.dy };
  };
  const { cursors, move, refresh } = useCursors<TableCursor>({ toPoint });
  useEffect(refresh, [refresh, placeOf, rowPx]);
  const onPointer = (e: PointerEvent) => {
    const box = sheet.current?.getBoundingClientRect();
    if (!box || e.pointerType === 'touch') return;
    const y = e.clientY - box.top;
    const line = lines[Math.floor(y / rowPx)];
    move(line ? { row: line.key, dy: Math.round(y % rowPx), x: Math.round(((e.clientX - box.left) / box.width) * 1e4) / 1e4 } : null);
  };

  // Rows get one object that never changes, so that a row renders for what it shows alone.
  const now: Acts = {
    select: toggle,
    type: (text) => setEditing((e) => e && { ...e, text, error: null }),
    commit,
    revert: close,
    open: onOpen,
    focus,
  };
  const acts = useRef(now);
  useLayoutEffect(() => {
    acts.current = now;
  });

  // One handler for all cells, of which there are hundreds.
  const cellAt = (target: EventTarget): { element: HTMLElement; cell: CellRef } | null => {
    const element = (target as Element).closest<HTMLElement>('[data-column]');
    const item = element?.closest<HTMLElement>('[data-item]')?.dataset.item;
    return element && item !== undefined ? { element, cell: { item, column: element.dataset.column as ColumnId } } : null;
  };
  const onDown = (e: PointerEvent) => {
    const at = cellAt(e.target);
    if (!at || (e.target as Element).closest('.no-pick')) return;
    if (editing && at.cell.item === editing.item.item_id && at.cell.column === editing.column) return;
    commit(null);
    setActive(at.cell);
    focus();
  };
  const onDouble = (e: MouseEvent) => {
    const at = cellAt(e.target);
    if (at && !(e.target as Element).closest('.no-pick')) begin(at.cell);
  };
  const onOver = (e: PointerEvent) => {
    const at = cellAt(e.target);
    const item = at && boq.items.get(at.cell.item);
    if (at && item) at.element.title = titleOf(item, at.cell.column, people);
  };

  const active_ = active && placeOf.has(active.item) ? active : null;
  // Rows are used again: one that goes out of sight below comes in again above with another item,
  // which is far less work than to take one away and make another.  Their order in the document is
  // therefore none; `aria-rowindex` says where each is.
  const inSight = rows.getVirtualItems();
  const slots = inSight.map((v) => ({ v, slot: v.index % inSight.length })).sort((a, b) => a.slot - b.slot);
  const head = lines[sticky.current];
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
        onCopy={onCopy}
        onPaste={onPaste}
        onPointerDown={onDown}
        onDoubleClick={onDouble}
        onPointerOver={onOver}
        onPointerMove={onPointer}
        onPointerLeave={() => move(null)}
        onFocus={() => setActive((cell) => cell ?? (ids[0] !== undefined ? { item: ids[0], column: 'qty' } : null))}
      >
        <div className="grid-row grid-head" role="row" aria-rowindex={1}>
          <span role="columnheader" className="cell check">
            <input type="checkbox" tabIndex={-1} aria-label="Select all" checked={isAll} onChange={() => onSelection(isAll ? new Set() : new Set(ids))} />
          </span>
          {COLUMNS.map((c) => (
            <span key={c.id} role="columnheader" className={`cell ${c.id}${c.isNumber ? ' number' : ''}`}>
              {c.title}
            </span>
          ))}
        </div>
        <div className="grid-sheet" ref={sheet} role="rowgroup" style={{ height: rows.getTotalSize() }}>
          {/* Always there, whatever it says: all rows would be laid out anew when it came or went. */}
          {head?.kind === 'section' && <SectionRow boq={boq} line={head} index={sticky.current} />}
          {slots.map(({ v, slot }) => {
            const line = lines[v.index];
            if (!line || v.index === sticky.current) return null;
            if (line.kind === 'section') return <SectionRow key={`s${slot}`} boq={boq} line={line} index={v.index} y={v.start} />;
            return (
              <ItemRow
                key={slot}
                boq={boq}
                id={line.key}
                index={v.index}
                y={v.start}
                isSelected={selection.has(line.key)}
                column={active_?.item === line.key ? active_.column : null}
                asked={asked?.itemId === line.key ? asked.field : null}
                editing={editing?.item.item_id === line.key ? editing : null}
                others={cells.get(line.key) ?? NOBODY}
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
      {ids.length === 0 && <p className="grid-empty">{filter ? 'No item fits the filter.' : 'There are no items yet. Import a CSV file to begin.'}</p>}
    </div>
  );
}

const NOBODY: Member<Presence>[] = [];

type SectionLine = Extract<Line, { kind: 'section' }>;

/** The head of a section; without a place of its own it stays at the top. */
const SectionRow = memo(function SectionRow({ boq, line, index, y }: { boq: Boq; line: SectionLine; index: number; y?: number }) {
  const total = useSectionSum(boq, line.name);
  return (
    <div className={`grid-row section${y === undefined ? ' sticky' : ''}`} role="row" aria-rowindex={index + 2} data-section={line.name} style={y === undefined ? undefined : { transform: `translateY(${y}px)` }}>
      <span role="gridcell" className="cell check" />
      <span role="rowheader" className="cell section-name" aria-colspan={5}>
        {line.name || 'Without a section'} <span className="quiet">{line.count}</span>
      </span>
      <span role="gridcell" className="cell total number">
        {shown(total, 2)}
      </span>
    </div>
  );
});

interface Acts {
  select(id: string): void;
  type(text: string): void;
  commit(move: [number, number] | null): void;
  revert(): void;
  open(id: string): void;
  focus(): void;
}

interface RowProps {
  boq: Boq;
  id: string;
  index: number;
  y: number;
  isSelected: boolean;
  column: ColumnId | null;
  asked: string | null; // the field whose trouble is asked about
  editing: Editing | null;
  others: Member<Presence>[];
  people: People;
  acts: { current: Acts };
}

const titleOf = (item: Item, column: ColumnId, people: People) => `${column === 'description' ? `${item.description}\n` : ''}${people.nameOf(item.updated_by)}, ${when(item.updated_at)}`;

const ItemRow = memo(function ItemRow({ boq, id, index, y, isSelected, column, asked, editing, others, people, acts }: RowProps) {
  const row = useRow(boq, id);
  if (!row) return null;
  const { item, pending, flashes, troubles } = row;
  return (
    <div className={`grid-row${isSelected ? ' selected' : ''}${editing || others.length ? ' raised' : ''}`} role="row" aria-rowindex={index + 2} aria-selected={isSelected} data-item={id} style={{ transform: `translateY(${y}px)` }}>
      <span role="gridcell" className="cell check">
        <input type="checkbox" tabIndex={-1} aria-label={`Select ${item.code}`} checked={isSelected} onChange={() => acts.current.select(id)} />
      </span>
      {COLUMNS.map((c) => {
        const flash = flashes.get(c.id);
        const trouble = troubles.get(c.id);
        const here = others.length ? others.filter((o) => o.presence?.cell?.column === c.id) : others;
        const isActive = column === c.id;
        const isEdited = editing?.column === c.id;
        const who = here[0];
        const colour = who ? people.colourOf(who.userId) : flash ? people.colourOf(flash.by) : undefined;
        let classes = c.classes;
        if (isActive) classes += ' active';
        if (who) classes += ' theirs';
        if (flash) classes += flash.turn % 2 ? ' flash' : ' flash again';
        if (pending.has(c.id)) classes += ' pending';
        if (trouble) classes += ' troubled';
        return (
          <span key={c.id} id={isActive ? `cell-${id}-${c.id}` : undefined} role="gridcell" data-column={c.id} className={classes} style={colour ? ({ '--who': colour } as React.CSSProperties) : undefined}>
            {isEdited ? <Editor editing={editing} acts={acts} /> : <span className="text">{c.text(item)}</span>}
            {who && !isEdited && <span className="tag">{here.map((o) => firstName(o.name)).join(', ')}</span>}
            {isEdited && editing.error && (
              <span className="refusal" role="alert">
                {editing.error}
              </span>
            )}
            {trouble && asked === c.id && !isEdited && <CellTrouble key={id} trouble={trouble} people={people} onSettle={boq.settle} onLeave={() => acts.current.focus()} />}
            {c.id === 'description' && (
              <button type="button" className="open no-pick" tabIndex={-1} aria-label={`Comments of ${item.code}`} onClick={() => acts.current.open(id)}>
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
