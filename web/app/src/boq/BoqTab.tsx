// BoqTab.tsx -- the bill of quantities: bar, table, sums, and what slides over it.
import { ActionIcon, Button, CloseButton, FileButton, Skeleton, Text, TextInput } from '@mantine/core';
import { useLocalStorage, useMediaQuery } from '@mantine/hooks';
import { IconBaselineDensitySmall, IconDownload, IconPercentage, IconSearch, IconUpload } from '../parts/icons';
import { Suspense, memo, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { canEdit } from '../lib/api';
import { shown, totalOf } from '../lib/decimal';
import { lazily } from '../lib/lazily';
import type { CellRef } from '../lib/presence';
import { useWorkspace } from '../parts/workspace';
import type { Work } from './BulkDialog';
import { CostChart } from './CostChart';
import { Grid, type GridHandle, type Selection } from './Grid';
import { type Boq, useOrder, useReadStatus, useTopic, useTroubles } from './useBoq';

const ItemPanel = lazily(() => import('./ItemPanel').then((m) => m.ItemPanel));
const ROW_PX = 32;
const COMPACT_PX = 26;
const TOUCH_PX = 40; // as in styles.css
const BulkDialog = lazily(() => import('./BulkDialog').then((m) => m.BulkDialog));

export function BoqTab() {
  const { project, boq, people, setCell, followed } = useWorkspace();
  const isEditable = canEdit(project.role);
  const isPhone = useMediaQuery('(max-width: 640px)') ?? false;
  const [compact, setCompact] = useLocalStorage({ key: 'skybuild-compact', defaultValue: false, getInitialValueInEffect: false });
  const isTouch = useMediaQuery('(pointer: coarse)', undefined, { getInitialValueInEffect: false }) ?? false;
  const isCompact = compact && !isPhone && !isTouch; // a finger needs the height
  const [filter, setFilter] = useState('');
  const [selection, setSelection] = useState<Selection>(new Set());
  const [work, setWork] = useState<Work | null>(null);
  const [opened, setOpened] = useState<string | null>(null);
  const grid = useRef<GridHandle>(null);
  const resetFile = useRef<() => void>(null);
  const shownFilter = useDeferredValue(filter);

  // Going after somebody: their cell is shown whenever it changes.
  const target = followed?.presence?.tab === 'boq' ? followed.presence.cell : null;
  useEffect(() => {
    if (target) grid.current?.show(target);
  }, [target?.item, target?.column]);

  // A cell that is asked for, when the filter that may hide it is gone.
  const [wanted, setWanted] = useState<CellRef | null>(null);
  useEffect(() => {
    if (!wanted || shownFilter) return;
    grid.current?.show(wanted);
    grid.current?.focus();
    setWanted(null);
  }, [wanted, shownFilter]);

  const onCell = useCallback((cell: CellRef | null) => setCell(cell), [setCell]);
  useEffect(() => () => setCell(null), [setCell]);

  const status = useReadStatus(boq);
  const itemsOf = () => [...selection].flatMap((id) => boq.items.get(id) ?? []);

  return (
    <section className={`tab${isCompact ? ' compact' : ''}`} aria-label="Bill of quantities">
      <div className="bar-line">
        <TextInput size="xs" w={isPhone ? 150 : 220} placeholder="Filter" aria-label="Filter" leftSection={<IconSearch size={14} />} value={filter} onChange={(e) => setFilter(e.currentTarget.value)} rightSection={filter ? <CloseButton size="xs" aria-label="Clear the filter" onClick={() => setFilter('')} /> : null} />
        <span className="grow" />
        <Troubles boq={boq} onShow={(cell) => (setFilter(''), setWanted(cell))} />
        {!isPhone && !isTouch && (
          <ActionIcon variant="subtle" color="gray" aria-label="Compact rows" aria-pressed={isCompact} onClick={() => setCompact(!compact)}>
            <IconBaselineDensitySmall size={16} />
          </ActionIcon>
        )}
        {selection.size > 0 && <Chosen boq={boq} selection={selection} />}
        {isEditable && (
          <Button size="xs" variant="default" aria-label="Bulk edit" leftSection={<IconPercentage size={14} />} disabled={selection.size === 0} onClick={() => setWork({ kind: 'percent', items: itemsOf() })}>
            <span className="wide-only">Bulk edit</span>
          </Button>
        )}
        {isEditable && (
          <FileButton
            accept=".csv,text/csv"
            resetRef={resetFile}
            onChange={(file) => {
              resetFile.current?.(); // the same file may be chosen again
              if (file) setWork({ kind: 'import', file, items: boq.items.all() });
            }}
          >
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
            download(`${project.project_id}.csv`, await itemsAsCsv(boq.items.all()));
          }}
        >
          <span className="wide-only">Export</span>
        </Button>
      </div>

      {status === 'loading' && (
        <div className="grid-frame" aria-busy="true">
          {Array.from({ length: 16 }, (_, i) => (
            <Skeleton key={i} height={20} my={6} mx={12} width="auto" radius="sm" />
          ))}
        </div>
      )}
      {status === 'error' && (
        <div className="grid-frame notice">
          <Text>The bill of quantities could not be read.</Text>
          <Button size="xs" onClick={() => boq.reload()}>
            Try again
          </Button>
        </div>
      )}
      {status === 'ready' && <Grid handle={grid} boq={boq} rowPx={isTouch ? TOUCH_PX : isCompact ? COMPACT_PX : ROW_PX} people={people} isEditable={isEditable} filter={shownFilter} selection={selection} onSelection={setSelection} onCell={onCell} onOpen={setOpened} />}

      <Sums boq={boq} />

      {opened && (
        <Suspense>
          <ItemPanel id={opened} isPhone={isPhone} onClose={() => setOpened(null)} />
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

/** Edits that wait for a decision, which may be out of sight: a click goes to the oldest. */
function Troubles({ boq, onShow }: { boq: Boq; onShow(cell: CellRef): void }) {
  const troubles = useTroubles(boq);
  const first = troubles[0];
  if (!first) return null;
  return (
    <Button size="xs" variant="default" c="var(--bad)" onClick={() => onShow({ item: first.itemId, column: first.field })}>
      {troubles.length === 1 ? '1 change not saved' : `${troubles.length} changes not saved`}
    </Button>
  );
}

function Chosen({ boq, selection }: { boq: Boq; selection: Selection }) {
  useTopic(boq, 'sums');
  const sum = [...selection].reduce((all, id) => all + totalOf(boq.items.get(id) ?? NOTHING), 0n);
  return (
    <Text size="xs" c="dimmed" role="status">
      {selection.size} selected<span className="wide-only"> · {shown(sum, 2)}</span>
    </Text>
  );
}
const NOTHING = { qty: null, unit_price: null };

const Sums = memo(function Sums({ boq }: { boq: Boq }) {
  const { sections, count } = useOrder(boq);
  const change = useDeferredValue(useTopic(boq, 'sums')); // the picture may come a little after the figures
  const costs = useMemo(() => sections.map((s) => ({ section: s.name, total: boq.items.sumOf(s.name) })), [boq, sections, change]);
  const chart = useMemo(() => <CostChart costs={costs} total={boq.items.total()} />, [boq, costs]);
  return (
    <footer className="sum-line">
      <span>
        Grand total <b data-testid="grand-total">{shown(boq.items.total(), 2)}</b>
      </span>
      {chart}
      <span className="grow" />
      <span className="quiet wide-only">{count} items</span>
    </footer>
  );
});
