import { auditDatabase } from '../db/audit.ts';
import type { Looker } from './connection.ts';
import { type Finding, fault, ok } from './finding.ts';

const SUBJECT = 'row level security';

/** Whether PostgreSQL itself keeps users apart, on every table of ours and for the owner too. */
export async function rowSecurityFinding(sql: Looker): Promise<Finding> {
  const findings = await sql.read(auditDatabase);
  if (findings.length === 0) return ok(SUBJECT, 'forced on every table; nothing goes round it');
  const advice =
    'Users may see what is not theirs: stop chatkeep, and restore it as the migrations made it.';
  return fault(SUBJECT, findings.join(' '), advice);
}
