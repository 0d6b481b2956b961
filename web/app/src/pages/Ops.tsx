// Ops.tsx -- the server's own figures, drawn live from /metrics.  For who has the service key.
import { Anchor, Button, Group, Modal, Paper, PasswordInput, SimpleGrid, Stack, Table, Text, TextInput, Title, useComputedColorScheme } from '@mantine/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { Theme } from '../parts/Bar';
import { type Figures, quantileOf, rateOf, readMetrics, sum } from './metrics';

const EVERY_MS = 1000;
const KEPT = 300; // points of a chart: five minutes
const KEY = 'skybuild-service-key';

interface Point {
  at: number;
  figures: Figures;
}

/** What is drawn: a figure of two readings, null when this server does not measure it. */
const CHARTS: readonly { title: string; unit: string; of(now: Point, before: Point): number | null }[] = [
  { title: 'Connections', unit: '', of: ({ figures }) => sum(figures, 'skybuild_connections') },
  { title: 'Messages sent', unit: '/s', of: (n, b) => rateOf(n, b, 'skybuild_deliveries_total') },
  { title: 'Events received', unit: '/s', of: (n, b) => rateOf(n, b, 'skybuild_events_received_total') },
  { title: 'Broadcast p99', unit: 'ms', of: (n, b) => seconds(quantileOf(n, b, 'skybuild_broadcast_seconds', 0.99)) },
  { title: 'Loop lag p99', unit: 'ms', of: (n, b) => seconds(quantileOf(n, b, 'skybuild_loop_lag_seconds', 0.99) ?? sum(n.figures, 'skybuild_loop_lag_seconds')) },
  { title: 'Bytes out', unit: 'kB/s', of: (n, b) => thousand(rateOf(n, b, 'skybuild_bytes_out_total')) },
];
const seconds = (s: number | null) => (s === null ? null : s * 1000);
const thousand = (n: number | null) => (n === null ? null : n / 1000);
const say = (value: number | null) => (value === null ? '–' : value >= 100 ? Math.round(value).toLocaleString() : Number(value.toFixed(value < 10 ? 2 : 1)).toLocaleString());

export function Ops() {
  const [key, setKey] = useState(() => sessionStorage.getItem(KEY) ?? '');
  return (
    <div className="shell">
      <div className="bar" role="navigation" aria-label="Operations">
        <a href="/" className="home" aria-label="Projects">
          <img src="/icon.svg" alt="" width={24} height={24} />
        </a>
        <b aria-hidden="true">Operations</b>
        <span className="grow" />
        <Anchor href="/metrics" size="sm">
          /metrics
        </Anchor>
        <Theme />
      </div>
      {key ? <Panel serviceKey={key} onRefused={() => (sessionStorage.removeItem(KEY), setKey(''))} /> : <AskKey onKey={(k) => (sessionStorage.setItem(KEY, k), setKey(k))} />}
    </div>
  );
}

const withKey = (key: string, path: string, method = 'GET') => fetch(path, { method, headers: { Authorization: `Bearer ${key}` } });

function AskKey({ onKey }: { onKey(key: string): void }) {
  const [text, setText] = useState('');
  const [error, setError] = useState('');
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    const answer = await withKey(text, '/api/users/nobody/connections').catch(() => null);
    if (answer?.ok) return onKey(text);
    const body = (await answer?.json().catch(() => null)) as { detail?: string; title?: string } | null;
    setError(body?.detail ?? body?.title ?? 'The server cannot be reached.');
  };
  return (
    <main className="sign-in">
      <Paper withBorder p="xl" w="100%" maw={420}>
        <form onSubmit={(e) => void submit(e)}>
          <Stack>
            <Title order={1} size="h4">
              Operations
            </Title>
            <PasswordInput label="Service key" description="SERVICE_API_KEY of the server" autoComplete="off" value={text} onChange={(e) => setText(e.currentTarget.value)} error={error || null} />
            <Button type="submit" disabled={!text}>
              Show
            </Button>
          </Stack>
        </form>
      </Paper>
    </main>
  );
}

function Panel({ serviceKey, onRefused }: { serviceKey: string; onRefused(): void }) {
  const [points, setPoints] = useState<Point[]>([]);
  const [fault, setFault] = useState('');
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let isOver = false;
    const read = async () => {
      try {
        const answer = await withKey(serviceKey, '/metrics');
        if (answer.status === 401 || answer.status === 403) return onRefused();
        const text = await answer.text();
        if (isOver) return;
        if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
        const figures = readMetrics(text);
        setPoints((old) => [...old.slice(1 - KEPT), { at: Date.now() / 1000, figures }]);
        setFault('');
      } catch (cause) {
        // fetch throws a TypeError when there is no answer
        if (!isOver) setFault(cause instanceof TypeError ? 'The server does not answer.' : (cause as Error).message);
      }
      if (!isOver) timer = setTimeout(() => void read(), EVERY_MS);
    };
    void read();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [serviceKey]);

  const now = points.at(-1);
  const nodes = (now && sum(now.figures, 'skybuild_nodes')) ?? 1;
  const label = (name: string, by: string) => Object.entries(now?.figures[name] ?? {}).map(([labels, value]) => [new RegExp(`${by}="([^"]*)"`).exec(labels)?.[1] ?? labels, value] as const);
  return (
    <main className="page wide">
      <h1 className="visually-hidden">Operations</h1>
      <Text size="sm" c={fault ? 'var(--bad)' : 'dimmed'} role="status" mb="sm">
        {fault || (now ? `Version ${label('skybuild_build_info', 'version')[0]?.[0] ?? '?'} · ${nodes === 1 ? 'one server' : `${nodes} servers`} · read each second` : 'Reading')}
      </Text>
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
        {CHARTS.map((c) => {
          const values = points.map((p, i) => (i === 0 ? null : c.of(p, points[i - 1]!)));
          return <Chart key={c.title} title={c.title} unit={c.unit} times={points.map((p) => p.at)} values={values} isMeasured={points.length < 3 || values.some((v) => v !== null)} />;
        })}
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, sm: 2 }} mt="md" style={{ alignItems: 'start' }}>
        <Figures title="Sessions by transport" rows={label('skybuild_sessions', 'transport')} />
        <Figures title="Recoveries" rows={label('skybuild_recoveries_total', 'result')} />
        <Figures title="Connects refused" rows={label('skybuild_connect_errors_total', 'code')} />
        <Connections serviceKey={serviceKey} />
      </SimpleGrid>
    </main>
  );
}

function Chart({ title, unit, times, values, isMeasured }: { title: string; unit: string; times: number[]; values: (number | null)[]; isMeasured: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light'); // another one: drawn anew in its colours
  useEffect(() => {
    const element = box.current!;
    const style = getComputedStyle(element);
    const axis = { stroke: style.getPropertyValue('--quiet'), grid: { stroke: style.getPropertyValue('--line'), width: 1 }, ticks: { show: false }, font: '11px Inter Variable, sans-serif' };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: 120,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_u, _min, max) => [0, Math.max(1, (max ?? 0) * 1.15)] } },
        axes: [{ ...axis, size: 24, space: 70, values: (_u, at) => at.map((t) => new Date(t * 1000).toLocaleTimeString()) }, { ...axis, size: 44 }],
        series: [{}, { stroke: style.getPropertyValue('--accent'), width: 1.5, fill: style.getPropertyValue('--accent-soft'), points: { show: false } }],
      },
      [[], []],
      element,
    );
    plot.current = made;
    const size = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: 120 }));
    size.observe(element);
    return () => {
      size.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme]);
  useEffect(() => void plot.current?.setData([times, values]), [times, values, scheme]);
  const last = values.at(-1) ?? null;
  return (
    <Paper withBorder p="sm" className="chart" data-chart={title}>
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {title}
        </Text>
        <Text fw={600} className="number">
          {say(last)} {last === null ? '' : unit}
        </Text>
      </Group>
      {!isMeasured && (
        <Text size="xs" c="dimmed">
          This server does not measure it.
        </Text>
      )}
      <div ref={box} style={{ height: 120, visibility: isMeasured ? 'visible' : 'hidden' }} aria-hidden="true" />
    </Paper>
  );
}

function Figures({ title, rows }: { title: string; rows: readonly (readonly [string, number])[] }) {
  return (
    <Paper withBorder p="sm">
      <Text size="sm" c="dimmed" mb={4}>
        {title}
      </Text>
      <Table fz="sm" aria-label={title}>
        <Table.Tbody>
          {rows.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Td>{name}</Table.Td>
              <Table.Td className="number">{value.toLocaleString()}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Paper>
  );
}

interface Sockets {
  sockets: { sid: string; connected_at: string; projects: string[] }[];
  missing_nodes: string[];
}

function Connections({ serviceKey }: { serviceKey: string }) {
  const [user, setUser] = useState('');
  const [found, setFound] = useState<Sockets | null>(null);
  const [isAsking, setAsking] = useState(false);
  const [said, setSaid] = useState('');
  const path = `/api/users/${encodeURIComponent(user.trim())}`;
  // What was found is of that name and no other.
  const asked = useRef('');
  const change = (name: string) => {
    setUser(name);
    setFound(null);
    setSaid('');
    asked.current = '';
  };
  const look = async () => {
    asked.current = path;
    const answer = await withKey(serviceKey, `${path}/connections`).catch(() => null);
    const sockets = answer?.ok ? ((await answer.json()) as Sockets) : null;
    if (asked.current !== path) return;
    setFound(sockets);
    setSaid(answer?.ok ? '' : answer ? `The server answered ${answer.status}.` : 'The server does not answer.');
  };
  const end = async () => {
    const answer = await withKey(serviceKey, `${path}/disconnect`, 'POST').catch(() => null);
    setSaid(answer?.ok ? `${((await answer.json()) as { disconnected: number }).disconnected} connection(s) ended` : 'It could not be done.');
    setFound(null);
    setAsking(false);
  };
  return (
    <Paper withBorder p="sm">
      <Group align="flex-end" gap="xs">
        <TextInput size="xs" label="Connections of a user" value={user} onChange={(e) => change(e.currentTarget.value)} onKeyDown={(e) => e.key === 'Enter' && user.trim() && void look()} />
        <Button size="xs" variant="default" disabled={!user.trim()} onClick={() => void look()}>
          Look
        </Button>
        {found && found.sockets.length > 0 && (
          <Button size="xs" variant="default" c="var(--bad)" onClick={() => setAsking(true)}>
            Disconnect
          </Button>
        )}
      </Group>
      <Text size="xs" c="dimmed" mt="xs" role="status">
        {said || (found ? (found.sockets.length ? found.sockets.map((s) => `${s.sid} in ${s.projects.join(', ') || 'no project'}`).join(' · ') : 'not connected') : '')}
      </Text>
      <Modal opened={isAsking} onClose={() => setAsking(false)} title={`Disconnect ${user.trim()}?`} centered>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => setAsking(false)}>
            Keep
          </Button>
          <Button color="red.8" onClick={() => void end()}>
            End {found?.sockets.length === 1 ? 'the connection' : `${found?.sockets.length ?? 0} connections`} of {user.trim()}
          </Button>
        </Group>
      </Modal>
    </Paper>
  );
}
