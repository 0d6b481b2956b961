// BoqTab.tsx -- the bill of quantities: bar, table, sums, and what slides over it.
import { Button, CloseButton, FileButton, Skeleton, Text, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconDownload, IconPercentage, IconSearch, IconUpload } from '../parts/icons';
import { lazy, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { canEdit, type Item } from '../lib/api';
import { shown, sumOf, totalOf } from '../lib/decimal';
import type { CellRef } from '../lib/presence';
import { useWorkspace } from '../parts/workspace';
import type { Work } from './BulkDialog';
import { CostChart } from './CostChart';
import { type Line, linesOf, sumOfSection } from './columns';
import { Grid, type GridHandle, type Selection } from './Grid';

const ItemPanel = lazy(() => import('./ItemPanel').then((m) => ({ default: m.ItemPanel })));
const BulkDialog = lazy(() => import('./BulkDialog').then((m) => ({ default: m.BulkDialog })));

export function BoqTab() {
  const { project, boq, people, setCell, followed } = useWorkspace();
  const isEditable = canEdit(project.role);
  const isPhone = useMediaQuery('(max-width: 640px)') ?? false;
  const [filter, setFilter] = useState('');
  const [selection, setSelection] = useState<Selection>(new Set());
  const [work, setWork] = useState<Work | null>(null);
  const [opened, setOpened] = useState<Item | null>(null);
  const grid = useRef<GridHandle>(null);
  const shownFilter = useDeferredValue(filter);

  // Going after somebody: their cell is shown whenever it changes.
  const target = followed?.presence?.tab === 'boq' ? followed.presence.cell : null;
  useEffect(() => {
    if (target) grid.current?.show(target);
  }, [target?.item, target?.column]);

  const onCell = useCallback((cell: CellRef | null) => setCell(cell), [setCell]);
  useEffect(() => () => setCell(null), [setCell]);

  const selected = useMemo(() => boq.items.filter((i) => selection.has(i.item_id)), [boq.items, selection]);
  const last = useRef<Line[]>([]);
  const costs = useMemo(() => {
    last.current = linesOf(boq.items, last.current);
    return last.current.flatMap((l) => (l.kind === 'section' ? [{ section: l.section, total: sumOfSection(l) }] : []));
  }, [boq.items]);
  const grand = useMemo(() => costs.reduce((sum, c) => sum.plus(c.total), sumOf([])), [costs]);
  const chosen = selected.reduce((sum, i) => sum.plus(totalOf(i)), sumOf([]));

  return (
    <section className="tab" aria-label="Bill of quantities">
      <div className="bar-line">
        <TextInput size="xs" w={isPhone ? 150 : 220} placeholder="Filter" aria-label="Filter" leftSection={<IconSearch size={14} />} value={filter} onChange={(e) => setFilter(e.currentTarget.value)} rightSection={filter ? <CloseButton size="xs" aria-label="Clear the filter" onClick={() => setFilter('')} /> : null} />
        <span className="grow" />
        {selected.length > 0 && (
          <Text size="xs" c="dimmed" role="status">
            {selected.length} selected<span className="wide-only"> · {shown(chosen, 2)}</span>
          </Text>
        )}
        {isEditable && (
          <Button size="xs" variant="default" aria-label="Bulk edit" leftSection={<IconPercentage size={14} />} disabled={selected.length === 0} onClick={() => setWork({ kind: 'percent', items: selected })}>
            <span className="wide-only">Bulk edit</span>
          </Button>
        )}
        {isEditable && (
          <FileButton accept=".csv,text/csv" onChange={(file) => file && setWork({ kind: 'import', file, items: boq.items })}>
            {(props) => (
              <Button {...props} size="xs" variant="default" aria-label="Import" leftSection={<IconUpload size={14} />}>
                <span className="wide-only">Import</span>
              </Button>
            )}
          </FileButton>
        )}
        <Button
          size="xs"
          variant="default"
          aria-label="Export"
          leftSection={<IconDownload size={14} />}
          onClick={async () => {
            const { download, itemsAsCsv } = await import('./bulk');
            download(`${project.project_id}.csv`, await itemsAsCsv(boq.items));
          }}
        >
          <span className="wide-only">Export</span>
        </Button>
      </div>

      {boq.status === 'loading' && (
        <div className="grid-frame" aria-busy="true">
          {Array.from({ length: 16 }, (_, i) => (
            <Skeleton key={i} height={20} my={6} mx={12} width="auto" radius="sm" />
          ))}
        </div>
      )}
      {boq.status === 'error' && (
        <div className="grid-frame notice">
          <Text>The bill of quantities could not be read.</Text>
          <Button size="xs" onClick={() => void boq.reload()}>
            Try again
          </Button>
        </div>
      )}
      {boq.status === 'ready' && <Grid handle={grid} boq={boq} people={people} isEditable={isEditable} filter={shownFilter} selection={selection} onSelection={setSelection} onCell={onCell} onOpen={setOpened} />}

      <footer className="sum-line">
        <span>
          Grand total <b data-testid="grand-total">{shown(grand, 2)}</b>
        </span>
        <CostChart costs={costs} total={grand} />
        <span className="grow" />
        <span className="quiet wide-only">{boq.items.length} items</span>
      </footer>

      {opened && (
        <Suspense>
          <ItemPanel item={boq.items.find((i) => i.item_id === opened.item_id) ?? opened} isPhone={isPhone} onClose={() => setOpened(null)} />
        </Suspense>
      )}
      {work && (
        <Suspense>
          <BulkDialog projectId={project.project_id} work={work} onClose={() => (setWork(null), setSelection(new Set()))} />
        </Suspense>
      )}
    </section>
  );
}
