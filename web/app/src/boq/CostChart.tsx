// CostChart.tsx -- cost by section: small in the foot of the table, large on a click.
import { Modal, Table, Tooltip, UnstyledButton } from '@mantine/core';
import { useState } from 'react';
import { shareOf, shown } from '../lib/decimal';

export interface SectionCost {
  section: string;
  total: bigint;
}

export function CostChart({ costs, total }: { costs: readonly SectionCost[]; total: bigint }) {
  const [isOpen, setOpen] = useState(false);
  const most = costs.reduce((max, c) => (c.total > max ? c.total : max), 0n);
  return (
    <>
      <Tooltip label="Cost by section">
        <UnstyledButton className="spark" aria-label="Cost by section" onClick={() => setOpen(true)}>
          {costs.map((c) => (
            <i key={c.section} style={{ height: `${Math.max(6, 100 * Math.max(0, shareOf(c.total, most)))}%` }} />
          ))}
        </UnstyledButton>
      </Tooltip>
      <Modal opened={isOpen} onClose={() => setOpen(false)} title="Cost by section" size="lg" centered>
        <Table fz="sm" verticalSpacing={6} className="cost-chart">
          <Table.Tbody>
            {costs.map((c) => (
              <Table.Tr key={c.section}>
                <Table.Td w="34%">{c.section}</Table.Td>
                <Table.Td>
                  <div className="bar" style={{ width: `${100 * Math.max(0, shareOf(c.total, most))}%` }} />
                </Table.Td>
                <Table.Td className="number">{shown(c.total, 2)}</Table.Td>
                <Table.Td className="number quiet">{(100 * shareOf(c.total, total)).toFixed(1)} %</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Modal>
    </>
  );
}
