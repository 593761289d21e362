import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Change, MessageRow } from '../src/db/messages.ts';
import { type ChatEvent, createFeed, type Subscriber } from '../src/services/feed.ts';

const LIMIT = 3;
const VIEWER = { sub: randomUUID(), email: undefined, expiresAt: new Date(0) };

/** What PostgreSQL would hold: the latest change of each message, and the texts of running replies. */
function createHistory() {
  const latest = new Map<string, Change>();
  const texts = new Map<string, { run: bigint; text: string }>();
  let seq = 0n;
  const change = (id: string, status?: MessageRow['status']) => {
    seq += 1n;
    const response = texts.get(id)?.text ?? '';
    const ended = status === 'COMPLETE';
    const row = status ? { id, seq, status, response, replySeq: ended ? seq : null } : null;
    latest.set(id, { seq, id, row: row as MessageRow | null });
  };
  return {
    get seq() {
      return seq;
    },
    latest,
    texts,
    begin(id: string) {
      texts.delete(id);
      change(id, 'PENDING');
      texts.set(id, { run: seq, text: '' });
    },
    end(id: string) {
      change(id, 'COMPLETE');
      texts.delete(id);
    },
    remove(id: string) {
      texts.delete(id);
      change(id);
    },
    after(number: bigint, limit = Number.POSITIVE_INFINITY) {
      const changes = [...latest.values()]
        .filter((c) => c.seq > number)
        .sort((a, b) => Number(a.seq - b.seq));
      return { seq, changes: changes.slice(0, limit) };
    },
    running: () => [...texts].map(([id, { run, text }]) => ({ id, seq: run, response: text })),
  };
}

/**
 * A device, and what it makes of the events. One that has read the history by itself can know of an end
 * before the feed does, and pays no heed to pieces of a reply that has ended.
 */
function createDevice(read?: ReadonlyMap<string, Change>) {
  const rows = new Map(read);
  const responses = new Map<string, string>();
  let last = 0n;
  let caughtUp = 0;
  return {
    rows,
    responses,
    get caughtUp() {
      return caughtUp;
    },
    take(event: ChatEvent) {
      if (event.kind === 'delta') {
        const { messageId, offset, text } = event;
        const before = responses.get(messageId) ?? '';
        if (read && rows.get(messageId)?.row?.status !== 'PENDING') return;
        expect(rows.get(messageId)?.row?.status).toBe('PENDING');
        expect(offset).toBeLessThanOrEqual(before.length);
        responses.set(messageId, before.slice(0, offset) + text);
        return;
      }
      if (event.kind === 'caughtUp') {
        caughtUp += 1;
        expect(event.seq).toBeGreaterThanOrEqual(last);
        return;
      }
      expect(event.seq).toBeGreaterThan(last);
      last = event.seq;
      const id = event.kind === 'changed' ? event.message.id : event.id;
      rows.set(id, { seq: event.seq, id, row: event.kind === 'changed' ? event.message : null });
      responses.delete(id);
    },
  };
}

type Step =
  | { readonly do: 'begin' | 'end' | 'remove'; readonly id: string }
  | { readonly do: 'write'; readonly id: string; readonly lost: boolean }
  | { readonly do: 'read' | 'apply' | 'recover' | 'attach' | 'replay' | 'join' | 'leave' };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('begin', 'end', 'remove'), id }),
  fc.record({ do: fc.constant('write'), id, lost: fc.boolean() }),
  fc.record({
    do: fc.constantFrom('read', 'apply', 'recover', 'attach', 'replay', 'join', 'leave'),
  }),
) as fc.Arbitrary<Step>;

it('tells every device all that it does not know, in order and once, however reads and joins meet', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const history = createHistory();
      const missing = new Set<string>();
      const feed = createFeed({
        viewer: VIEWER,
        seq: 0n,
        texts: [],
        onMissing: (messageId) => missing.add(messageId),
      });
      const devices: { device: ReturnType<typeof createDevice>; subscriber: Subscriber }[] = [];
      const replaying: { device: ReturnType<typeof createDevice>; position: bigint }[] = [];
      let reading: { from: bigint; found: ReturnType<typeof history.after> } | undefined;

      const join = (device: ReturnType<typeof createDevice>, position?: bigint) => {
        const sink = { push: device.take, end() {}, room: () => undefined };
        devices.push({ device, subscriber: feed.join(sink, position) });
      };
      const read = () => {
        const { from } = feed;
        reading ??= { from, found: history.after(from, LIMIT) };
      };
      const apply = () => {
        if (reading) feed.apply(reading.from, reading.found, LIMIT);
        reading = undefined;
      };
      const act: Record<Step['do'], (step: Step & { id: string; lost: boolean }) => void> = {
        begin: ({ id }) => !history.texts.has(id) && history.begin(id),
        end: ({ id }) => history.texts.has(id) && history.end(id),
        remove: ({ id }) => history.latest.get(id)?.row && history.remove(id),
        write({ id, lost }) {
          const reply = history.texts.get(id);
          if (!reply) return;
          const offset = reply.text.length;
          const text = `${offset},`;
          reply.text += text;
          const run = String(reply.run);
          if (!lost) feed.hear({ kind: 'text', messageId: id, run, offset, text });
        },
        read,
        apply,
        recover: () => feed.recover(history.running()),
        // From now on: it reads the history once it has been told where it stands.
        attach: () => join(createDevice(history.latest)),
        replay() {
          const device = createDevice();
          const { seq, changes } = history.after(0n);
          for (const { seq: n, id, row } of changes) {
            device.take(
              row
                ? { kind: 'changed', seq: n, message: row, replyEnded: false }
                : { kind: 'deleted', seq: n, id },
            );
          }
          replaying.push({ device, position: seq });
        },
        join() {
          const next = replaying.shift();
          if (next) join(next.device, next.position);
        },
        leave() {
          const gone = devices.shift();
          if (gone) feed.subscribers.delete(gone.subscriber);
        },
      };
      for (const next of steps) act[next.do](next as never);
      while (replaying.length > 0) act.join({} as never);
      apply();
      for (let i = 0; i < 200; i += 1) {
        read();
        apply();
      }
      feed.recover(history.running());

      for (const { device, subscriber } of devices) {
        expect(subscriber.live).toBe(true);
        expect(device.caughtUp).toBe(1);
        expect(device.rows).toEqual(history.latest);
        for (const [id, { text }] of history.texts) {
          expect(device.responses.get(id) ?? '').toBe(text);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
